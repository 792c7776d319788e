"""What is known of a window, as ``summary`` takes it: everything may be missing.

``None`` is "not known" or "not looked at", an empty tuple "looked at, and there is none". Nothing
is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlops_assets.core.attention.largest import LargestError
from mlops_assets.core.attention.ranking import Ranking, Standing
from mlops_assets.core.attention.slice_results import SliceSearch
from mlops_assets.vocabulary import HIGHER_IS_BETTER

#: Metrics of which more is better, those of estimates included.
HIGHER = HIGHER_IS_BETTER | {"precision", "recall", "f1", "business_value"}
Verdict = Literal["worse", "better", "same", "unknown"]


def verdict(metric: str, low: float | None, high: float | None, reference: float | None) -> Verdict:
    """Return whether a whole interval is on one side of a reference."""
    if low is None or high is None or reference is None:
        return "unknown"
    if not all(math.isfinite(v) for v in (low, high, reference)):
        return "unknown"
    if low <= reference <= high:
        return "same"
    return "better" if (low > reference) == (metric in HIGHER) else "worse"


@dataclass(frozen=True, kw_only=True)
class PerformanceFacts:
    """A realised metric.

    Attributes
    ----------
    reference
        The value to compare with, such as on the version's holdout.
    mature
        Whether all labels have had their time to arrive; if not, the value is provisional.
    labelled
        Share of the rows whose label is known, from 0 to 1.
    rows
        With a label.
    unit
        Of the metric, such as ``"minutes"``.
    """

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    mature: bool = True
    labelled: float | None = None
    rows: int | None = None
    unit: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the whole interval is on one side of the reference."""
        return verdict(self.metric, self.low, self.high, self.reference)


@dataclass(frozen=True, kw_only=True)
class EstimateFacts:
    """A metric of rows whose labels are missing, as estimated.

    Attributes
    ----------
    value
        ``None``: it could not be estimated, for the ``reason``.
    validated
        Whether the estimator has proved itself on matured windows; if not, why is ``reason``.
    """

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    validated: bool = False
    reason: str = ""
    unit: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the whole interval is on one side of the reference."""
        return verdict(self.metric, self.low, self.high, self.reference)


@dataclass(frozen=True, kw_only=True)
class DriftFacts:
    """Columns with an alarm, the first to look at first, and how many were compared."""

    matters: tuple[str, ...] = ()
    unimportant: tuple[str, ...] = ()
    unknown_importance: tuple[str, ...] = ()
    compared: int | None = None

    @classmethod
    def of(cls, ranking: Ranking) -> DriftFacts:
        """Return what a ranking says."""
        judged = (Standing.MATTERS, Standing.UNIMPORTANT, Standing.UNKNOWN_IMPORTANCE)
        return cls(
            matters=tuple(ranking.of(Standing.MATTERS)),
            unimportant=tuple(ranking.of(Standing.UNIMPORTANT)),
            unknown_importance=tuple(ranking.of(Standing.UNKNOWN_IMPORTANCE)),
            compared=len(ranking.of(*judged, Standing.UNCHANGED)),
        )

    @property
    def any(self) -> bool:
        """Whether there is an alarm."""
        return bool(self.matters or self.unimportant or self.unknown_importance)


@dataclass(frozen=True, kw_only=True)
class SliceFacts:
    """The worst slice: where, what share of the rows, and by how much its loss is higher.

    ``explained`` is the share of all loss that it accounts for beyond what is usual.
    """

    text: str
    share: float
    excess: float
    low: float | None = None
    high: float | None = None
    explained: float | None = None
    unit: str = ""

    @classmethod
    def of(cls, search: SliceSearch, unit: str = "") -> SliceFacts | None:
        """Return the first slice of a search; ``None``: there is none."""
        if not search.slices:
            return None
        worst = search.slices[0]
        return cls(
            text=worst.text,
            share=worst.share,
            excess=worst.excess,
            low=worst.low,
            high=worst.high,
            explained=worst.explained,
            unit=unit,
        )


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a model's window.

    Attributes
    ----------
    model, window
        As they are to be called; empty: not said.
    rows
        Predictions of the window.
    incidents
        Data-quality incidents, each in a few words, the gravest first.
    prediction_drift, label_drift, multivariate_drift, concept_drift
        Whether there is an alarm.
    worst_slice, largest_error
        ``None``: none was found, or not looked for.
    """

    model: str = ""
    window: str = ""
    rows: int | None = None
    incidents: Sequence[str] | None = None
    performance: PerformanceFacts | None = None
    estimate: EstimateFacts | None = None
    drift: DriftFacts | None = None
    prediction_drift: bool | None = None
    label_drift: bool | None = None
    multivariate_drift: bool | None = None
    concept_drift: bool | None = None
    worst_slice: SliceFacts | None = None
    largest_error: LargestError | None = None
