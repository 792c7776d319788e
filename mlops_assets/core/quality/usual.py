"""What is usual on a day: the good days of the window before it, or those of a training set.

A reference is nothing but the profiles of its days: it needs no scan, and a day is added by
adding its profile. What is unusual is for ``judging``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any

from mlops_assets.core.quality.measuring import measure
from mlops_assets.core.quality.profiles import (
    FIRST_HOUR,
    LAST_HOUR,
    ColumnProfile,
    DayProfile,
    combined,
)

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    from mlops_assets.core.quality.tables import Table

#: A column of a table; ``None``: its rows as a whole.
Where = str | None


@dataclass(frozen=True)
class Usual:
    """The days that say what is usual.

    Attributes
    ----------
    days
        Profiles of the good days, by day.
    without
        For columns that were not good on some of these days: those days.
    """

    days: Mapping[date, DayProfile]
    without: Mapping[str, Collection[date]]

    @classmethod
    def before(
        cls,
        profiles: Mapping[date, DayProfile],
        day: date,
        window: int,
        bad: Collection[tuple[date, Where]] = (),
    ) -> Usual:
        """Take the ``window`` days before ``day``, but for those that are ``bad``."""
        dates = [day - timedelta(days=n) for n in range(window, 0, -1)]
        without: dict[str, set[date]] = {}
        for at, column in bad:
            if column is not None and dates[0] <= at < day:
                without.setdefault(column, set()).add(at)
        return cls(
            {
                d: profiles[d]
                for d in dates
                if d in profiles and profiles[d].rows and (d, None) not in bad
            },
            without,
        )

    def column(self, name: str) -> UsualColumn:
        """Return what is usual of a column; days that lack it are left out."""
        skipped = self.without.get(name, ())
        return UsualColumn(
            name,
            [(d, day) for d, day in self.days.items() if d not in skipped and name in day.columns],
        )

    @cached_property
    def all_days(self) -> list[DayProfile]:
        """The profiles, in order."""
        return list(self.days.values())

    def rows_on(self, day: date) -> float:
        """Return the usual rows of ``day``'s weekday; of any day, if fewer than two are known."""
        return _rows(self.days, day)

    @cached_property
    def rows_vary(self) -> float:
        """How far the rows of usual days are from their weekday's: a factor, as a logarithm."""
        return second([abs(math.log(d.rows / _rows(self.days, at))) for at, d in self.days.items()])

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(
            {
                "days": {str(d): json.loads(day.to_json()) for d, day in self.days.items()},
                "without": {c: sorted(map(str, days)) for c, days in self.without.items()},
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Usual:
        """Return what ``to_json`` kept."""
        told = json.loads(text)
        return cls(
            {
                date.fromisoformat(d): DayProfile.from_json(json.dumps(day))
                for d, day in told["days"].items()
            },
            {c: {date.fromisoformat(d) for d in days} for c, days in told["without"].items()},
        )

    def total(self) -> DayProfile:
        """Return the days' profile as if they were one."""
        return combined(self.all_days)


def profile(con: duckdb.DuckDBPyConnection, rows: Any, table: Table, days: Sequence[date]) -> Usual:
    """Measure the days that are to say what is usual, such as those of a training set.

    Parameters are those of ``measuring.measure``. Days without rows are left out.
    """
    found = measure(con, rows, table, days)
    return Usual({day: told for day, told in found.items() if told.rows}, {})


def second(numbers: Sequence[float]) -> float:
    """Return the second largest: one odd day among the usual ones does not hide the next."""
    return sorted(numbers)[-min(2, len(numbers))]


def _rows(days: Mapping[date, DayProfile], day: date) -> float:
    same = [told.rows for at, told in days.items() if (at - day).days % 7 == 0]
    if len(same) < 2:
        same = [told.rows for told in days.values()]
    return float(median(same)) if same else math.nan


@dataclass(frozen=True)
class UsualColumn:
    """What is usual of a column: its profiles on the good days that have it."""

    name: str
    days: Sequence[tuple[date, DayProfile]]

    @cached_property
    def parts(self) -> list[ColumnProfile]:
        """The column's profiles, in order of days."""
        return [day.columns[self.name] for _, day in self.days]

    @cached_property
    def filled(self) -> list[tuple[ColumnProfile, int]]:
        """Those with values, each with their number."""
        pairs = [(day.columns[self.name], day.known(self.name)) for _, day in self.days]
        return [(part, n) for part, n in pairs if n > 0]

    @cached_property
    def kind(self) -> str | None:
        """What it mostly is; ``None``: no days."""
        kinds = [part.kind for part in self.parts]
        return max(set(kinds), key=kinds.count) if kinds else None

    @cached_property
    def values(self) -> dict[Any, int]:
        """The values that were kept, with their rows on all days."""
        found: dict[Any, int] = {}
        for part in self.parts:
            for value, rows in part.values:
                found[value] = found.get(value, 0) + rows
        return found

    @cached_property
    def missing_rates(self) -> list[float]:
        """The share of rows without a value, of each day."""
        return [day.columns[self.name].missing / day.rows for _, day in self.days]

    def expected_missing(self, today: DayProfile) -> float:
        """Return the share that would lack a value if truth values told as usually why.

        A cancelled order has no delivery: on a day with many of them, many are missing. 0 if
        there are no truth values beside the column, or they tell nothing.
        """
        if not today.flags:
            return 0.0
        rows, gone = [0] * len(today.patterns), [0] * len(today.patterns)
        for _, day in self.days:
            if day.flags != today.flags:
                return 0.0
            by = day.columns[self.name].missing_by
            for at, n in enumerate(day.patterns):
                rows[at] += n
                gone[at] += by[at] if by else 0
        # Where one is missing with a combination in nine of ten rows, that is why.
        told = (
            n * gone[at] / rows[at]
            for at, n in enumerate(today.patterns)
            if rows[at] and gone[at] >= 0.9 * rows[at]
        )
        return sum(told) / today.rows

    @cached_property
    def shares_by_hour(self) -> np.ndarray:
        """Of times: each day's share of rows in each hour, shape (days, hours)."""
        import numpy as np

        return np.array([hour_shares(part) for part, _ in self.filled])

    @cached_property
    def quantiles(self) -> np.ndarray:
        """Each day's quantiles, shape (days, quantiles)."""
        import numpy as np

        return np.array([part.quantiles for part, _ in self.filled if part.quantiles])


def hour_shares(part: ColumnProfile) -> np.ndarray:
    """Return the share of rows in each hour from ``FIRST_HOUR`` to ``LAST_HOUR``."""
    import numpy as np

    found = np.zeros(LAST_HOUR - FIRST_HOUR + 1)
    for hour, rows in part.hours.items():
        found[hour - FIRST_HOUR] = rows
    return found / max(found.sum(), 1)
