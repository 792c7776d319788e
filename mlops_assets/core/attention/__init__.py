"""What to look at: which drift matters, where the model is bad, on which rows, in a few words.

Nothing is decided here: what drifted and how good the model is comes in from ``drift_methods``,
``estimation`` and ``monitoring``, and goes out in the order in which a person should look at it.
"""

from __future__ import annotations

from mlops_assets.core.attention.conditions import Condition
from mlops_assets.core.attention.facts import (
    DriftFacts,
    EstimateFacts,
    Facts,
    PerformanceFacts,
    SliceFacts,
)
from mlops_assets.core.attention.largest import LargestError, largest_errors
from mlops_assets.core.attention.ranking import RankedColumn, Ranking, Standing, rank_columns
from mlops_assets.core.attention.slice_results import SliceSearch, WorstSlice
from mlops_assets.core.attention.slices import worst_slices
from mlops_assets.core.attention.summary import summary

__all__ = [
    "Condition",
    "DriftFacts",
    "EstimateFacts",
    "Facts",
    "LargestError",
    "PerformanceFacts",
    "RankedColumn",
    "Ranking",
    "SliceFacts",
    "SliceSearch",
    "Standing",
    "WorstSlice",
    "largest_errors",
    "rank_columns",
    "summary",
    "worst_slices",
]
