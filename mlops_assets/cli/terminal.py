"""What commands print in the terminal: tables, an impact, an explanation.

Which commands there are, and how they come by what is printed, belongs in ``cli``.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from mlops_assets.core.audit.explain import Explanation
    from mlops_assets.core.lineage.impact import Impact, Rows

#: What the kinds of derivation mean, see ``core.lineage.column_lineage``.
_HOW = {"value": "its values", "rows": "decides which rows", "lookup": "decides which value"}


def table(*columns: str) -> Table:
    """Return an empty table with these headings."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(*parts: Table | str) -> None:
    """Print tables and lines, and an empty line after them."""
    from rich.console import Console

    console = Console()
    for part in parts:
        console.print(part, highlight=False)
    console.print()


def show_impact(found: Impact) -> None:
    """Print what a column or feature reaches, the conclusion first."""
    from rich.markup import escape

    show(conclusion(found))
    if found.features:
        features = table("feature", "how", "derives from")
        for feature in found.features:
            notes = [] if feature.current else ["by an earlier definition"]
            notes += [f"assumed: {escape(feature.assumed)}"] if feature.assumed else []
            label = f" (label of {feature.label_of})" if feature.label_of else ""
            features.add_row(
                f"{feature.name}{label}" if label else str(feature),
                "; ".join([_HOW[feature.kind], *notes]),
                ", ".join(feature.columns),
            )
        show(features)
    if found.versions:
        versions = table("model", "version", "uses", "scored", "from", "to", "drift", "measured")
        for version in sorted(found.versions, key=lambda v: (v.model, v.version)):
            versions.add_row(
                version.model,
                f"{version.version}{' serves' if version.serves else ''}",
                str(version.features),
                f"{version.predictions.n:,}",
                str(version.predictions.first_day or "-"),
                str(version.predictions.last_day or "-"),
                str(version.drift.n),
                str(version.performance.n),
            )
        show(versions)


def show_explanation(found: Explanation) -> None:
    """Print what made a prediction, the verdict first."""
    from rich.markup import escape

    from mlops_assets.core.reports import explanation

    def pairs(rows: list[list[object]]) -> Table:
        listed = table("", "")
        for name, value in rows:
            listed.add_row(str(name), escape("-" if value is None else str(value)))
        return listed

    show(escape(explanation.conclusion(found).replace("**", "")))
    if found.again.differences:
        differing = table("differs", "captured", "again")
        for difference in found.again.differences:
            values = (difference.name, difference.captured, difference.recomputed)
            differing.add_row(*(escape(str(value)) for value in values))
        show(differing)
    show(pairs(explanation.summary(found)))
    header, rows = explanation.features(found)
    used = table(*header)
    for row in rows:
        used.add_row(*(escape("-" if cell is None else str(cell)) for cell in row))
    show(used)
    for fact in found.facts:
        if fact.dataset is not None:
            show(escape(explanation.rows_behind(fact, found.behind.get(fact.view))))
    show(pairs(explanation.version(found)))
    show(*(escape(said) for said in explanation.placement(found)))


def conclusion(found: Impact) -> str:
    """Return what is reached, in one sentence for each fact worth one."""
    features = [feature for feature in found.features if feature.view is not None]
    labels = [feature for feature in found.features if feature.view is None]
    what = str(found.asked)
    if not found.features:
        said = [f"{what} reaches nothing: no feature that has been computed derives from it."]
    else:
        reached = []
        if found.asked.source is not None:
            values = sum(feature.kind == "value" for feature in features)
            reached.append(f"{_count(len(features), 'feature')} ({values} by its values)")
            reached += [_count(len(labels), "label")] if labels else []
        serving = [f"{v.model} v{v.version}" for v in found.versions if v.serves]
        serve = f"{_list(serving)} {'serves' if len(serving) == 1 else 'serve'}"
        reached.append(
            f"{_count(len(found.versions), 'model version')} "
            f"({serve if serving else 'none serves'})"
            if found.versions
            else "no model version"
        )
        days = [d for v in found.versions for d in _days(v.predictions)]
        predictions = _count(sum(v.predictions.n for v in found.versions), "prediction")
        reached.append(f"{predictions} of {min(days)} to {max(days)}" if days else predictions)
        drift = sum(version.drift.n for version in found.versions)
        performance = sum(version.performance.n for version in found.versions)
        reached.append(f"{drift:,} drift and {performance:,} performance reports")
        said = [f"{what} reaches {_list(reached)}."]
    if any(feature.assumed for feature in found.features):
        said.append("Some of it is assumed, for want of a closer look.")
    if found.unknown:
        said.append(
            f"Of {_count(len(found.unknown), 'model version')} it cannot be told: "
            "trained before lineage was kept."
        )
    return " ".join(said)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _list(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _days(rows: Rows) -> list[date]:
    return [day for day in (rows.first_day, rows.last_day) if day is not None]
