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
    from typing import Any

    import duckdb

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

    The curve is the stored primary metric of the last ``CURVE_DAYS`` days, with promotions
    marked. Beside it, for the window that the retraining policy judges: what was predicted
    against what came true (binary and regression).
    """
    from mlops_assets.core import registry
    from mlops_assets.core.monitoring import performance

    first = day - timedelta(days=CURVE_DAYS - 1)
    stored = [
        row
        for row in performance.read(con, model, first, day, slice=ALL, metric=model.metric)
        if row.value is not None
    ]
    if not stored:
        return None
    moved = [
        (event.effective_from, event.to_version)
        for event in registry.history(con, model.name)
        if first <= event.effective_from <= day
    ]
    opens = day - timedelta(days=model.retrain.window - 1)
    pairs = predicted_and_actual(con, model, opens, day)
    data = draw(model, stored, moved, pairs)
    return parts.image(data, f"{model.metric} of {model.name} by day up to {day}, and calibration")


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


def draw(
    model: Model,
    rows: Sequence[PerformanceRow],
    promotions: Sequence[tuple[date, int]],
    pairs: Sequence[tuple[float, float, int]],
) -> bytes:
    """Return a PNG of the curve over days and, where there are pairs, the calibration."""
    panels = [(0.08, 0.17, 0.55, 0.67), (0.73, 0.17, 0.25, 0.67)]
    if not pairs:
        panels = [(0.11, 0.17, 0.86, 0.67)]
    figure, axes = parts.figure(7.6 if pairs else 5.2, 2.5, panels)
    _curve(axes[0], model, rows, promotions)
    if pairs:
        said, truth = [p for p, _, _ in pairs], [a for _, a, _ in pairs]
        ends = [min(said + truth), max(said + truth)]
        axes[1].plot(ends, ends, color=parts.GREY, linewidth=0.8, linestyle=":")
        axes[1].plot(said, truth, color=parts.BLUE, marker="o", markersize=3, linewidth=1)
        parts.scale(axes[1], "came true, by what was predicted")
    return parts.png(figure)


def _curve(
    axis: Any,
    model: Model,
    rows: Sequence[PerformanceRow],
    promotions: Sequence[tuple[date, int]],
) -> None:
    import numpy as np

    by_day = [row for row in rows if row.window_start == row.window_end]
    over_window = [row for row in rows if row.window_start != row.window_end]
    # Positions as numbers: matplotlib's date converters cost more than the drawing.
    origin = min(row.window_end for row in rows)

    def at(day: date) -> int:
        return (day - origin).days

    x, y = [at(row.window_end) for row in by_day], [row.value for row in by_day]
    axis.fill_between(
        x,
        [row.value if row.low is None else row.low for row in by_day],
        [row.value if row.high is None else row.high for row in by_day],
        color=parts.BLUE,
        alpha=0.15,
        linewidth=0,
    )
    axis.plot(x, y, color=parts.BLUE, linewidth=0.8, marker=".", markersize=3)
    axis.plot(
        [at(row.window_end) for row in over_window],
        [row.value for row in over_window],
        color=parts.ORANGE,
        linewidth=1.5,
    )
    for day, version in promotions:
        if day >= origin:
            axis.axvline(at(day), color=parts.GREY, linewidth=0.8, linestyle="--")
            axis.text(
                at(day),
                0.97,
                f" v{version}",
                fontsize=7,
                va="top",
                transform=axis.get_xaxis_transform(),
            )
    last = max(at(row.window_end) for row in rows)
    ticks = np.unique(np.linspace(0, last, 5).astype(int))
    axis.set_xlim(-1, last + 1)
    parts.scale(
        axis,
        f"{model.metric} by day, and over {model.retrain.window} days (orange)",
        x=[(int(n), f"{origin + timedelta(days=int(n)):%d %b}") for n in ticks],
    )


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
