"""How old the newest row of a day was when the day ended: data age, not job age."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.storage import sql
from mlops_assets.core.storage.days import day_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from mlops_assets.vocabulary import Source


def ages_at_day_end(
    con: duckdb.DuckDBPyConnection, source: Source, timezone: str, days: Sequence[date]
) -> dict[date, timedelta]:
    """Return, for each of ``days`` that has rows, the age of its newest row at its end.

    Age is measured on the source's event time. Days without rows are left out: that they
    are empty is what the volume and file checks say.
    """
    if not days or source.event_time is None:
        return {}
    newest = con.execute(
        f"SELECT partition_date, max({sql.identifier(source.event_time)}) "
        f"FROM {sql.table(f'raw.{source.name}')} "
        "WHERE partition_date BETWEEN $first AND $last GROUP BY partition_date ORDER BY 1",
        {"first": min(days), "last": max(days)},
    ).fetchall()
    wanted = set(days)
    return {
        day: day_start(day + timedelta(days=1), timezone) - at
        for day, at in newest
        if day in wanted
    }
