"""How well did the captured predictions turn out?

For each day, slice and metric: the realised value with its interval, once labels are
known; and the primary metric over a rolling window of the serving version. Absence is
always a status (no predictions, no labels, not defined), never a number.

The metrics and their intervals belong in ``metrics``; joining labels to predictions in
``capture``; whether a worsening asks for a new model, in ``retraining``. What is estimated where
labels are missing is measured in ``estimates``, and has rows of another ``kind`` here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.monitoring.monitoring import replace_days, serving
from mlops_assets.core.serving.captured import ALL, Captured
from mlops_assets.core.storage import sql, store
from mlops_assets.core.storage.days import day_start, days
from mlops_assets.vocabulary import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import duckdb
    import numpy as np

    from mlops_assets.vocabulary import Model, UseCase


REALISED, ESTIMATED = "realised", "estimated"


@dataclass(frozen=True)
class PerformanceRow:
    """A row of ``monitoring.performance``."""

    model: str
    version: int
    window_start: date
    window_end: date
    slice: str
    metric: str
    kind: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    label_join_rate: float | None
    status: str


def mature_until(con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model) -> date | None:
    """Return the last day whose labels have had their time to arrive; ``None``: no such day.

    Now is the end of the last day of the label's source that has landed.
    """
    landed = store.latest_day(con, f"raw.{model.label.source}")
    if landed is None:
        return None
    now = day_start(landed + timedelta(days=1), use_case.timezone)
    day = landed
    while day_start(day + timedelta(days=1), use_case.timezone) + model.label.matures_after > now:
        day -= timedelta(days=1)
    return day


def measure(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, day: date
) -> list[PerformanceRow]:
    """Measure one day; see ``measure_range``."""
    return measure_range(con, use_case, model, day, day + timedelta(days=1))


def measure_range(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, start: date, end: date
) -> list[PerformanceRow]:
    """Measure every day from ``start`` to before ``end``.

    For each day: every metric of the problem, over all predictions and by declared slice,
    by the version that made them; and over the last ``model.retrain.window`` days the
    primary metric of the version serving that day. A day without champion has no rows.
    """
    window = model.retrain.window
    served = serving(con, model.name, days(start, end))
    first = start - timedelta(days=window - 1)
    captured = Captured.load(con, model, first, end - timedelta(days=1), model.slices)
    mature = mature_until(con, use_case, model)
    rows: list[PerformanceRow] = []
    for day, version in served.items():
        today = captured.on(day, day)
        settled = mature is not None and day <= mature
        versions = captured.versions(today)
        if version is not None and not versions:
            versions = [version]
        for v in versions:
            mine = today[captured.version[today] == v]
            for name, chosen in captured.slices(mine):
                for metric in METRICS[model.problem]:
                    rows.append(_row(captured, v, day, day, name, metric, chosen, settled))
        if version is not None and window > 1:
            opens = day - timedelta(days=window - 1)
            chosen = captured.on(opens, day)
            chosen = chosen[captured.version[chosen] == version]
            rows.append(_row(captured, version, opens, day, ALL, model.metric, chosen, settled))
    return rows


def measure_window(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    version: int,
    opens: date,
    closes: date,
) -> PerformanceRow:
    """Measure the primary metric of a version's predictions over some days, both inclusive."""
    captured = Captured.load(con, model, opens, closes)
    mature = mature_until(con, use_case, model)
    mine = (captured.version == version).nonzero()[0]
    settled = mature is not None and closes <= mature
    return _row(captured, version, opens, closes, ALL, model.metric, mine, settled)


def write_range(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    start: date,
    end: date,
    rows: Sequence[PerformanceRow],
) -> int:
    """Replace the stored measurements of these days, in the caller's transaction."""
    return replace_days(con, "monitoring.performance", "window_end", model.name, start, end, rows)


def read(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    first: date,
    last: date,
    *,
    slice: str | None = None,
    metric: str | None = None,
    kind: str = REALISED,
) -> list[PerformanceRow]:
    """Return the stored measurements from ``first`` to ``last``, both inclusive.

    Of one slice and one metric where these are given, of all otherwise; realised ones, or
    estimated.
    """
    names = [f.name for f in fields(PerformanceRow)]
    found = con.execute(
        f"SELECT {sql.identifiers(names)} FROM monitoring.performance WHERE model = $model "
        "AND window_end BETWEEN $first AND $last "
        "AND slice = coalesce($slice, slice) AND metric = coalesce($metric, metric) "
        "AND kind = $kind "
        "ORDER BY window_end, version, window_start, slice, metric",
        {
            "model": model.name,
            "first": first,
            "last": last,
            "slice": slice,
            "metric": metric,
            "kind": kind,
        },
    ).fetchall()
    return [PerformanceRow(*row) for row in found]


def rolling(rows: Sequence[PerformanceRow], day: date) -> PerformanceRow | None:
    """Return the row over the policy's window that ends on ``day``; ``None``: no champion.

    Where the window is one day, it is the day's own row of the primary metric, which is
    measured first.
    """
    ends = [
        row for row in rows if row.window_end == day and row.slice == ALL and row.kind == REALISED
    ]
    return min(ends, key=lambda row: row.window_start, default=None)


def value(rows: Sequence[PerformanceRow], day: date, metric: str) -> float | None:
    """Return the day's value of a metric over all rows; ``None`` where it is not known.

    Where several versions predicted that day, of the one with the most labels.
    """
    found = [
        row
        for row in rows
        if row.window_start == row.window_end == day
        and (row.slice, row.metric, row.kind) == (ALL, metric, REALISED)
    ]
    return max(found, key=lambda row: row.n).value if found else None


def _row(
    captured: Captured,
    version: int,
    opens: date,
    closes: date,
    name: str,
    metric: str,
    rows: np.ndarray,
    settled: bool,
) -> PerformanceRow:
    """Measure one metric of one version on some rows."""
    from mlops_assets.core.models import metrics

    labelled = rows[captured.labelled[rows]]
    value = low = high = None
    if len(rows) == 0:
        status = "no_predictions"
    elif len(labelled) == 0:
        status = "no_labels"
    else:
        found = metrics.interval(
            captured.model.problem, metric, captured.scored[version].take(labelled)
        )
        value, low, high = _known(found.value), _known(found.low), _known(found.high)
        status = "mature" if settled else "provisional"
        if value is None:
            status = "undefined"
    return PerformanceRow(
        model=captured.model.name,
        version=version,
        window_start=opens,
        window_end=closes,
        slice=name,
        metric=metric,
        kind=REALISED,
        value=value,
        low=low,
        high=high,
        n=len(labelled),
        label_join_rate=len(labelled) / len(rows) if len(rows) else None,
        status=status,
    )


def _known(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
