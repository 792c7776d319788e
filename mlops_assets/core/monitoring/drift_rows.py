"""Rows of ``monitoring.drift``, and what is read from the stored ones.

How they are measured belongs in ``drift``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.storage import sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import duckdb

    from mlops_assets.vocabulary import Model


@dataclass(frozen=True)
class DriftRow:
    """A row of ``monitoring.drift``: one method on one column of one window."""

    model: str
    version: int
    window_start: date
    window_end: date
    column_name: str
    role: str
    slice: str
    reference: str
    method: str
    decides: bool
    value: float | None
    threshold: float | None
    usual: float | None
    null_quantile: float | None
    adjusted_p: float | None
    drifted: bool
    importance: float | None
    n_reference: int
    n_current: int
    status: str


def read(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    first: date,
    last: date,
    *,
    slice: str | None = None,
    reference: str | None = None,
) -> list[DriftRow]:
    """Return the deciding rows of the reports from ``first`` to ``last``, both inclusive.

    Of one slice and one reference where these are given, of all otherwise.
    """
    names = [f.name for f in fields(DriftRow)]
    found = con.execute(
        f"SELECT {sql.identifiers(names)} FROM monitoring.drift WHERE model = $model "
        "AND window_end BETWEEN $first AND $last AND decides "
        "AND slice = coalesce($slice, slice) AND reference = coalesce($reference, reference) "
        "ORDER BY window_end, version, column_name, slice, reference",
        {
            "model": model.name,
            "first": first,
            "last": last,
            "slice": slice,
            "reference": reference,
        },
    ).fetchall()
    return [DriftRow(*row) for row in found]


def lasting(con: duckdb.DuckDBPyConnection, model: Model, day: date) -> list[DriftRow]:
    """Return the day's rows of what has drifted on ``consecutive`` days in a row.

    Of the version serving that day; a version that serves for less long has none.
    """
    from mlops_assets.core import registry

    version = registry.champion_for(con, model.name, day)
    first = day - timedelta(days=model.drift.consecutive - 1)
    read_rows = read(con, model, first, day, slice="all", reference="training")
    rows = [row for row in read_rows if row.version == version and row.drifted]
    often = Counter((row.column_name, row.role) for row in rows)
    return [
        row
        for row in rows
        if row.window_end == day and often[row.column_name, row.role] == model.drift.consecutive
    ]


def importance_share(drifted: Sequence[DriftRow], rows: Sequence[DriftRow]) -> float:
    """Return the share of the features' importance that ``drifted`` have among ``rows``.

    Of their number where no feature has any importance; 0 where there are no features.
    """

    def weights(of: Sequence[DriftRow]) -> list[float]:
        return [max(0.0, row.importance or 0.0) for row in of if row.role == "feature"]

    all_weights, some = weights(rows), weights(drifted)
    if sum(all_weights) > 0:
        return sum(some) / sum(all_weights)
    return len(some) / len(all_weights) if all_weights else 0.0
