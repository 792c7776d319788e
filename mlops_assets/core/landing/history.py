"""Earlier versions of raw rows: what was known before a file was replaced.

``raw.<source>`` holds what is known now. When a day that was ingested before is ingested
again with other rows, the versions that these supersede go to ``history.<source>``: the row
as it was and ``superseded_at``, the moment from which its successor was known. A row that was
not there before has a predecessor as well, one that says so (``existed`` is false). So a
training set can be built again as it was, whatever has arrived since.

The moment is data time: the end of the last day that had landed when the correction came.
Versions of features belong in ``revisions``; writing raw rows in ``landing_tables``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage.days import day_start
from mlops_assets.core.storage.relations import column_types, missing_tables, temporary_tables
from mlops_assets.core.storage.sql import identifier, identifiers, table

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.vocabulary import Source

#: Columns of ``history.<source>`` beside those of ``raw.<source>``.
_OWN = ("superseded_at", "existed", "revision")
#: Says where in its file a row stood, nothing about what it tells.
_POSITION = "ingest_seq"


def data_now(con: duckdb.DuckDBPyConnection, timezone: str) -> datetime | None:
    """Return the end of the last day that has landed in any source; ``None`` before that."""
    [(day,)] = con.execute(
        "SELECT max(partition_date) FROM ops.partitions WHERE starts_with(dataset, 'raw.') "
        "AND rows > 0"
    ).fetchall()
    return None if day is None else day_start(day + timedelta(days=1), timezone)


@contextmanager
def kept(
    con: duckdb.DuckDBPyConnection, source: Source, timezone: str, days: Sequence[date | None]
) -> Iterator[None]:
    """Keep the versions that are superseded by what happens to ``raw.<source>`` within.

    Parameters
    ----------
    days
        Those that were ingested before and may be replaced; ``[None]`` for a static source.
    """
    if not days:
        yield
        return
    raw = table(f"raw.{source.name}")
    where = _of_days(source)
    with temporary_tables(con) as temporary:
        before = temporary("before")
        dates = {"days": [day for day in days if day is not None]} if source.partitioned else {}
        con.execute(f"CREATE TEMP TABLE {before} AS SELECT * FROM {raw} {where}", dates)
        yield
        _supersede(con, source, timezone, before, f"(SELECT * FROM {raw} {where})", dates)


def _of_days(source: Source) -> str:
    if not source.partitioned:
        return ""
    return "WHERE partition_date IN (SELECT unnest($days::DATE[]))"


def _key(source: Source) -> list[str]:
    return [*(["partition_date"] if source.partitioned else []), *source.key]


def _supersede(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    timezone: str,
    before: str,
    after: str,
    dates: dict[str, Any],
) -> None:
    types = column_types(con, table(f"raw.{source.name}"))
    there = column_types(con, before)
    key = _key(source)
    told = [name for name in there if name not in (*key, _POSITION)]
    same_key = " AND ".join(f"o.{identifier(k)} = n.{identifier(k)}" for k in key)
    changed = " OR ".join(
        [f"n.{identifier(key[0])} IS NULL"]
        + [f"o.{identifier(c)} IS DISTINCT FROM n.{identifier(c)}" for c in told]
    )
    query = (
        f"SELECT o.*, true AS existed FROM {before} o LEFT JOIN {after} n ON {same_key} "
        f"WHERE {changed} UNION ALL BY NAME "
        f"SELECT {identifiers(key, 'n.')}, false AS existed FROM {after} n "
        f"WHERE NOT EXISTS (SELECT 1 FROM {before} o WHERE {same_key})"
    )
    with temporary_tables(con) as temporary:
        found = temporary("superseded")
        con.execute(f"CREATE TEMP TABLE {found} AS {query}", dates)
        if con.execute(f"SELECT count(*) FROM {found}").fetchall() == [(0,)]:
            return
        past = table(f"history.{source.name}")
        _make(con, source, types)
        con.execute(
            f"INSERT INTO {past} BY NAME SELECT f.*, $at::TIMESTAMP AS superseded_at, "
            f"(SELECT coalesce(max(revision), 0) + 1 FROM {past}) AS revision FROM {found} f",
            {"at": data_now(con, timezone) or datetime.min},
        )


def _make(con: duckdb.DuckDBPyConnection, source: Source, types: dict[str, str]) -> None:
    """Make the table, or add the columns that the source has gained."""
    dataset = f"history.{source.name}"
    if missing_tables(con, [dataset]):
        columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in types.items())
        con.execute(
            f"CREATE TABLE {table(dataset)} ({columns}, superseded_at TIMESTAMP, "
            "existed BOOLEAN, revision BIGINT)"
        )
        return
    have = column_types(con, table(dataset))
    for name in types:
        if name not in have:
            con.execute(f"ALTER TABLE {table(dataset)} ADD COLUMN {identifier(name)} {types[name]}")


def has_history(con: duckdb.DuckDBPyConnection, source: Source) -> bool:
    """Whether any row of the source was ever superseded."""
    return not missing_tables(con, [f"history.{source.name}"])


def versions(con: duckdb.DuckDBPyConnection, source: Source) -> str:
    """Query for all versions of all rows, each with ``valid_from`` and ``valid_to`` (UTC).

    A version is what was known from ``valid_from`` up to and without ``valid_to``; the
    first is from ``-infinity``, the current one to ``infinity``.
    """
    raw = table(f"raw.{source.name}")
    if not has_history(con, source):
        return (
            "SELECT *, '-infinity'::TIMESTAMP AS valid_from, 'infinity'::TIMESTAMP AS valid_to "
            f"FROM {raw}"
        )
    past, key = table(f"history.{source.name}"), identifiers(_key(source))
    columns = identifiers(column_types(con, raw))
    return (
        f"SELECT {columns}, coalesce(since, '-infinity'::TIMESTAMP) AS valid_from, "
        "superseded_at AS valid_to FROM (SELECT *, lag(superseded_at) OVER "
        f"(PARTITION BY {key} ORDER BY revision) AS since FROM {past}) WHERE existed "
        f"UNION ALL SELECT {columns}, coalesce(since, '-infinity'::TIMESTAMP), "
        f"'infinity'::TIMESTAMP FROM {raw} LEFT JOIN (SELECT {key}, "
        f"max(superseded_at) AS since FROM {past} GROUP BY ALL) USING ({key})"
    )


def rows_as_of(
    con: duckdb.DuckDBPyConnection, source: Source, as_of: str, known_before: datetime | None
) -> str:
    """Query for the rows of a source as each was known at its own moment.

    Every row that exists (``known_before``: that existed then, a moment in UTC) comes in the
    version that was known at the moment ``as_of``, an expression over its columns; a row that
    came later than that, in its first. Without history this is the table itself. The query
    has a parameter ``$known_before`` where that is given and there is history.
    """
    if not has_history(con, source):
        return f"SELECT * FROM {table(f'raw.{source.name}')}"
    key = identifiers(_key(source))
    at = "'infinity'::TIMESTAMP" if known_before is None else "$known_before::TIMESTAMP"
    return (
        f"SELECT * EXCLUDE (valid_from, valid_to, known_then) FROM (SELECT *, "
        f"max(valid_to) OVER (PARTITION BY {key}) >= {at} AS known_then "
        f"FROM ({versions(con, source)}) WHERE valid_from < {at}) WHERE known_then "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY "
        f"valid_from <= {as_of} AND {as_of} < valid_to DESC, valid_from) = 1"
    )


def rows_known_before(
    con: duckdb.DuckDBPyConnection, source: Source, known_before: datetime | None
) -> str:
    """Query for the rows of a source as they were known before a moment, now if ``None``.

    With a column ``valid_from``, from when a row was known as it is, and a parameter
    ``$known_before`` where that is given.
    """
    if known_before is None:
        return f"SELECT * EXCLUDE (valid_to) FROM ({versions(con, source)}) " + (
            "WHERE valid_to = 'infinity'::TIMESTAMP"
        )
    return (
        f"SELECT * EXCLUDE (valid_to) FROM ({versions(con, source)}) "
        "WHERE valid_from < $known_before AND valid_to >= $known_before"
    )
