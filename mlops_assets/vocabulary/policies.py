"""What a model is held to: the promotion gate, the drift policy, the retrain policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from mlops_assets.vocabulary.validation import require


@dataclass(frozen=True, kw_only=True)
class PromotionGate:
    """What a challenger must show on the holdout before it serves.

    Parameters
    ----------
    metric
        Primary metric; ``None``: the first of the problem's in ``METRICS``.
    min_rows
        Least labelled holdout rows; fewer is a refusal, never a pass.
    floors
        Metric name to the value it must reach (a loss: must not exceed).
    margin
        How much worse than the champion, relative to the champion's value, a challenger
        may be with ``confidence``. 0 asks it to be no worse than the champion.
    confidence
        Of the one-sided paired bootstrap interval of the difference.
    beat_baseline
        Whether the challenger must also beat the simple baseline.
    max_slice_loss
        Relative loss by which a slice may be worse than with the champion; ``None``: any.
    min_slice_rows
        Slices with fewer labelled rows are reported and not judged.
    """

    metric: str | None = None
    min_rows: int = 1000
    floors: Mapping[str, float] = field(default_factory=dict)
    margin: float = 0.0
    confidence: float = 0.95
    beat_baseline: bool = True
    max_slice_loss: float | None = 0.10
    min_slice_rows: int = 200

    def __post_init__(self) -> None:
        require(self.min_rows > 0, self, "min_rows", "must be positive")
        require(self.margin >= 0, self, "margin", "must not be negative")
        require(0.5 <= self.confidence < 1, self, "confidence", "must be in [0.5, 1)")


@dataclass(frozen=True, kw_only=True)
class DriftPolicy:
    """When a column counts as drifted from the serving version's training data.

    It must pass a practical threshold *and* be larger than chance at the sizes at hand.

    Parameters
    ----------
    threshold
        Least population stability index (PSI) that matters in practice; 0.1 and 0.25 are
        the customary bounds for moderate and large shifts.
    alpha
        Share of reports on unchanged data that may name any column as drifted.
    consecutive
        Days in a row that a column must have drifted before a check fails.
    window
        Days of captured predictions that one report looks at.
    columns
        Column name to a threshold of its own.
    """

    threshold: float = 0.1
    alpha: float = 0.05
    consecutive: int = 2
    window: int = 7
    columns: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.threshold > 0, self, "threshold", "must be positive")
        require(0 < self.alpha < 1, self, "alpha", "must lie between 0 and 1")
        require(self.consecutive >= 1, self, "consecutive", "must be at least 1")
        require(self.window >= 1, self, "window", "must be at least 1 day")


@dataclass(frozen=True, kw_only=True)
class RetrainPolicy:
    """When a new version is trained.

    Triggers, in this order: realised performance drop, drift that matters, staleness.
    Guards: cool-down, new labels.

    Parameters
    ----------
    performance_drop
        Relative worsening of the primary metric, over ``window`` days against the
        version's holdout, whose interval must lie beyond it.
    window
        Days of matured predictions that are judged.
    drift_share
        Share of the features drifted (or drifted predictions) that asks for a retrain.
    max_age
        Age of the champion's training data at which it is stale.
    cool_down
        Least time between two attempts; doubled after each refused challenger in a row,
        up to four-fold.
    min_new_labels
        Labelled rows since the last training that a retrain needs.
    """

    performance_drop: float = 0.05
    window: int = 14
    drift_share: float = 0.5
    max_age: timedelta = timedelta(days=30)
    cool_down: timedelta = timedelta(days=14)
    min_new_labels: int = 1000

    def __post_init__(self) -> None:
        require(self.performance_drop > 0, self, "performance_drop", "must be positive")
        require(self.window >= 1, self, "window", "must be at least 1 day")
        require(self.max_age > timedelta(0), self, "max_age", "must be positive")
        require(self.cool_down >= timedelta(0), self, "cool_down", "must not be negative")
