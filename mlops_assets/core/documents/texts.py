"""Values as people read them: the same words in every form.

What a form does with the words (escaping, alignment) belongs in the form.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from typing import Any

from mlops_assets.core.documents.tables import Column, Severity, Status, Table
from mlops_assets.core.reports import parts

#: Shown of a text in a cell. Values come from data, and some are whole documents.
MOST_CHARACTERS = 200
#: Told apart by shape, not by colour alone.
SIGNS = {
    Severity.OK: "✓",
    Severity.WARNING: "▲",
    Severity.PROBLEM: "◆",
    Severity.UNKNOWN: "?",
}
#: Shown of a paragraph or a point: more is not read, and may be a value that someone put in.
MOST_PROSE = 1_000
#: What has no picture of its own, would reorder its neighbours (Unicode's bidirectional
#: overrides), or cannot be written as UTF-8.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def visible(text: str, most: int | None = None) -> str:
    """Return a text with a sign for each character that cannot be shown, on one line.

    Parameters
    ----------
    most
        Characters after which it is cut.
    """
    if most is not None and len(text) > most:
        left_out = len(text) - most
        text = f"{text[:most].rstrip()}… ({left_out:,} more characters)"
    return " ".join(_INVISIBLE.sub("\ufffd", text).split())


def prose(text: str) -> str:
    """Return a line or paragraph as it is shown."""
    return visible(text, MOST_PROSE)


def shown(column: Column, value: Any) -> str:
    """Return the text of a cell of ``tables``."""
    if value is None:
        return "–"
    if isinstance(value, Status):
        return visible(value.text, MOST_CHARACTERS) or value.severity.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return moment(value)
    if column.kind == "number":
        return number(value)
    if column.kind == "percent":
        return percent(value)
    if column.kind == "interval":
        return f"{number(value[0])} to {number(value[1])}"
    return visible(str(value), MOST_CHARACTERS) or "(empty)"


def number(value: float | None) -> str:
    """Return a number; whole ones in full, NaN and infinities by name."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return parts.number(value) if math.isfinite(value) else _no_number(value)


def percent(value: float | None) -> str:
    """Return a share as a percentage; one that is not nothing is not shown as nothing."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return _no_number(value)
    if 0 < abs(value) < 0.0005:
        return "< 0.1 %" if value > 0 else "> -0.1 %"
    return parts.percent(value)


def moment(value: date) -> str:
    """Return a date, or a date and time to the minute or second."""
    if not isinstance(value, datetime):
        return value.isoformat()
    exact = "seconds" if value.second or value.microsecond else "minutes"
    return value.isoformat(" ", exact)


def known(value: float | None) -> bool:
    """Return whether there is a number to draw; some data write the largest float for none."""
    return value is not None and abs(value) < 1e150


def longest(table: Table, column: int) -> float:
    """Return the largest number of a column that has bars, without its sign; 0: there is none."""
    return max([abs(row[column]) for row in table.rows if known(row[column])], default=0.0)


def header(column: Column) -> str:
    """Return a column's name with its unit."""
    name = visible(column.name, MOST_CHARACTERS) or "(empty)"
    return f"{name} ({visible(column.unit)})" if column.unit else name


def _no_number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "∞" if value > 0 else "-∞"
