"""Calendar days of a use case and the UTC moments at which they begin.

A day is a calendar day in the use case's time zone; stored times are naive UTC. All
conversions between the two in Python belong here (in SQL: the ``local_time`` macro of
``core.storage.sql``). There is no clock in this module: what "now" is, is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def day_start(day: date, timezone: str) -> datetime:
    """Return the first moment of a local day.

    Where clocks skip midnight, that is the moment of the change; where midnight comes
    twice, the first one. So the days ``[day_start(d), day_start(d + 1))`` follow each other
    without gap or overlap, in every time zone.

    Parameters
    ----------
    day
        Calendar day in ``timezone``.
    timezone
        IANA name.

    Returns
    -------
    datetime
        Naive, UTC.
    """
    # fold=0, the default, takes the offset from before a change, which is what both
    # cases above need.
    midnight = datetime.combine(day, time.min, tzinfo=ZoneInfo(timezone))
    return midnight.astimezone(UTC).replace(tzinfo=None)


def constant_offset(days: Iterable[date], timezone: str) -> timedelta | None:
    """Return how far local time is ahead of UTC; ``None`` if that changes within ``days``.

    Where it is the same, adding it is much cheaper than converting each moment.
    """
    found = {
        datetime.combine(midnight, time.min) - day_start(midnight, timezone)
        for day in days
        for midnight in (day, day + timedelta(days=1))
    }
    return found.pop() if len(found) == 1 else None


def local_day(moment: datetime, timezone: str) -> date:
    """Return the local day in which a naive UTC ``moment`` falls."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()


def days(start: date, end_exclusive: date) -> list[date]:
    """Return the days from ``start`` up to and without ``end_exclusive``, in order."""
    return [start + timedelta(days=n) for n in range((end_exclusive - start).days)]
