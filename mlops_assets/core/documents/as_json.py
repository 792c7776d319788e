"""A report as JSON and back, under a versioned schema (``report.schema.json``).

What is written has one text only, without spaces to choose; what is read is checked as if it had
been made by hand. JSON knows neither NaN nor infinity: such a number is ``{"value": null,
"status": "nan"}`` (or ``"inf"``, ``"-inf"``), a value that does not exist is ``null``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from mlops_assets.core.documents.document import Document, Fact, Figure, Link, Section
from mlops_assets.core.documents.tables import Column, DocumentError, Status, Table

#: Goes up when a reader of the old form could misread the new one.
SCHEMA = "mlops_assets.report/1"
_UNWRITABLE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_json(document: Document) -> str:
    """Return a report as JSON, in ASCII, with a newline at the end; equal ones are equal."""
    written = {
        "schema": SCHEMA,
        "kind": document.kind,
        "title": document.title,
        "language": document.language,
        "model": document.model,
        "version": document.version,
        "window": {
            "start": document.window_start.isoformat(),
            "end": document.window_end.isoformat(),
        },
        "severity": document.severity.value,
        "conclusion": list(document.conclusion),
        "sections": [
            {
                "title": section.title,
                "intro": section.intro,
                "points": list(section.points),
                "tables": [_table(table) for table in section.tables],
                "figures": [_figure(figure) for figure in section.figures],
            }
            for section in document.sections
        ],
        "links": [{"text": link.text, "href": link.href} for link in document.links],
        "facts": [{"name": fact.name, "value": fact.value} for fact in document.facts],
    }
    return json.dumps(written, allow_nan=False, separators=(",", ":")) + "\n"


def _table(table: Table) -> dict[str, Any]:
    return {
        "caption": table.caption,
        "columns": [
            {
                "name": column.name,
                "kind": column.kind,
                "unit": column.unit,
                "description": column.description,
                "bar": column.bar,
            }
            for column in table.columns
        ],
        "rows": [[_cell(value) for value in row] for row in table.rows],
        "note": table.note,
        "empty": table.empty,
    }


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, tuple):
        return [_number(end) for end in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Status):
        return {"severity": value.severity.value, "text": value.text}
    return value


def _number(value: float) -> Any:
    if math.isfinite(value):
        return value
    status = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return {"value": None, "status": status}


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "title": figure.title,
        "svg": figure.svg,
        "alt": figure.alt,
        "caption": figure.caption,
        "numbers": None if figure.numbers is None else _table(figure.numbers),
    }


def from_json(written: str | bytes) -> Document:
    """Return the report that ``to_json`` has written.

    Raises
    ------
    DocumentError
        If it is no JSON, of another schema, or not what the schema allows. What a figure holds
        is checked too: the file need not come from here.
    """
    try:
        found = json.loads(written, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"the report is no JSON: {error}") from error
    report = _Reader("the report", found)
    schema = report.get("schema", str)
    if schema != SCHEMA:
        raise DocumentError(
            f"the report has the schema {schema!r}, and {SCHEMA!r} can be read; read it with the "
            "version of mlops-assets that wrote it"
        )
    window = report.part("window")
    made = Document(
        kind=report.get("kind", str),
        title=report.get("title", str),
        language=report.get("language", str),
        model=report.get("model", str),
        version=report.get("version", int, type(None)),
        window_start=_day(window.get("start", str), "the window's start"),
        window_end=_day(window.get("end", str), "the window's end"),
        severity=report.get("severity", str),
        conclusion=report.get("conclusion", list),
        sections=[_read_section(part) for part in report.parts("sections")],
        links=[
            Link(part.get("text", str), part.get("href", str)) for part in report.parts("links")
        ],
        facts=[
            Fact(part.get("name", str), part.get("value", str)) for part in report.parts("facts")
        ],
    )
    report.finish()
    return made


class _Reader:
    """An object of the JSON, of which every field is wanted, and no other."""

    def __init__(self, where: str, found: Any) -> None:
        if not isinstance(found, Mapping):
            raise DocumentError(f"{where} must be an object, not {found!r:.80}")
        self.where, self._left = where, dict(found)
        self._inside: list[_Reader] = []

    def get(self, name: str, *types: type) -> Any:
        if name not in self._left:
            raise DocumentError(f"{self.where} has no {name!r}")
        value = self._left.pop(name)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = " or ".join(kind.__name__ for kind in types)
            raise DocumentError(f"{self.where}: {name!r} must be {wanted}, not {value!r:.80}")
        return value

    def part(self, name: str) -> _Reader:
        return self._of(f"{self.where}, {name}", self.get(name, dict))

    def part_or_none(self, name: str) -> _Reader | None:
        value = self.get(name, dict, type(None))
        return None if value is None else self._of(f"{self.where}, {name}", value)

    def parts(self, name: str) -> list[_Reader]:
        values = self.get(name, list)
        where = f"{self.where}, {name}"
        return [self._of(f"{where} {n}", value) for n, value in enumerate(values, start=1)]

    def _of(self, where: str, value: Any) -> _Reader:
        self._inside.append(_Reader(where, value))
        return self._inside[-1]

    def finish(self) -> None:
        for reader in self._inside:
            reader.finish()
        if self._left:
            raise DocumentError(
                f"{self.where} has {', '.join(map(repr, self._left))}, which {SCHEMA} has not"
            )


def _read_section(part: _Reader) -> Section:
    return Section(
        part.get("title", str),
        part.get("intro", str),
        points=part.get("points", list),
        tables=[_read_table(table) for table in part.parts("tables")],
        figures=[_read_figure(figure) for figure in part.parts("figures")],
    )


def _read_figure(part: _Reader) -> Figure:
    numbers = part.part_or_none("numbers")
    return Figure(
        part.get("title", str),
        part.get("svg", str),
        part.get("alt", str),
        part.get("caption", str),
        None if numbers is None else _read_table(numbers),
    )


def _read_table(part: _Reader) -> Table:
    columns = [
        Column(
            column.get("name", str),
            column.get("kind", str),
            column.get("unit", str),
            column.get("description", str),
            column.get("bar", bool),
        )
        for column in part.parts("columns")
    ]
    rows = part.get("rows", list)
    return Table(
        part.get("caption", str),
        columns,
        [_read_row(f"{part.where}, row {n}", columns, row) for n, row in enumerate(rows, start=1)],
        part.get("note", str),
        part.get("empty", str),
    )


def _read_row(where: str, columns: list[Column], row: Any) -> list[Any]:
    if not isinstance(row, list) or len(row) != len(columns):
        raise DocumentError(f"{where} must have {len(columns)} cells, not {row!r:.80}")
    return [_read_cell(where, column, value) for column, value in zip(columns, row, strict=True)]


def _read_cell(where: str, column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind in ("number", "percent"):
        return _read_number(where, value)
    if column.kind == "interval":
        if not isinstance(value, list):
            raise DocumentError(f"{where}: an interval must be two numbers, not {value!r:.80}")
        return [_read_number(where, end) for end in value]
    if column.kind == "date":
        return _day_or_time(value, where)
    if column.kind == "status":
        part = _Reader(f"{where}, status", value)
        found = Status(part.get("severity", str), part.get("text", str))
        part.finish()
        return found
    return value


def _read_number(where: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if set(value) != {"value", "status"} or value["value"] is not None:
        raise DocumentError(f"{where}: {value!r:.80} is no number")
    try:
        return _UNWRITABLE[value["status"]]
    except (KeyError, TypeError):
        raise DocumentError(
            f"{where}: {value['status']!r} is no status of a number; it may be "
            f"{', '.join(_UNWRITABLE)}"
        ) from None


def _day(value: str, where: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise DocumentError(f"{where}: {value!r} is no date; write it as 2013-06-14") from None


def _day_or_time(value: Any, where: str) -> date:
    if isinstance(value, str) and "T" in value:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    return _day(value if isinstance(value, str) else repr(value), where)


def _no_constant(name: str) -> Any:
    raise ValueError(f'{name} is no JSON; a number that is none is {{"value": null, "status": …}}')
