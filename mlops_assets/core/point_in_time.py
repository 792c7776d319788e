"""The point-in-time join: for each row, the features that were known at its moment.

Works on any DuckDB connection and any tables; what a feature view or a model is belongs in
``feature_views`` and ``retrieval``.

A fact has keys, an *event time* (what moment its values are about) and a *known time*
(from when they could be used). For a row with keys ``k`` at ``as_of``:

* candidates are the facts with equal keys (NULL equals nothing), ``event_time <= as_of``
  and ``known_at <= as_of`` (a fact whose known time is NULL is never used);
* among them the latest event time wins, then the latest known time, then the greatest
  tie-breaker, then the greatest values in the order of the features: a total order, so the
  result depends neither on the order of the input nor on the number of threads;
* a winner with ``event_time < as_of - ttl`` has expired, and gives NULLs;
* every row comes out exactly once, with NULLs where nothing was found.

How: a fact can be used from ``usable = greatest(event_time, known_at)`` on. Sorted by
``usable`` within a key, only facts whose event time is not below that of any fact before
them can ever win; among those, the winner for a row is the last one that is usable. So one
``ASOF JOIN`` on ``usable`` over the remaining facts answers all rows. An expired winner
needs no second look: every other candidate is older still.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.candidates import candidates_query, facts_query, not_outdated
from mlops_assets.core.relations import column_types, detached, from_item, temporary_tables, utc
from mlops_assets.core.sql import identifier, identifiers

if TYPE_CHECKING:
    import duckdb

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class JoinSpec:
    """A table of facts and how to look them up.

    Parameters
    ----------
    name
        What the facts are called in errors and in the status column.
    table
        Quoted relation or SQL query.
    keys
        Columns that the facts share with the rows.
    features
        Columns to fetch.
    event_time
        Column with the time (UTC) the values are about; ``None``: they hold at all times
        and are joined by their keys alone.
    known_at
        Column with the time (UTC) from which they may be used; ``None``: the event time.
    ttl
        How old the event time may be at ``as_of``, inclusive; ``None``: any age.
    tie_breaker
        Column that decides between facts of one key with equal event and known time.
    """

    name: str
    table: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    event_time: str | None
    known_at: str | None
    ttl: timedelta | None
    tie_breaker: str | None = None

    def __post_init__(self) -> None:
        if not self.keys or not self.features:
            raise ValueError(f"JoinSpec {self.name!r}: name at least one key and one feature")
        if self.ttl is not None and self.ttl <= timedelta(0):
            raise ValueError(
                f"JoinSpec {self.name!r}: ttl must be positive; None means any age is good"
            )
        if self.event_time is None and (self.known_at or self.ttl):
            raise ValueError(
                f"JoinSpec {self.name!r}: without event_time there can be no known_at and no ttl"
            )

    @property
    def status_column(self) -> str:
        """Column that tells why a value is there or not."""
        return f"{self.name}__status"


def point_in_time_join(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    specs: Sequence[JoinSpec],
    *,
    as_of: str = "as_of",
    status: bool = False,
) -> duckdb.DuckDBPyRelation:
    """Return ``rows`` with the features of every spec as known at each row's ``as_of``.

    Parameters
    ----------
    rows
        SQL query or quoted relation with the keys of all specs and ``as_of``.
    as_of
        Column of ``rows``: the moment (UTC) of each row. Where NULL, nothing is found.
    status
        Whether to add ``<spec>__status``: ``present``; ``null`` (found, and every feature
        of it is NULL); ``expired``; ``not_found``.

    Returns
    -------
    DuckDBPyRelation
        ``row_ordinal`` (1, 2, ... in the order of ``rows``), the columns of ``rows``, the
        features; as many rows as ``rows``, in their order. Held in memory; it is
        unaffected by later writes.

    Raises
    ------
    ValueError
        If a column is missing, has no usable type, or would come out twice.
    """
    with temporary_tables(con) as temporary:
        requests = temporary("rows")
        con.execute(
            f"CREATE TEMP TABLE {requests} AS "
            f"SELECT row_number() OVER () AS row_ordinal, * FROM {from_item(rows)}"
        )
        taken = list(column_types(con, requests))
        selected, found_tables = ["r.*"], []
        for number, spec in enumerate(specs):
            found = temporary(spec.name)
            look_up(con, requests, spec, found, as_of=as_of, status=status)
            fetched = (*spec.features, *([spec.status_column] if status else []))
            twice = [name for name in fetched if name in taken]
            if twice:
                raise ValueError(
                    f"JoinSpec {spec.name!r}: {', '.join(twice)} would come out twice; "
                    "rename the feature, or leave the column out of the rows"
                )
            taken.extend(fetched)
            selected.append(identifiers(fetched, f"v{number}."))
            found_tables.append((found, f"v{number}"))
        result = con.sql(f"SELECT {', '.join(selected)} {side_by_side(requests, found_tables)}")
        return detached(con, result)


def side_by_side(requests: str, found: Sequence[tuple[str, str]]) -> str:
    """Return ``FROM ... ORDER BY row_ordinal`` over requests (as ``r``) and tables beside it.

    Each of ``found`` (name and alias) has the row ordinals of ``requests``, in order, as
    ``look_up`` makes them. Put together by position, which takes a quarter of the time of
    as many hash joins; should the rows ever be out of step, the query fails.
    """
    if not found:
        return f"FROM {requests} r ORDER BY r.row_ordinal"
    joins = " ".join(f"POSITIONAL JOIN {name} {alias}" for name, alias in found)
    in_step = " AND ".join(f"r.row_ordinal = {alias}.row_ordinal" for _, alias in found)
    return (
        f"FROM {requests} r {joins} WHERE CASE WHEN {in_step} THEN true "
        "ELSE error('rows and looked-up features are out of step') END ORDER BY r.row_ordinal"
    )


def look_up(
    con: duckdb.DuckDBPyConnection,
    requests: str,
    spec: JoinSpec,
    into: str,
    *,
    as_of: str = "as_of",
    status: bool = False,
) -> None:
    """Make the temporary table ``into``: ``row_ordinal``, features and, if asked, status.

    ``requests`` is the quoted name of a table with a unique ``row_ordinal``, ``as_of`` and
    the keys; each of its rows is answered by exactly one, in order. One statement for each
    view, its result kept, because several ASOF joins in one statement hold all their sorted
    inputs at once (duckdb/duckdb#17001).
    """
    have = column_types(con, requests)
    facts = column_types(con, spec.table)
    times = [name for name in (spec.event_time, spec.known_at, spec.tie_breaker) if name]
    for owner, columns, needed in (
        ("the rows", have, [*spec.keys, as_of]),
        ("its table", facts, [*spec.keys, *spec.features, *times]),
    ):
        missing = [name for name in needed if name not in columns]
        if missing:
            raise ValueError(
                f"JoinSpec {spec.name!r}: {owner} lack {', '.join(missing)}; "
                f"there is {', '.join(columns)}"
            )
    if spec.event_time is None:
        _look_up_timeless(con, requests, spec, into, status)
        return

    moment = utc(f"r.{identifier(as_of)}", have[as_of], f"{as_of} of the rows")
    bounds = con.execute(f"SELECT min({moment}), max({moment}) FROM {requests} r").fetchall()
    first, last = bounds[0]
    usable_facts, parameters = facts_query(spec, facts, first, last, keep_expired=status)
    with temporary_tables(con) as temporary:
        if first is not None and (spec.ttl is None or spec.ttl > last - first):
            near = temporary("facts")
            con.execute(
                f"CREATE TEMP TABLE {near} AS {not_outdated(spec, usable_facts)}",
                {**parameters, "first": first},
            )
            usable_facts, parameters = f"FROM {near}", {}
        candidates = candidates_query(con, spec, usable_facts, parameters)
        # A row without a moment must match nothing. DuckDB 1.5's ASOF join would let its NULL
        # match a fact (with asof_loop_join_threshold = 0), so it never sees that NULL.
        placed = f"coalesce({moment}, '-infinity'::TIMESTAMP)"
        fresh = "f.event_us IS NOT NULL"
        if spec.ttl is not None:
            fresh = f"epoch_us({moment}) - f.event_us <= $ttl"
            parameters = {**parameters, "ttl": spec.ttl // _MICROSECOND}
        selected = [
            f"CASE WHEN {fresh} THEN f.f{n} END AS {identifier(name)}"
            for n, name in enumerate(spec.features)
        ]
        if status:
            selected.append(_status(spec, "f.event_us IS NULL", fresh))
        keys = " AND ".join(f"r.{identifier(key)} = f.k{n}" for n, key in enumerate(spec.keys))
        with _sorting_asof(con):
            con.execute(
                f"CREATE TEMP TABLE {into} AS "
                f"WITH facts AS ({usable_facts}), candidates AS ({candidates}) "
                f"SELECT r.row_ordinal, {', '.join(selected)} FROM {requests} r "
                f"ASOF LEFT JOIN candidates f ON {keys} AND {placed} >= f.usable "
                "ORDER BY r.row_ordinal",
                parameters,
            )


@contextmanager
def _sorting_asof(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Make DuckDB sort for ASOF joins rather than compare every row with every fact.

    It compares where it *expects* few rows, and behind bound parameters it expects few: 69,000
    rows against five views took 178 s, sorted 5 s (DuckDB 1.5.6).
    """
    name = "asof_loop_join_threshold"
    ((before,),) = con.execute(f"SELECT current_setting('{name}')").fetchall()
    con.execute(f"SET {name} = 0")
    try:
        yield
    finally:
        con.execute(f"SET {name} = {int(before)}")


def _look_up_timeless(
    con: duckdb.DuckDBPyConnection, requests: str, spec: JoinSpec, into: str, status: bool
) -> None:
    """The same for facts that hold at all times: a join by keys, the greatest fact of each."""
    keys = identifiers(spec.keys)
    ranks = ([spec.tie_breaker] if spec.tie_breaker else []) + list(spec.features)
    order = ", ".join(f"{identifier(name)} DESC NULLS LAST" for name in ranks)
    selected = [f"f.{identifier(name)} AS {identifier(name)}" for name in spec.features]
    if status:
        missing = f"f.{identifier(spec.keys[0])} IS NULL"
        selected.append(_status(spec, missing, "true"))
    equal = " AND ".join(f"r.{identifier(key)} = f.{identifier(key)}" for key in spec.keys)
    con.execute(
        f"CREATE TEMP TABLE {into} AS WITH facts AS (SELECT * FROM {from_item(spec.table)} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1) "
        f"SELECT r.row_ordinal, {', '.join(selected)} "
        f"FROM {requests} r LEFT JOIN facts f ON {equal} ORDER BY r.row_ordinal"
    )


def _status(spec: JoinSpec, missing: str, fresh: str) -> str:
    fetched = (f"f.f{n}" for n in range(len(spec.features)))
    if spec.event_time is None:
        fetched = (f"f.{identifier(name)}" for name in spec.features)
    empty = " AND ".join(f"{name} IS NULL" for name in fetched)
    return (
        f"CASE WHEN {missing} THEN 'not_found' WHEN NOT ({fresh}) THEN 'expired' "
        f"WHEN {empty} THEN 'null' ELSE 'present' END AS {identifier(spec.status_column)}"
    )
