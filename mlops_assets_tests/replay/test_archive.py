"""An archive lands day by day, as it would have come."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import duckdb
import pandas as pd
import pytest

from mlops_assets.replay.archive import ArchiveError, land
from mlops_assets_tests.automation import toy


@pytest.fixture
def case(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    orders = pd.DataFrame(
        {
            "order_id": [1, 2, 3, 4],
            # New York is five hours behind until 10 March, then four.
            "ordered_at": pd.to_datetime(
                ["2024-03-01 04:59", "2024-03-01 05:00", "2024-03-11 03:59", "2024-03-11 04:00"]
            ),
        }
    )
    orders.to_parquet(folder / "orders.parquet")
    orders.rename(columns={"ordered_at": "sent_at"}).to_parquet(folder / "parcels.parquet")
    pd.DataFrame({"shop": ["a"]}).to_parquet(folder / "shops.parquet")
    return replace(toy.use_case(), archive=folder)


def rows(folder) -> dict[str, list[int]]:
    return {
        path.parent.name: [
            order
            for (order,) in duckdb.sql(
                "SELECT order_id FROM read_parquet($p)", params={"p": str(path)}
            ).fetchall()
        ]
        for path in sorted(folder.glob("*/*.parquet"))
    }


def test_a_row_lands_on_the_local_day_of_its_event(case, tmp_path):
    land(case, tmp_path / "landing", date(2024, 3, 1), date(2024, 3, 12))
    assert rows(tmp_path / "landing" / "orders") == {
        "date=2024-03-01": [2],
        "date=2024-03-10": [3],
        "date=2024-03-11": [4],
    }


def test_days_that_have_not_come_do_not_land(case, tmp_path):
    land(case, tmp_path / "landing", date(2024, 3, 1), date(2024, 3, 11))
    assert "date=2024-03-11" not in rows(tmp_path / "landing" / "orders")


def test_columns_and_types_are_those_of_the_archive(case, tmp_path):
    land(case, tmp_path / "landing", date(2024, 3, 1), date(2024, 3, 12))
    path = tmp_path / "landing" / "orders" / "date=2024-03-01" / "orders.parquet"
    query = "DESCRIBE SELECT * FROM read_parquet($p, hive_partitioning = false)"
    landed = duckdb.sql(query, params={"p": str(path)}).fetchall()
    there = duckdb.sql(query, params={"p": str(case.archive / "orders.parquet")}).fetchall()
    assert landed == there


def test_landing_again_leaves_the_files_as_they_are(case, tmp_path):
    land(case, tmp_path / "landing", date(2024, 3, 1), date(2024, 3, 12))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "landing").rglob("*.parquet")}
    assert land(case, tmp_path / "landing", date(2024, 3, 1), date(2024, 3, 12)) == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "landing").rglob("*.parquet")} == before


def test_nothing_half_written_is_left_where_sensors_look(case, tmp_path):
    land(case, tmp_path / "landing", date(2024, 3, 1), date(2024, 3, 12))
    left = [p for p in (tmp_path / "landing" / ".replay").rglob("*") if p.is_file()]
    assert left == []
    assert (tmp_path / "landing" / "shops" / "shops.parquet").is_file()


def test_a_missing_archive_file_says_which(case, tmp_path):
    (case.archive / "shops.parquet").unlink()
    with pytest.raises(ArchiveError, match=r"shops\.parquet"):
        land(case, tmp_path / "landing", date(2024, 3, 1), date(2024, 3, 2))
    with pytest.raises(ArchiveError, match="archive folder"):
        land(replace(case, archive=None), tmp_path, date(2024, 3, 1), date(2024, 3, 2))


def test_a_quote_in_the_folder_name_is_no_syntax_error(case, tmp_path):
    assert land(case, tmp_path / "it's", date(2024, 3, 1), datetime(2024, 3, 12).date()) == 7
