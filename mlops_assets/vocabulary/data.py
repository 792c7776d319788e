"""Where data come from: landed sources and their contracts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

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
    import pandera.pandas as pa

SchemaFactory: TypeAlias = "Callable[[], pa.DataFrameSchema]"
Loader: TypeAlias = "Callable[[Path], pd.DataFrame]"


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
        check_name(self)
        check_owner(self)
        check_columns(self, "key", self.key)
        freeze(self, key=tuple(self.key))
        require(bool(self.key), self, "key", "name at least one column that identifies a row")
        require(
            callable(self.schema),
            self,
            "schema",
            "must be a function returning a pandera.DataFrameSchema (it is called when needed)",
        )
        require(
            self.event_time is not None or not self.partitioned,
            self,
            "event_time",
            "name the timestamp column that decides a row's day, or set partitioned=False",
        )
        require(
            0 <= self.quarantine_tolerance < 1,
            self,
            "quarantine_tolerance",
            f"must be a share from 0 to below 1, not {self.quarantine_tolerance}",
        )
        if self.expected_rows is not None:
            low, high = self.expected_rows
            require(
                0 <= low <= high, self, "expected_rows", "must be (least, most) with least <= most"
            )

    @property
    def known_at_column(self) -> str | None:
        """Column with the time from which a row may be used; ``None`` for always."""
        return self.known_at or self.event_time
