"""The rows of sources behind a fact: those that the view's query needs to give it again.

A query does not say which rows it read for one of its results. So rows are proposed, from few
to many, and the view is computed from them alone: the first proposal that gives the fact bit
for bit is the answer, and its rows are *sufficient*, whatever else the sources hold.

1. ``keys``: rows with the fact's keys; of a source that has none of them, rows that are linked
   to those by a key.
2. ``linked``: those linked to these, once more: the other rows of the same aircraft, say.
3. ``window``: all rows that the view may see. Then they are bounded, not pinpointed.

Two rows are linked that have the same value in a column of one name that is in a source's key,
or that decides which rows count in the view's query (``column_lineage``), times left out.

Proposed are only rows of the days that computing the fact's day reads, as they were known at
the fact's own known time. Where no such rows give the fact, all are proposed as they are known
now (``later``): then the view uses facts earlier than it says, or was computed after a
correction that came later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.audit import bits
from mlops_assets.core.audit.request import LandedFile, landed_files
from mlops_assets.core.audit.view_values import values_from
from mlops_assets.core.landing.history import versions
from mlops_assets.core.lineage.column_lineage import view_lineage
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.records import fetch
from mlops_assets.core.storage.relations import (
    TemporaryNames,
    column_types,
    temporary_tables,
    utc,
)

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.audit.facts import Fact
    from mlops_assets.vocabulary import FeatureView, Source, UseCase

KEYS, LINKED, WINDOW = "keys", "linked", "window"
#: Rows of a source that are given; all are counted.
MOST_ROWS = 200
#: Types whose values can link rows.
_LINKING = ("VARCHAR", "UUID", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


@dataclass(frozen=True)
class SourceRows:
    """Rows of one source behind a fact.

    Attributes
    ----------
    rows
        Up to ``MOST_ROWS``, those known last first; ``n`` are all.
    files
        From which the days of all of them were ingested last.
    """

    source: str
    n: int
    rows: tuple[Mapping[str, Any], ...]
    files: tuple[LandedFile, ...]


@dataclass(frozen=True)
class Behind:
    """What is behind a fact.

    Attributes
    ----------
    how
        ``keys``, ``linked`` or ``window``, see the module.
    sufficient
        Whether the view gives the fact bit for bit from these rows alone.
    later
        Whether rows may be among them that were known only after the fact says it was.
    recomputed
        The features as computed from these rows, ``None``: the view gives no such fact.
    """

    how: str
    sufficient: bool
    later: bool
    recomputed: Mapping[str, Any] | None
    sources: tuple[SourceRows, ...]


def behind(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, view: FeatureView, fact: Fact
) -> Behind | None:
    """Return the rows of sources behind ``fact``; ``None`` if there was no fact."""
    if not fact.found:
        return None
    day = None
    if fact.event_time is not None:
        ((day,),) = con.execute(
            "SELECT CAST(local_time($at::TIMESTAMP) AS DATE)", {"at": fact.event_time}
        ).fetchall()
    links = _links(use_case, view)
    with temporary_tables(con) as temporary:
        for later in (False, True):
            seen = {
                name: _window(con, use_case.source(name), view, day, fact, temporary, later=later)
                for name in view.sources
            }
            chosen = _of_keys(con, view, fact, seen, links, temporary)
            for how in (KEYS, LINKED, WINDOW):
                if how == LINKED:
                    chosen = _linked(con, chosen, seen, links, temporary)
                elif how == WINDOW:
                    chosen = seen
                again = values_from(con, use_case, view, chosen, day, fact)
                if _gives(fact, again):
                    return _behind(con, use_case, how, chosen, again, sufficient=True, later=later)
        return _behind(con, use_case, WINDOW, seen, again, sufficient=False, later=True)


def _gives(fact: Fact, again: Mapping[str, Any] | None) -> bool:
    if again is None:
        # What has disappeared is a revision of NULLs.
        return bool(fact.revision) and all(map(bits.is_missing, fact.values.values()))
    return all(bits.same(value, again[name]) for name, value in fact.values.items())


def _window(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    view: FeatureView,
    day: date | None,
    fact: Fact,
    temporary: TemporaryNames,
    *,
    later: bool,
) -> str:
    """Make the table of the rows that the view may see, and return its name."""
    into = temporary(source.name)
    # In the version that was known then, or, with ``later``, that is known now.
    valid = "valid_to = 'infinity'" if later else "valid_from <= $known_at AND valid_to > $known_at"
    where, values = [valid], {} if later else {"known_at": fact.known_at}
    if day is not None and source.partitioned:
        # As features.feature_views reads them.
        days = -(-view.lookback // timedelta(days=1)) + 1
        where += ["partition_date >= $first", "partition_date <= $day"]
        values |= {"first": day - timedelta(days=days), "day": day}
        if source.known_at_column is not None and not later:
            column = source.known_at_column
            type_of = column_types(con, sql.table(f"raw.{source.name}"))[column]
            where.append(f"{utc(sql.identifier(column), type_of, column)} <= $known_at")
    con.execute(
        f"CREATE TEMP TABLE {into} AS SELECT * EXCLUDE (valid_from, valid_to) "
        f"FROM ({versions(con, source)}) WHERE {' AND '.join(where)}",
        values,
    )
    return into


def _links(use_case: UseCase, view: FeatureView) -> frozenset[str]:
    """Columns whose values link rows of the view's sources."""
    derived = [d for found in view_lineage(use_case, view).values() for d in found]
    deciding = {d.column for d in derived if d.kind != "value" and d.assumed is None}
    keys = {key for name in view.sources for key in use_case.source(name).key}
    return frozenset(deciding | keys) - {"partition_date", "ingest_seq"}


def _of_keys(
    con: duckdb.DuckDBPyConnection,
    view: FeatureView,
    fact: Fact,
    seen: Mapping[str, str],
    links: frozenset[str],
    temporary: TemporaryNames,
) -> dict[str, str]:
    """Make tables of the rows with the fact's keys, and of those linked to them."""
    chosen: dict[str, str] = {}
    rest: list[str] = []
    for name, table in seen.items():
        have = column_types(con, table)
        shared = [key for key in fact.keys if key in have]
        if not shared:
            rest.append(name)
            continue
        chosen[name] = temporary(name)
        where = " AND ".join(f"{sql.identifier(k)} = $key_{n}" for n, k in enumerate(shared))
        con.execute(
            f"CREATE TEMP TABLE {chosen[name]} AS FROM {table} WHERE {where}",
            {f"key_{n}": fact.keys[k] for n, k in enumerate(shared)},
        )
    others = dict(chosen)
    for name in rest:
        chosen[name] = temporary(name)
        condition = _condition(con, seen[name], others.values(), links) if others else "true"
        con.execute(f"CREATE TEMP TABLE {chosen[name]} AS FROM {seen[name]} WHERE {condition}")
    return {name: chosen[name] for name in seen}


def _linked(
    con: duckdb.DuckDBPyConnection,
    chosen: Mapping[str, str],
    seen: Mapping[str, str],
    links: frozenset[str],
    temporary: TemporaryNames,
) -> dict[str, str]:
    """Make tables of the rows linked to those of ``chosen``, source after source."""
    grown = dict(chosen)
    for name, table in seen.items():
        condition = _condition(con, table, list(grown.values()), links)
        grown[name] = temporary(name)
        con.execute(f"CREATE TEMP TABLE {grown[name]} AS FROM {table} WHERE {condition}")
    return grown


def _condition(
    con: duckdb.DuckDBPyConnection, table: str, others: Sequence[str] | Any, links: frozenset[str]
) -> str:
    """SQL: whether a row of ``table`` is linked to one of ``others``."""
    have = column_types(con, table)
    found = []
    for other in others:
        there = column_types(con, other)
        for name in sorted(links):
            if have.get(name) in _LINKING and there.get(name) in _LINKING:
                column = sql.identifier(name)
                found.append(f"{column} IN (SELECT {column} FROM {other})")
    return " OR ".join(found) or "true"


def _behind(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    how: str,
    chosen: Mapping[str, str],
    recomputed: Mapping[str, Any] | None,
    *,
    sufficient: bool,
    later: bool,
) -> Behind:
    sources = []
    for name, table in chosen.items():
        have = column_types(con, table)
        day = "partition_date" if "partition_date" in have else "NULL::DATE"
        ((n, days),) = con.execute(
            f"SELECT count(*), list(DISTINCT {day} ORDER BY {day}) FROM {table}"
        ).fetchall()
        source = use_case.source(name)
        latest = [c for c in (source.known_at_column, source.event_time) if c in have]
        order = ", ".join([f"{sql.identifier(c)} DESC NULLS LAST" for c in latest] + ["rowid"])
        rows = fetch(con, f"FROM {table} ORDER BY {order} LIMIT {MOST_ROWS}", {})
        files = landed_files(con, name, days or []) if n else ()
        sources.append(SourceRows(name, n, tuple(rows), files))
    return Behind(how, sufficient, later, recomputed, tuple(sources))
