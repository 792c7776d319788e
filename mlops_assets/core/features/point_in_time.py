"""The point-in-time join: for each row, the features that were known at its moment.

Works on any DuckDB connection and any tables; what a feature view or a model is belongs in
``feature_views`` and ``retrieval``.

A fact has keys, an *event time* (what moment its values are about) and a *known time*
(from when they could be used). For a row with keys ``k`` at ``as_of``:

* candidates are the facts with equal keys (NULL equals nothing; composite keys are compared
  one by one), ``event_time <= as_of`` and ``known_at <= as_of``; a fact whose known time is
  NULL is never used, or known from its event time on, as its spec declares;
* among them the latest event time wins, then the latest known time, then the greatest
  tie-breaker, then the greatest values in the order of the features: a total order, so the
  result depends neither on the order of the input nor on the number of threads;
* a winner with ``event_time < as_of - ttl`` has expired, and gives NULLs;
* every row comes out exactly once, equal ones too, with NULLs where nothing was found.

Times are compared in UTC, to the microsecond, whatever the connection's time zone.

How: a fact can be used from ``usable = greatest(event_time, known_at)`` on. Sorted by
``usable`` within a key, only facts whose event time is not below that of any fact before
them can ever win; among those, the winner for a row is the last one that is usable. So one
``ASOF JOIN`` on ``usable`` over the remaining facts answers all rows. An expired winner
needs no second look: every other candidate is older still.

The views are looked up one after the other, each with its result kept, because several ASOF
joins in one statement hold all their sorted inputs at once (duckdb/duckdb#17001).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.features.candidates import candidates_query, facts_query, not_outdated
from mlops_assets.core.features.join_spec import JoinSpec, status_column
from mlops_assets.core.storage.bound_values import bound_values
from mlops_assets.core.storage.relations import (
    column_types,
    from_item,
    temporary_tables,
    typed_relation,
    utc,
)
from mlops_assets.core.storage.sql import identifier, identifiers

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["JoinSpec", "look_up", "point_in_time_join", "point_in_time_table", "side_by_side"]

_MICROSECOND = timedelta(microseconds=1)


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
        SQL query or quoted relation with the keys of all specs and ``as_of``. Read once.
    as_of
        Column of ``rows``: the moment (UTC) of each row. Where NULL, nothing is found.
    status
        Whether to add, for every feature, ``<feature>__status``: ``present``; ``null`` (the
        fact was found, its value is NULL); ``expired``; ``not_found``.

    Returns
    -------
    DuckDBPyRelation
        ``row_ordinal`` (1, 2, ... in the order of ``rows``), the columns of ``rows``, and
        for each spec its features, then their statuses; as many rows as ``rows``, in their
        order. Held in memory; it is unaffected by later writes.

    Raises
    ------
    ValueError
        If a column is missing, has no usable type, or would come out twice.
    """
    table, types = _joined(con, rows, specs, as_of=as_of, status=status)
    return typed_relation(con, table, types)


def point_in_time_table(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    specs: Sequence[JoinSpec],
    *,
    as_of: str = "as_of",
    status: bool = False,
) -> pa.Table:
    """Return what ``point_in_time_join`` does, as an Arrow table: the quickest way to it.

    Types that Arrow does not have come as DuckDB converts them (HUGEINT as decimal, UUID as
    text).
    """
    return _joined(con, rows, specs, as_of=as_of, status=status)[0]


def _joined(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    specs: Sequence[JoinSpec],
    *,
    as_of: str,
    status: bool,
) -> tuple[pa.Table, list[str]]:
    """The joined table, and the DuckDB types of its columns: put together from columns."""
    import numpy as np
    import pyarrow as pa

    given = con.sql(f"SELECT * FROM {from_item(rows)}")
    types = ["BIGINT", *map(str, given.types)]
    _require_distinct(given.columns, specs, status)
    read = given.to_arrow_table()
    ordinal = pa.array(np.arange(1, read.num_rows + 1, dtype=np.int64))
    columns = {"row_ordinal": ordinal, **dict(zip(read.column_names, read.columns, strict=True))}
    needed = {as_of, *(key for spec in specs for key in spec.keys)}
    with temporary_tables(con) as temporary:
        requests = temporary("rows")
        narrow = [name for name in columns if name == "row_ordinal" or name in needed]
        kept = dict(zip(columns, types, strict=True))
        keys = pa.table({name: columns[name] for name in narrow})
        relation = typed_relation(con, keys, [kept[name] for name in narrow])
        relation.query("given", f"CREATE TEMP TABLE {requests} AS FROM given")
        for spec in specs:
            with _answers(con, requests, spec, as_of=as_of, status=status) as query:
                answers = con.sql(query)
                types.extend(map(str, answers.types[1:]))
                found = answers.to_arrow_table()
            if not found.column("row_ordinal").combine_chunks().equals(ordinal):
                raise RuntimeError(f"JoinSpec {spec.name!r}: rows and answers are out of step")
            for name, column in zip(found.column_names[1:], found.columns[1:], strict=True):
                columns[name] = column
    return pa.table(columns), types


def _require_distinct(names: Sequence[str], specs: Sequence[JoinSpec], status: bool) -> None:
    """Refuse columns that would come out twice (DuckDB does not mind the case of letters)."""
    taken = {"row_ordinal"}
    twice = [name for name in names if name.lower() in taken or taken.add(name.lower())]
    if twice:
        raise ValueError(f"the rows: {', '.join(twice)} would come out twice; rename it")
    for spec in specs:
        fetched = spec.fetched(status=status)
        twice = [name for name in fetched if name.lower() in taken or taken.add(name.lower())]
        if twice:
            raise ValueError(
                f"JoinSpec {spec.name!r}: {', '.join(twice)} would come out twice; "
                "rename the feature, or leave the column out of the rows"
            )


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
    """Make the temporary table ``into``: ``row_ordinal``, features and, if asked, statuses.

    ``requests`` is the quoted name of a table with a unique ``row_ordinal``, ``as_of`` and
    the keys; each of its rows is answered by exactly one, in order.
    """
    with _answers(con, requests, spec, as_of=as_of, status=status) as query:
        con.execute(f"CREATE TEMP TABLE {into} AS {query}")


@contextmanager
def _answers(
    con: duckdb.DuckDBPyConnection, requests: str, spec: JoinSpec, *, as_of: str, status: bool
) -> Iterator[str]:
    """Query for what ``look_up`` keeps, to be run inside the context only."""
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
        yield _timeless(requests, spec, status)
        return

    moment = utc(f"r.{identifier(as_of)}", have[as_of], f"{as_of} of the rows")
    bounds = con.execute(f"SELECT min({moment}), max({moment}) FROM {requests} r").fetchall()
    first, last = bounds[0]
    with temporary_tables(con) as temporary, bound_values(con) as bind:
        usable_facts = facts_query(spec, facts, first, last, bind, keep_expired=status)
        if first is not None and (spec.ttl is None or spec.ttl > last - first):
            near = temporary("facts")
            con.execute(
                f"CREATE TEMP TABLE {near} AS {not_outdated(spec, usable_facts, bind(first))}"
            )
            usable_facts = f"FROM {near}"
        candidates = candidates_query(con, spec, usable_facts, bind)
        # A row without a moment must match nothing. DuckDB 1.5's ASOF join would let its NULL
        # match a fact (with asof_loop_join_threshold = 0), so it never sees that NULL.
        placed = f"coalesce({moment}, '-infinity'::TIMESTAMP)"
        fresh = "f.event_us IS NOT NULL"
        if spec.ttl is not None:
            # Not fresh, rather than NULL, at a row's moment 'infinity'.
            age = f"epoch_us({moment}) - f.event_us"
            fresh = f"coalesce({age} <= {bind(spec.ttl // _MICROSECOND)}, false)"
        selected = _selected(
            spec, [f"f.f{n}" for n in range(len(spec.features))], "f.event_us", fresh, status
        )
        keys = " AND ".join(f"r.{identifier(key)} = f.k{n}" for n, key in enumerate(spec.keys))
        with _sorting_asof(con):
            yield (
                f"WITH candidates AS ({candidates}) "
                f"SELECT r.row_ordinal, {selected} FROM {requests} r "
                f"ASOF LEFT JOIN candidates f ON {keys} AND {placed} >= f.usable "
                "ORDER BY r.row_ordinal"
            )


@contextmanager
def _sorting_asof(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Make DuckDB sort for ASOF joins rather than compare every row with every fact.

    It compares where it *expects* few rows, and it may expect few where there are many:
    69,000 rows against five views took 178 s, sorted 5 s (DuckDB 1.5.6).
    """
    name = "asof_loop_join_threshold"
    ((before,),) = con.execute(f"SELECT current_setting('{name}')").fetchall()
    con.execute(f"SET {name} = 0")
    try:
        yield
    finally:
        con.execute(f"SET {name} = {int(before)}")


def _timeless(requests: str, spec: JoinSpec, status: bool) -> str:
    """The query for facts that hold at all times: by keys alone, the greatest fact of each."""
    keys = identifiers(spec.keys)
    ranks = ([spec.tie_breaker] if spec.tie_breaker else []) + list(spec.features)
    order = ", ".join(f"{identifier(name)} DESC NULLS LAST" for name in ranks)
    equal = " AND ".join(f"r.{identifier(key)} = f.{identifier(key)}" for key in spec.keys)
    found = f"f.{identifier(spec.keys[0])}"
    values = [f"f.{identifier(name)}" for name in spec.features]
    return (
        f"WITH facts AS (SELECT * FROM {from_item(spec.table)} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1) "
        f"SELECT r.row_ordinal, {_selected(spec, values, found, 'true', status)} "
        f"FROM {requests} r LEFT JOIN facts f ON {equal} ORDER BY r.row_ordinal"
    )


def _selected(spec: JoinSpec, values: Sequence[str], found: str, fresh: str, status: bool) -> str:
    """Select list of the features, and of their statuses: ``found`` is NULL without a fact."""
    names = list(zip(spec.features, values, strict=True))
    selected = [
        f"CASE WHEN {fresh} THEN {value} END AS {identifier(name)}" for name, value in names
    ]
    if status:
        selected += [
            f"CASE WHEN {found} IS NULL THEN 'not_found' WHEN NOT ({fresh}) THEN 'expired' "
            f"WHEN {value} IS NULL THEN 'null' ELSE 'present' END "
            f"AS {identifier(status_column(name))}"
            for name, value in names
        ]
    return ", ".join(selected)
