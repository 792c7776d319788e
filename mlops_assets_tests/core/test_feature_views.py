"""Computing feature views: which rows, which days, which problems, which version."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pandas as pd
import pytest

from mlops_assets.core.features.feature_views import ViewError, compute, feature_names
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.storage import store
from mlops_assets.core.storage.days import days
from mlops_assets.vocabulary import DeclarationError, Entity, OnDemandFeatures
from mlops_assets_tests.core import kiosk
from mlops_assets_tests.core.kiosk import HOUR, START, moment, schema, view

END = START + timedelta(days=12)


@pytest.fixture
def con():
    with kiosk.connect() as connection:
        kiosk.fill(connection)
        yield connection


def rows(con, name: str) -> list[tuple]:
    return con.execute(f"FROM features.{name} ORDER BY ALL").fetchall()


def test_a_range_gives_the_same_as_its_days_one_by_one(con):
    case = kiosk.use_case()
    assert compute(con, case, kiosk.recent, START, END, "range").problems == []
    whole, ledger = rows(con, "recent"), store.partitions(con, "features.recent")
    con.execute("DROP TABLE features.recent; DELETE FROM ops.partitions")
    for day in days(START, END):
        compute(con, case, kiosk.recent, day, day + timedelta(days=1), "day")
    assert len(whole) > 50
    assert rows(con, "recent") == whole
    assert store.partitions(con, "features.recent") == ledger


def test_computing_again_changes_nothing(con):
    case = kiosk.use_case()
    first = compute(con, case, view(), START, END, "one")
    again = compute(con, case, view(), START + timedelta(days=2), END, "two")
    assert [p.digest for p in again.partitions.values()] == [
        p.digest for p in list(first.partitions.values())[2:]
    ]
    assert not any(p.changed for p in again.partitions.values())


def test_a_local_day_with_a_clock_change_keeps_its_rows(con):
    spring = date(2024, 3, 10)  # 23 hours in New York
    report = compute(con, kiosk.use_case(), view(), spring, spring + timedelta(days=1), "run")
    assert report.partitions[spring].rows == 24
    found = con.execute("SELECT DISTINCT partition_date FROM features.temperature").fetchall()
    assert found == [(spring,)]


def test_rows_of_other_days_are_dropped_and_empty_days_are_written(con):
    beyond = view(sql="SELECT * REPLACE (measured_at + INTERVAL 1 DAY AS measured_at) FROM weather")
    report = compute(con, kiosk.use_case(), beyond, START, START + timedelta(days=2), "run")
    assert [p.rows for p in report.partitions.values()] == [0, 24]
    assert store.partitions(con, "features.temperature")[START].rows == 0


def test_sources_are_read_within_the_lookback_only(con):
    for lookback, days_seen in ((timedelta(0), 2), (timedelta(hours=1), 3), (timedelta(days=3), 5)):
        counting = view(
            sql="SELECT city, measured_at, published_at, "
            "(SELECT count(DISTINCT partition_date) FROM weather)::DOUBLE AS degrees FROM weather",
            lookback=lookback,
        )
        day = START + timedelta(days=6)
        compute(con, kiosk.use_case(), counting, day, day + timedelta(days=1), "run")
        assert con.execute("SELECT DISTINCT degrees FROM features.temperature").fetchall() == [
            (float(days_seen),)
        ]


def test_known_at_is_the_event_time_where_none_is_declared(con):
    compute(con, kiosk.use_case(), view(known_at=None), START, END, "run")
    assert con.execute(
        "SELECT count(*) FROM features.temperature WHERE known_at <> event_time"
    ).fetchall() == [(0,)]


def test_a_view_without_days_is_written_as_a_whole(con):
    report = compute(con, kiosk.use_case(), kiosk.size, None, None, "run")
    assert report.partitions[None].rows == 3
    assert set(con.table("features.size").columns) == {
        "city", "kiosk", "metres", "known_at", "revision",
    }  # fmt: skip
    with pytest.raises(ValueError, match="has no days"):
        compute(con, kiosk.use_case(), kiosk.size, START, END, "run")


def by_function(frames, start, end) -> pd.DataFrame:
    weather = frames["weather"]
    assert weather.measured_at.max() < end
    return weather.assign(degrees=weather.degrees.where(weather.degrees > 3))


def test_a_function_gives_what_the_same_sql_gives(con):
    case = kiosk.use_case()
    python = view(sql=None, function=by_function)
    query = view(
        sql="SELECT * REPLACE (CASE WHEN degrees > 3 THEN degrees END AS degrees) FROM weather"
    )
    compute(con, case, python, START, END, "run")
    first = rows(con, "temperature")
    compute(con, case, query, START, END, "run")
    assert rows(con, "temperature") == first
    assert con.execute("SELECT count(degrees) < count(*) FROM features.temperature").fetchall() == [
        (True,)
    ]


def test_a_nan_is_a_missing_value(con):
    compute(
        con, kiosk.use_case(),
        view(sql="SELECT * REPLACE (CASE WHEN degrees > 3 THEN degrees ELSE 'nan' END AS degrees) "
        "FROM weather"), START, END, "run",
    )  # fmt: skip
    assert con.execute(
        "SELECT count(*) FILTER (isnan(degrees)), count(*) FILTER (degrees IS NULL) > 0 "
        "FROM features.temperature"
    ).fetchall() == [(0, True)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT * FROM weather UNION ALL SELECT * FROM weather",
            r"rows share 24 values of \(city",
        ),
        ("SELECT * REPLACE (NULL AS degrees) FROM weather", r"degrees: is missing \(24 rows\)"),
        (
            "SELECT * REPLACE (if(degrees = 2, -1, degrees) AS degrees) FROM weather",
            r"degrees: is not greater than 0 \(2 rows\)",
        ),
        ("SELECT * REPLACE ('inf'::DOUBLE AS degrees) FROM weather", "degrees: is infinite"),
        ("SELECT * REPLACE ('warm' AS degrees) FROM weather", "should be DOUBLE"),
        (
            "SELECT * REPLACE (CASE WHEN city = 'hull' THEN measured_at END AS measured_at) "
            "FROM weather",
            "measured_at is missing in 12 rows",
        ),
    ],
)
def test_what_breaks_the_contract_is_not_written(con, query, message):
    case, strict = kiosk.use_case(), schema(degrees=kiosk.positive)
    good = view(sql="SELECT * REPLACE (degrees + 1 AS degrees) FROM weather", schema=strict)
    day, after = START, START + timedelta(days=1)
    compute(con, case, good, day, after, "run")
    before = rows(con, "temperature")
    report = compute(con, case, view(sql=query, schema=strict), day, after, "run")
    assert report.partitions == {}
    assert any(pd.Series(report.problems).str.contains(message)), report.problems
    assert rows(con, "temperature") == before


def test_rows_whose_key_is_null_are_left_out_and_counted(con):
    some = view(sql="SELECT * REPLACE (nullif(city, 'hull') AS city) FROM weather")
    report = compute(con, kiosk.use_case(), some, START, START + timedelta(days=1), "run")
    assert (report.null_keys, report.partitions[START].rows) == (12, 12)


def test_a_whole_number_is_not_rounded_to_fit_the_contract(con):
    halves = view(schema=schema(degrees="int64"))
    report = compute(con, kiosk.use_case(), halves, START, START + timedelta(days=1), "run")
    assert report.problems == ["degrees: not a whole number (12 rows)."]


def test_a_source_that_never_landed_is_named(con):
    con.execute("DROP TABLE raw.weather")
    report = compute(con, kiosk.use_case(), view(), START, END, "run")
    assert report.problems == [
        "No data of weather has been ingested: materialise kiosks/raw/weather first."
    ]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"sql": "SELECT city FROM weather"},
            ViewError,
            "lacks measured_at, published_at, degrees",
        ),
        ({"sql": "SELECT * FROM wether"}, ViewError, "The query of view 'temperature' failed"),
        ({"schema": schema(city=str)}, DeclarationError, "city cannot be a feature"),
    ],
)
def test_a_view_that_does_not_do_what_it_declares_is_an_error(con, changes, error, message):
    with pytest.raises(error, match=message):
        compute(con, kiosk.use_case(), view(**changes), START, END, "run")


def test_bounds_of_the_days_can_be_used_in_a_query(con):
    bounded = view(
        sql="SELECT * REPLACE (epoch_us($end - $start)::DOUBLE / 3600e6 AS degrees) FROM weather"
    )
    spring = date(2024, 3, 10)
    compute(con, kiosk.use_case(), bounded, spring, spring + timedelta(days=1), "run")
    found = con.execute("SELECT DISTINCT degrees FROM features.temperature").fetchall()
    assert found == [((moment(date(2024, 3, 11), 0) - moment(spring, 0)) / HOUR,)] == [(23.0,)]


def another_function(frames, start, end):
    return frames["weather"]


@pytest.mark.parametrize(
    "changes",
    [
        {"sql": "SELECT city, measured_at, published_at, degrees + 0 AS degrees FROM weather"},
        {"sql": None, "function": by_function},
        {"schema": schema(degrees=kiosk.positive)},
        {"schema": schema(degrees="float32")},
        {"entity": Entity(name="city", keys=["city", "measured_at"])},
        {"ttl": HOUR},
        {"ttl": None},
        {"sources": ["weather", "orders"]},
        {"event_time": "published_at"},
        {"known_at": None},
        {"lookback": HOUR},
    ],
)
def test_a_change_of_values_without_a_change_of_version(changes):
    assert view_version(view(**changes)) != view_version(view())


def test_versions_of_functions_follow_their_source():
    one, two = (view(sql=None, function=f) for f in (by_function, another_function))
    assert view_version(one) != view_version(two)
    assert view_version(one) == view_version(dataclasses.replace(one, description="Words."))


def test_words_do_not_change_the_version():
    described = view(
        description="Temperature.", owner="team:weather", tags={"a": "b"},
        entity=Entity(name="town", keys=["city"], description="A town."),
        sql="\n    SELECT city, measured_at, published_at, degrees FROM weather\n",
    )  # fmt: skip
    assert view_version(described) == view_version(view())
    assert len(view_version(view())) == 12


def test_on_demand_versions_follow_their_expressions():
    one = OnDemandFeatures(name="o", features={"a": "x"})
    assert view_version(one) == view_version(dataclasses.replace(one, description="Words."))
    assert view_version(one) != view_version(dataclasses.replace(one, features={"a": "y"}))
    assert feature_names(one) == ("a",)
    assert feature_names(view()) == ("degrees",)
