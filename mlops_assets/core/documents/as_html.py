"""A report as one HTML file: nothing is fetched, nothing runs, everything can be printed.

The page's structure is ``report.html.jinja``, its looks are ``report.css``; here is what stands
in it. Every text is escaped by the template engine, and the page forbids itself to load or run
anything (its Content-Security-Policy), should a text ever break out.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from mlops_assets.core.documents import html_cells
from mlops_assets.core.documents.tables import Status, Table
from mlops_assets.core.documents.texts import MOST_CHARACTERS, prose, visible

if TYPE_CHECKING:
    from jinja2 import Template

    from mlops_assets.core.documents.document import Document, Figure, Section

#: A report is sent by mail and opened on a phone: a larger one is made with less detail.
MAX_BYTES = 1_000_000
#: Wider pictures have two columns, or a row of their own.
_BROAD, _WIDE = 360, 600
#: With more columns, words are broken anywhere so that a page holds the table.
_MANY = 14
_TIPS = re.compile(r'<g class="tips".*?</g>', re.DOTALL)
_ABOUT = re.compile(r"<desc>.*?</desc>", re.DOTALL)
_VIEW_WIDTH = re.compile(r'viewBox="0 0 ([\d.]+) ')


@dataclass(frozen=True)
class _Detail:
    """How much of a report is shown; the JSON has all of it."""

    rows: int
    numbers: bool = True
    tips: bool = True


_DETAILS = (
    _Detail(500),
    _Detail(100),
    _Detail(100, numbers=False, tips=False),
    _Detail(20, numbers=False, tips=False),
)


def html(document: Document) -> str:
    """Return a report as one self-contained page, of at most ``MAX_BYTES`` where it can be.

    Tables show 500 rows and say what is left out. Where that is too much, there are fewer rows,
    and then no numbers behind the figures. The same document gives the same page.
    """
    made = ""
    for detail in _DETAILS:
        made = _template().render(_page(document, detail))
        if len(made.encode()) <= MAX_BYTES:
            break
    return made


@functools.cache
def _template() -> Template:
    import jinja2

    folder = resources.files("mlops_assets.core.documents")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.jinja")


def _page(document: Document, detail: _Detail) -> dict[str, Any]:
    from markupsafe import Markup

    return {
        "language": document.language,
        "kind": f"{document.kind.replace('_', ' ').capitalize()} report",
        "title": prose(document.title),
        "model": document.model,
        "version": "none served" if document.version is None else document.version,
        "window_start": document.window_start.isoformat(),
        "window_end": document.window_end.isoformat(),
        "days": document.days,
        "severity": document.severity.value,
        "badge": Markup(html_cells.badge(Status(document.severity))),
        "conclusion": [prose(line) for line in document.conclusion],
        "sections": [_section(section, detail) for section in document.sections],
        "links": [{"text": prose(link.text), "href": link.href} for link in document.links],
        "facts": [
            {"name": prose(fact.name), "value": visible(fact.value, 500)} for fact in document.facts
        ],
    }


def _section(section: Section, detail: _Detail) -> dict[str, Any]:
    paragraphs = [prose(found) for found in section.intro.split("\n\n")]
    return {
        "title": prose(section.title),
        "paragraphs": [paragraph for paragraph in paragraphs if paragraph],
        "points": [prose(point) for point in section.points],
        "tables": [_table(table, detail) for table in section.tables],
        "figures": [_figure(figure, detail) for figure in section.figures],
    }


def _figure(figure: Figure, detail: _Detail) -> dict[str, Any]:
    from markupsafe import Markup

    # The label below says what it says, and would be read out twice.
    svg = _ABOUT.sub("", figure.svg, count=1)
    svg = svg if detail.tips else _TIPS.sub("", svg)
    # Safe: a Figure refuses all but the elements and attributes that plots need.
    named = f'<svg aria-label="{escape(visible(figure.alt))}" {svg.removeprefix("<svg ")}'
    width = _VIEW_WIDTH.search(svg)
    return {
        "title": visible(figure.title, MOST_CHARACTERS),
        "svg": Markup(named),
        "size": _size(0.0 if width is None else float(width[1])),
        "caption": prose(figure.caption),
        "numbers": None
        if figure.numbers is None or not detail.numbers
        else _table(figure.numbers, detail),
    }


def _size(width: float) -> str:
    return "wide" if width > _WIDE else "broad" if width > _BROAD else ""


def _table(table: Table, detail: _Detail) -> dict[str, Any]:
    left = len(table.rows) - detail.rows
    return {
        "caption": prose(table.caption),
        "head": html_cells.head(table),
        "many": len(table.columns) > _MANY,
        "rows": html_cells.rows(table, detail.rows),
        "left_out": f"{left:,} more rows are in the JSON of this report." if left > 0 else "",
        "note": prose(table.note),
        "empty": prose(table.empty),
    }
