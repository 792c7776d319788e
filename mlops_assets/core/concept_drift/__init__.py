"""Has the relation of features and label changed? Watches over matured losses, in order of time.

``fit`` what the reference's rows cost, take the ``excess`` of later ones, and ``update`` a
``Watch`` with their days. ``Adwin`` and ``PageHinkley`` are the published detectors by themselves.
Whether the features have moved is ``core.drift_methods`` and ``core.multivariate``.
"""

from __future__ import annotations

from mlops_assets.core.concept_drift.adwin import Adwin
from mlops_assets.core.concept_drift.aggregates import Aggregate, Change
from mlops_assets.core.concept_drift.expected import ExpectedLoss, Losses, fit, under_score
from mlops_assets.core.concept_drift.page_hinkley import PageHinkley
from mlops_assets.core.concept_drift.units import Unit, units_of
from mlops_assets.core.concept_drift.watch import Status, Verdict, Watch

__all__ = [
    "Adwin",
    "Aggregate",
    "Change",
    "ExpectedLoss",
    "Losses",
    "PageHinkley",
    "Status",
    "Unit",
    "Verdict",
    "Watch",
    "fit",
    "under_score",
    "units_of",
]
