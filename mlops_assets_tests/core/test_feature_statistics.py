"""Statistics of feature views: right, complete, and the same whenever they are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.features import statistics_records
from mlops_assets.core.features.feature_statistics import FeatureStatistics
from mlops_assets.core.features.feature_views import compute
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.storage.days import day_start, days
from mlops_assets.vocabulary import FeatureView
from mlops_assets_tests.core import kiosk
from mlops_assets_tests.core.kiosk import HOUR, START, ZONE, schema, view

END = START + timedelta(days=12)
STORED = "monitoring.feature_statistics"
#: A view with a feature of each kind.
MIXED = view(
    name="mixed",
    sql="SELECT city, measured_at, published_at, degrees, degrees::BIGINT AS whole, "
    "degrees > 10 AS warm, CASE WHEN degrees % 4 < 3 THEN city || (degrees % 3)::INT END AS word, "
    "published_at::DATE AS on_day FROM weather",
    schema=schema(degrees=float, whole="Int64", warm="boolean", word=str, on_day="date"),
)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with kiosk.connect() as connection:
        kiosk.fill(connection)
        yield connection


def record(
    con: duckdb.DuckDBPyConnection,
    of: FeatureView,
    start: date = START,
    end: date = END,
    seconds: float = 12.0,
) -> list[FeatureStatistics]:
    """Compute a view's days and their statistics."""
    bounds = (start, end) if of.partitioned else (None, None)
    assert compute(con, kiosk.use_case(), of, *bounds, run_id="run").problems == []
    wanted = days(start, end) if of.partitioned else []
    return statistics_records.record(con, kiosk.use_case(), of, wanted, seconds)


def stored(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return con.execute(f"FROM {STORED} ORDER BY view, partition_date, feature").fetchall()


def oracle(values: pd.Series, kind: str) -> dict[str, Any]:
    """The statistics, from all values of a day in memory."""
    there = values.dropna()
    numbers = there.astype(float) if kind == "number" else pd.Series([], dtype=float)
    expected: dict[str, Any] = {
        "rows": len(values),
        "null_rate": values.isna().mean() if len(values) else None,
        "distinct_values": there.nunique() if len(values) else None,
        "top_share": there.value_counts(normalize=True).max()
        if kind == "category" and len(there)
        else None,
    }
    quantiles = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
    for name, q in {"minimum": 0, **quantiles, "maximum": 1}.items():
        found = np.quantile(numbers, q, method="inverted_cdf") if len(numbers) else None
        expected[name] = found
    expected["mean"] = numbers.mean() if len(numbers) else None
    expected["deviation"] = numbers.std() if len(numbers) > 1 else None
    return expected


def check(rows: list[FeatureStatistics], frame: pd.DataFrame, kinds: dict[str, str]) -> None:
    for row in rows:
        values = frame.loc[frame["day"] == row.partition_date, row.feature]
        found, expected = asdict(row), oracle(values, kinds[row.feature])
        assert row.kind == kinds[row.feature]
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-9), (row.feature, name)


def test_statistics_are_those_of_the_days_values(con):
    con.execute("UPDATE raw.weather SET degrees = NULL WHERE epoch(measured_at) % 10800 = 0")
    con.execute("DELETE FROM raw.weather WHERE partition_date = ?", [START + timedelta(days=4)])
    rows = record(con, MIXED)
    frame = con.execute("FROM features.mixed").df()
    frame["day"] = frame["partition_date"].dt.date
    kinds = {"degrees": "number", "whole": "number", "warm": "number", "word": "category",
             "on_day": "other"}  # fmt: skip
    assert [(r.partition_date, r.feature) for r in rows] == [
        (day, feature) for day in days(START, END) for feature in kinds
    ]
    check(rows, frame, kinds)
    assert {round(r.null_rate or 0, 9) for r in rows if r.feature == "degrees"} == {
        0,
        round(1 / 3, 9),
    }
    assert {(r.view, r.view_version, r.compute_seconds) for r in rows} == {
        ("mixed", view_version(MIXED), 1.0)
    }
    assert [FeatureStatistics(*row) for row in con.execute(f"FROM {STORED}").fetchall()] == rows


def test_a_day_without_rows_says_so_and_goes_on_ageing(con):
    empty = START + timedelta(days=4)
    con.execute("DELETE FROM raw.weather WHERE partition_date = ?", [empty])
    rows = {r.partition_date: r for r in record(con, view())}
    assert (rows[empty].rows, rows[empty].null_rate, rows[empty].mean) == (0, None, None)
    before = rows[empty - timedelta(days=1)]
    assert before.age_seconds == 2 * 3600
    assert rows[empty].newest_event == before.newest_event
    assert rows[empty].age_seconds == 26 * 3600
    # Alone, without the day before in the same run, it is the same.
    assert record(con, view(), empty, empty + timedelta(days=1))[-1] == rows[empty]


def test_age_is_counted_in_hours_that_passed_not_in_hours_of_the_clock(con):
    spring = date(2024, 3, 10)  # 23 hours in New York: its last row is of 22 hours after midnight
    rows = {r.partition_date: r for r in record(con, view())}
    newest = day_start(spring, ZONE) + 22 * HOUR
    assert rows[spring].newest_event == newest
    assert rows[spring].age_seconds == 3600


def test_before_any_value_there_is_no_age(con):
    con.execute("DELETE FROM raw.weather")
    (row, *_) = record(con, view())
    assert (row.rows, row.newest_event, row.age_seconds) == (0, None, None)


def test_a_day_run_again_keeps_its_rows_and_a_range_gives_what_its_days_give(con):
    record(con, MIXED)
    before = stored(con)
    record(con, MIXED, seconds=77.0)
    record(con, MIXED, START + timedelta(days=3), START + timedelta(days=4), seconds=5.0)
    assert stored(con) == before
    con.execute(f"DELETE FROM {STORED}")
    for day in days(START, END):
        record(con, MIXED, day, day + timedelta(days=1), seconds=1.0)
    assert stored(con) == before


def test_of_a_revised_value_only_the_latest_counts(con):
    record(con, view())
    con.execute("UPDATE raw.weather SET degrees = degrees + 100 WHERE city = 'york'")
    corrected = START + timedelta(days=5)
    rows = record(con, view(), corrected, corrected + timedelta(days=1))
    [(kept, revised)] = con.execute(
        "SELECT count(*), count(*) FILTER (revision > 0) FROM features.temperature "
        "WHERE partition_date = ?",
        [corrected],
    ).fetchall()
    assert (kept, revised) == (36, 12)
    row = rows[-1]
    now = con.execute("SELECT degrees FROM raw.weather WHERE partition_date = ?", [corrected]).df()[
        "degrees"
    ]
    assert row.rows == len(now) == 24
    assert row.mean == pytest.approx(now.mean())
    assert row.maximum == now.max()
    other = [r for r in stored(con) if r[2] != corrected]
    assert len(other) == 11


def test_the_days_before_are_returned_but_not_those_of_another_definition(con):
    record(con, view(), START, START + timedelta(days=9))
    rows = record(con, view(), START + timedelta(days=9), START + timedelta(days=10))
    assert [r.partition_date for r in rows] == days(START, START + timedelta(days=10))
    anew = view(sql="SELECT * REPLACE (degrees * 9 / 5 AS degrees) FROM weather")
    rows = record(con, anew, START + timedelta(days=9), START + timedelta(days=11))
    assert [r.partition_date for r in rows] == days(
        START + timedelta(days=9), START + timedelta(days=11)
    )
    assert {r.view_version for r in rows} == {view_version(anew)}
    # One row for a view, day and feature, whatever the definition.
    assert len(stored(con)) == 11


def test_a_view_without_days_is_described_as_a_whole(con):
    (row,) = record(con, kiosk.size)
    assert (row.partition_date, row.rows, row.mean, row.age_seconds) == (None, 3, 5.0, None)
    assert row.compute_seconds == 12.0
    con.execute("UPDATE raw.kiosks SET metres = 10 WHERE kiosk = '0'")
    (row,) = record(con, kiosk.size)
    assert (row.rows, row.maximum) == (3, 10.0)
    assert len(stored(con)) == 1


def test_numbers_too_large_to_square_are_no_error(con):
    con.execute("UPDATE raw.weather SET degrees = CASE city WHEN 'york' THEN 1e200 ELSE 1 END")
    (row,) = record(con, view(), START, START + timedelta(days=1))
    assert row.maximum == 1e200
    assert row.deviation == 0.0


def test_the_last_bits_of_a_sum_do_not_make_a_day_another(con):
    rows = record(con, MIXED, START, START + timedelta(days=1))
    same = [replace(r, mean=r.mean and r.mean * (1 + 1e-15), compute_seconds=9.0) for r in rows]
    assert statistics_records._same(same, rows)
    other = [replace(rows[0], mean=(rows[0].mean or 0) * (1 + 1e-6)), *rows[1:]]
    assert not statistics_records._same(other, rows)
    assert not statistics_records._same(rows[1:], rows)
    assert not statistics_records._same([replace(rows[0], mean=None), *rows[1:]], rows)
    late = replace(rows[0], newest_event=datetime(2024, 1, 1))
    assert not statistics_records._same([late, *rows[1:]], rows)
