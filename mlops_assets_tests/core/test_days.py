"""Local days and the UTC moments at which they begin."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb
import pytest

from mlops_assets.core.storage.days import constant_offset, day_start, days, local_day
from mlops_assets.core.storage.sql import define_local_time

NEW_YORK = "America/New_York"


def test_days_are_not_shifted_by_the_time_zone():
    assert day_start(date(2013, 1, 1), NEW_YORK) == datetime(2013, 1, 1, 5)
    assert day_start(date(2013, 7, 1), NEW_YORK) == datetime(2013, 7, 1, 4)
    assert day_start(date(2013, 7, 1), "UTC") == datetime(2013, 7, 1)


@pytest.mark.parametrize(
    ("timezone", "day", "hours"),
    [
        (NEW_YORK, date(2013, 3, 10), 23),
        (NEW_YORK, date(2013, 11, 3), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # midnight is skipped
        ("America/Havana", date(2013, 11, 3), 25),  # midnight comes twice
        ("Pacific/Apia", date(2011, 12, 30), 0),  # the whole day is skipped
        ("Asia/Kolkata", date(2013, 6, 1), 24),
    ],
)
def test_days_with_a_clock_change_neither_overlap_nor_leave_a_gap(timezone, day, hours):
    start, end = day_start(day, timezone), day_start(day + timedelta(days=1), timezone)
    assert end - start == timedelta(hours=hours)


@pytest.mark.parametrize(
    "timezone", [NEW_YORK, "America/Sao_Paulo", "America/Havana", "Asia/Tokyo"]
)
def test_python_and_sql_agree_on_the_day_of_a_moment(timezone):
    with duckdb.connect() as con:
        define_local_time(con, timezone)
        for day in (date(2013, 3, 10), date(2013, 11, 3), date(2018, 11, 4), date(2013, 7, 1)):
            start = day_start(day, timezone)
            for moment, expected in (
                (start, day),
                (start - timedelta(microseconds=1), day - timedelta(days=1)),
            ):
                found = con.execute("SELECT CAST(local_time(?) AS DATE)", [moment]).fetchall()
                assert found[0][0] == expected == local_day(moment, timezone)


def test_the_last_day_is_not_included():
    assert days(date(2013, 2, 27), date(2013, 3, 2)) == [
        date(2013, 2, 27),
        date(2013, 2, 28),
        date(2013, 3, 1),
    ]
    assert days(date(2013, 1, 1), date(2013, 1, 1)) == []


@pytest.mark.parametrize(
    ("timezone", "first", "last", "hours"),
    [
        (NEW_YORK, date(2013, 3, 1), date(2013, 3, 9), -5),
        (NEW_YORK, date(2013, 3, 9), date(2013, 3, 10), None),
        (NEW_YORK, date(2013, 3, 10), date(2013, 3, 10), None),
        (NEW_YORK, date(2013, 3, 11), date(2013, 11, 2), -4),
        # The same at both ends is not the same throughout.
        (NEW_YORK, date(2013, 1, 1), date(2013, 12, 31), None),
        ("America/Havana", date(2013, 11, 3), date(2013, 11, 3), None),
        ("Asia/Kolkata", date(2013, 1, 1), date(2013, 12, 31), 5.5),
    ],
)
def test_an_offset_is_only_given_where_no_clock_changes(timezone, first, last, hours):
    found = constant_offset(days(first, last + timedelta(days=1)), timezone)
    assert found == (None if hours is None else timedelta(hours=hours))
