"""What models are told: entities, feature views, and features of the request itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.vocabulary.data import SchemaFactory
from mlops_assets.vocabulary.validation import (
    DEFAULT_OWNER,
    check_columns,
    check_name,
    check_owner,
    freeze,
    require,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Entity:
    """What features describe: a name and the columns that identify one of it."""

    name: str
    keys: Sequence[str]
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self)
        check_columns(self, "keys", self.keys)
        freeze(self, keys=tuple(self.keys))
        require(bool(self.keys), self, "keys", "name at least one join key")


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
        check_name(self)
        check_owner(self)
        check_columns(self, "sources", self.sources)
        freeze(self, sources=tuple(self.sources))
        require(bool(self.sources), self, "sources", "name the sources that are read")
        require(
            (self.sql is None) != (self.function is None),
            self,
            "sql",
            "give either sql or function, not both and not neither",
        )
        require(callable(self.schema), self, "schema", "must be a function returning a schema")
        require(
            self.ttl is None or self.ttl > timedelta(0),
            self,
            "ttl",
            "must be positive; None means that values never expire",
        )
        require(
            self.freshness is None or self.freshness > timedelta(0),
            self,
            "freshness",
            "must be positive; None takes the ttl",
        )
        require(self.lookback >= timedelta(0), self, "lookback", "must not be negative")
        require(
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
        check_name(self)
        check_owner(self)
        check_columns(self, "features", tuple(self.features))
        require(bool(self.features), self, "features", "name at least one expression")
