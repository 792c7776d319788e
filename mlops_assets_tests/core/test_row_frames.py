"""Frames as people have them mean what they say, or are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops_assets.core.storage.row_frames import (
    RowsError,
    as_table,
    key_expression,
    moment,
    moments,
)

AT = datetime(2024, 3, 1, 14, 30, 0, 123456)
EAST = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([AT, None], dtype="datetime64[us]"),
        pd.Series([AT, None], dtype="datetime64[ns]"),
        pd.Series([AT.replace(tzinfo=UTC), None]).dt.tz_convert("America/New_York"),
        pd.Series([AT, None], dtype=object),
        pd.Series([AT.replace(tzinfo=UTC).astimezone(EAST), None], dtype=object),
        pd.Series([pd.Timestamp(AT), pd.NaT], dtype=object),
        pd.Series([AT, None], dtype=pd.ArrowDtype(pa.timestamp("ns"))),
        pd.Series([AT.replace(tzinfo=UTC), None], dtype=pd.ArrowDtype(pa.timestamp("us", "UTC"))),
    ],
    ids=lambda values: str(values.dtype),
)
def test_a_moment_depends_on_how_it_is_kept(values: pd.Series) -> None:
    found = moments(values.set_axis([5, 5]), "as_of")
    assert found.dtype == "datetime64[us]"
    assert found.index.tolist() == [5, 5]
    assert found.iloc[0] == AT
    assert found.isna().tolist() == [False, True]


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_coarser_moments_are_refused_or_shifted(unit: str) -> None:
    before_1970 = pd.Series(np.array(["1969-12-31T23:59:59"], dtype=f"datetime64[{unit}]"))
    assert moments(before_1970, "as_of").iloc[0] == datetime(1969, 12, 31, 23, 59, 59)


@pytest.mark.parametrize("text", ["2024-03-01T14:30:00.123456789", "1969-12-31T23:59:59.999999999"])
def test_a_row_sees_what_became_known_within_its_last_microsecond(text: str) -> None:
    values = pd.Series(np.array([text], dtype="datetime64[ns]"))
    assert moments(values, "as_of").iloc[0] == datetime.fromisoformat(text[:26])


def test_moments_in_different_zones_are_mixed_up() -> None:
    values = pd.Series([AT.replace(tzinfo=UTC), AT.replace(tzinfo=EAST)], dtype=object)
    assert moments(values, "as_of").tolist() == [AT, AT + timedelta(hours=5)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.Series(["2024-03-01"]), "holds string, not moments: convert it"),
        (pd.Series([1_700_000_000]), "holds integer, not moments"),
        (pd.Series([AT, AT.replace(tzinfo=UTC)], dtype=object), "some have a time zone and some"),
        (pd.Series([AT, "later"], dtype=object), "holds mixed"),
        (pd.Series(np.array([10**12], dtype="datetime64[s]")), "outside the years 1 to 9998"),
        (pd.Series(np.array([10**17], dtype="datetime64[s]")), "cannot be converted"),
    ],
)
def test_what_is_no_moment_is_taken_for_one(values: pd.Series, message: str) -> None:
    with pytest.raises(RowsError, match=message):
        moments(values, "as_of")


@pytest.mark.parametrize(
    "value",
    [
        AT,
        AT.replace(tzinfo=UTC).astimezone(EAST),
        pd.Timestamp(AT),
        np.datetime64(AT),
        "2024-03-01 14:30:00.123456",
        "2024-03-01T09:30:00.123456-05:00",
    ],
)
def test_one_moment_depends_on_how_it_is_written(value: Any) -> None:
    assert moment(value, "time") == AT


@pytest.mark.parametrize("value", ["03/01/2024", 3, None, pd.NaT, np.int64(3), "2024"])
def test_what_is_no_moment_passes_as_one(value: Any) -> None:
    with pytest.raises(RowsError, match=r"^time is "):
        moment(value, "time")


def test_a_date_is_not_its_midnight() -> None:
    assert moment(date(2024, 3, 1), "time") == datetime(2024, 3, 1)


def test_a_column_that_no_table_can_hold_is_not_named() -> None:
    with pytest.raises(RowsError, match="column 'odd' of the rows holds values that no table can"):
        as_table(pd.DataFrame({"odd": [1, "one"]}), ["odd"])


def keys(values: Any, want: str) -> list[Any]:
    with duckdb.connect() as con:
        con.register("given", as_table(pd.DataFrame({"k": values}), ["k"]))
        have = str(con.sql("SELECT k FROM given").types[0])
        expression = key_expression(con, "given", "k", have, want, "view")
        return [row[0] for row in con.sql(f"SELECT {expression} FROM given").fetchall()]


def test_keys_that_became_floats_match_other_integers() -> None:
    assert keys([1.0, None, 2.0**53], "BIGINT") == [1, None, 2**53]
    assert keys([None, None], "VARCHAR") == [None, None]
    assert keys(pd.Categorical(["a", "b"]), "VARCHAR") == ["a", "b"]
    assert keys([0.5], "DOUBLE") == [0.5]


@pytest.mark.parametrize(
    ("values", "want", "message"),
    [
        ([1.5, 2.0], "BIGINT", "1 values that are no exact integers"),
        ([2.0**53 + 2], "BIGINT", "1 values that are no exact integers"),
        (np.array([2.0**24 + 2], dtype="float32"), "INTEGER", "no exact integers"),
        ([float("inf")], "BIGINT", "no exact integers"),
        ([7], "VARCHAR", "is BIGINT, but the key 'k' of view 'view' is VARCHAR: convert it"),
        (["007"], "BIGINT", "is VARCHAR, but the key 'k' of view 'view' is BIGINT: convert it"),
    ],
)
def test_keys_of_another_type_match_by_chance(values: Any, want: str, message: str) -> None:
    with pytest.raises(RowsError, match=message):
        keys(values, want)
