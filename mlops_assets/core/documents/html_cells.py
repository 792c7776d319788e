"""Cells of the page's tables. Every text of a cell is escaped here; the rest is in the template.

Written as strings, because a template takes ten times as long for a thousand cells.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from mlops_assets.core.documents.tables import Column, Status, Table
from mlops_assets.core.documents.texts import (
    MOST_CHARACTERS,
    SIGNS,
    header,
    known,
    longest,
    shown,
    visible,
)

if TYPE_CHECKING:
    from markupsafe import Markup


def head(table: Table) -> Markup:
    """Return the cells of a table's first line."""
    from markupsafe import Markup

    return Markup("".join(map(_heading, table.columns)))


def rows(table: Table, most: int) -> Markup:
    """Return the first ``most`` rows of a table, the first cell of each as its header."""
    from markupsafe import Markup

    full = [longest(table, n) if column.bar else 0.0 for n, column in enumerate(table.columns)]
    return Markup(
        "\n".join(
            f"<tr>{''.join(map(_cell, range(len(row)), table.columns, row, full))}</tr>"
            for row in table.rows[:most]
        )
    )


def badge(status: Status) -> str:
    """Return a judgement: a sign, the words, and by class a colour."""
    text = escape(visible(status.text, MOST_CHARACTERS) or status.severity.value)
    return (
        f'<span class="badge {status.severity.value}">'
        f'<span aria-hidden="true">{SIGNS[status.severity]}</span> <bdi>{text}</bdi></span>'
    )


def _heading(column: Column) -> str:
    about = visible(column.description, MOST_CHARACTERS)
    small = f"<small>{escape(about)}</small>" if about else ""
    name = f"<bdi>{_breakable(header(column))}</bdi>"
    return f'<th scope="col" class="{column.kind}">{name}{small}</th>'


def _cell(place: int, column: Column, value: Any, full: float) -> str:
    inside = _inside(column, value, full)
    if place == 0:
        return f'<th scope="row" class="{column.kind}">{inside}</th>'
    return f'<td class="{column.kind}">{inside}</td>'


def _inside(column: Column, value: Any, full: float) -> str:
    if value is None:
        return '<span class="none">–</span>'
    if isinstance(value, Status):
        return badge(value)
    text = shown(column, value)
    if column.kind == "code":
        return f"<code>{escape(text)}</code>"
    if column.kind == "text":
        return f"<bdi>{_breakable(text)}</bdi>"
    if full and known(value):
        share = round(100 * abs(value) / full)
        bar = f'<span class="bar" aria-hidden="true"><i style="--share:{share}%"></i></span>'
        return f"{escape(text)}{bar}"
    return escape(text)


def _breakable(text: str) -> str:
    """Let names of columns break after an underscore, and be copied without anything more."""
    return escape(text).replace("_", "_<wbr>")
