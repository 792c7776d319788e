"""What a user declares: sources, features, models, and the use case that holds them.

This module holds declarations only: small frozen objects that validate themselves when
they are made, and name the object, the field and the remedy when something is wrong. How
a declaration is carried out belongs in ``mlops_assets.core``; how it becomes a Dagster
asset belongs in ``mlops_assets.assets``. It imports nothing else of this package and no
heavy library: schemas and estimators are given as functions that are called when needed,
so that declaring a use case costs no import of pandera or scikit-learn.

Times are UTC wherever they are stored; *days* are calendar days in the use case's
time zone. SQL in declarations is DuckDB's. Besides DuckDB's functions it may use
``local_time(ts)``: the wall-clock time, in the use case's time zone, of a UTC timestamp.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa
    from sklearn.base import BaseEstimator

SchemaFactory: TypeAlias = "Callable[[], pa.DataFrameSchema]"
EstimatorFactory: TypeAlias = "Callable[[], BaseEstimator]"
Loader: TypeAlias = "Callable[[Path], pd.DataFrame]"
Problem = Literal["binary", "multiclass", "regression"]

DEFAULT_OWNER = "team:ml"

#: Metrics of each problem, the first being the default primary metric. All but those in
#: ``HIGHER_IS_BETTER`` are losses.
METRICS: Mapping[Problem, tuple[str, ...]] = {
    "binary": ("log_loss", "brier", "roc_auc", "accuracy"),
    "multiclass": ("log_loss", "accuracy"),
    "regression": ("mae", "rmse", "r2"),
}
HIGHER_IS_BETTER = frozenset({"roc_auc", "accuracy", "r2"})

#: Names that DuckDB or this package use for catalogs and schemas; the use case's file would
#: take its name as a catalog and make every "schema.table" ambiguous.
_SCHEMAS = ("raw", "quarantine", "history", "features", "capture", "monitoring", "registry")
_RESERVED = frozenset([*_SCHEMAS, "ops", "main", "temp", "system", "memory"])
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OWNER = re.compile(r"team:[\w-]+|[^@\s]+@[^@\s]+\.[^@\s]+")


class DeclarationError(ValueError):
    """A declaration is wrong. The message names the object, the field and the remedy."""


def _require(condition: bool, what: object, field_name: str, remedy: str) -> None:
    if not condition:
        name = getattr(what, "name", None)
        label = f"{type(what).__name__} {name!r}" if name else type(what).__name__
        raise DeclarationError(f"{label}: {field_name}: {remedy}")


def _check_name(what: Any) -> None:
    _require(
        isinstance(what.name, str) and _NAME.fullmatch(what.name) is not None,
        what,
        "name",
        "must be lower-case letters, digits and underscores, start with a letter and have at "
        "most 63 characters, because it becomes a table and an asset key",
    )


def _check_columns(what: Any, field_name: str, columns: Sequence[str]) -> None:
    _require(
        not isinstance(columns, str) and all(_NAME.fullmatch(c) is not None for c in columns),
        what,
        field_name,
        f"must be a list of lower-case column names, not {columns!r}",
    )
    _require(len(set(columns)) == len(columns), what, field_name, "names a column twice")


def _check_owner(what: Any) -> None:
    _require(
        _OWNER.fullmatch(what.owner) is not None,
        what,
        "owner",
        f"must be 'team:NAME' or an e-mail address, not {what.owner!r}",
    )


def _freeze(what: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(what, name, value)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A landed table.

    Files land in ``<landing>/<name>/date=YYYY-MM-DD/`` (a static source: directly in
    ``<landing>/<name>/``); their rows, once they keep the contract, are ``raw.<name>``.

    Parameters
    ----------
    name
        Table and asset name.
    schema
        Function returning the contract, a ``pandera.DataFrameSchema``. Column types,
        descriptions and metadata (``{"unit": ...}``) become DDL and column metadata.
    key
        Columns that identify a row; duplicates are quarantined.
    event_time
        Column with the time (UTC) a row is about; its local day is the row's partition.
        ``None`` only for a static source.
    known_at
        Column with the time (UTC) from which the row may be used. ``None``: the event time.
    partitioned
        ``False`` for a static source: one table without days, replaced as a whole.
    quarantine_tolerance
        Share of a day's rows that may break the contract and be set aside; beyond it the
        contract check blocks and the day keeps the rows it had.
    expected_rows
        Least and most rows a day should have; outside, the volume check warns.
    freshness
        How old the newest row of a day may be when the day ends; older, the freshness
        check warns.
    loader
        Function reading one landed file into a frame; by default by its extension
        (``.parquet``, ``.csv``, ``.jsonl``).
    """

    name: str
    schema: SchemaFactory
    key: Sequence[str]
    event_time: str | None = None
    known_at: str | None = None
    partitioned: bool = True
    quarantine_tolerance: float = 0.01
    expected_rows: tuple[int, int] | None = None
    freshness: timedelta = timedelta(days=1)
    loader: Loader | None = None
    description: str = ""
    owner: str = DEFAULT_OWNER
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self)
        _check_owner(self)
        _check_columns(self, "key", self.key)
        _freeze(self, key=tuple(self.key))
        _require(bool(self.key), self, "key", "name at least one column that identifies a row")
        _require(
            callable(self.schema),
            self,
            "schema",
            "must be a function returning a pandera.DataFrameSchema (it is called when needed)",
        )
        _require(
            self.event_time is not None or not self.partitioned,
            self,
            "event_time",
            "name the timestamp column that decides a row's day, or set partitioned=False",
        )
        _require(
            0 <= self.quarantine_tolerance < 1,
            self,
            "quarantine_tolerance",
            f"must be a share from 0 to below 1, not {self.quarantine_tolerance}",
        )
        if self.expected_rows is not None:
            low, high = self.expected_rows
            _require(
                0 <= low <= high, self, "expected_rows", "must be (least, most) with least <= most"
            )

    @property
    def known_at_column(self) -> str | None:
        """Column with the time from which a row may be used; ``None`` for always."""
        return self.known_at or self.event_time


@dataclass(frozen=True, kw_only=True)
class Entity:
    """What features describe: a name and the columns that identify one of it."""

    name: str
    keys: Sequence[str]
    description: str = ""

    def __post_init__(self) -> None:
        _check_name(self)
        _check_columns(self, "keys", self.keys)
        _freeze(self, keys=tuple(self.keys))
        _require(bool(self.keys), self, "keys", "name at least one join key")


@dataclass(frozen=True, kw_only=True)
class FeatureView:
    """Features of one entity over time, kept as ``features.<name>``.

    Parameters
    ----------
    entity
        Whose features these are; its keys are columns of the result.
    sources
        Names of the sources that ``sql`` or ``function`` reads.
    sql
        A query over the sources, which it calls by their names. ``$start`` and ``$end``
        (UTC) bound the days being computed; rows whose event time lies outside them are
        dropped, so a query may compute more than is asked. It must return the entity's
        keys, ``event_time``, ``known_at`` where declared, and the schema's columns.
    function
        Instead of ``sql``: called with a mapping of source name to frame, and ``start``
        and ``end``; returns such a frame.
    schema
        Function returning the contract of the *feature* columns, a pandera schema.
    event_time
        Column with the time (UTC) the values are about. ``None``: the features do not
        change with time (over static sources only) and the view has no days.
    known_at
        Column with the time (UTC) from which the values may be used; ``None``: as soon as
        the event time.
    ttl
        How old a value may be when used, seen from the row that uses it; both ends
        inclusive. ``None``: any age.
    freshness
        How old the newest value of a day may be when the day ends; older, the check ``fresh``
        warns. ``None``: the ttl.
    lookback
        How far before the computed days the sources are read, for windows and lags.
    """

    name: str
    entity: Entity
    sources: Sequence[str]
    schema: SchemaFactory
    sql: str | None = None
    function: Callable[..., pd.DataFrame] | None = None
    event_time: str | None = "event_time"
    known_at: str | None = None
    ttl: timedelta | None = None
    freshness: timedelta | None = None
    lookback: timedelta = timedelta(0)
    description: str = ""
    owner: str = DEFAULT_OWNER
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self)
        _check_owner(self)
        _check_columns(self, "sources", self.sources)
        _freeze(self, sources=tuple(self.sources))
        _require(bool(self.sources), self, "sources", "name the sources that are read")
        _require(
            (self.sql is None) != (self.function is None),
            self,
            "sql",
            "give either sql or function, not both and not neither",
        )
        _require(callable(self.schema), self, "schema", "must be a function returning a schema")
        _require(
            self.ttl is None or self.ttl > timedelta(0),
            self,
            "ttl",
            "must be positive; None means that values never expire",
        )
        _require(
            self.freshness is None or self.freshness > timedelta(0),
            self,
            "freshness",
            "must be positive; None takes the ttl",
        )
        _require(self.lookback >= timedelta(0), self, "lookback", "must not be negative")
        _require(
            self.event_time is not None
            or (self.ttl is None and self.known_at is None and self.freshness is None),
            self,
            "event_time",
            "a view without event time has neither ttl nor known_at nor freshness",
        )

    @property
    def stale_after(self) -> timedelta | None:
        """How old the newest value may be at a day's end; ``None``: any age."""
        return self.freshness or self.ttl

    @property
    def partitioned(self) -> bool:
        """Whether the view has days."""
        return self.event_time is not None


@dataclass(frozen=True, kw_only=True)
class OnDemandFeatures:
    """Features computed from the request row itself, by the same SQL in training and scoring.

    ``features`` maps each feature's name to a DuckDB expression over the columns of the
    rows to predict, among them ``as_of``. ``descriptions`` says what they mean.
    """

    name: str
    features: Mapping[str, str]
    description: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    owner: str = DEFAULT_OWNER

    def __post_init__(self) -> None:
        _check_name(self)
        _check_owner(self)
        _check_columns(self, "features", tuple(self.features))
        _require(bool(self.features), self, "features", "name at least one expression")


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
        _check_name(self)
        _check_columns(self, "join", self.join)
        _freeze(self, join=tuple(self.join))
        _require(bool(self.join), self, "join", "name the columns that join label and row")
        _require(self.matures_after >= timedelta(0), self, "matures_after", "cannot be negative")


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
        _require(self.min_rows > 0, self, "min_rows", "must be positive")
        _require(self.margin >= 0, self, "margin", "must not be negative")
        _require(0.5 <= self.confidence < 1, self, "confidence", "must be in [0.5, 1)")


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
        _require(self.threshold > 0, self, "threshold", "must be positive")
        _require(0 < self.alpha < 1, self, "alpha", "must lie between 0 and 1")
        _require(self.consecutive >= 1, self, "consecutive", "must be at least 1")
        _require(self.window >= 1, self, "window", "must be at least 1 day")


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
        _require(self.performance_drop > 0, self, "performance_drop", "must be positive")
        _require(self.window >= 1, self, "window", "must be at least 1 day")
        _require(self.max_age > timedelta(0), self, "max_age", "must be positive")
        _require(self.cool_down >= timedelta(0), self, "cool_down", "must not be negative")


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
        features (categories as ``str``, numbers as ``float``, missing as NaN or None).
    training_window, min_training
        Most and least days of rows that are trained on, ending where the holdout begins.
    holdout
        Days after the training window on which challenger, champion and baseline meet.
    slices
        Feature columns by whose values performance is reported and gated.
    trusted_types
        Types besides scikit-learn's own that the model file may hold.
    on_view_change
        What a version is served when a view it was trained on has been defined anew:
        ``"pinned"``: the features of the definition it was trained on, computed further (SQL
        views; a changed Python function is refused); ``"refuse"``: nothing is predicted until
        a version is trained on the new definition. Never the new definition's features.
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
    drift: DriftPolicy = field(default_factory=DriftPolicy)
    retrain: RetrainPolicy = field(default_factory=RetrainPolicy)
    trusted_types: Sequence[str] = ()
    on_view_change: Literal["pinned", "refuse"] = "pinned"
    description: str = ""
    owner: str = DEFAULT_OWNER

    def __post_init__(self) -> None:
        _check_name(self)
        _check_owner(self)
        _require(
            self.on_view_change in ("pinned", "refuse"),
            self,
            "on_view_change",
            "must be 'pinned' or 'refuse'",
        )
        _freeze(self, features=tuple(self.features), slices=tuple(self.slices))
        _require(self.problem in METRICS, self, "problem", f"must be one of {', '.join(METRICS)}")
        _require(bool(self.features), self, "features", "name at least one feature view")
        _require(
            callable(self.estimator),
            self,
            "estimator",
            "must be a function returning an unfitted scikit-learn estimator",
        )
        for name in ("training_window", "min_training", "holdout"):
            value = getattr(self, name)
            _require(
                value >= timedelta(days=1) and value == timedelta(days=value.days),
                self,
                name,
                "must be a whole number of days, at least 1",
            )
        _require(
            self.min_training <= self.training_window,
            self,
            "min_training",
            "must not exceed training_window",
        )
        known = METRICS[self.problem]
        for metric in (self.metric, *self.gate.floors):
            _require(metric in known, self, "gate", f"metric {metric!r} is none of {known}")

    @property
    def metric(self) -> str:
        """Primary metric."""
        return self.gate.metric or METRICS[self.problem][0]


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """Everything about one use case; ``build_definitions`` turns it into a Dagster graph.

    Parameters
    ----------
    timezone
        IANA name of the time zone whose calendar days partition the data.
    start, end
        First day, and the day after the last one (``None``: open, a day is complete once
        it has passed).
    archive
        Folder with one ``<source>.parquet`` for each source: history from which
        ``mlops-assets replay`` lands files day by day.
    """

    name: str
    timezone: str
    start: date
    sources: Sequence[Source]
    views: Sequence[FeatureView | OnDemandFeatures]
    models: Sequence[Model]
    end: date | None = None
    archive: Path | None = None
    description: str = ""

    def __post_init__(self) -> None:
        _check_name(self)
        _require(
            self.name not in _RESERVED,
            self,
            "name",
            f"is a schema of the DuckDB file; choose another than {', '.join(sorted(_RESERVED))}",
        )
        for name in ("sources", "views", "models"):
            _freeze(self, **{name: tuple(getattr(self, name))})
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise DeclarationError(
                f"UseCase {self.name!r}: timezone: {self.timezone!r} is no IANA time zone; "
                "write one such as 'Europe/Berlin' or 'UTC'"
            ) from error
        _require(self.end is None or self.start < self.end, self, "end", "must be later than start")
        self._check_unique("sources", [s.name for s in self.sources])
        self._check_unique("views", [v.name for v in self.views])
        self._check_unique("models", [m.name for m in self.models])
        for view in self.feature_views:
            for name in view.sources:
                self._check_known(f"view {view.name!r}: sources", name, self.sources)
            if not view.partitioned:
                moving = [n for n in view.sources if self.source(n).partitioned]
                _require(
                    not moving,
                    self,
                    f"view {view.name!r}",
                    f"has no event_time but reads {', '.join(moving)}, which has days; "
                    "give it an event_time",
                )
        for model in self.models:
            self._check_known(f"model {model.name!r}: rows", model.rows.source, self.sources)
            _require(
                self.source(model.rows.source).partitioned,
                self,
                f"model {model.name!r}: rows",
                f"source {model.rows.source!r} is static; predictions are made by day",
            )
            self._check_known(f"model {model.name!r}: label", model.label.source, self.sources)
            for reference in model.features:
                self._check_known(
                    f"model {model.name!r}: features", reference.partition(".")[0], self.views
                )

    def _check_unique(self, field_name: str, names: Sequence[str]) -> None:
        twice = sorted({n for n in names if names.count(n) > 1})
        _require(not twice, self, field_name, f"{', '.join(twice)} declared twice")

    def _check_known(self, field_name: str, name: str, declared: Iterable[Any]) -> None:
        names = [d.name for d in declared]
        _require(name in names, self, field_name, f"{name!r} is not declared; there is {names}")

    @property
    def feature_views(self) -> tuple[FeatureView, ...]:
        """The views that are kept as tables."""
        return tuple(v for v in self.views if isinstance(v, FeatureView))

    def source(self, name: str) -> Source:
        """The source of that name."""
        return self._find(self.sources, name)

    def view(self, name: str) -> FeatureView | OnDemandFeatures:
        """The feature view or on-demand features of that name."""
        return self._find(self.views, name)

    def model(self, name: str) -> Model:
        """The model of that name."""
        return self._find(self.models, name)

    def _find(self, declared: Sequence[Any], name: str) -> Any:
        for item in declared:
            if item.name == name:
                return item
        raise DeclarationError(
            f"UseCase {self.name!r}: no {name!r}; there is {[d.name for d in declared]}"
        )
