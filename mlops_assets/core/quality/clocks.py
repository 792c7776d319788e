"""Hours that a local clock shows, counted from the midnight of the day a row is filed under.

For many moments at once: a conversion of each by DuckDB takes a hundred times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mlops_assets.core.storage.days import day_start

if TYPE_CHECKING:
    import numpy as np

_EPOCH = datetime(1970, 1, 1)
#: Days before and after those measured on which a change of the clock matters.
_AROUND = 7


class LocalHours:
    """Turns moments into hours of the local clock since the midnight of each row's day.

    Parameters
    ----------
    of_day
        For each row the number of its day, counted from the first of ``days``.
    days
        In order. Changes of the clock are looked for from a week before to a week after them.
    """

    def __init__(self, of_day: np.ndarray, days: Sequence[date], timezone: str) -> None:
        import numpy as np

        last = (days[-1] - days[0]).days
        every = [days[0] + timedelta(days=n) for n in range(-_AROUND, last + 2 + _AROUND)]
        starts = [day_start(day, timezone) for day in every]
        utc = np.array([(start - _EPOCH).total_seconds() for start in starts])
        plain = [(day - _EPOCH.date()).total_seconds() for day in every]
        self._midnight = utc[_AROUND:][of_day]
        self._plain = np.array(plain)[_AROUND:][of_day]
        self._changes = [
            _change(start, end, timezone)
            for start, end in pairwise(starts)
            if end - start != timedelta(days=1)
        ]

    def __call__(self, seconds: np.ndarray, *, utc: bool) -> np.ndarray:
        """Return the hours of moments given in seconds since 1970 (UTC, or local as they are)."""
        if not utc:
            return (seconds - self._plain) / 3600
        hours = (seconds - self._midnight) / 3600
        for at, by in self._changes:
            hours[(self._midnight < at) & (seconds >= at)] += by
            hours[(self._midnight >= at) & (seconds < at)] -= by
        return hours


def _change(start: datetime, end: datetime, timezone: str) -> tuple[float, float]:
    """Return when the clock changes on a day (seconds since 1970), and by how many hours."""
    zone = ZoneInfo(timezone)

    def ahead(moment: datetime) -> timedelta:
        return moment.replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta()

    moment = start
    while moment < end and ahead(moment) == ahead(start):
        moment += timedelta(minutes=15)
    return (moment - _EPOCH).total_seconds(), (ahead(moment) - ahead(start)) / timedelta(hours=1)
