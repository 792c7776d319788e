"""The archive: the numbers in its README, and that nothing in it comes from the future."""

from __future__ import annotations

import pandas as pd
import pytest

from mlops_assets.core.storage import contracts
from mlops_assets.use_cases.nyc_flights import USE_CASE
from mlops_assets_tests.use_cases import flights


@pytest.fixture(scope="module")
def con():
    with flights.connect() as connection:
        yield connection


def row(con, query: str) -> tuple:
    return con.execute(query).fetchall()[0]


def test_no_flight_is_lost(con):
    assert row(con, "SELECT count(*), count(DISTINCT flight_id) FROM flight_schedule") == (
        336_776,
        336_776,
    )
    assert row(
        con,
        "SELECT count(*), count(DISTINCT flight_id), count(arrival_delay), count(actual_arrival), "
        "count(*) FILTER (cancelled), count(*) FILTER (diverted) FROM flight_outcomes",
    ) == (336_776, 336_776, 327_346, 327_346, 8_255, 1_175)
    assert row(con, "SELECT count(*), count(DISTINCT flight_id) FROM flight_departures") == (
        328_521,
        328_521,
    )
    assert row(
        con,
        "SELECT count(*) FROM flight_schedule JOIN flight_outcomes "
        "USING (flight_id, scheduled_departure)",
    ) == (336_776,)


def test_every_flight_is_on_its_local_day(con):
    assert row(
        con,
        "SELECT count(DISTINCT local_time(scheduled_departure)::DATE), "
        "min(local_time(scheduled_departure)::DATE)::VARCHAR, "
        "max(local_time(scheduled_departure)::DATE)::VARCHAR, count(*) FILTER "
        "(left(flight_id, 10) <> strftime(local_time(scheduled_departure), '%Y-%m-%d')) "
        "FROM flight_schedule",
    ) == (365, "2013-01-01", "2013-12-31", 0)


def test_a_flight_number_alone_does_not_identify_a_flight(con):
    shared = (
        "SELECT count(*) FROM (SELECT carrier, flight_number, "
        "local_time(scheduled_departure)::DATE AS day FROM flight_schedule "
        "GROUP BY ALL HAVING count(*) > 1)"
    )
    assert row(con, shared) == (24,)


def test_days_on_which_the_clock_changes_are_whole(con):
    counts = dict(
        con.execute(
            "SELECT local_time(scheduled_departure)::DATE::VARCHAR AS day, count(*) "
            "FROM flight_schedule WHERE day IN ('2013-03-10', '2013-11-03') GROUP BY day"
        ).fetchall()
    )
    assert counts == {"2013-03-10": 908, "2013-11-03": 902}
    # The hour from 01:00 comes twice on 3 November, and both are there.
    assert con.execute(
        "SELECT origin, count(*) FROM weather "
        "WHERE date_trunc('hour', local_time(observed_at)) = '2013-11-03 01:00' "
        "GROUP BY origin ORDER BY origin"
    ).fetchall() == [("EWR", 2), ("JFK", 2), ("LGA", 2)]


def test_an_arrival_in_the_hour_that_was_left_out_has_the_time_it_was(con):
    # Recorded as 02:03 local time, which 10 March did not have.
    assert row(
        con,
        "SELECT local_time(actual_arrival)::VARCHAR FROM flight_outcomes "
        "WHERE flight_id = '2013-03-09-B6-35-JFK'",
    ) == ("2013-03-10 03:03:00",)


def test_delays_past_midnight_do_not_lose_a_day(con):
    assert row(
        con,
        "SELECT count(*) FROM flight_departures WHERE "
        "local_time(scheduled_departure)::DATE <> local_time(actual_departure)::DATE",
    ) == (1_236,)
    assert row(
        con,
        "SELECT count(*) FROM flight_outcomes WHERE "
        "local_time(scheduled_departure)::DATE <> local_time(actual_arrival)::DATE",
    ) == (26_873,)
    # "Hour 24" is midnight.
    assert row(
        con,
        "SELECT count(*) FROM flight_departures WHERE local_time(actual_departure)::TIME = '00:00'",
    ) == (29,)


def test_times_and_delays_agree(con):
    assert row(
        con,
        "SELECT count(*) FROM flight_outcomes JOIN flight_schedule USING (flight_id) "
        "WHERE actual_arrival <> scheduled_arrival + to_minutes(arrival_delay::BIGINT)",
    ) == (0,)
    assert row(
        con,
        "SELECT count(*) FROM flight_departures "
        "WHERE actual_departure <> scheduled_departure + to_minutes(departure_delay)",
    ) == (0,)
    assert row(
        con,
        "SELECT min(minutes), max(minutes) FROM (SELECT date_diff('minute', "
        "scheduled_departure, scheduled_arrival) AS minutes FROM flight_schedule)",
    ) == (50, 700)


def test_airports_without_a_time_zone_in_the_source_keep_atlantic_time(con):
    # With another offset the flight would be an hour longer or shorter than it takes.
    assert row(
        con,
        "SELECT count(*), median(date_diff('minute', scheduled_departure, scheduled_arrival)) "
        "FROM flight_schedule WHERE destination IN ('BQN', 'PSE', 'SJU', 'STT')",
    ) == (7_602, 235)


def test_the_schedule_tells_nothing_of_the_outcome(con):
    columns = [r[0] for r in con.execute("DESCRIBE flight_schedule").fetchall()]
    assert columns == [
        "flight_id",
        "scheduled_departure",
        "scheduled_arrival",
        "carrier",
        "flight_number",
        "tail_number",
        "origin",
        "destination",
        "distance_miles",
        "known_at",
    ]
    # Told in the README: a missing tail number gives a cancellation away, never a delay.
    assert row(
        con,
        "SELECT count(*), count(*) FILTER (cancelled), count(arrival_delay) "
        "FROM flight_schedule JOIN flight_outcomes USING (flight_id) WHERE tail_number IS NULL",
    ) == (2_512, 2_512, 0)


def test_nothing_is_known_before_it_happened(con):
    assert row(
        con,
        "SELECT count(*) FROM flight_schedule WHERE known_at <> timezone('UTC', timezone("
        "'America/New_York', (local_time(scheduled_departure)::DATE - 1)::TIMESTAMP))",
    ) == (0,)
    assert row(
        con, "SELECT count(*) FROM flight_departures WHERE known_at <> actual_departure"
    ) == (0,)
    assert row(
        con,
        "SELECT count(*) FILTER (o.known_at < d.actual_departure), "
        "count(*) FILTER (o.known_at < o.actual_arrival), "
        "count(*) FILTER (diverted AND d.actual_departure > s.scheduled_arrival), "
        "max(o.known_at - o.scheduled_departure)::VARCHAR "
        "FROM flight_outcomes o JOIN flight_schedule s USING (flight_id) "
        "LEFT JOIN flight_departures d USING (flight_id)",
    ) == (0, 0, 91, "1 day 08:42:00")
    assert row(
        con,
        "SELECT count(*) FROM flight_outcomes o JOIN flight_schedule s USING (flight_id) "
        "WHERE cancelled AND o.known_at <> s.scheduled_arrival",
    ) == (0,)
    assert row(
        con, "SELECT count(*) FROM weather WHERE known_at <> observed_at + INTERVAL 1 HOUR"
    ) == (0,)


def test_missing_weather_is_where_the_readme_says(con):
    hours = (
        "SELECT airport, hour FROM (SELECT unnest(['EWR', 'JFK', 'LGA']) AS airport), "
        "(SELECT unnest(generate_series(TIMESTAMP '2013-01-01 05:00', "
        "TIMESTAMP '2014-01-01 04:00', INTERVAL 1 HOUR)) AS hour)"
    )
    missing = (
        f"WITH hours AS ({hours}) SELECT local_time(hour)::DATE AS day, count(*) AS n FROM hours "
        "ANTI JOIN weather ON airport = origin AND hour = observed_at GROUP BY day"
    )
    assert row(con, f"SELECT sum(n), max(n) FROM ({missing})") == (165, 72)
    assert row(con, f"SELECT n FROM ({missing}) WHERE day = '2013-12-31'") == (72,)
    assert row(
        con,
        "SELECT count(*), count(DISTINCT (origin, observed_at)), count(*) - count(pressure), "
        "count(*) - count(wind_gust), count(*) FILTER (wind_speed > 150) FROM weather",
    ) == (26_115, 26_115, 2_729, 20_778, 1)


def test_the_register_lacks_what_the_readme_says(con):
    assert row(con, "SELECT count(*), count(DISTINCT tail_number) FROM aircraft") == (3_322, 3_322)
    assert row(
        con,
        "SELECT count(*), count(DISTINCT tail_number) FROM flight_schedule "
        "ANTI JOIN aircraft USING (tail_number) WHERE tail_number IS NOT NULL",
    ) == (50_094, 721)


@pytest.mark.parametrize("source", USE_CASE.sources, ids=lambda s: s.name)
def test_the_archive_keeps_its_contract(source):
    frame = pd.read_parquet(flights.ARCHIVE / f"{source.name}.parquet")
    checked = contracts.validate(source.schema(), frame, source.key)
    reasons = list(checked.rejects["reason"])
    if source.name == "weather":
        assert len(reasons) == 1
        assert "1048" in reasons[0]
    else:
        assert reasons == []
    assert len(checked.good) == len(frame) - len(reasons)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"arrival_delay": None}, "arrival_unless_cancelled_or_diverted"),
        ({"cancelled": True, "diverted": True, "arrival_delay": None}, "not_diverted"),
        ({"arrival_delay": float("inf")}, "arrival_delay"),
        ({"known_at": None}, "known_at"),
        ({"flight_id": "no flight"}, "flight_id"),
    ],
)
def test_an_outcome_that_contradicts_itself_is_set_aside(change, reason):
    source = USE_CASE.source("flight_outcomes")
    frame = pd.read_parquet(flights.ARCHIVE / "flight_outcomes.parquet").head(3)
    frame = frame.astype(object)
    for name, value in change.items():
        frame.loc[1, name] = value
    checked = contracts.validate(source.schema(), frame, source.key)
    assert list(checked.rejects["row_number"]) == [1]
    assert reason in checked.rejects["reason"].iloc[0]
