"""Profiles of days: exact where they say so, and kept without loss."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from mlops_assets.core import quality
from mlops_assets.core.quality import DayProfile, Table, Usual, combined
from mlops_assets_tests.core import quality_days as orders

DAY = date(2024, 3, 5)
PLAIN = Table(dataset="t", timezone="UTC", day_column=None)


def of(frame: pd.DataFrame, table: Table = PLAIN, day: date = DAY) -> DayProfile:
    with duckdb.connect() as con:
        return quality.measure(con, frame, table, [day])[day]


def test_a_range_of_days_in_one_pass_is_what_each_day_is_by_itself() -> None:
    table = Table(**{**vars(orders.TABLE), "day_column": "day"})
    dates = [orders.day(n) for n in range(5)]
    everything = pd.concat([orders.rows(n).assign(day=d) for n, d in enumerate(dates)])
    with duckdb.connect() as con:
        con.register("everything", everything.sample(frac=1, random_state=0))
        con.execute("CREATE TABLE kept AS FROM everything")
        found = quality.measure(con, "kept", table, dates)
    for n, day in enumerate(dates):
        assert found[day] == orders.profiles()[day], n


def test_counts_equal_those_that_pandas_has() -> None:
    frame = pd.DataFrame(
        {
            "x": [1.0, 2.0, 2.0, np.nan, np.inf, 7.0],
            "name": ["a", "a", None, "b", "c", "a"],
            "flag": [True, False, True, True, True, False],
        }
    )
    found = of(frame).columns
    x = found["x"]
    assert (x.missing, x.not_finite, x.distinct) == (1, 1, 3)
    assert (x.minimum, x.maximum, x.total, x.squares) == (1.0, 7.0, 12.0, 58.0)
    assert dict(x.values) == {2.0: 2, 1.0: 1, 7.0: 1}
    assert (found["name"].missing, found["name"].values[0]) == (1, ("a", 3))
    assert dict(found["flag"].values) == {"true": 4, "false": 2}


def test_repeated_keys_and_rows_under_other_keys_are_counted() -> None:
    frame = pd.DataFrame({"id": [1, 1, 2, 3], "a": [1, 1, 5, 5], "b": ["x", "x", "y", "y"]})
    found = of(frame, Table(dataset="t", timezone="UTC", day_column=None, key=("id",)))
    assert (found.key_repeats, found.content_repeats) == (1, 2)


def test_hours_are_those_of_the_local_clock_also_when_it_changes() -> None:
    # In New York 10 March 2013 has no hour 2; 15:00 UTC is 11:00 there, and 06:30 is 01:30.
    frame = pd.DataFrame({"at": pd.to_datetime(["2013-03-10 06:30", "2013-03-10 15:00"])})
    table = Table(dataset="t", timezone="America/New_York", day_column=None)
    on_the_day = of(frame, table, date(2013, 3, 10)).columns["at"]
    assert on_the_day.hours == {1: 1, 11: 1}
    assert of(frame, table, date(2013, 3, 9)).columns["at"].hours == {25: 1, 35: 1}
    assert of(frame, table, date(2013, 3, 11)).columns["at"].hours == {-23: 1, -13: 1}


def test_a_run_ends_where_the_next_station_begins() -> None:
    hours = pd.date_range("2024-03-05", periods=6, freq="h")
    frame = pd.DataFrame(
        {
            "station": ["a"] * 6 + ["b"] * 6,
            "at": [*hours, *hours],
            "x": [1, 2, 5, 5, 5, 5, 5, 5, 3, 4, 3, 4],
        }
    )
    table = Table(
        dataset="t", timezone="UTC", day_column=None, key=("station", "at"), event_time="at"
    )
    run = of(frame.sample(frac=1, random_state=0), table).columns["x"].runs[0]
    assert (run.value, run.length, run.group) == (5.0, 4, "a")
    assert (run.first_hour, run.last_hour) == (2.0, 5.0)


def test_a_profile_is_read_as_it_was_kept() -> None:
    for profile in list(orders.profiles().values())[:7]:
        assert DayProfile.from_json(profile.to_json()) == profile
    usual = Usual.before(orders.profiles(), orders.day(40), 28, {(orders.day(30), "price")})
    assert Usual.from_json(usual.to_json()) == usual


def test_days_are_summed_without_their_rows() -> None:
    days = [orders.day(n) for n in range(6)]
    together = combined([orders.profiles()[d] for d in days])
    frame = pd.concat([orders.rows(n) for n in range(6)])
    assert together.rows == len(frame)
    assert together.columns["weight_kg"].total == pytest.approx(frame["weight_kg"].sum())
    assert together.columns["delivered_after"].missing == frame["delivered_after"].isna().sum()
    assert dict(together.columns["shop"].values) == frame["shop"].value_counts().to_dict()
    high, rows = frame["returned"].sum(), len(frame)
    assert together.columns["returned"].rates[""][""] == (rows, high)


def test_what_has_no_rows_and_no_values_has_a_profile() -> None:
    empty = of(orders.rows(0).head(0), orders.TABLE)
    assert empty.rows == 0
    gone = of(pd.DataFrame({"x": [None, None], "y": [np.nan, np.nan], "z": [[1], [2]]}))
    assert [c.distinct for c in gone.columns.values()] == [0, 0, 0]
    with duckdb.connect() as con, pytest.raises(ValueError, match="of one day"):
        quality.measure(con, orders.rows(0), PLAIN, [DAY, DAY + timedelta(days=1)])
