"""Feature views: computing them into ``features.<view>``.

What is checked of the rows belongs in ``view_checks``, versions of views in
``view_versions``; how features are looked up for a row belongs in ``point_in_time`` and
``retrieval``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features import revisions, view_checks, view_definitions
from mlops_assets.core.landing import history
from mlops_assets.core.storage import contracts
from mlops_assets.core.storage.days import constant_offset, day_start, days
from mlops_assets.core.storage.relations import (
    column_types,
    from_item,
    missing_tables,
    temporary_tables,
    utc,
)
from mlops_assets.core.storage.sql import identifier, table
from mlops_assets.vocabulary import DeclarationError, FeatureView, OnDemandFeatures, UseCase

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from mlops_assets.core.storage.store import PartitionWritten

#: Names of the time columns of every ``features.<view>`` that has days, whatever the view
#: calls them in its query.
EVENT_TIME = "event_time"
KNOWN_AT = revisions.KNOWN_AT


class ViewError(RuntimeError):
    """A view's query or function does not do what the declaration says it does."""


@dataclass(frozen=True)
class ViewReport:
    """What computing a view did.

    Attributes
    ----------
    partitions
        Day (``None``: the view has no days) to rows and digest; empty if there are problems.
    problems
        Sentences on what broke the contract. If there are any, nothing was written.
    null_keys
        Rows that were left out because one of their keys is NULL: nothing can match them.
    """

    partitions: dict[date | None, PartitionWritten]
    problems: list[str] = field(default_factory=list)
    null_keys: int = 0


def feature_names(view: FeatureView | OnDemandFeatures) -> tuple[str, ...]:
    """Names of the view's features, in the order in which they are declared."""
    if isinstance(view, OnDemandFeatures):
        return tuple(view.features)
    return tuple(str(name) for name in contracts.schema_of(view).columns)


def compute(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    view: FeatureView,
    start: date | None,
    end: date | None,
    run_id: str,
    into: str | None = None,
) -> ViewReport:
    """Compute a view's days from ``start`` up to and without ``end`` and write them.

    Sources are read from ``start - lookback - 1 day`` (the day more, because a row of one
    day may derive its event time from a source row of the day before) and before ``end``;
    static ones as a whole. So a day's values can depend on that day and those before it,
    and computing a day alone or within a range gives the same, as long as the view's
    windows reach back no further than its lookback.

    Parameters
    ----------
    con
        Connection in a transaction that the caller commits, with ``local_time`` defined.
    start, end
        Both ``None`` for a view without days.
    into
        Dataset to write to: one of an earlier definition. By default ``features.<view>``,
        which becomes the table of this definition.

    Values of days that were computed before are revised, not replaced; see ``revisions``.

    Returns
    -------
    ViewReport
        If it has problems, ``features.<view>`` is as before.

    Raises
    ------
    ViewError
        If the view's query or function fails or returns the wrong columns.
    """
    if view.partitioned == (start is None or end is None):
        raise ValueError(
            f"FeatureView {view.name!r}: "
            + ("has days; give start and end" if view.partitioned else "has no days; give none")
        )
    _check_names(view)
    absent = missing_tables(con, [f"raw.{name}" for name in view.sources])
    if absent:
        missing = [name.partition(".")[2] for name in absent]
        needed = ", ".join(f"{use_case.name}/raw/{name}" for name in missing)
        return ViewReport(
            {}, [f"No data of {', '.join(missing)} has been ingested: materialise {needed} first."]
        )
    with temporary_tables(con) as temporary:
        computed = temporary(view.name)
        dates = None if start is None or end is None else days(start, end)
        offset = constant_offset(dates or (), use_case.timezone)
        if view.sql is not None:
            query, parameters = _sql_query(use_case, view, start, end)
            types = _store_result(con, view, query, parameters, computed, offset)
        else:
            query = temporary("frame")
            con.register(query.strip('"'), _call(con, use_case, view, start, end))
            try:
                parameters = _bounds(use_case, start, end)
                types = _store_result(con, view, query, parameters, computed, offset)
            finally:
                con.unregister(query.strip('"'))
        null_keys = _delete_null_keys(con, view, computed)
        key = [*view.entity.keys, *([EVENT_TIME] if view.partitioned else [])]
        problems = view_checks.problems(con, view, computed, types, key, EVENT_TIME)
        if problems:
            return ViewReport({}, problems, null_keys)
        if into is None:
            view_definitions.make_current(con, view, run_id)
        partitions = revisions.write(
            con,
            into or f"features.{view.name}",
            computed,
            dates,
            key=key,
            features=feature_names(view),
            now=history.data_now(con, use_case.timezone)
            or day_start(use_case.start, use_case.timezone),
            run_id=run_id,
            columns=contracts.columns(contracts.schema_of(view)),
        )
    return ViewReport(partitions, [], null_keys)


def _check_names(view: FeatureView) -> None:
    reserved = {*view.entity.keys, EVENT_TIME, KNOWN_AT, revisions.REVISION, "partition_date"}
    clashing = [name for name in feature_names(view) if name in reserved]
    if clashing:
        raise DeclarationError(
            f"FeatureView {view.name!r}: schema: {', '.join(clashing)} cannot be a feature, "
            "because the view's table has a key or time column of that name; rename it"
        )


def _bounds(use_case: UseCase, start: date | None, end: date | None) -> dict[str, Any]:
    if start is None or end is None:
        return {}
    return {
        "start": day_start(start, use_case.timezone),
        "end": day_start(end, use_case.timezone),
    }


def _source_query(
    use_case: UseCase, view: FeatureView, name: str, start: date | None, end: date | None
) -> tuple[str, dict[str, Any]]:
    """Query for the rows of a source that the view may see."""
    query = f"SELECT * FROM {table(f'raw.{name}')}"
    if start is None or not use_case.source(name).partitioned:
        return query, {}
    whole_days = -(-view.lookback // timedelta(days=1))  # rounded up
    return (
        query + " WHERE partition_date >= $source_start AND partition_date < $source_end",
        {"source_start": start - timedelta(days=whole_days + 1), "source_end": end},
    )


def _sql_query(
    use_case: UseCase, view: FeatureView, start: date | None, end: date | None
) -> tuple[str, dict[str, Any]]:
    """The view's query with its sources bound, and its parameters."""
    assert view.sql is not None
    parameters = _bounds(use_case, start, end)
    bound = []
    for name in view.sources:
        query, values = _source_query(use_case, view, name, start, end)
        bound.append(f"{identifier(name)} AS ({query})")
        parameters |= values
    return f"WITH {', '.join(bound)} SELECT * FROM {from_item(view.sql)}", parameters


def _call(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    view: FeatureView,
    start: date | None,
    end: date | None,
) -> pd.DataFrame:
    """The frame that the view's function returns."""
    assert view.function is not None
    frames = {}
    for name in view.sources:
        query, values = _source_query(use_case, view, name, start, end)
        frames[name] = con.execute(query, values).df()
    bounds = _bounds(use_case, start, end)
    return view.function(frames, bounds.get("start"), bounds.get("end"))


def _store_result(
    con: duckdb.DuckDBPyConnection,
    view: FeatureView,
    query: str,
    parameters: Mapping[str, Any],
    into: str,
    offset: timedelta | None,
) -> dict[str, str]:
    """Run a view's query into the temporary table ``into``: keys, times, day, features.

    ``offset`` is how far local time is ahead throughout the days that are computed, if it is
    the same. Returns the types of the query's columns.
    """
    import duckdb

    try:
        types = column_types(con, query, _used(query, parameters))
        times = [name for name in (view.event_time, view.known_at) if name]
        needed = (*view.entity.keys, *times, *feature_names(view))
        lacking = [name for name in needed if name not in types]
        if lacking:
            raise ViewError(
                f"The result of view {view.name!r} lacks {', '.join(lacking)}; it has "
                f"{', '.join(types)}. Return the entity's keys, the declared time columns and "
                "the schema's columns."
            )
        selected = [identifier(key) for key in view.entity.keys]
        where = ""
        if view.event_time is not None:
            known_at = view.known_at or view.event_time
            event = utc(identifier(view.event_time), types[view.event_time], view.event_time)
            known = utc(identifier(known_at), types[known_at], known_at)
            # Adding an offset is ten times as fast as asking for each row's.
            local = f"local_time({event})" if offset is None else f"{event} + $offset::INTERVAL"
            parameters = {**parameters, "offset": offset}
            selected += [
                f"{event} AS {EVENT_TIME}",
                f"{known} AS {KNOWN_AT}",
                f"CAST({local} AS DATE) AS partition_date",
            ]
            where = f"WHERE {event} IS NULL OR ({event} >= $start AND {event} < $end)"
        else:
            selected.append(f"TIMESTAMP '{revisions.ALWAYS}' AS {KNOWN_AT}")
        selected.append(f"0::BIGINT AS {revisions.REVISION}")
        selected += [
            # A NaN is a missing value, and SQL knows only one kind of those.
            f"nullif({identifier(name)}, 'NaN'::{types[name]}) AS {identifier(name)}"
            if types[name] in ("DOUBLE", "FLOAT")
            else identifier(name)
            for name in feature_names(view)
        ]
        statement = (
            f"CREATE TEMP TABLE {into} AS SELECT {', '.join(selected)} "
            f"FROM {from_item(query)} {where}"
        )
        con.execute(statement, _used(statement, parameters))
        return types
    except (duckdb.Error, ValueError) as error:
        raise ViewError(
            f"The {'query' if view.sql else 'frame'} of view {view.name!r} failed: {error}"
        ) from error


def _used(statement: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that ``statement`` has; DuckDB refuses others."""
    return {n: v for n, v in parameters.items() if re.search(rf"\${n}\b", statement)}


def _delete_null_keys(con: duckdb.DuckDBPyConnection, view: FeatureView, computed: str) -> int:
    null = " OR ".join(f"{identifier(key)} IS NULL" for key in view.entity.keys)
    return con.execute(f"DELETE FROM {computed} WHERE {null}").fetchall()[0][0]
