"""A report as Markdown, as Dagster shows it: the conclusion in bold, tables, inline pictures.

Texts from data must not be markup: they could load a picture from elsewhere.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from mlops_assets.core.documents.tables import Column, Status, Table
from mlops_assets.core.documents.texts import SIGNS, header, longest, prose, shown, visible
from mlops_assets.core.reports import parts

if TYPE_CHECKING:
    from mlops_assets.core.documents.document import Document, Figure

#: Shown of a table: metadata are kept for every run.
MOST_ROWS = 60
_TIPS = re.compile(r'<g class="tips".*?</g>', re.DOTALL)
_MARKS = re.compile(r"([\\`*~\[\]])")
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LINE_START = re.compile(r"^([#>+=-])")
_NUMBERED = re.compile(r"^(\d+)([.)])")
_RIGHT = ("number", "percent", "interval")


def markdown(document: Document, *, figures: int | None = None) -> str:
    """Return a report as Markdown.

    Parameters
    ----------
    figures
        Most pictures that are shown, in order; by default all. Each takes some kilobytes, and
        Dagster keeps the metadata of every run.
    """
    first, *others = document.conclusion
    served = "no version" if document.version is None else f"version {document.version}"
    window = f"{document.window_start} to {document.window_end}"
    if document.days == 1:
        window = str(document.window_end)
    blocks = [f"**{SIGNS[document.severity]} {plain(prose(first))}**"]
    if others:
        blocks.append("\n".join(f"- {plain(prose(line))}" for line in others))
    blocks.append(f"{plain(document.title)}: {plain(document.model)}, {served}, {window}.")
    left = figures
    for section in document.sections:
        blocks.append(f"### {plain(section.title)}")
        blocks += [plain(prose(part)) for part in section.intro.split("\n\n") if part.strip()]
        if section.points:
            blocks.append("\n".join(f"- {plain(prose(point))}" for point in section.points))
        for table in section.tables:
            blocks += _table(table)
        shown_here = section.figures if left is None else section.figures[:left]
        for figure in shown_here:
            blocks.append(picture(figure))
        left = None if left is None else left - len(shown_here)
        if len(shown_here) < len(section.figures):
            missing = len(section.figures) - len(shown_here)
            blocks.append(f"{parts.plural(missing, 'more figure')} in the HTML report.")
    if document.links:
        found = [f"[{plain(link.text)}](<{link.href}>)" for link in document.links]
        blocks.append("Look further: " + ", ".join(found))
    if document.facts:
        facts = [f"{plain(fact.name)} {plain(fact.value)}" for fact in document.facts]
        blocks.append(", ".join(facts))
    return "\n\n".join(blocks)


def plain(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    text = _MARKS.sub(r"\\\1", visible(text))
    text = _ENTITY.sub("&amp;", _UNDERSCORE.sub(r"\\_", text)).replace("<", "&lt;")
    return _NUMBERED.sub(r"\1\\\2", _LINE_START.sub(r"\\\1", text))


def _table(table: Table) -> list[str]:
    if not table.rows:
        caption = f"{plain(table.caption)}: " if table.caption else ""
        return [f"{caption}{plain(table.empty)}", *_note(table)]
    names, right, full = [], "", []
    for n, column in enumerate(table.columns):
        names.append(parts.cell(plain(header(column))))
        right += "r" if column.kind in _RIGHT else "l"
        full.append(0.0)
        if column.bar:
            names.append("")
            right += "l"
            full[-1] = longest(table, n)
    rows = [
        [text for given in zip(table.columns, row, full, strict=True) for text in _cells(*given)]
        for row in table.rows[:MOST_ROWS]
    ]
    blocks = [f"**{plain(table.caption)}**"] if table.caption else []
    blocks.append(parts.table(names, rows, right))
    if len(table.rows) > MOST_ROWS:
        left = parts.plural(len(table.rows) - MOST_ROWS, "more row")
        blocks.append(f"{left} in the JSON of this report.")
    return blocks + _note(table)


def _note(table: Table) -> list[str]:
    return [plain(table.note)] if table.note else []


def _cells(column: Column, value: Any, full: float) -> list[str]:
    text = shown(column, value)
    if isinstance(value, Status):
        return [f"{SIGNS[value.severity]} {plain(text)}"]
    # What code cannot hold is shown as text: a backtick would end it, a bar the cell.
    if column.kind == "code" and value and not re.search(r"[`|<\\]", text):
        return [f"`{text}`"]
    # ``parts.cell`` escapes bars.
    return [plain(text), _bar(value, full)] if column.bar else [plain(text)]


def _bar(value: float | None, full: float) -> str:
    return parts.bar(None if value is None else abs(value), full)


def picture(figure: Figure) -> str:
    """Return Markdown that shows one figure without reading any file."""
    # Nothing can be pointed at in a picture that is an image.
    svg = _TIPS.sub("", figure.svg)
    opening, rest = svg.split(">", 1)
    styled = f"{opening}><style>{_dark()}</style>{rest}"
    blocks = [f"**{plain(figure.title)}**"] if figure.title else []
    blocks.append(parts.svg(styled, plain(figure.alt)))
    blocks += [plain(figure.caption)] if figure.caption else []
    return "\n\n".join(blocks)


@cache
def _dark() -> str:
    file = resources.files("mlops_assets.core.documents") / "plots.css"
    css = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(css.split())
