"""The drift report of a day, as Markdown and as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_assets.core.reports import parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import duckdb

    from mlops_assets.core.monitoring.drift import DriftRow
    from mlops_assets.vocabulary import Model

#: Columns that are listed one by one; the rest is counted.
MOST_ROWS = 15
MOST_PLOTS = 3
_WHY = {
    "constant": "constant",
    "no_reference": "not profiled in training",
    "no_current": "no rows",
    "too_few": "too few rows to judge",
}


def markdown(model: Model, day: date, rows: Sequence[DriftRow]) -> str:
    """Return the report of one day.

    Parameters
    ----------
    rows
        Of that day; none where no version served.
    """
    if not rows:
        return f"**No champion served on {day}:** there is nothing to compare."
    first = rows[0]
    features = [row for row in rows if row.role == "feature"]
    drifted = ranked([row for row in features if row.drifted])
    seen = max((row.n_current for row in rows if row.role != "label"), default=0)
    window = f"the {parts.plural(model.drift.window, 'day')} to {day}"
    if not seen:
        return f"**Nothing was predicted in {window}:** there is nothing to compare."
    if drifted:
        names = parts.listed([row.column_name for row in drifted])
        conclusion = f"**{len(drifted)} of {parts.plural(len(features), 'feature')} drifted:** "
        conclusion += f"{names}, in {window}."
    else:
        conclusion = f"**No feature has drifted** of {len(features)} in {window}."
    lines = [conclusion, ""]
    lines.append(
        f"Version {first.version}'s training data ({first.n_reference:,} rows profiled) against "
        f"{seen:,} captured predictions; {_others(rows)}."
    )
    judged = [row for row in rows if row.status == "ok"]
    if not judged:
        lines.append("No column has enough rows to be judged.")
    shown = ranked(list(rows))[:MOST_ROWS]
    lines += ["", _table(shown)]
    if len(rows) > len(shown):
        lines.append(f"\n{len(rows) - len(shown)} more columns have smaller shifts.")
    lines.append(
        "\nPSI: population stability index. A column has drifted when it reaches its limit "
        "and is larger than chance over all columns allows (adjusted p below "
        f"{model.drift.alpha:g})."
    )
    return "\n".join(lines)


def ranked(rows: Sequence[DriftRow]) -> list[DriftRow]:
    """Order columns by what to look at first: drifted ones by shift times importance."""

    def key(row: DriftRow) -> tuple[bool, float, float, str]:
        weight = 1.0 if row.importance is None else row.importance
        value = row.value or 0.0
        return (not row.drifted, -value * weight if row.drifted else 0.0, -value, row.column_name)

    return sorted(rows, key=key)


def plot(con: duckdb.DuckDBPyConnection, model: Model, day: date) -> str | None:
    """Return Markdown with the most shifted columns' distributions; ``None``: nothing to show.

    Reads the stored report of the day, of the version that served it.
    """
    from mlops_assets.core import registry
    from mlops_assets.core.monitoring import drift

    version = registry.champion_for(con, model.name, day)
    rows = [
        row
        for row in drift.read(con, model, day, day)
        if row.version == version and row.status == "ok"
    ]
    if version is None or not rows:
        return None
    drifted = [row for row in rows if row.drifted]
    chosen = ranked(drifted)[:MOST_PLOTS] or ranked(rows)[:1]
    reference = registry.get(con, model.name, version).reference
    profiled = {name: reference["columns"][name] for name in (r.column_name for r in chosen)}
    current = drift.current_counts(con, model, version, {"columns": profiled}, day)
    names = ", ".join(row.column_name for row in chosen)
    data = draw(chosen, profiled, current)
    return parts.image(data, f"Training data against the window to {day}: {names}")


def draw(
    rows: Sequence[DriftRow],
    profiled: Mapping[str, Mapping[str, Any]],
    current: Mapping[str, Sequence[int]],
) -> bytes:
    """Return a PNG: for each column the share of rows in each bin, reference and current."""
    width = 2.7 * len(rows) + 0.9
    figure, axes = parts.figure(
        width,
        2.4,
        [((0.9 + 2.7 * n) / width, 0.3, 2.2 / width, 0.54) for n in range(len(rows))],
    )
    for axis, row in zip(axes, rows, strict=True):
        column = profiled[row.column_name]
        reference = [*column["counts"], column["nulls"]]
        now = current[row.column_name]
        labels = _labels(column)
        kept = [i for i in range(len(labels)) if reference[i] or now[i]]
        # Two outlines, not twenty bars: half the time to draw.
        for counts, colour, filled in (
            (reference, parts.BLUE, True),
            (now, parts.ORANGE, False),
        ):
            total = sum(counts) or 1
            heights = [counts[i] / total for i in kept]
            axis.stairs(
                heights, color=colour, fill=filled, alpha=0.4 if filled else 1, linewidth=1.5
            )
        axis.set_xlim(0, len(kept))
        step = 1 if len(kept) <= 6 else 2
        parts.scale(
            axis,
            f"{row.column_name}  PSI {row.value:.2f}",
            x=[(at + 0.5, labels[kept[at]]) for at in range(0, len(kept), step)],
            rotation=90,
            show=lambda share: f"{share:.0%}",
        )
    for line, text, colour in (
        (0.9, "■ training", parts.BLUE),
        (0.82, "■ now", parts.ORANGE),
        (0.74, "share of", "black"),
        (0.68, "rows", "black"),
    ):
        figure.text(0.08 / width, line, text, color=colour, fontsize=7)
    return parts.png(figure)


def _labels(column: Mapping[str, Any]) -> list[str]:
    if column["kind"] == "numeric":
        edges = [f"{edge:.3g}" for edge in column["edges"]]
        bins = [f"< {edges[0]}", *(f"≥ {edge}" for edge in edges)] if edges else ["all"]
    else:
        bins = [*(str(name)[:12] for name in column["categories"]), "others"]
    return [*bins, "missing"]


def _others(rows: Sequence[DriftRow]) -> str:
    said = []
    for role, name in (("prediction", "the predictions"), ("label", "the labels")):
        found = [row for row in rows if row.role == role]
        if not found:
            said.append(f"{name} are not compared")
        elif found[0].status != "ok":
            said.append(f"{name}: {_WHY[found[0].status]}")
        else:
            said.append(f"{name} {'have' if found[0].drifted else 'have not'} drifted")
    return ", ".join(said)


def _table(rows: Sequence[DriftRow]) -> str:
    full = max([2 * (row.threshold or 0.1) for row in rows])
    return parts.table(
        ["column", "role", "PSI", "", "limit", "by chance", "adjusted p", "importance", ""],
        [
            [
                row.column_name,
                row.role,
                row.value,
                parts.bar(row.value, full),
                row.threshold,
                row.null_quantile,
                row.adjusted_p,
                parts.percent(row.importance),
                "**drifted**" if row.drifted else _WHY.get(row.status, ""),
            ]
            for row in rows
        ],
        "llrlrrrr",
    )
