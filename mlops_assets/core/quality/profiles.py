"""What is kept of a table's day: counts, extremes, quantiles, frequent values, runs, hours.

Small, JSON, and enough for every judgement and diagnosis here, so that neither needs the rows
again; days can be summed (``combined``). How it is measured belongs in ``measuring``, what is
unusual about it in ``judging``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NUMBER, CATEGORY, FLAG, TIME = "number", "category", "flag", "time"
#: Text that differs from row to row, or a type that is not looked into.
IDENTIFIER, OTHER = "identifier", "other"

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
#: Most frequent values of a day that are kept, with their rows.
KEPT_NUMBERS, KEPT_CATEGORIES = 40, 128
#: Longest runs of equal numbers that are kept, each of another value.
KEPT_RUNS = 5
#: Hours from the day's local midnight that have a count of their own; the outer ones take in
#: all that lies further out.
FIRST_HOUR, LAST_HOUR = -48, 96


@dataclass(frozen=True)
class Run:
    """Equal numbers one after the other: how many, from which hour of the day to which."""

    value: float
    length: int
    first_hour: float | None = None
    last_hour: float | None = None
    group: str = ""


@dataclass(frozen=True)
class ColumnProfile:
    """A column of a day.

    Attributes
    ----------
    kind, type
        What it is measured as, and its type in DuckDB.
    missing
        Rows without a value (NULL or NaN).
    not_finite
        Rows with an infinite number.
    distinct
        Different values.
    minimum, maximum, total, squares
        Of numbers; of times in hours from the day's local midnight.
    quantiles
        At ``QUANTILES``; values that occur.
    values
        The most frequent values and their rows. Numbers are floats, all else is text.
    runs
        The longest runs of equal numbers, in order of time.
    hours
        Of times: whole hours from local midnight, and rows in them.
    missing_by
        Rows without a value for each of the day's ``patterns``.
    rates
        Of a label: for each other column its groups, and in each rows and rows with the
        greater of the two values.
    """

    kind: str
    type: str
    missing: int = 0
    not_finite: int = 0
    distinct: int = 0
    minimum: float | None = None
    maximum: float | None = None
    total: float | None = None
    squares: float | None = None
    quantiles: tuple[float, ...] = ()
    values: tuple[tuple[Any, int], ...] = ()
    runs: tuple[Run, ...] = ()
    hours: Mapping[int, int] = field(default_factory=dict)
    missing_by: tuple[int, ...] = ()
    rates: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)

    @property
    def top_rows(self) -> int:
        """Rows with the most frequent value."""
        return self.values[0][1] if self.values else 0


@dataclass(frozen=True)
class DayProfile:
    """A day of a table.

    Attributes
    ----------
    rows
        All of them, also those that the contract refuses where the rows are as landed.
    key_repeats
        Rows whose key an earlier row of the day has.
    content_repeats
        Rows that equal an earlier one in everything but the key.
    flags
        Columns with truth values, at most three, and ``patterns``: for each combination of
        them (the first column is the lowest bit) the number of rows.
    columns
        By name.
    """

    rows: int
    key_repeats: int = 0
    content_repeats: int = 0
    event_time: str | None = None
    flags: tuple[str, ...] = ()
    patterns: tuple[int, ...] = ()
    columns: Mapping[str, ColumnProfile] = field(default_factory=dict)

    def known(self, column: str) -> int:
        """Rows with a finite value in the column."""
        found = self.columns[column]
        return self.rows - found.missing - found.not_finite

    @property
    def event(self) -> ColumnProfile | None:
        """The column with the event time."""
        return None if self.event_time is None else self.columns.get(self.event_time)

    def to_json(self) -> str:
        """Return it as JSON, without what is empty."""
        told = dict(vars(self))
        told["columns"] = {
            name: {k: v for k, v in vars(column).items() if v or isinstance(v, float)}
            for name, column in self.columns.items()
        }
        return json.dumps(told, separators=(",", ":"), allow_nan=False, default=vars)

    @classmethod
    def from_json(cls, text: str) -> DayProfile:
        """Return what ``to_json`` kept."""
        told = json.loads(text)
        columns = {name: _column(kept) for name, kept in told.pop("columns").items()}
        told["flags"], told["patterns"] = tuple(told["flags"]), tuple(told["patterns"])
        return cls(**told, columns=columns)


def _column(kept: dict[str, Any]) -> ColumnProfile:
    kept["values"] = tuple((value, rows) for value, rows in kept.get("values", ()))
    kept["runs"] = tuple(Run(**run) for run in kept.get("runs", ()))
    kept["hours"] = {int(hour): rows for hour, rows in kept.get("hours", {}).items()}
    kept["rates"] = {
        by: {group: (rows, high) for group, (rows, high) in groups.items()}
        for by, groups in kept.get("rates", {}).items()
    }
    for name in ("quantiles", "missing_by"):
        kept[name] = tuple(kept.get(name, ()))
    return ColumnProfile(**kept)


def combined(days: Sequence[DayProfile]) -> DayProfile:
    """Return the profile of several days together, without a look at their rows.

    Counts, sums, extremes, hours and rates are exact; quantiles are the days' means, weighted
    by rows; of the values, those that were kept of the days; ``distinct`` is a lower bound.

    Raises
    ------
    ValueError
        If there are no days.
    """
    if not days:
        raise ValueError("there are no days to combine; give at least one profile")
    names = list(dict.fromkeys(name for day in days for name in day.columns))
    same = len({day.flags for day in days}) == 1
    return DayProfile(
        rows=sum(day.rows for day in days),
        key_repeats=sum(day.key_repeats for day in days),
        content_repeats=sum(day.content_repeats for day in days),
        event_time=days[-1].event_time,
        flags=days[-1].flags if same else (),
        patterns=_added([day.patterns for day in days]) if same else (),
        columns={name: _together([d for d in days if name in d.columns], name) for name in names},
    )


def _together(days: Sequence[DayProfile], name: str) -> ColumnProfile:
    parts = [day.columns[name] for day in days]
    values: Counter[Any] = Counter()
    hours: Counter[int] = Counter()
    rates: dict[str, dict[str, tuple[int, int]]] = {}
    for part in parts:
        values.update(dict(part.values))
        hours.update(part.hours)
        for by, groups in part.rates.items():
            into = rates.setdefault(by, {})
            for group, (rows, high) in groups.items():
                before = into.get(group, (0, 0))
                into[group] = (before[0] + rows, before[1] + high)
    weighted = [(day.known(name), p.quantiles) for day, p in zip(days, parts, strict=True)]
    weighted = [(weight, q) for weight, q in weighted if q and weight]
    total = sum(weight for weight, _ in weighted)
    longest: dict[float, Run] = {}
    for run in (run for part in parts for run in part.runs):
        if run.value not in longest or longest[run.value].length < run.length:
            longest[run.value] = run
    kept = KEPT_NUMBERS if parts[-1].kind == NUMBER else KEPT_CATEGORIES
    return ColumnProfile(
        kind=parts[-1].kind,
        type=parts[-1].type,
        missing=sum(part.missing for part in parts),
        not_finite=sum(part.not_finite for part in parts),
        distinct=max(max(part.distinct for part in parts), len(values)),
        minimum=min((p.minimum for p in parts if p.minimum is not None), default=None),
        maximum=max((p.maximum for p in parts if p.maximum is not None), default=None),
        total=math.fsum(p.total for p in parts if p.total is not None),
        squares=math.fsum(p.squares for p in parts if p.squares is not None),
        quantiles=tuple(
            sum(weight * q[at] for weight, q in weighted) / total
            for at in range(len(QUANTILES) if weighted else 0)
        ),
        values=tuple(values.most_common(kept)),
        runs=tuple(sorted(longest.values(), key=lambda run: -run.length)[:KEPT_RUNS]),
        hours=dict(sorted(hours.items())),
        missing_by=_added([part.missing_by for part in parts]),
        rates=rates,
    )


def _added(parts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    if len({len(part) for part in parts}) != 1:
        return ()
    return tuple(sum(numbers) for numbers in zip(*parts, strict=True))
