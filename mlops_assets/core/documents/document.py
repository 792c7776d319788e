"""What a report is: one frozen object that holds all that its forms show.

Texts are plain: no form reads markup in them, so that names and values from data may stand
anywhere. Tables have a module of their own, ``tables``; how things look belongs in the forms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from numbers import Integral
from typing import Any

from mlops_assets.core.documents.svg_check import refuse_foreign
from mlops_assets.core.documents.tables import (
    DocumentError,
    Severity,
    Table,
    set_fields,
    severity,
    text,
)

#: Lines that can be read before a meeting; what is more is a section.
MOST_LINES = 10
#: Names become folders.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
#: No ``javascript:``, no ``data:``, and nothing that a browser would read as such.
_ADDRESS = re.compile(
    r"(https?://[^\s<>\"]+|mailto:[^\s<>\"]+|#[\w.-]+|(?!//)[\w.%/-]+([?#][^\s<>\"]*)?)"
)


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes
    ----------
    svg
        As the plots of this package draw it; other markup is refused.
    alt
        What it shows, for who does not see it.
    caption
        What to see in it.
    numbers
        What is drawn, for who wants to read it off.
    """

    title: str
    svg: str
    alt: str
    caption: str = ""
    numbers: Table | None = None

    def __post_init__(self) -> None:
        where = f"figure {self.title!r}"
        _texts(self, where, "title", "svg", "alt", "caption")
        if not self.alt.strip():
            raise DocumentError(f"{where}: alt is empty; say what the figure shows")
        refuse_foreign(self.svg, where)
        if self.numbers is not None:
            _all(where, "numbers", [self.numbers], Table)


@dataclass(frozen=True)
class Section:
    """A part of a report: what it is about, then points, tables and figures, in this order.

    ``intro`` may have paragraphs, with an empty line between.
    """

    title: str
    intro: str = ""
    points: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()

    def __post_init__(self) -> None:
        where = f"section {self.title!r}"
        _texts(self, where, "title", "intro")
        set_fields(
            self,
            points=_lines(where, "points", self.points),
            tables=_all(where, "tables", self.tables, Table),
            figures=_all(where, "figures", self.figures, Figure),
        )


@dataclass(frozen=True)
class Link:
    """Where to look further: http, https, mailto, a place in the page, or a relative path."""

    text: str
    href: str

    def __post_init__(self) -> None:
        where = f"link {self.text!r}"
        _texts(self, where, "text", "href")
        if not _ADDRESS.fullmatch(self.href):
            raise DocumentError(
                f"{where}: {self.href!r} may not be linked; give an http(s) or mailto address, "
                "a relative path, or #place"
            )


@dataclass(frozen=True)
class Fact:
    """A line of the footer, such as the run or the code that made the report."""

    name: str
    value: str

    def __post_init__(self) -> None:
        _texts(self, f"fact {self.name!r}", "name", "value")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A report of one model and one window.

    Attributes
    ----------
    kind
        Which report, such as ``drift``; with the model's name the folder that it is kept in.
    version
        Of the model; ``None`` where none served.
    window_start, window_end
        First and last day, both inclusive.
    severity, conclusion
        At most ``MOST_LINES`` lines in plain words, the first being the conclusion, of which
        ``severity`` says how much it matters.
    links, facts
        Where to look further, and what made the report.
    """

    kind: str
    title: str
    model: str
    version: int | None
    window_start: date
    window_end: date
    severity: Severity
    conclusion: Sequence[str]
    sections: Sequence[Section] = ()
    links: Sequence[Link] = ()
    facts: Sequence[Fact] = ()
    language: str = "en"

    def __post_init__(self) -> None:
        where = f"document {self.title!r}"
        _texts(self, where, "kind", "title", "model", "language")
        for name in ("kind", "model"):
            if not _NAME.fullmatch(getattr(self, name)):
                raise DocumentError(
                    f"{where}: {name} is {getattr(self, name)!r}, and becomes a folder; take "
                    "letters, digits, - and _ only"
                )
        if not _LANGUAGE.fullmatch(self.language):
            raise DocumentError(f"{where}: language is {self.language!r}; take one such as 'en'")
        if isinstance(self.version, bool) or not isinstance(self.version, Integral | None):
            raise DocumentError(f"{where}: version must be an int or None, not {self.version!r}")
        for name in ("window_start", "window_end"):
            day = getattr(self, name)
            if not isinstance(day, date) or isinstance(day, datetime):
                raise DocumentError(f"{where}: {name} must be a date, not {day!r}")
        if self.window_start > self.window_end:
            raise DocumentError(
                f"{where}: the window ends on {self.window_end}, before it starts on "
                f"{self.window_start}"
            )
        conclusion = _lines(where, "conclusion", self.conclusion)
        if not 1 <= len(conclusion) <= MOST_LINES or not conclusion[0].strip():
            raise DocumentError(
                f"{where}: the conclusion has {len(conclusion)} lines; it needs 1 to {MOST_LINES} "
                "and the first must say something. Put the rest into a section"
            )
        set_fields(
            self,
            version=None if self.version is None else int(self.version),
            severity=severity(self.severity, f"{where}: severity"),
            conclusion=conclusion,
            sections=_all(where, "sections", self.sections, Section),
            links=_all(where, "links", self.links, Link),
            facts=_all(where, "facts", self.facts, Fact),
        )

    @property
    def days(self) -> int:
        """Number of days of the window."""
        return (self.window_end - self.window_start).days + 1


def _texts(what: Any, where: str, *names: str) -> None:
    set_fields(what, **{name: text(getattr(what, name), f"{where}: {name}") for name in names})


def _lines(where: str, name: str, lines: Sequence[str]) -> tuple[str, ...]:
    if isinstance(lines, str):
        raise DocumentError(f"{where}: {name} must be a list of lines, not one text")
    return tuple(text(line, f"{where}: {name}, line {n}") for n, line in enumerate(lines, start=1))


def _all(where: str, name: str, values: Sequence[Any], wanted: type) -> tuple:
    found = tuple(values)
    for value in found:
        if not isinstance(value, wanted):
            raise DocumentError(f"{where}: {name} must be of {wanted.__name__}, not {value!r}")
    return found
