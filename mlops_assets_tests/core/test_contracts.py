"""Contracts: which rows and frames are refused, and in which words."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.storage.coercion import coerce
from mlops_assets.core.storage.contracts import ColumnSpec, columns, validate
from mlops_assets.core.storage.row_checks import ContractError
from mlops_assets.vocabulary import DeclarationError


def schema(**more) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        {
            "station": pa.Column(str, pa.Check.isin(["north", "south"])),
            "at": pa.Column("datetime64[us]"),
            "temp": pa.Column(
                float,
                pa.Check.in_range(-60, 60),
                nullable=True,
                description="Air temperature",
                metadata={"unit": "degC"},
            ),
            "count": pa.Column(int, pa.Check.ge(0)),
            **more,
        }
    )


def frame(**changes) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "station": ["north", "south", "north"],
            "at": pd.to_datetime(["2013-01-01 00:00", "2013-01-01 01:00", "2013-01-01 02:00"]),
            "temp": [1.5, None, -3.0],
            "count": [1, 2, 3],
        }
        | changes
    )


KEY = ("station", "at")


def reasons(result) -> dict[int, str]:
    return dict(zip(result.rejects["row_number"], result.rejects["reason"], strict=True))


def test_types_units_and_descriptions_come_from_the_one_schema():
    specs = columns(
        schema(
            day=pa.Column(pa.Date),
            ok=pa.Column(pd.BooleanDtype(), nullable=True),
            small=pa.Column("int16"),
            some=pa.Column(pd.Int64Dtype(), nullable=True),
            half=pa.Column("float32"),
            kind=pa.Column("category"),
            at_ns=pa.Column("datetime64[ns]"),
        )
    )
    assert [spec.type for spec in specs] == [
        "VARCHAR", "TIMESTAMP", "DOUBLE", "BIGINT",
        "DATE", "BOOLEAN", "SMALLINT", "BIGINT", "FLOAT", "VARCHAR", "TIMESTAMP",
    ]  # fmt: skip
    assert specs[2] == ColumnSpec("temp", "DOUBLE", True, "Air temperature", "degC")


@pytest.mark.parametrize(
    "column",
    [
        pa.Column(),
        pa.Column(pd.DatetimeTZDtype(tz="UTC")),
        pa.Column("complex128"),
        pa.Column(int, regex=True),
    ],
)
def test_a_schema_that_cannot_become_a_table_names_its_column(column):
    with pytest.raises(DeclarationError, match="'odd'"):
        columns(schema(odd=column))


def test_good_rows_pass_unchanged():
    result = validate(schema(), frame(), KEY)
    assert result.rejects.empty
    pd.testing.assert_frame_equal(
        result.good, frame(at=frame()["at"].astype("datetime64[us]")), check_dtype=False
    )
    assert str(result.good["at"].dtype) == "datetime64[us]"


def test_all_wrong_columns_are_listed_at_once():
    wrong = frame().drop(columns=["temp", "count"]).assign(extra=1, other=2)
    with pytest.raises(ContractError) as error:
        validate(schema(), wrong, KEY)
    assert error.value.problems == [
        "column 'temp' is missing",
        "column 'count' is missing",
        "column 'extra' is not declared",
        "column 'other' is not declared",
    ]


def test_a_column_that_is_there_twice_is_refused():
    twice = pd.concat([frame(), frame()[["temp"]]], axis=1)
    with pytest.raises(ContractError, match="'temp' is there twice"):
        validate(schema(), twice, KEY)


def test_columns_of_the_wrong_type_are_listed_at_once():
    with pytest.raises(ContractError) as error:
        validate(schema(), frame(temp=["warm", "cold", None], at=[1, 2, 3]), KEY)
    assert len(error.value.problems) == 2
    assert "'at' should be TIMESTAMP, but holds int64" in error.value.problems[0]
    assert "'temp' should be DOUBLE" in error.value.problems[1]
    assert "'warm'" in error.value.problems[1]


def test_a_single_bad_value_rejects_its_row_only():
    result = validate(schema(), frame(temp=["1.5", "warm", "2"]), KEY)
    assert reasons(result) == {1: "temp: 'warm' is not a number"}
    assert result.good["temp"].tolist() == [1.5, 2.0]
    assert result.good.index.tolist() == [0, 2]


def test_reasons_give_the_value_and_the_rule_in_words():
    result = validate(
        schema(), frame(temp=[999.0, 1.0, -61.0], station=["north", "east", "north"]), KEY
    )
    assert reasons(result) == {
        0: "temp: 999.0 is not in range -60..60",
        1: "station: 'east' is none of 'north', 'south'",
        2: "temp: -61.0 is not in range -60..60",
    }
    assert result.rejects["rules"].tolist()[0] == ("temp: is not in range -60..60",)


def test_a_row_with_several_faults_is_one_reject_with_all_of_them():
    result = validate(schema(), frame(temp=[999.0, 1, 1], count=[-1, 2, 3]), KEY)
    assert reasons(result) == {0: "temp: 999.0 is not in range -60..60; count: -1 is less than 0"}


@pytest.mark.parametrize(
    ("check", "value", "words"),
    [
        (pa.Check.gt(1), 1.0, "is not greater than 1"),
        (pa.Check.lt(1), 1.0, "is not less than 1"),
        (pa.Check.le(0), 1.0, "is greater than 0"),
        (pa.Check.eq(0), 1.0, "is not 0"),
        (pa.Check.ne(1), 1.0, "is 1"),
        (pa.Check.notin([1]), 1.0, "is one of 1"),
        (pa.Check.in_range(1, 2, include_min=False), 1.0, "is not in range above 1..2"),
        (pa.Check(lambda s: s < 1, error="is too warm"), 1.0, "is too warm"),
        (pa.Check(lambda v: v < 1, element_wise=True, name="cool"), 1.0, "check cool failed"),
    ],
)
def test_every_kind_of_check_is_worded(check, value, words):
    result = validate(
        pa.DataFrameSchema({"x": pa.Column(float, check)}), pd.DataFrame({"x": [value, np.nan]})
    )
    assert words in reasons(result)[0]
    assert reasons(result)[1] == "x: is missing"


def test_missing_and_infinite_values_never_pass_where_they_are_forbidden():
    strict = pa.DataFrameSchema({"x": pa.Column(float), "y": pa.Column(float, nullable=True)})
    data = pd.DataFrame({"x": [1.0, np.nan, np.inf, 1.0], "y": [np.nan, 1.0, 1.0, -np.inf]})
    assert reasons(validate(strict, data)) == {
        1: "x: is missing",
        2: "x: is infinite",
        3: "y: is infinite",
    }
    open_ended = pa.DataFrameSchema({"x": pa.Column(float, metadata={"finite": False})})
    assert validate(open_ended, pd.DataFrame({"x": [np.inf]})).rejects.empty


def test_a_missing_whole_number_rejects_the_row_and_leaves_the_type():
    result = validate(schema(), frame(count=[1.0, np.nan, 3.0]), KEY)
    assert reasons(result) == {1: "count: is missing"}
    assert result.good["count"].dtype == "int64"


def test_equal_rows_are_kept_once_and_contradicting_rows_not_at_all():
    rows = pd.DataFrame(
        {
            "station": ["north", "north", "south", "south", "south", "north"],
            "at": [datetime(2013, 1, 1)] * 5 + [datetime(2013, 1, 2)],
            "temp": [1.0, 1.0, 2.0, 3.0, 2.0, 1.0],
            "count": 1,
        }
    )
    result = validate(schema(), rows, KEY)
    assert result.good.index.tolist() == [0, 5]
    found = reasons(result)
    assert found[1].startswith("repeats an equal row with the key station='north'")
    assert all("have other values" in found[n] for n in (2, 3, 4))


def test_a_bad_row_does_not_take_the_good_row_of_its_key_with_it():
    data = frame(station=["north"] * 3, at=[datetime(2013, 1, 1)] * 3, temp=[999.0, 1.0, 1.0])
    data["count"] = 1
    assert validate(schema(), data, KEY).good.index.tolist() == [1]


def test_two_missing_values_in_a_key_are_the_same_key():
    loose = pa.DataFrameSchema({"k": pa.Column(float, nullable=True), "v": pa.Column(int)})
    result = validate(loose, pd.DataFrame({"k": [np.nan, np.nan], "v": [1, 2]}), ["k"])
    assert len(result.rejects) == 2


def test_a_check_over_the_whole_frame_refuses_the_frame():
    whole = schema()
    whole.checks = [pa.Check(lambda f: f["temp"].mean() > 100, error="the mean is too low")]
    with pytest.raises(ContractError, match="the mean is too low"):
        validate(whole, frame(), KEY)


def test_a_check_over_two_columns_rejects_rows():
    wide = schema()
    wide.checks = [pa.Check(lambda f: f["count"] < 3, name="small")]
    assert reasons(validate(wide, frame(), KEY)) == {2: "check small failed"}


def test_a_check_that_is_broken_raises_and_does_not_fail_the_data():
    broken = schema(x=pa.Column(float, pa.Check(lambda s: s.no_such_thing)))
    with pytest.raises(AttributeError):
        validate(broken, frame(x=1.0), KEY)


def test_a_unique_column_rejects_what_repeats():
    once = schema(id=pa.Column(int, unique=True))
    assert set(reasons(validate(once, frame(id=[1, 1, 2]), KEY))) == {0, 1}


def test_an_unknown_key_is_a_mistake_in_the_declaration():
    with pytest.raises(DeclarationError, match="sensor"):
        validate(schema(), frame(), ["sensor"])


def test_an_empty_frame_has_nothing_to_reject():
    result = validate(schema(), frame().head(0), KEY)
    assert len(result.good) == 0
    assert result.rejects.empty


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("BIGINT", pd.Series([1, 2], dtype="int32"), [1, 2]),
        ("TINYINT", [1, 300, -129], [1, None, None]),
        ("BIGINT", [1.0, 1.5, None, 2.0**60], [1, None, None, None]),
        ("BIGINT", ["7", " 8 ", "9.0", "9.5", "x", None], [7, 8, 9, None, None, None]),
        ("BIGINT", pd.Series([2**60 + 1, None], dtype="Int64"), [2**60 + 1, None]),
        ("BIGINT", pd.Series([2**63], dtype="uint64"), [None]),
        ("UBIGINT", [2**63, -1, True, Decimal(3)], [2**63, None, None, 3]),
        ("DOUBLE", [1, 2**53 + 1], [1.0, None]),
        ("DOUBLE", ["1e3", "1_000", ".5", "", True], [1000.0, None, 0.5, None, None]),
        ("FLOAT", pd.Series([0.5, 0.1]), [0.5, None]),
        ("DOUBLE", pd.Series([0.5], dtype="float32"), [0.5]),
        ("BOOLEAN", ["TRUE", "no", 0, 1.0, 2], [True, None, False, True, None]),
        ("VARCHAR", ["a", 1, None], ["a", None, None]),
        ("VARCHAR", pd.Series(["a", None], dtype="category"), ["a", None]),
        ("DATE", ["2013-01-02", date(2013, 1, 3), "x"], [date(2013, 1, 2), date(2013, 1, 3), None]),
        ("DATE", [datetime(2013, 1, 2), datetime(2013, 1, 2, 1)], [date(2013, 1, 2), None]),
        (
            "TIMESTAMP",
            ["2013-01-02T03:04:05+02:00", "2013-01-02 03:04:05", "soon", 5],
            [datetime(2013, 1, 2, 1, 4, 5), datetime(2013, 1, 2, 3, 4, 5), None, None],
        ),
        (
            "TIMESTAMP",
            pd.Series([pd.Timestamp("2013-01-01 00:00:00.000000001"), pd.Timestamp("2013")]),
            [None, datetime(2013, 1, 1)],
        ),
        (
            "TIMESTAMP",
            pd.Series(pd.to_datetime(["2013-07-01"])).dt.tz_localize("America/New_York"),
            [datetime(2013, 7, 1, 4)],
        ),
    ],
)
def test_values_convert_without_loss_or_not_at_all(type_, values, expected):
    values = values if isinstance(values, pd.Series) else pd.Series(values, dtype=object)
    converted, bad = coerce(values, type_)
    assert [None if pd.isna(v) else v for v in converted] == expected
    assert bad.tolist() == [e is None and not pd.isna(v) for v, e in zip(values, expected)]  # noqa: B905


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["north", "south", "east", None]),
            st.sampled_from([0, 1]),
            st.sampled_from([1.0, 61.0, float("nan"), float("inf")]),
            st.sampled_from([0, 1, -1]),
        ),
        max_size=12,
    ),
    seed=st.randoms(use_true_random=False),
)
def test_pandera_agrees_on_what_is_kept_and_order_does_not_matter(rows, seed):
    def build(items):
        return pd.DataFrame(
            {
                "station": pd.Series([r[0] for r in items], dtype=object),
                "at": pd.Series(
                    [datetime(2013, 1, 1, r[1]) for r in items], dtype="datetime64[us]"
                ),
                "temp": pd.Series([r[2] for r in items], dtype=float),
                "count": pd.Series([r[3] for r in items], dtype="int64"),
            }
        )

    good = validate(schema(), build(rows), KEY).good
    assert len(good) + len(validate(schema(), build(rows), KEY).rejects) == len(rows)
    if len(good):
        schema().validate(good.astype({"station": "str"}))
    assert not good.duplicated(list(KEY)).any()
    seed.shuffle(rows)
    again = validate(schema(), build(rows), KEY).good
    key = lambda f: sorted(map(str, f.itertuples(index=False)))  # noqa: E731
    assert key(again) == key(good)
