"""One row of a feature view, computed again from given rows of its sources.

What rows to give it belongs in ``source_rows``; computing whole days in
``features.feature_views``, whose rules on times and missing values hold here as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage import sql
from mlops_assets.core.storage.days import day_start
from mlops_assets.core.storage.records import fetch
from mlops_assets.core.storage.relations import (
    column_types,
    from_item,
    temporary_tables,
    utc,
)

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.audit.facts import Fact
    from mlops_assets.vocabulary import FeatureView, UseCase


def values_from(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    view: FeatureView,
    sources: Mapping[str, str],
    day: date | None,
    fact: Fact,
) -> dict[str, Any] | None:
    """Return the features of a fact as the view computes them from these rows.

    Parameters
    ----------
    sources
        Name of each source of the view to the quoted name of a table with the rows to see.
    day
        Of the fact's event time, in the use case's time zone; ``None``: the view has no days.
    fact
        Its keys, event time and known time say which row is wanted.

    Returns
    -------
    dict
        ``None``: the view gives no such row.
    """
    parameters: dict[str, Any] = {}
    if day is not None:
        parameters["start"] = day_start(day, use_case.timezone)
        parameters["end"] = day_start(day + timedelta(days=1), use_case.timezone)
    if view.sql is not None:
        bound = ", ".join(
            f"{sql.identifier(name)} AS (SELECT * FROM {given})" for name, given in sources.items()
        )
        query = f"WITH {bound} SELECT * FROM {from_item(view.sql)}"
        return _row(con, view, query, fact, parameters)
    assert view.function is not None
    frames = {name: con.execute(f"FROM {given}").df() for name, given in sources.items()}
    frame = view.function(frames, parameters.get("start"), parameters.get("end"))
    with temporary_tables(con) as temporary:
        name = temporary("frame")
        con.register(name.strip('"'), frame)
        try:
            return _row(con, view, name, fact, {})
        finally:
            con.unregister(name.strip('"'))


def _row(
    con: duckdb.DuckDBPyConnection,
    view: FeatureView,
    query: str,
    fact: Fact,
    parameters: Mapping[str, Any],
) -> dict[str, Any] | None:
    types = column_types(con, query, _used(query, parameters))
    values = {f"key_{n}": key for n, key in enumerate(fact.keys.values())}
    where = [f"{sql.identifier(key)} = $key_{n}" for n, key in enumerate(fact.keys)]
    order = ""
    if view.event_time is not None:
        known_name = view.known_at or view.event_time
        event = utc(sql.identifier(view.event_time), types[view.event_time], view.event_time)
        known = utc(sql.identifier(known_name), types[known_name], known_name)
        where += [f"{event} = $event_time", f"{known} <= $known_at"]
        values |= {"event_time": fact.event_time, "known_at": fact.known_at}
        order = f"ORDER BY {known} DESC"
    found = fetch(
        con,
        f"SELECT {sql.identifiers(fact.values)} FROM {from_item(query)} "
        f"WHERE {' AND '.join(where)} {order} LIMIT 1",
        {**_used(query, parameters), **values},
    )
    return found[0] if found else None


def _used(query: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that ``query`` has; DuckDB refuses others."""
    return {name: v for name, v in parameters.items() if re.search(rf"\${name}\b", query)}
