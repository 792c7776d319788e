"""``measure``: the profiles of a table's days, from one query over all of them.

The rows are fetched once, in order of days and of time, and described in numpy: quantiles,
distinct values and runs of 7,000 rows in DuckDB take several times as long. Nothing is compared
here; what is unusual is for ``judging``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.quality.clocks import LocalHours
from mlops_assets.core.quality.describing import Column, describe, describe_label
from mlops_assets.core.quality.profiles import (
    CATEGORY,
    FLAG,
    IDENTIFIER,
    NUMBER,
    OTHER,
    TIME,
    ColumnProfile,
    DayProfile,
)
from mlops_assets.core.storage.coercion import FLOATS, INTEGERS
from mlops_assets.core.storage.relations import column_types, from_item

if TYPE_CHECKING:
    from datetime import date

    import duckdb
    import numpy as np
    import pyarrow as pa

    from mlops_assets.core.quality.tables import Table

_VIEW = "quality_rows"
_NUMBERS = {*INTEGERS, *FLOATS, "HUGEINT", "UHUGEINT"}
_TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"}
#: Truth values whose combinations may tell why a value is missing.
_MOST_FLAGS = 3


def measure(
    con: duckdb.DuckDBPyConnection, rows: Any, table: Table, days: Sequence[date]
) -> dict[date, DayProfile]:
    """Return the profile of each of ``days``; a day without rows has one that says so.

    Parameters
    ----------
    rows
        A table's name, quoted, or a query as text; or a frame or an Arrow table.
    table
        What is to be known of it. Columns that it names and the rows lack are no error: that
        they lack is what a judgement says.
    days
        In order. If the table has no ``day_column``, the one day that all rows are of.

    Raises
    ------
    ValueError
        If there is no ``day_column`` and more than one day.
    """
    if not days:
        return {}
    if table.day_column is None and len(days) != 1:
        raise ValueError(
            f"{table.dataset}: rows without a column with their day are of one day, "
            f"not of {len(days)}; name the column (day_column) or give one day"
        )
    if isinstance(rows, str):
        return _measure(con, from_item(rows), table, days)
    con.register(_VIEW, rows)
    try:
        return _measure(con, _VIEW, table, days)
    finally:
        con.unregister(_VIEW)


def _measure(
    con: duckdb.DuckDBPyConnection, rows: str, table: Table, days: Sequence[date]
) -> dict[date, DayProfile]:
    import numpy as np

    types = column_types(con, rows)
    types.pop(table.day_column or "", None)
    types = {name: type_ for name, type_ in types.items() if name not in table.leave_out}
    bounds: dict[str, Any] = {"first": days[0]}
    if table.day_column is not None:
        bounds["last"] = days[-1]
    fetched = con.execute(_query(rows, table, types), bounds).to_arrow_table()
    of_day = fetched.column("day").to_numpy()
    numbers = np.array([(day - days[0]).days for day in days])
    hours = LocalHours(of_day, days, table.timezone)
    starts, ends = np.searchsorted(of_day, numbers), np.searchsorted(of_day, numbers, "right")
    known = set(table.key) & set(types)
    read = _Read(fetched, table, types, hours, single=known if len(table.key) == 1 else set())
    return {
        day: read.day(int(start), int(end))
        for day, start, end in zip(days, starts, ends, strict=True)
    }


def _quoted(name: str) -> str:
    """Names are those of the data, which may hold anything."""
    return '"' + name.replace('"', '""') + '"'


def _kind(type_: str) -> str:
    if type_ in _NUMBERS or type_.startswith("DECIMAL"):
        return NUMBER
    if type_ == "BOOLEAN":
        return FLAG
    if type_ in _TIMES or type_ == "DATE":
        return TIME
    return CATEGORY if type_ == "VARCHAR" or type_.startswith("ENUM") else OTHER


def _query(rows: str, table: Table, types: dict[str, str]) -> str:
    there = [name for name in table.key if name in types]
    day = f"{_quoted(table.day_column)}::DATE" if table.day_column else "$first::DATE"
    selected = [f"({day} - $first::DATE)::INTEGER AS day"]
    if there and len(there) == len(table.key):
        selected.append(f"hash({', '.join(map(_quoted, there))}) AS key")
    rest = [name for name in types if name not in table.key]
    if there and len(rest) > 1:
        selected.append(f"hash({', '.join(map(_quoted, rest))}) AS content")
    group = [name for name in table.group if name in types]
    if group:
        texts = ", ".join(f"{_quoted(name)}::VARCHAR" for name in group)
        selected.append(f"concat_ws(', ', {texts}) AS group_name")
    for at, (name, type_) in enumerate(types.items()):
        value = _quoted(name)
        expression = {
            NUMBER: f"{value}::DOUBLE",
            FLAG: f"{value}::TINYINT",
            CATEGORY: f"{value}::VARCHAR",
            OTHER: f"CASE WHEN {value} IS NULL THEN NULL ELSE 'x' END",
            TIME: f"epoch({value})",
        }[_kind(type_)]
        if [name] == list(table.key) and _kind(type_) == CATEGORY:
            expression = f"CASE WHEN {value} IS NULL THEN NULL ELSE 'x' END"  # not looked into
        selected.append(f"{expression} AS c{at}")
    # Rows of one moment in an order of their own: the same rows, the same profile.
    order = ["1", *(["group_name"] if group else [])]
    order += [_quoted(name) for name in (table.event_time, *there) if name in types and name]
    where = f"WHERE {day} BETWEEN $first AND $last" if table.day_column else ""
    return f"SELECT {', '.join(selected)} FROM {rows} {where} ORDER BY {', '.join(order)}"


@dataclass
class _Read:
    """The fetched rows of all days, column by column."""

    fetched: pa.Table
    table: Table
    types: dict[str, str]
    hours: LocalHours
    #: The one column that is the key: of text, it identifies rows and is nothing else.
    single: set[str]

    def __post_init__(self) -> None:
        import numpy as np

        names = self.fetched.column_names
        self.key = self.fetched.column("key").to_numpy() if "key" in names else None
        self.content = self.fetched.column("content").to_numpy() if "content" in names else None
        groups = _coded(self.fetched.column("group_name")) if "group_name" in names else None
        self.group, self.groups = groups or (np.zeros(self.fetched.num_rows, int), [""])
        self.columns = {name: self._column(at, name) for at, name in enumerate(self.types)}
        flags = [name for name, column in self.columns.items() if column.kind == FLAG]
        self.flags = tuple(flags[:_MOST_FLAGS])
        self.pattern = np.zeros(self.fetched.num_rows, int)
        for bit, name in enumerate(self.flags):
            self.pattern += (self.columns[name].numbers == 1) << bit

    def _column(self, at: int, name: str) -> Column:
        import numpy as np

        kind, values = _kind(self.types[name]), self.fetched.column(f"c{at}")
        if kind == CATEGORY and name in self.single:
            kind = IDENTIFIER
        if kind in (IDENTIFIER, OTHER):
            missing = values.is_null().to_numpy()
            return Column(kind, self.types[name], numbers=np.where(missing, np.nan, 0.0))
        if kind == CATEGORY:
            codes, names = _coded(values)
            return Column(kind, self.types[name], np.where(codes < 0, np.nan, codes), names)
        numbers = values.to_numpy().astype(float)
        if kind == TIME:
            numbers = self.hours(numbers, utc=self.types[name] != "DATE")
        return Column(kind, self.types[name], numbers, ["false", "true"] if kind == FLAG else None)

    def day(self, start: int, end: int) -> DayProfile:
        import numpy as np

        rows = end - start
        if not rows:
            return DayProfile(rows=0, event_time=self.table.event_time)
        part = slice(start, end)
        size = 1 << len(self.flags)
        event = self.columns.get(self.table.event_time or "")
        columns: dict[str, ColumnProfile] = {
            name: describe(
                column,
                part,
                pattern=(self.pattern, size) if self.flags else None,
                hours=event.numbers if event is not None and self.table.has_readings else None,
                group=(self.group, self.groups),
            )
            for name, column in self.columns.items()
        }
        for name in self.table.labels:
            if name in self.columns:
                columns[name] = describe_label(columns[name], self.columns, name, part)
        return DayProfile(
            rows=rows,
            key_repeats=_repeats(self.key, part),
            content_repeats=_repeats(self.content, part),
            event_time=self.table.event_time,
            flags=self.flags,
            patterns=tuple(np.bincount(self.pattern[part], minlength=size).tolist())
            if self.flags
            else (),
            columns=columns,
        )


def _repeats(hashes: np.ndarray | None, part: slice) -> int:
    import numpy as np

    if hashes is None:
        return 0
    ordered = np.sort(hashes[part])
    return int(np.count_nonzero(ordered[1:] == ordered[:-1]))


def _coded(values: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Return the number of each row's text, -1 where there is none, and the texts in order."""
    import numpy as np

    coded = values.combine_chunks().dictionary_encode()
    texts = coded.dictionary.to_pylist()
    order = sorted(range(len(texts)), key=texts.__getitem__)
    # One more, which is the last: that of -1.
    place = np.full(len(texts) + 1, -1)
    place[order] = np.arange(len(texts))
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return place[codes], [texts[at] for at in order]
