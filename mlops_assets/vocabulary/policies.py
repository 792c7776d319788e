"""What a model is held to: promotion gate, probation, drift policy, retrain policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from mlops_assets.vocabulary.validation import require


@dataclass(frozen=True, kw_only=True)
class PromotionGate:
    """What a challenger must show on the holdout before it serves.

    That the holdout is later than what either model was trained on, shares no row with it, and
    holds nothing from after the cutoff is asked for always, whatever is declared here.

    Parameters
    ----------
    metric
        Primary metric; ``None``: the first of the problem's in ``METRICS``.
    min_rows
        Least labelled holdout rows; fewer is a refusal, never a pass.
    floors
        Metric name to the value it must reach (a loss: must not exceed).
    margin
        0, the default, asks for *superiority*: the challenger must be better than the champion
        with ``confidence``. More than 0 is declared *non-inferiority*: it may be worse by up to
        this share of the champion's value, with ``confidence``.
    confidence
        Of each one-sided bound: two equally good models pass the comparison with probability
        at most ``1 - confidence``.
    block
        What is taken as independent. ``"day"``: days, because rows of one day share their
        weather, their traffic, their news; the differences are then summed by day.
        ``"row"``: rows, which promotes by chance far more often than declared where days
        differ.
    beat_baseline
        Whether the challenger must also beat the simple baseline.
    baseline_margin
        By how much, relative to the baseline's value, it must surely beat it: a model that has
        learnt nothing is often better than a constant by next to nothing, and surely so.
    max_slice_loss
        Relative loss by which a slice may be worse than with the champion; ``None``: any.
    min_slice_rows
        Slices with fewer labelled rows are reported and not judged.
    max_calibration_error
        By how much mean prediction and mean outcome may differ, over all rows and in each tenth
        of the predictions: a probability, or in the unit of a regression's label. ``None``: any.
    max_bytes
        Largest model file, in bytes; ``None``: any.
    max_milliseconds
        Longest time to score 1,000 holdout rows, in milliseconds; ``None``: any, and not
        measured.
    max_holdout_uses
        Versions that may have been decided on before, on holdouts that overlap with this one:
        whoever tries often enough passes by chance. ``None``: any number.
    """

    metric: str | None = None
    min_rows: int = 1000
    floors: Mapping[str, float] = field(default_factory=dict)
    margin: float = 0.0
    confidence: float = 0.95
    block: Literal["day", "row"] = "day"
    beat_baseline: bool = True
    baseline_margin: float = 0.01
    max_slice_loss: float | None = 0.10
    min_slice_rows: int = 200
    max_calibration_error: float | None = None
    max_bytes: int | None = None
    max_milliseconds: float | None = None
    max_holdout_uses: int | None = 10

    def __post_init__(self) -> None:
        require(self.min_rows > 0, self, "min_rows", "must be positive")
        require(self.margin >= 0, self, "margin", "must not be negative")
        require(self.baseline_margin >= 0, self, "baseline_margin", "must not be negative")
        require(0.5 <= self.confidence < 1, self, "confidence", "must be in [0.5, 1)")
        require(self.block in ("day", "row"), self, "block", "must be 'day' or 'row'")
        for name in (
            "max_slice_loss", "max_calibration_error", "max_bytes", "max_milliseconds",
            "max_holdout_uses",
        ):  # fmt: skip
            value = getattr(self, name)
            require(value is None or value >= 0, self, name, "must not be negative, or None")


@dataclass(frozen=True, kw_only=True)
class Probation:
    """How a new champion is watched beside the one it replaced.

    From the day it begins to serve, the champion before scores the same rows in shadow:
    captured, never served. Where the new one turns out worse on matured labels, it is rolled
    back.

    Parameters
    ----------
    windows
        How many times it is judged, on all days since the promotion; 0: there is no probation.
    window
        Days from one judgement to the next.
    confidence
        Of not rolling back a champion that is as good as the one before, over all windows.
    margin
        How much worse, relative to the value of the champion before, it may surely be.
    min_rows
        Least labelled rows to be judged on; with fewer it goes on serving.
    """

    windows: int = 2
    window: int = 7
    confidence: float = 0.95
    margin: float = 0.0
    min_rows: int = 500

    def __post_init__(self) -> None:
        require(self.windows >= 0, self, "windows", "must not be negative")
        require(self.window >= 2, self, "window", "must be at least 2 days, which are compared")
        require(0.5 <= self.confidence < 1, self, "confidence", "must be in [0.5, 1)")
        require(self.margin >= 0, self, "margin", "must not be negative")
        require(self.min_rows > 0, self, "min_rows", "must be positive")


@dataclass(frozen=True, kw_only=True)
class DriftPolicy:
    """When a column counts as drifted from the serving version's training data.

    Its shift must pass a practical threshold, *and* be larger than chance gives at the sizes at
    hand, *and* be larger than that of any window of the training period itself.

    Parameters
    ----------
    window
        Days of captured predictions that one report looks at.
    consecutive
        Days in a row that a column must have drifted before a check fails.
    alpha
        Share of reports on unchanged data that may name any column as drifted.
    decide
        Column, or ``"numeric"``, ``"categorical"``, ``"boolean"``, to the method that decides;
        by default the Wasserstein distance in standard deviations of the training data for
        numbers, and the Jensen-Shannon distance for the others.
    thresholds
        Column, or kind as above, to the least value of that method that matters in practice;
        by default 0.1 for each, which is a mean moved by a tenth of a standard deviation.
    methods
        Methods that are measured and stored beside the one that decides, see
        ``core.drift_methods.methods``.
    beyond_training
        Whether the training period's own windows count. ``False``: a season that comes round
        again is reported as drift each time.
    """

    window: int = 7
    consecutive: int = 2
    alpha: float = 0.05
    decide: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    methods: Sequence[str] = ("psi",)
    beyond_training: bool = True

    def __post_init__(self) -> None:
        require(0 < self.alpha < 1, self, "alpha", "must lie between 0 and 1")
        require(self.consecutive >= 1, self, "consecutive", "must be at least 1")
        require(self.window >= 1, self, "window", "must be at least 1 day")
        positive = all(value > 0 for value in self.thresholds.values())
        require(positive, self, "thresholds", "must all be positive")


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
