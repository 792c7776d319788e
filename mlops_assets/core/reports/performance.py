"""The performance report of a day, as Markdown and as a plot."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.reports import parts
from mlops_assets.core.serving.captured import ALL
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.relations import missing_tables
from mlops_assets.vocabulary import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import duckdb

    from mlops_assets.core.documents import Figure
    from mlops_assets.core.monitoring.performance import PerformanceRow
    from mlops_assets.vocabulary import Model

#: Days that the curve goes back.
CURVE_DAYS = 90
#: Slices with fewer labelled rows are not called the worst.
MIN_SLICE_ROWS = 30
_WHY = {
    "no_predictions": "there are no predictions",
    "no_labels": "no label is known yet",
    "undefined": "the metric is not defined on these rows",
}


def markdown(
    model: Model, day: date, rows: Sequence[PerformanceRow], reference: float | None = None
) -> str:
    """Return the report of one day.

    Parameters
    ----------
    rows
        Of that day; none where no version served.
    reference
        The primary metric of the serving version on its holdout.
    """
    if not rows:
        return f"**No champion served on {day}:** there is nothing to measure."
    from mlops_assets.core.monitoring.performance import rolling

    today = [row for row in rows if row.window_start == row.window_end]
    overall = [row for row in today if row.slice == ALL]
    over_window = rolling(rows, day)
    lines = [_conclusion(model, day, overall, over_window, reference)]
    slices = [row for row in today if row.slice != ALL and row.metric == model.metric]
    worst = [row for row in worst_first(model, slices) if row.n >= MIN_SLICE_ROWS][:3]
    if worst:
        named = ", ".join(f"{row.slice} ({parts.number(row.value)})" for row in worst)
        lines.append(f"\nWorst slices with at least {MIN_SLICE_ROWS} labels: {named}.")
    lines += ["", _metrics_table([*overall, *([over_window] if over_window else [])])]
    if slices:
        lines += ["", _slice_table(model, slices)]
    return "\n".join(lines)


def worst_first(model: Model, rows: Sequence[PerformanceRow]) -> list[PerformanceRow]:
    """Order rows that have a value by it, the worst first."""
    sign = 1.0 if model.metric in HIGHER_IS_BETTER else -1.0
    known = [row for row in rows if row.value is not None]
    return sorted(known, key=lambda row: (sign * (row.value or 0.0), row.slice))


def plot(con: duckdb.DuckDBPyConnection, model: Model, day: date) -> str | None:
    """Return Markdown with the performance curve and calibration; ``None``: nothing to show.

    Calibration is of the window that the retraining policy judges: what was predicted against
    what came true (binary and regression).
    """
    from mlops_assets.core.documents import picture

    drawn = metric_curve(con, model, day)
    if drawn is None:
        return None
    opens = day - timedelta(days=model.retrain.window - 1)
    figures = [drawn, *calibrations(con, model, opens, day)]
    return "\n\n".join(map(picture, figures))


def metric_curve(con: duckdb.DuckDBPyConnection, model: Model, day: date) -> Figure | None:
    """Draw the stored primary metric of the last ``CURVE_DAYS`` days; ``None``: there is none.

    By day and over the policy's window, estimates beside it, and promotions marked.
    """
    from mlops_assets.core import registry
    from mlops_assets.core.documents import curve
    from mlops_assets.core.monitoring import performance

    first = day - timedelta(days=CURVE_DAYS - 1)

    def stored(kind: str) -> list[PerformanceRow]:
        return performance.read(con, model, first, day, slice=ALL, metric=model.metric, kind=kind)

    realised = stored(performance.REALISED)
    by_day = {row.window_end: row for row in realised if row.window_start == row.window_end}
    over = {row.window_end: row for row in realised if row.window_start != row.window_end}
    estimated = {row.window_end: row for row in stored(performance.ESTIMATED)}
    days = sorted({*by_day, *over, *estimated})
    if not days:
        return None

    def of(rows: dict[date, PerformanceRow], name: str) -> list[float | None]:
        return [getattr(rows[day], name) if day in rows else None for day in days]

    return curve(
        days,
        of(by_day, "value"),
        of(by_day, "low"),
        of(by_day, "high"),
        name=model.metric,
        marks=[
            (event.effective_from, f"v{event.to_version}")
            for event in registry.history(con, model.name)
            if first <= event.effective_from <= day
        ],
        provisional={day for day, row in by_day.items() if row.status == "provisional"},
        window=of(over, "value"),
        window_name=f"over {parts.plural(model.retrain.window, 'day')}",
        estimated=of(estimated, "value"),
        estimated_low=of(estimated, "low"),
        estimated_high=of(estimated, "high"),
    )


def calibrations(
    con: duckdb.DuckDBPyConnection, model: Model, first: date, last: date
) -> list[Figure]:
    """Draw what was predicted against what came true; nothing where that is not known."""
    from mlops_assets.core.documents import calibration

    pairs = predicted_and_actual(con, model, first, last)
    bounds = (0.0, 1.0) if model.problem == "binary" else None
    return [calibration(pairs, name=model.label.name, bounds=bounds)] if pairs else []


def predicted_and_actual(
    con: duckdb.DuckDBPyConnection, model: Model, first: date, last: date, groups: int = 10
) -> list[tuple[float, float, int]]:
    """Return mean prediction, mean outcome and rows, in groups of equal size by prediction.

    Of all versions. Binary: the predicted probability and the share of positives. Empty
    for multiclass, and where there are no labels.
    """
    from mlops_assets.core import registry

    predictions, outcomes = predictions_table(model), f"capture.{model.name}__outcomes"
    events = registry.history(con, model.name)
    if model.problem == "multiclass" or not events or missing_tables(con, [predictions, outcomes]):
        return []
    said, truth, parameters = "p.prediction", "o.label", {}
    if model.problem == "binary":
        said, truth = "p.score", "(o.label = $positive)"
        version = registry.get(con, model.name, events[-1].to_version)
        parameters = {"positive": version.signature["output"]["classes"][1]}
    return con.execute(
        f"WITH pairs AS (SELECT {said} AS said, {truth}::DOUBLE AS truth, ntile({int(groups)}) "
        f"OVER (ORDER BY {said}, p.prediction_id) AS part "
        f"FROM {sql.table(predictions)} p JOIN {sql.table(outcomes)} o USING (prediction_id) "
        "WHERE p.partition_date BETWEEN $first AND $last "
        "AND o.partition_date BETWEEN $first AND $last AND o.label IS NOT NULL) "
        "SELECT avg(said), avg(truth), count(*) FROM pairs GROUP BY part ORDER BY part",
        {"first": first, "last": last, **parameters},
    ).fetchall()


def _conclusion(
    model: Model,
    day: date,
    overall: Sequence[PerformanceRow],
    over_window: PerformanceRow | None,
    reference: float | None,
) -> str:
    primary = [row for row in overall if row.metric == model.metric]
    row = max(primary, key=lambda found: found.n)
    if row.value is None:
        said = f"**{model.metric} on {day} is not known:** {_WHY[row.status]}"
    else:
        said = (
            f"**{model.metric} {parts.number(row.value)}** ({parts.between(row.low, row.high)}) on "
            f"{day}, from {parts.plural(row.n, 'label')} of version {row.version}, {row.status}"
        )
    if over_window is not None and over_window.value is not None:
        said += f"; {parts.number(over_window.value)} over {model.retrain.window} days"
        if reference:
            sign = -1.0 if model.metric in HIGHER_IS_BETTER else 1.0
            worse = sign * (over_window.value - reference) / abs(reference)
            how = "worse" if worse > 0 else "better"
            said += f", {parts.percent(abs(worse))} {how} than on its holdout"
    return said + "."


def _metrics_table(rows: Sequence[PerformanceRow]) -> str:
    return parts.table(
        ["metric", "days", "version", "value", "95 % interval", "labels", "joined", "status"],
        [
            [
                row.metric,
                (row.window_end - row.window_start).days + 1,
                row.version,
                row.value,
                parts.between(row.low, row.high),
                f"{row.n:,}",
                parts.percent(row.label_join_rate),
                row.status,
            ]
            for row in rows
        ],
        "lrrrrrrl",
    )


def _slice_table(model: Model, rows: Sequence[PerformanceRow]) -> str:
    full = max([abs(row.value) for row in rows if row.value is not None], default=0.0)
    return parts.table(
        ["slice", model.metric, "", "95 % interval", "labels"],
        [
            [
                row.slice,
                row.value,
                parts.bar(row.value, full),
                parts.between(row.low, row.high),
                f"{row.n:,}",
            ]
            for row in rows
        ],
        "lrlrr",
    )
