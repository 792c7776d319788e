"""The flights' features: against a plain loop over the facts, without the future, by the day."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.features import feature_views, retrieval
from mlops_assets.core.storage import store
from mlops_assets.core.storage.days import days
from mlops_assets.use_cases.nyc_flights import USE_CASE
from mlops_assets_tests.use_cases import flights

# The blizzard of 8 and 9 February: cancellations, diversions, day-long delays.
START, END = date(2013, 2, 8), date(2013, 2, 11)
VIEWS = [v for v in USE_CASE.feature_views if v.partitioned]
TRAFFIC = {
    "carrier_delays": (["carrier", "origin"], "carrier"),
    "destination_delays": (["destination"], "destination"),
    "origin_congestion": (["origin"], "origin"),
}
MINUTE = timedelta(minutes=1)


def compute_all(con, start: date = START, end: date = END) -> None:
    for view in USE_CASE.feature_views:
        bounds = (start, end) if view.partitioned else (None, None)
        report = feature_views.compute(con, USE_CASE, view, *bounds, "run")
        assert report.problems == []


@pytest.fixture(scope="module")
def con():
    with flights.connect() as connection:
        flights.fill(connection, "2013-02-01", "2013-02-13")
        compute_all(connection)
        yield connection


@pytest.fixture(scope="module")
def legs(con) -> pd.DataFrame:
    """Every flight with what became of it, and when that was known."""
    return con.execute(
        "SELECT s.*, d.departure_delay, d.known_at AS departed_at, o.arrival_delay, "
        "o.known_at AS ended_at FROM raw.flight_schedule s "
        "LEFT JOIN raw.flight_departures d USING (flight_id) "
        "JOIN raw.flight_outcomes o USING (flight_id) ORDER BY scheduled_departure, flight_id"
    ).df()


def same(left: float | None, right: float | None) -> bool:
    """Equal but for rounding, or both missing."""
    numbers = pd.to_numeric(pd.Series([left, right])).to_numpy(dtype=float, na_value=np.nan)
    return bool(np.isclose(numbers[0], numbers[1], rtol=1e-9, equal_nan=True))


@pytest.mark.parametrize("name", TRAFFIC)
def test_recent_traffic_is_what_a_loop_over_the_known_flights_gives(con, legs, name):
    keys, prefix = TRAFFIC[name]
    sample = con.execute(
        f"FROM features.{name} WHERE event_time >= '2013-02-08 12:00' "
        f"ORDER BY hash(event_time::VARCHAR || {keys[0]}) LIMIT 60"
    ).df()
    assert len(sample) == 60
    assert sample[f"{prefix}_overdue"].sum() > 0
    for found in sample.to_dict("records"):
        now = found["event_time"]
        own = legs[(legs[keys] == [found[key] for key in keys]).all(axis=1)]
        own = own[own["scheduled_departure"] >= now - timedelta(hours=60)]
        counted = own[["departed_at", "scheduled_departure"]].max(axis=1)
        left = own[own["departed_at"].notna() & (counted <= now)]
        left = left[counted[left.index] > now - timedelta(hours=3)]
        ended = own[own["arrival_delay"].notna() & (own["ended_at"] <= now)]
        late = (now - own["scheduled_departure"]) / MINUTE
        waiting = own[(late >= 15) & (late < 180) & ~(own["departed_at"] <= now)]
        minutes = ended["arrival_delay"].clip(-60, 180)
        recent = minutes[ended["ended_at"] > now - timedelta(hours=3)]
        day = minutes[ended["ended_at"] > now - timedelta(hours=24)]
        expected = {
            "overdue": len(waiting),
            "departure_delay_3h": left["departure_delay"].clip(-60, 180).mean(),
            "arrival_delay_3h": recent.mean(),
            "arrival_delay_24h": day.mean(),
        }
        for feature, value in expected.items():
            assert same(found[f"{prefix}_{feature}"], value), (found, feature, value)


def test_the_busy_hour_is_the_one_in_which_the_flight_leaves(con, legs):
    for found in con.execute("FROM features.origin_congestion").df().to_dict("records"):
        ahead = (legs["scheduled_departure"] - found["event_time"]) / timedelta(hours=1)
        expected = ((legs["origin"] == found["origin"]) & (ahead >= 2) & (ahead < 3)).sum()
        assert found["origin_scheduled_departures"] == expected


def test_the_previous_leg_is_told_as_known_two_hours_before(con, legs):
    found = con.execute("FROM features.rotation ORDER BY hash(flight_id) LIMIT 200").df()
    stages = set()
    for row in found.to_dict("records"):
        own = legs[legs["flight_id"] == row["flight_id"]].iloc[0]
        now = max(
            own["scheduled_departure"] - timedelta(hours=2),
            pd.Timestamp(row["partition_date"]) + timedelta(hours=5),
        )
        assert row["event_time"] == now
        before = legs[
            (legs["tail_number"] == own["tail_number"])
            & (legs["scheduled_departure"] < own["scheduled_departure"])
        ].iloc[-1]
        if before["ended_at"] <= now and pd.notna(before["arrival_delay"]):
            stage, delay = 3, before["arrival_delay"]
        elif before["departed_at"] <= now:
            stage, delay = 2, before["departure_delay"]
        elif before["scheduled_departure"] <= now:
            stage, delay = 1, (now - before["scheduled_departure"]) / MINUTE
        else:
            stage, delay = 0, None
        stages.add(stage)
        ground = own["scheduled_departure"] - before["scheduled_arrival"]
        flown = before["scheduled_arrival"] - before["scheduled_departure"]
        assert row["rotation_stage"] == stage
        assert same(row["rotation_delay"], None if delay is None else min(180, max(-60, delay)))
        assert row["rotation_slack"] == (ground - flown) / MINUTE
    assert stages >= {1, 2, 3}


@pytest.mark.parametrize(
    "first", [START, date(2013, 3, 9), date(2013, 11, 2)], ids=["plain", "spring", "autumn"]
)
def test_a_day_alone_gives_what_it_gives_within_a_range(first):
    end = first + timedelta(days=3)
    with flights.connect() as con:
        flights.fill(con, str(first - timedelta(days=5)), str(end))
        for view in VIEWS:
            whole = feature_views.compute(con, USE_CASE, view, first, end, "range").partitions
            assert min(p.rows for p in whole.values()) > 0
            for day in days(first, end):
                alone = feature_views.compute(
                    con, USE_CASE, view, day, day + timedelta(days=1), "day"
                ).partitions
                assert alone[day].digest == whole[day].digest, (view.name, day)


def test_a_day_does_not_need_the_days_after_it(con):
    with flights.connect() as other:
        flights.fill(other, "2013-02-01", "2013-02-09")
        for view in VIEWS:
            alone = feature_views.compute(
                other, USE_CASE, view, START, START + timedelta(days=1), "day"
            ).partitions
            known = store.partitions(con, f"features.{view.name}")
            assert alone[START].digest == known[START].digest, view.name


@pytest.mark.parametrize(
    "now",
    [datetime(2013, 2, 8, 18, 10), datetime(2013, 2, 9, 23, 0), datetime(2013, 2, 10, 15, 30)],
)
def test_no_feature_changes_when_its_future_does(con, now):
    model = USE_CASE.model("late_arrival")
    rows = retrieval.feature_rows(con, USE_CASE, model, START, END).df()
    past = rows["as_of"] <= now
    assert past.sum() > 300
    with flights.connect() as other:
        flights.fill(other, "2013-02-01", "2013-02-13")
        for name, change in {
            "flight_departures": "departure_delay = 179 - departure_delay",
            "flight_outcomes": "arrival_delay = 179 - coalesce(arrival_delay, 0)",
            "weather": "temperature = -temperature, wind_speed = 99, visibility = 0, "
            "precipitation = 9, pressure = 901",
        }.items():
            other.execute(f"UPDATE raw.{name} SET {change} WHERE known_at > ?", [now])
            # What has not happened may also never happen.
            other.execute(
                f"DELETE FROM raw.{name} WHERE known_at > ? AND hash(known_at) % 5 = 0", [now]
            )
        # A row of the timetable that is not published yet.
        other.execute("DELETE FROM raw.flight_schedule WHERE known_at > ?", [now])
        compute_all(other)
        changed = retrieval.feature_rows(other, USE_CASE, model, START, END).df()
    pd.testing.assert_frame_equal(changed[changed["as_of"] <= now], rows[past])
    # The changes were such that later rows show them.
    assert not changed[changed["as_of"] > now].equals(rows[~past])


def test_every_scheduled_flight_is_predicted_once(con):
    model = USE_CASE.model("late_arrival")
    rows = retrieval.feature_rows(con, USE_CASE, model, START, END, label=True).df()
    scheduled = con.execute(
        "SELECT count(*), count(arrival_delay), count(*) FILTER (arrival_delay > 15) "
        "FROM raw.flight_schedule JOIN raw.flight_outcomes USING (flight_id) "
        "WHERE raw.flight_schedule.partition_date BETWEEN '2013-02-08' AND '2013-02-10'"
    ).fetchall()[0]
    assert (len(rows), rows["label"].notna().sum(), rows["label"].sum()) == scheduled
    assert rows["row_key"].is_unique


def test_weather_does_not_outlive_its_time():
    # Nothing was observed from 18:00 on 30 December: the last day has no weather at all.
    with flights.connect() as con:
        flights.fill(con, "2013-12-26", "2014-01-01")
        last = date(2013, 12, 31)
        compute_all(con, last - timedelta(days=1), last + timedelta(days=1))
        rows = retrieval.feature_rows(
            con, USE_CASE, USE_CASE.model("late_arrival"), last, last + timedelta(days=1)
        ).df()
    assert len(rows) == 776
    missing = np.isnan(rows[["temperature", "carrier_arrival_delay_24h"]].to_numpy()).mean(axis=0)
    assert missing[0] == 1
    assert missing[1] < 0.01
