"""Statistics of feature views, kept: ``monitoring.feature_statistics``.

A day whose statistics are what they were keeps its rows: running it again changes nothing, not
even how long it took. What the statistics are belongs in ``feature_statistics``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features.feature_statistics import WINDOW, FeatureStatistics, measure
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.storage.sql import identifiers

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.vocabulary import FeatureView, UseCase

_COLUMNS = tuple(f.name for f in fields(FeatureStatistics))
_values = attrgetter(*_COLUMNS)
_content = attrgetter(*(name for name in _COLUMNS if name != "compute_seconds"))
# Another processor may add in another order.
_TOLERANCE = 1e-9


def record(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    view: FeatureView,
    days: Sequence[date],
    seconds: float,
) -> list[FeatureStatistics]:
    """Measure a view's days and keep what differs from what is there, with the days' values.

    Parameters
    ----------
    con
        Connection in the transaction in which the view was computed.
    days
        Those that were computed, in order and without gaps; none: the view has no days.
    seconds
        How long computing all of them took.

    Returns
    -------
    list of FeatureStatistics
        Of these days and the ``WINDOW`` days before them, by the view's current definition,
        in order of days and features.
    """
    stored = _stored(con, view, days)
    measured = measure(con, use_case, view, days, seconds)
    before: dict[date | None, list[FeatureStatistics]] = {}
    for row in stored:
        before.setdefault(row.partition_date, []).append(row)
    version = view_version(view)
    result = {
        day: rows
        for day, rows in before.items()
        if day is not None and rows[0].view_version == version
    }
    changed = []
    for day, rows in measured.items():
        if _same(rows, before.get(day, [])):
            result[day] = before[day]
        else:
            result[day] = rows
            changed.append(day)
    if any(day in before for day in changed):
        _delete(con, view, changed)
    _insert(con, [row for day in changed for row in measured[day]])
    return [row for day in sorted(result, key=lambda day: day or date.min) for row in result[day]]


def _stored(
    con: duckdb.DuckDBPyConnection, view: FeatureView, days: Sequence[date]
) -> list[FeatureStatistics]:
    where, bounds = "partition_date IS NULL", {}
    if days:
        where = "partition_date BETWEEN $first AND $last"
        bounds = {"first": days[0] - timedelta(days=WINDOW), "last": days[-1]}
    found = con.execute(
        f"SELECT {identifiers(_COLUMNS)} FROM monitoring.feature_statistics "
        f"WHERE view = $view AND {where} ORDER BY partition_date",
        {"view": view.name, **bounds},
    ).fetchall()
    return [FeatureStatistics(*row) for row in found]


def _delete(con: duckdb.DuckDBPyConnection, view: FeatureView, days: Sequence[date | None]) -> None:
    dated = [day for day in days if day is not None]
    con.execute(
        "DELETE FROM monitoring.feature_statistics WHERE view = $view AND "
        "(partition_date IS NULL AND $whole OR partition_date IN (SELECT unnest($days::DATE[])))",
        {"view": view.name, "whole": not dated, "days": dated},
    )


def _insert(con: duckdb.DuckDBPyConnection, rows: Sequence[FeatureStatistics]) -> None:
    if not rows:
        return
    import pyarrow as pa

    columns = zip(*map(_values, rows), strict=True)
    con.register(
        "statistics_rows",
        pa.table({name: list(column) for name, column in zip(_COLUMNS, columns, strict=True)}),
    )
    try:
        con.execute(
            "INSERT INTO monitoring.feature_statistics BY NAME SELECT * FROM statistics_rows"
        )
    finally:
        con.unregister("statistics_rows")


def _same(rows: Iterable[FeatureStatistics], stored: Sequence[FeatureStatistics]) -> bool:
    """Whether a day's statistics are those that are there, apart from how long they took."""
    there = {row.feature: row for row in stored}
    given = {row.feature: row for row in rows}
    return given.keys() == there.keys() and all(
        all(map(_equal, _content(row), _content(there[name]))) for name, row in given.items()
    )


def _equal(a: Any, b: Any) -> bool:
    if a == b or not (isinstance(a, float) and isinstance(b, float)):
        return a == b
    return math.isclose(a, b, rel_tol=_TOLERANCE) or (a != a and b != b)
