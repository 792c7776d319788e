"""Have the rows moved as a whole, columns taken together? A domain classifier and PCA's error.

``keep`` a bounded sample of the reference once, ``compare`` it with current rows. Columns one by
one are ``core.drift_methods``; whether the relation to the label has changed is
``core.concept_drift``.
"""

from __future__ import annotations

from mlops_assets.core.multivariate.compare import compare
from mlops_assets.core.multivariate.keeping import from_arrow, keep, to_arrow
from mlops_assets.core.multivariate.results import (
    Detection,
    MultivariateShift,
    Separating,
    Status,
)

__all__ = [
    "Detection",
    "MultivariateShift",
    "Separating",
    "Status",
    "compare",
    "from_arrow",
    "keep",
    "to_arrow",
]
