"""The widening table: every type under every type, and never another value than was given."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.scoring import scoring, signature, widening
from mlops_assets.core.scoring.column_kinds import kind_of
from mlops_assets.core.scoring.signature import SignatureError
from mlops_assets.core.scoring.widening import BOOLEAN, CATEGORY, INTEGER, NUMBER, TABLE, TYPES

DOCS = Path(__file__).parents[2] / "docs" / "registry.md"


def of(dtype: Any, *values: Any) -> pd.Series:
    return pd.Series(list(values), dtype=dtype)


def arrow(type_: pa.DataType, *values: Any) -> pd.Series:
    return pd.Series(pd.array(pa.array(values, type_), dtype=pd.ArrowDtype(type_)))


# Beside each column: what becomes of it where a boolean, an integer, a number and a category is
# wanted, if no value is in the way. "=": taken as it is; ">": every value of it is; "?": every
# value is looked at; "x": refused.
COLUMNS: dict[str, tuple[str, pd.Series]] = {
    "bool": ("=>>x", of("bool", True, False)),
    "boolean": ("=>>x", of("boolean", True, None)),
    "bool[pyarrow]": ("=>>x", arrow(pa.bool_(), True, None)),
    "bool objects": ("=>>x", of(object, True, None)),
    **{
        name: ("?=>x", of(name, 0, 1))
        for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")
    },
    **{name: ("?=>x", of(name, 1, None)) for name in ("Int8", "Int16", "UInt32")},
    "int32[pyarrow]": ("?=>x", arrow(pa.int32(), 1, None)),
    "Sparse[int32]": ("?=>x", of(pd.SparseDtype("int32"), 0, 1)),
    **{name: ("???x", of(name, 0, 1)) for name in ("int64", "uint64")},
    **{name: ("???x", of(name, 1, None)) for name in ("Int64", "UInt64")},
    "int64[pyarrow]": ("???x", arrow(pa.int64(), 1, None)),
    "uint64[pyarrow]": ("???x", arrow(pa.uint64(), 1, None)),
    "int objects": ("???x", of(object, 1, None)),
    "Sparse[int64]": ("???x", of(pd.SparseDtype("int64"), 0, 1)),
    **{name: ("??=x", of(name, 0.0, np.nan)) for name in ("float16", "float32", "float64")},
    **{name: ("??=x", of(name, 1.0, None)) for name in ("Float32", "Float64")},
    "halffloat[pyarrow]": ("??=x", arrow(pa.float16(), np.float16(1), None)),
    "double[pyarrow]": ("??=x", arrow(pa.float64(), 1.0, None)),
    "Sparse[float64]": ("??=x", of(pd.SparseDtype("float64"), 0.0, 1.0)),
    "longdouble": ("???x", of(np.longdouble, 0.0, np.nan)),
    "float objects": ("???x", of(object, 1.0, None)),
    "int and float objects": ("???x", of(object, 1, 1.0)),
    "decimal128[pyarrow]": ("???x", arrow(pa.decimal128(9, 2), Decimal("1.00"), None)),
    "decimal256[pyarrow]": ("???x", arrow(pa.decimal256(50, 2), Decimal("1.00"), None)),
    "decimal objects": ("???x", of(object, Decimal(1), None)),
    "str": ("xxx=", of("str", "a", None)),
    "string": ("xxx=", of("string", "1", None)),
    "string[pyarrow]": ("xxx=", arrow(pa.string(), "1", None)),
    "large_string[pyarrow]": ("xxx=", arrow(pa.large_string(), "a", None)),
    "str objects": ("xxx=", of(object, "1", None)),
    "category of str": ("xxx>", of("category", "a", None)),
    "dictionary[pyarrow]": ("xxx>", arrow(pa.dictionary(pa.int32(), pa.string()), "a", None)),
    "category of int": ("xxxx", of("category", 1, 2)),
    "category of float": ("xxxx", of("category", 1.5, None)),
    "category of bool": ("xxxx", of("category", True, None)),
    "category of dates": ("xxxx", of("category", pd.Timestamp("2024-01-01"))),
    "dictionary of int": ("xxxx", arrow(pa.dictionary(pa.int32(), pa.int64()), 1, None)),
    **{
        name: ("xxxx", of(name, "2024-01-01", None))
        for name in ("datetime64[s]", "datetime64[us]", "datetime64[ns]", "datetime64[us, UTC]")
    },
    "timestamp[pyarrow]": ("xxxx", arrow(pa.timestamp("us"), datetime(2024, 1, 1))),
    "timestamp tz[pyarrow]": ("xxxx", arrow(pa.timestamp("us", "UTC"), datetime(2024, 1, 1))),
    "datetime objects": ("xxxx", of(object, datetime(2024, 1, 1), None)),
    "date32[pyarrow]": ("xxxx", arrow(pa.date32(), date(2024, 1, 1), None)),
    "date objects": ("xxxx", of(object, date(2024, 1, 1), None)),
    "timedelta64[s]": ("xxxx", of("timedelta64[s]", timedelta(1), None)),
    "duration[pyarrow]": ("xxxx", arrow(pa.duration("s"), timedelta(1), None)),
    "timedelta objects": ("xxxx", of(object, timedelta(1), None)),
    "time64[pyarrow]": ("xxxx", arrow(pa.time64("us"), time(10), None)),
    "time objects": ("xxxx", of(object, time(10), None)),
    "period": ("xxxx", of("period[D]", "2024-01-01")),
    "interval": ("xxxx", pd.Series(pd.interval_range(0, 2))),
    "binary[pyarrow]": ("xxxx", arrow(pa.binary(), b"1", None)),
    "bytes objects": ("xxxx", of(object, b"1", b"2")),
    "bytearrays": ("xxxx", of(object, bytearray(b"1"), None)),
    "list[pyarrow]": ("xxxx", arrow(pa.list_(pa.int8()), [1], None)),
    "struct[pyarrow]": ("xxxx", arrow(pa.struct([("a", pa.int8())]), {"a": 1})),
    "lists": ("xxxx", of(object, [1], [2])),
    "dictionaries": ("xxxx", of(object, {"a": 1}, None)),
    "arrays": ("xxxx", of(object, np.array([1]), None)),
    "str and int": ("xxxx", of(object, "a", 1)),
    "bool and int": ("xxxx", of(object, True, 0)),
    "int and Decimal": ("xxxx", of(object, 1, Decimal(1))),
    "str and bytes": ("xxxx", of(object, "a", b"a")),
    "complex128": ("xxxx", of("complex128", 1, 0)),
    "complex objects": ("xxxx", of(object, 1j, None)),
    "no objects": ("====", of(object, None, np.nan)),
    "null[pyarrow]": ("====", arrow(pa.null(), None, None)),
}
MARK = {"as is": "=", "widened": ">", "checked": "?", "refused": "x"}
#: What a version trained on such a column records, if it can be trained on it.
RECORDED = {"=>>x": BOOLEAN, "?=>x": INTEGER, "??=x": NUMBER, "xxx=": CATEGORY, "xxx>": CATEGORY}
RECORDED_64 = {
    name: INTEGER if "int" in name.lower() and "float" not in name else NUMBER
    for name, (marks, _) in COLUMNS.items()
    if marks == "???x"
}


def wanting(type_: str, **rules: str) -> dict[str, Any]:
    inputs = [{"name": "x", "type": type_, "nullable": True}]
    return {"inputs": inputs, "output": {}, "rules": rules}


def given_as(values: pd.Series, type_: str) -> pd.Series | None:
    """What the estimator gets; ``None``: it is refused."""
    try:
        return scoring.prepare(values.to_frame("x"), wanting(type_))["x"]
    except SignatureError as error:
        (mismatch,) = error.mismatches
        assert mismatch.column == "x"
        assert str(values.dtype) in mismatch.found
        assert mismatch.wanted == type_
        assert mismatch.reason
        assert mismatch.remedy
        return None


def same(given: Any, got: Any) -> bool:
    """Whether both are the same value, by exact arithmetic and not by NumPy's."""
    if pd.isna(given):
        return isinstance(got, float) and got != got
    if isinstance(given, str):
        return isinstance(got, str) and got == given
    if isinstance(given, Decimal):
        return Decimal(repr(got)) == given
    if isinstance(given, bool | np.bool_):
        return got == (1.0 if given else 0.0)
    if isinstance(given, Integral):
        return got == int(got) and int(got) == int(given)
    if isinstance(given, np.longdouble):
        return bool(np.longdouble(got) == given)
    return float(got).hex() == float(given).hex()


def assert_same(values: pd.Series, got: pd.Series, type_: str) -> None:
    assert got.dtype == (object if type_ == CATEGORY else np.float64)
    assert len(got) == len(values)
    for before, after in zip(values.astype(object), got.tolist(), strict=True):
        assert same(before, after), (before, after)


@pytest.mark.parametrize("name", COLUMNS)
def test_what_becomes_of_a_type_is_what_the_table_says(name):
    marks, values = COLUMNS[name]
    rules = TABLE[kind_of(values)].rules
    assert "".join(MARK[rules[type_].verdict] for type_ in TYPES) == marks
    for type_, mark in zip(TYPES, marks, strict=True):
        got = given_as(values, type_)
        if mark == "x":
            assert got is None, type_
        else:
            assert got is not None, type_
            assert_same(values, got, type_)


def test_every_kind_of_the_table_is_tried():
    assert {kind_of(values) for _, values in COLUMNS.values()} == set(TABLE)


@pytest.mark.parametrize("trained", COLUMNS)
def test_a_version_trained_on_one_type_takes_or_refuses_every_other(trained):
    marks, values = COLUMNS[trained]
    wanted = RECORDED.get(marks) or RECORDED_64.get(trained)
    if marks == "====":
        wanted = NUMBER
    if wanted is None:
        with pytest.raises(SignatureError, match="x is "):
            signature.inputs(values.to_frame("x"), ["x"])
        return
    recorded = {"inputs": signature.inputs(values.to_frame("x"), ["x"]), "output": {}}
    assert recorded["inputs"][0]["type"] == wanted
    at = TYPES.index(wanted)
    for marks_of_given, given_values in COLUMNS.values():
        frame = given_values.to_frame("x")
        if marks_of_given[at] == "x":
            with pytest.raises(SignatureError):
                scoring.prepare(frame, recorded)
        else:
            assert_same(given_values, scoring.prepare(frame, recorded)["x"], wanted)


def test_the_matrix_is_of_more_than_twelve_by_twelve_types():
    trainable = [n for n, (marks, _) in COLUMNS.items() if marks != "xxxx"]
    assert len(trainable) >= 30
    assert len(COLUMNS) >= 60


INTEGERS = st.one_of(
    st.sampled_from([0, 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63 - 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5, 5),
)
NATURALS = st.one_of(
    st.sampled_from([0, 1, 2**53, 2**53 + 1, 2**64 - 1]), st.integers(0, 2**64 - 1)
)
#: Texts of signs that numbers are written with, and of some that trip up encodings.
TEXTS = st.text("01.-e é\0\U0001f600", max_size=5)
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 2.0**53, 2.0**53 - 1, -(2.0**53), np.inf, 5e-324]),
    st.floats(),
    st.integers(-3, 3).map(float),
)
ODD = st.integers(-(2**62), 2**62).map(lambda n: np.longdouble(n) + np.longdouble(0.5))
DECIMALS = st.one_of(
    st.sampled_from([Decimal("0.1"), Decimal(2**53 + 1), Decimal("1E+400"), Decimal("1.10")]),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.decimals(-100, 100, places=2),
)


def small(low: int, high: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from([0, 1, low, high]), st.integers(low, high))


def sized(bits: int) -> st.SearchStrategy[float]:
    return st.one_of(st.floats(width=bits), st.sampled_from([0.0, 1.0, 3.0]))


VALUES: dict[str, tuple[st.SearchStrategy[Any], Any]] = {
    "bool": (st.booleans(), lambda v: of("bool", *v)),
    **{
        f"{sign}int{bits}": (
            small(*((0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))),
            lambda v, name=f"{sign}int{bits}": of(name, *v),
        )
        for sign in ("", "u")
        for bits in (8, 16, 32)
    },
    "int64": (INTEGERS, lambda v: of("int64", *v)),
    "uint64": (NATURALS, lambda v: of("uint64", *v)),
    "Int64": (st.none() | INTEGERS, lambda v: of("Int64", *v)),
    "UInt64": (st.none() | NATURALS, lambda v: of("UInt64", *v)),
    "int64[pyarrow]": (st.none() | INTEGERS, lambda v: arrow(pa.int64(), *v)),
    "uint64[pyarrow]": (st.none() | NATURALS, lambda v: arrow(pa.uint64(), *v)),
    "Sparse[int64]": (INTEGERS, lambda v: of(pd.SparseDtype("int64"), *v)),
    "int objects": (st.none() | INTEGERS | st.integers(), lambda v: of(object, *v)),
    "float16": (sized(16), lambda v: of("float16", *v)),
    "float32": (sized(32), lambda v: of("float32", *v)),
    "float64": (FLOATS, lambda v: of("float64", *v)),
    "Float64": (st.none() | FLOATS, lambda v: of("Float64", *v)),
    "double[pyarrow]": (st.none() | FLOATS, lambda v: arrow(pa.float64(), *v)),
    "longdouble": (ODD | FLOATS.map(np.longdouble), lambda v: of(np.longdouble, *v)),
    "number objects": (
        st.none() | FLOATS | INTEGERS | st.integers() | ODD,
        lambda v: of(object, 0.5, *v),
    ),
    "decimal objects": (st.none() | DECIMALS, lambda v: of(object, *v)),
    "decimal128[pyarrow]": (
        st.none() | st.decimals(-(10**27), 10**27, places=10, allow_nan=False),
        lambda v: arrow(pa.decimal128(38, 10), *v),
    ),
    "text": (st.none() | TEXTS, lambda v: of(object, *v)),
    "str": (st.none() | TEXTS, lambda v: of("str", *v)),
    "digits": (st.sampled_from(["1", "2.5", "1e3", "nan", "True"]), lambda v: of("str", *v)),
    "category": (st.none() | TEXTS, lambda v: of("category", *v)),
    "category of int": (st.integers(0, 3), lambda v: of("category", *v)),
    "datetime64": (
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
        lambda v: of("datetime64[us]", *v),
    ),
    "complex": (st.complex_numbers(max_magnitude=10), lambda v: of("complex128", *v)),
    "anything": (
        st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS | DECIMALS
        | st.binary(max_size=2) | st.dates() | st.lists(st.integers(), max_size=1),
        lambda v: of(object, *v),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("name", VALUES)
@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_an_estimator_gets_the_values_that_were_given_or_none_at_all(name, data):
    strategy, column = VALUES[name]
    values = column(data.draw(st.lists(strategy, min_size=1, max_size=4)))
    for type_ in TYPES:
        got = given_as(values, type_)
        if got is not None:
            assert_same(values, got, type_)
        if type_ in (INTEGER, BOOLEAN) and got is not None:
            assert all(v != v or v == int(v) for v in got)
        if type_ == BOOLEAN and got is not None:
            assert set(got.dropna()) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("values", "type_", "row", "value"),
    [
        (of("int64", 1, 2**53 + 1), NUMBER, 1, 2**53 + 1),
        (of("Int64", None, -(2**53) - 1), INTEGER, 1, -(2**53) - 1),
        (of(object, None, 10**400), NUMBER, 1, 10**400),
        (of("float64", 1, np.nan, 1.5), INTEGER, 2, 1.5),
        (of("float64", 1, np.inf), INTEGER, 1, np.inf),
        # It may have been 2**53 + 1 before it became a float.
        (of("float64", 1, 2.0**53), INTEGER, 1, 2.0**53),
        (of("int8", 0, 1, 2), BOOLEAN, 2, 2),
        (of("float64", 0.0, 0.5), BOOLEAN, 1, 0.5),
        (of(object, Decimal("0.1"), Decimal("0.10000000000000000001")), NUMBER, 1, None),
        (of(object, Decimal("1E+400")), NUMBER, 0, None),
        (of(np.longdouble, 1, np.longdouble(1) + np.finfo(np.longdouble).eps), NUMBER, 1, None),
        (of(object, 1, None, "a"), NUMBER, 2, "a"),
        (of("str", None, "1"), NUMBER, 1, "1"),
    ],
)
def test_the_value_that_is_in_the_way_is_shown_with_its_row(values, type_, row, value):
    with pytest.raises(SignatureError) as refused:
        scoring.prepare(values.to_frame("x"), wanting(type_))
    (mismatch,) = refused.value.mismatches
    assert mismatch.row == row
    assert value is None or mismatch.value == value
    assert f"(row {row}: " in str(refused.value)


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (of("int64", 2**53, -(2**53)), INTEGER),
        (of("float64", 2.0**53 - 1, np.nan, -0.0), INTEGER),
        (of("float64", 1e300, np.inf), NUMBER),
        (of(object, Decimal("0.1"), Decimal("-1.10"), Decimal("123456789012.345")), NUMBER),
        (of("float64", 0.0, 1.0, np.nan), BOOLEAN),
        (of(np.longdouble, 0.1), NUMBER),
    ],
)
def test_a_value_at_the_limit_is_taken(values, type_):
    if values.dtype == np.longdouble:
        values = pd.Series(np.array([0.1]).astype(np.longdouble))
    assert given_as(values, type_) is not None


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize(
    "values",
    [
        of("float64", np.nan),
        of("Int64", None),
        of("boolean", None),
        of("str", None),
        of("category", None),
        of(object, pd.NaT),
        of("int64"),
        of("datetime64[us]"),
        arrow(pa.decimal128(9, 2), None),
    ],
    ids=lambda values: f"{values.dtype} {len(values)}",
)
def test_a_column_in_which_nothing_is_fits_whatever_sql_called_it(values, type_):
    got = given_as(values, type_)
    assert got is not None
    assert len(got) == len(values)
    assert got.isna().all()


@pytest.mark.parametrize("dtype", ["datetime64[us]", "timedelta64[s]", "datetime64[us, UTC]"])
def test_a_column_of_no_times_is_still_one_of_times(dtype):
    assert given_as(of(dtype, None), NUMBER) is None


def test_a_type_of_another_library_is_named_and_not_guessed_at():
    values = arrow(pa.string_view(), "a")
    with pytest.raises(SignatureError, match="string_view"):
        scoring.prepare(values.to_frame("x"), wanting(CATEGORY))


def test_the_documentation_has_the_table_that_is_enforced():
    text = widening.markdown()
    assert text.count("\n") == len(TABLE) + 1
    if DOCS.exists():
        assert text in DOCS.read_text()
