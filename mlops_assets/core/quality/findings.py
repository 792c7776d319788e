"""What is unusual about a day, as typed facts: which measure, of what, how much, how much usually.

A finding is not an incident: what it comes from is for ``diagnosing``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Measure(StrEnum):
    """What is measured of a day, its rows or a column."""

    ROWS = "rows"
    NO_ROWS = "no_rows"
    TAIL = "tail"
    KEY_REPEATS = "key_repeats"
    CONTENT_REPEATS = "content_repeats"
    SCHEMA = "schema"
    MISSING = "missing"
    NOT_FINITE = "not_finite"
    ONE_VALUE = "one_value"
    RUN = "run"
    UNSEEN = "unseen"
    LOST = "lost"
    NOVEL = "novel"
    LEVEL = "level"
    HOURS = "hours"
    FUTURE = "future"
    RATE = "rate"


class Status(StrEnum):
    """Whether a column, or the rows as a whole, could be judged."""

    JUDGED = "judged"
    TOO_FEW_DAYS = "too_few_days"
    TOO_FEW_ROWS = "too_few_rows"
    NOT_LOOKED_AT = "not_looked_at"


@dataclass(frozen=True)
class Finding:
    """Something that a day does and the usual days do not.

    Attributes
    ----------
    column
        ``None``: the rows as a whole.
    value, usual, limit
        Of the measure; ``limit`` is what it had to pass.
    details
        What a diagnosis needs besides: names and numbers, by name.
    """

    column: str | None
    measure: Measure
    value: float
    usual: float
    limit: float
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """A day against what is usual.

    Attributes
    ----------
    findings
        What is unusual: of the rows first, then of columns in their order.
    statuses
        For each column, and for ``None`` (the rows as a whole), whether it was judged.
    measures
        Figures of each column that only make sense beside what is usual, found or not:
        ``unseen``, ``novel``, ``outside`` (share of the usual range), ``future``, ``hours``;
        of the rows: ``usual_rows``, ``tail``, ``age_hours``.
    """

    findings: Sequence[Finding]
    statuses: Mapping[str | None, Status]
    measures: Mapping[str | None, Mapping[str, float]]

    def of(self, measure: Measure, column: str | None = None) -> Finding | None:
        """Return the finding of a measure; ``column`` ``None``: the first of any column."""
        return next(
            (
                f
                for f in self.findings
                if f.measure == measure and (column is None or f.column == column)
            ),
            None,
        )
