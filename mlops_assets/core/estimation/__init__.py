"""Performance where labels are missing: CBPE, PAPE, direct loss estimation, and their own error.

``fit`` a reference, ``estimate`` windows, ``validate`` the estimator once labels have come. Peers'
definitions are in ``peers``, for comparison only.
"""

from __future__ import annotations

from mlops_assets.core.estimation.estimate import estimate
from mlops_assets.core.estimation.references import ESTIMABLE, Fitted, Method, fit
from mlops_assets.core.estimation.results import Estimate
from mlops_assets.core.estimation.samples import Sample, Status
from mlops_assets.core.estimation.validation import Matured, ValidatedError, validate

__all__ = [
    "ESTIMABLE",
    "Estimate",
    "Fitted",
    "Matured",
    "Method",
    "Sample",
    "Status",
    "ValidatedError",
    "estimate",
    "fit",
    "validate",
]
