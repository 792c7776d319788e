"""Tables of a report: columns with a kind, and cells that are what the kind says.

A cell holds the value, not its text: how it is shown is decided by each form (``texts``). Data
are never refused for what they say, only for not being of the column's kind, which is a mistake
of who makes the report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from numbers import Integral, Real
from typing import Any, Literal, get_args

Kind = Literal["text", "code", "number", "percent", "interval", "date", "status"]
KINDS: tuple[str, ...] = get_args(Kind)


class DocumentError(ValueError):
    """A report cannot be made, or read. The message says what is wrong where, and the remedy."""


class Severity(StrEnum):
    """How much a finding matters, to be told without colour too."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    #: It could not be found out. Never the same as good.
    UNKNOWN = "unknown"


def severity(value: Any, where: str) -> Severity:
    """Return a severity or its name as a severity."""
    try:
        return Severity(value)
    except ValueError:
        raise DocumentError(
            f"{where}: {value!r} is no severity; take one of {', '.join(Severity)}"
        ) from None


def text(value: Any, where: str) -> str:
    """Return a text as it is; anything else is a mistake."""
    if not isinstance(value, str):
        raise DocumentError(f"{where}: must be text, not {value!r}; convert it with str()")
    return str(value)


def set_fields(what: Any, **values: Any) -> None:
    """Set fields of a frozen object while it is made."""
    for name, value in values.items():
        object.__setattr__(what, name, value)


@dataclass(frozen=True)
class Status:
    """A cell that judges: a severity, and what is said of it (by default its name)."""

    severity: Severity
    text: str = ""

    def __post_init__(self) -> None:
        found = severity(self.severity, "Status.severity")
        set_fields(self, severity=found, text=text(self.text, "Status.text") or found.value)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    kind
        What its cells are, besides ``None`` for there being none:

        - ``text``: text, a whole number or a boolean, such as a version,
        - ``code``: text to be copied, such as a command,
        - ``number``: an int or a float; NaN and infinities are shown as such,
        - ``percent``: a share, 0.05 being 5 %,
        - ``interval``: a pair of floats,
        - ``date``: a date or a datetime (UTC where it names no zone),
        - ``status``: a ``Status``.
    unit
        Of numbers and intervals; shown in the header.
    description
        What the column means, where the name does not tell.
    bar
        Whether numbers also have a bar, as long as they are far from 0.
    """

    name: str
    kind: Kind = "text"
    unit: str = ""
    description: str = ""
    bar: bool = False

    def __post_init__(self) -> None:
        where = f"column {self.name!r}"
        for name in ("name", "unit", "description"):
            set_fields(self, **{name: text(getattr(self, name), f"{where}: {name}")})
        if self.kind not in KINDS:
            raise DocumentError(f"{where}: no kind {self.kind!r}; take one of {', '.join(KINDS)}")
        if self.bar and self.kind not in ("number", "percent"):
            raise DocumentError(f"{where}: only numbers and percents have bars, not {self.kind}")


@dataclass(frozen=True)
class Table:
    """Rows under columns; the first column names the row.

    Attributes
    ----------
    note
        What is to be said below, such as what was left out.
    empty
        What is said where there are no rows.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]] = ()
    note: str = ""
    empty: str = "There are no rows."

    def __post_init__(self) -> None:
        where = f"table {self.caption!r}"
        for name in ("caption", "note", "empty"):
            set_fields(self, **{name: text(getattr(self, name), f"{where}: {name}")})
        columns = tuple(self.columns)
        if not columns or not all(isinstance(column, Column) for column in columns):
            raise DocumentError(f"{where}: needs at least one Column, and nothing else as columns")
        set_fields(
            self,
            columns=columns,
            rows=tuple(_row(where, n, columns, row) for n, row in enumerate(self.rows, start=1)),
        )


def _row(where: str, number: int, columns: tuple[Column, ...], row: Sequence[Any]) -> tuple:
    if isinstance(row, str) or len(row) != len(columns):
        raise DocumentError(
            f"{where}: row {number} is {row!r}, and there are {len(columns)} columns; "
            "give a cell for each, None where there is no value"
        )
    return tuple(
        None if value is None else _CELLS[column.kind](value, (where, number, column.name))
        for column, value in zip(columns, row, strict=True)
    )


#: Table, row and column, from which a text is made only where something is wrong.
_Place = tuple[str, int, str]


def _text(value: Any, place: _Place) -> str | int | bool:
    if isinstance(value, str):
        return str(value)
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    raise _wrong(place, value, "text, a whole number or a boolean")


def _code(value: Any, place: _Place) -> str:
    if not isinstance(value, str):
        raise _wrong(place, value, "text")
    return str(value)


def _number(value: Any, place: _Place) -> int | float:
    if type(value) is float:  # nearly always, and asking for ``Real`` takes ten times as long
        return _float(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _wrong(place, value, "a number")
    return int(value) if isinstance(value, Integral) else _float(value)


def _percent(value: Any, place: _Place) -> float:
    return _float(_number(value, place))


def _float(value: Any) -> float:
    found = float(value)
    # One NaN for all, so that equal tables are equal: tuples compare identity first.
    return math.nan if math.isnan(found) else found


def _interval(value: Any, place: _Place) -> tuple[float, float]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise _wrong(place, value, "a pair of numbers")
    low, high = (math.nan if end is None else _percent(end, place) for end in value)
    return low, high


def _date(value: Any, place: _Place) -> date | None:
    if not isinstance(value, date):
        raise _wrong(place, value, "a date or a datetime")
    if value != value:  # pandas' NaT, a datetime that is none
        return None
    if isinstance(value, datetime):
        # Subclasses, such as pandas' timestamps, have more digits than a datetime.
        return datetime(*value.timetuple()[:6], value.microsecond, value.tzinfo)
    return value


def _status(value: Any, place: _Place) -> Status:
    if not isinstance(value, Status):
        raise _wrong(place, value, "a Status")
    return value


def _wrong(place: _Place, value: Any, wanted: str) -> DocumentError:
    where, row, column = place
    return DocumentError(
        f"{where}: row {row}, column {column!r}: must be {wanted} or None, not {value!r}"
    )


_CELLS: dict[str, Any] = {
    "text": _text,
    "code": _code,
    "number": _number,
    "percent": _percent,
    "interval": _interval,
    "date": _date,
    "status": _status,
}
