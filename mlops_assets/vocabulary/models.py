"""Models: the rows they predict, their labels, and how they are trained, judged and watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from mlops_assets.vocabulary.costs import CostMatrix
from mlops_assets.vocabulary.policies import DriftPolicy, Probation, PromotionGate, RetrainPolicy
from mlops_assets.vocabulary.validation import (
    DEFAULT_OWNER,
    check_columns,
    check_name,
    check_owner,
    freeze,
    require,
)

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

EstimatorFactory: TypeAlias = "Callable[[], BaseEstimator]"
Problem = Literal["binary", "multiclass", "regression"]

#: Metrics of each problem, the first being the default primary metric. All but those in
#: ``HIGHER_IS_BETTER`` are losses.
METRICS: Mapping[Problem, tuple[str, ...]] = {
    "binary": ("log_loss", "brier", "roc_auc", "accuracy"),
    "multiclass": ("log_loss", "accuracy"),
    "regression": ("mae", "rmse", "r2"),
}
#: The other choice of each of a model's fields that may be ``"refuse"``.
_LENIENT = {
    "on_view_change": "pinned",
    "extra_columns": "ignore",
    "on_unseen_category": "allow",
    "on_missing": "allow",
}
HIGHER_IS_BETTER = frozenset({"roc_auc", "accuracy", "r2"})


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows a model predicts: a source's rows, and the moment each prediction is made.

    Parameters
    ----------
    source
        A partitioned source; a row's day is the source's partition.
    as_of
        DuckDB expression over the source's columns: the time (UTC) at which the prediction
        is made. Only facts known by then are used, the row's own ``known_at`` included.
    where
        DuckDB condition that keeps a row; by default all are kept.
    """

    source: str
    as_of: str
    where: str = "true"


@dataclass(frozen=True, kw_only=True)
class Label:
    """Ground truth.

    Parameters
    ----------
    name
        Column name of the label.
    source
        Source that carries it; its ``known_at`` says from when it is known.
    expression
        DuckDB expression over the source's columns. Where it is NULL there is no label:
        the row is used neither for training nor for evaluation.
    join
        Columns that the label's source shares with the rows to predict.
    matures_after
        How long after the end of a row's day its label may arrive. The days since then are
        refreshed by every daily run, and a day is *mature* once they have passed.
    """

    name: str
    source: str
    expression: str
    join: Sequence[str]
    matures_after: timedelta = timedelta(0)
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self)
        check_columns(self, "join", self.join)
        freeze(self, join=tuple(self.join))
        require(bool(self.join), self, "join", "name the columns that join label and row")
        require(self.matures_after >= timedelta(0), self, "matures_after", "cannot be negative")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model: what it predicts, from what, and how it is trained, judged and watched.

    Parameters
    ----------
    features
        Names of feature views or on-demand features (all their features), or
        ``"view.feature"`` for one. Feature names must be distinct within a model.
    estimator
        Function returning an unfitted scikit-learn estimator that takes the frame of
        features: categories as ``str``, numbers as ``float``, booleans as 0.0 and 1.0,
        missing as NaN.
    training_window, min_training
        Most and least days of rows that are trained on, ending where the holdout begins.
    holdout
        Days after the training window on which challenger, champion and baseline meet.
    slices
        Feature columns by whose values performance is reported and gated.
    costs
        What decisions cost, for business value beside the metrics; ``None``: not declared.
    trusted_types
        Types besides scikit-learn's own that the model file may hold.
    on_view_change
        What a version is served when a view it was trained on has been defined anew:
        ``"pinned"``: the features of the definition it was trained on, computed further (SQL
        views; a changed Python function is refused); ``"refuse"``: nothing is predicted until
        a version is trained on the new definition. Never the new definition's features.
    extra_columns
        What a version does with columns that it was not trained on: ``"ignore"`` them, so
        that a champion goes on while features for its successor are added, or ``"refuse"`` to
        score. The project's own columns (keys, times, label) are never extra.
    on_unseen_category
        What it does with values of a category that its training data did not have:
        ``"allow"`` (the estimator decides, and drift shows) or ``"refuse"``. With
        ``"refuse"`` one new carrier stops a day's predictions, and a holdout with one fails
        the evaluation.
    on_missing
        What it does with missing values of a feature that was always there in training:
        ``"allow"`` (the estimator decides: whether it takes missing values is its matter, and
        training data without any are often chance) or ``"refuse"``.

        These three are recorded with a version when it is trained and never change for it.
    """

    name: str
    problem: Problem
    rows: Rows
    features: Sequence[str]
    label: Label
    estimator: EstimatorFactory
    training_window: timedelta = timedelta(days=365)
    min_training: timedelta = timedelta(days=28)
    holdout: timedelta = timedelta(days=14)
    slices: Sequence[str] = ()
    gate: PromotionGate = field(default_factory=PromotionGate)
    probation: Probation = field(default_factory=Probation)
    drift: DriftPolicy = field(default_factory=DriftPolicy)
    retrain: RetrainPolicy = field(default_factory=RetrainPolicy)
    costs: CostMatrix | None = None
    trusted_types: Sequence[str] = ()
    on_view_change: Literal["pinned", "refuse"] = "pinned"
    extra_columns: Literal["ignore", "refuse"] = "ignore"
    on_unseen_category: Literal["allow", "refuse"] = "allow"
    on_missing: Literal["allow", "refuse"] = "allow"
    description: str = ""
    owner: str = DEFAULT_OWNER

    def __post_init__(self) -> None:
        check_name(self)
        check_owner(self)
        for name, lenient in _LENIENT.items():
            require(
                getattr(self, name) in (lenient, "refuse"),
                self,
                name,
                f"must be {lenient!r} or 'refuse'",
            )
        freeze(self, features=tuple(self.features), slices=tuple(self.slices))
        require(self.problem in METRICS, self, "problem", f"must be one of {', '.join(METRICS)}")
        wrong = None if self.costs is None else self.costs.problem_with(self.problem)
        require(wrong is None, self, "costs", wrong or "")
        require(bool(self.features), self, "features", "name at least one feature view")
        require(
            callable(self.estimator),
            self,
            "estimator",
            "must be a function returning an unfitted scikit-learn estimator",
        )
        for name in ("training_window", "min_training", "holdout"):
            value = getattr(self, name)
            require(
                value >= timedelta(days=1) and value == timedelta(days=value.days),
                self,
                name,
                "must be a whole number of days, at least 1",
            )
        require(
            self.min_training <= self.training_window,
            self,
            "min_training",
            "must not exceed training_window",
        )
        known = METRICS[self.problem]
        for metric in (self.metric, *self.gate.floors):
            require(metric in known, self, "gate", f"metric {metric!r} is none of {known}")

    @property
    def metric(self) -> str:
        """Primary metric."""
        return self.gate.metric or METRICS[self.problem][0]
