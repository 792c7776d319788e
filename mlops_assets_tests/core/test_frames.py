"""Frames: no digit is lost on the way from the database to the signature."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pandas as pd
import pytest

from mlops_assets.core.scoring import scoring
from mlops_assets.core.scoring.signature import SignatureError
from mlops_assets.core.storage.frames import exact_frame

SIGNATURE = {"inputs": [{"name": "x", "type": "number", "nullable": True}], "output": {}}


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("DECIMAL(38, 26)", "1.23456789012345678901234567"),
        ("HUGEINT", "9007199254740993"),
        ("UHUGEINT", "9007199254740993"),
        ("BIGINT", "9007199254740993"),
        ("UBIGINT", "18446744073709551615"),
    ],
)
@pytest.mark.parametrize("other", ["0", "NULL"])
def test_what_float64_cannot_hold_is_refused_and_not_rounded(type_, value, other):
    query = f"SELECT x::{type_} AS x FROM (VALUES ({value}), ({other})) t(x)"
    with duckdb.connect() as con:
        frame = exact_frame(con, query)
    assert Decimal(str(frame["x"].iloc[0])) == Decimal(value)
    with pytest.raises(SignatureError, match="float64 would change") as refused:
        scoring.prepare(frame, SIGNATURE)
    assert refused.value.mismatches[0].row == 0


@pytest.mark.parametrize("type_", ["DECIMAL(9, 2)", "DECIMAL(38, 2)", "HUGEINT", "UHUGEINT"])
def test_what_float64_holds_is_scored(type_):
    with duckdb.connect() as con:
        frame = exact_frame(con, f"SELECT x::{type_} AS x FROM (VALUES (12), (NULL)) t(x)")
        cents = exact_frame(con, "SELECT 1234567890.12::DECIMAL(38, 2) AS x")
    assert scoring.prepare(frame, SIGNATURE)["x"].tolist()[0] == 12.0
    assert scoring.prepare(cents, SIGNATURE)["x"].tolist() == [1234567890.12]


def test_all_other_columns_are_what_they_always_were():
    query = (
        "SELECT i, i::DOUBLE AS d, i > 1 AS b, i::VARCHAR AS s, DATE '2024-01-01' AS t, "
        "CASE WHEN i > 0 THEN i END AS n FROM range($n) r(i) ORDER BY i"
    )
    with duckdb.connect() as con:
        plain = con.execute(query, {"n": 5}).df()
        pd.testing.assert_frame_equal(exact_frame(con, query, {"n": 5}), plain)
        wide = exact_frame(con, f"SELECT *, 1.5::DECIMAL(9, 1) AS w FROM ({query}) q", {"n": 5})
    pd.testing.assert_frame_equal(wide.drop(columns="w"), plain)
    assert wide["w"].tolist() == [Decimal("1.5")] * 5
