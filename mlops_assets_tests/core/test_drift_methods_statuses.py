"""Data are no reason to raise: what cannot be measured, or judged, says so in a word."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.drift_methods import Finding, Kind, Profile, Status, compare, profile
from mlops_assets.core.drift_methods.methods import KNOWN

N = 200
R = np.random.default_rng(1)
NORMAL = R.normal(size=N)


def one(values: object, dtype: object = None) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(values, dtype=dtype)})  # pyright: ignore


def shift_of(reference: pd.DataFrame, current: pd.DataFrame, **asked):
    return compare(reference, current, threads=1, **asked).of("x")


LETTERS = ["a", "b"] * (N // 2)
UNJUDGED = [
    (one([], float), one(NORMAL), Status.NO_ROWS_REFERENCE),
    (one(NORMAL), one([], float), Status.NO_ROWS_CURRENT),
    (one([np.nan] * N), one(NORMAL), Status.NO_VALUES_REFERENCE),
    (one(NORMAL), one([np.inf, -np.inf, np.nan]), Status.NO_VALUES_CURRENT),
    (one([None] * N, object), one(LETTERS), Status.NO_VALUES_REFERENCE),
    (one(LETTERS), one([None] * N, object), Status.NO_VALUES_CURRENT),
    (one(NORMAL), one(LETTERS), Status.KIND_CHANGED),
    (one(LETTERS), one(NORMAL), Status.KIND_CHANGED),
    (one([[1], [2]] * N), one(NORMAL), Status.UNSUPPORTED),
    (one(NORMAL), one(pd.to_timedelta(range(N), unit="h")), Status.UNSUPPORTED),
    (one(NORMAL), pd.DataFrame({"y": NORMAL}), Status.NO_COLUMN_CURRENT),
]


@pytest.mark.parametrize(("reference", "current", "status"), UNJUDGED)
def test_what_cannot_be_compared_has_a_status_and_no_value(reference, current, status):
    shift = shift_of(reference, current)
    assert (shift.status, shift.methods, shift.drifted) == (status, (), False)
    assert shift.decision is None
    rows = compare(reference, current, threads=1).to_rows()
    assert [(row["value"], row["status"]) for row in rows] == [(None, status.value)]


def test_a_column_that_only_the_current_rows_have_is_told_when_asked_for():
    report = compare(one(NORMAL), pd.DataFrame({"y": NORMAL}), columns=["y", "x"])
    assert report.of("y").status is Status.NO_COLUMN_REFERENCE
    with pytest.raises(KeyError, match="'z'"):
        compare(one(NORMAL), one(NORMAL), columns=["z"])


@pytest.mark.parametrize("value", [3.5, "a", True, 0, -1e300])
def test_a_constant_that_stays_is_at_distance_0(value):
    shift = shift_of(one([value] * N), one([value] * 50))
    assert (shift.status, shift.drifted) == (Status.CONSTANT, False)
    told = {m.method: m.value for m in shift.methods if m.status is Status.OK}
    assert told
    assert set(told.values()) == {0.0}


def test_a_constant_that_moves_is_an_alarm_though_nothing_is_in_units_of_its_spread():
    shift = shift_of(one([3.5] * N), one([3.5] * 40 + [3.6] * 60))
    assert (shift.status, shift.drifted) == (Status.CONSTANT_REFERENCE, True)
    assert shift.of("wasserstein_normalised").status is Status.UNDEFINED
    assert shift.decided_by == "kolmogorov_smirnov"
    assert shift.of("kolmogorov_smirnov").value == pytest.approx(0.6)
    assert shift.of("psi").value > 1
    # By its rows in a stored profile, too, and for a constant of text.
    assert compare(profile(one([3.5] * N)), one([3.5] * 40 + [3.6] * 60)).drifted == ["x"]
    assert shift_of(one(["a"] * N), one(["a"] * 60 + ["b"] * 40)).drifted


def test_few_rows_are_measured_and_not_judged():
    shift = shift_of(one(NORMAL), one(NORMAL[:10] + 5))
    assert (shift.status, shift.drifted, shift.adjusted_p) == (Status.TOO_FEW, False, None)
    assert shift.of("kolmogorov_smirnov").value > 0.5


def test_missing_and_infinite_values_are_counted_and_left_out():
    spoilt = NORMAL.copy()
    spoilt[::4], spoilt[1::10] = np.nan, np.inf
    shift = shift_of(one(NORMAL), one(spoilt))
    clean = shift_of(one(NORMAL), one(spoilt[np.isfinite(spoilt)]))
    assert shift.methods == clean.methods
    assert shift.findings == (Finding.MISSING, Finding.INFINITE)
    assert (shift.current.rows, shift.current.missing, shift.current.infinite) == (N, 50, 20)


def test_new_and_lost_categories_are_named():
    shift = shift_of(one(["a", "b", "c"] * 40), one(["a", "b", "d", "e"] * 30))
    assert shift.new_categories == ("d", "e")
    assert shift.lost_categories == ("c",)
    assert {Finding.NEW_CATEGORIES, Finding.LOST_CATEGORIES} <= set(shift.findings)
    assert shift.drifted


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.array([1, None, 3], dtype="Int64"), Kind.NUMERIC),
        (pd.array([True, None, False], dtype="boolean"), Kind.BOOLEAN),
        (pd.array([1.5, None, 2.5], dtype="Float32"), Kind.NUMERIC),
        (np.array([1, 2, 3], dtype="uint8"), Kind.NUMERIC),
        (pd.Categorical(["a", None, "b"]), Kind.CATEGORICAL),
        (pd.array(["a", None, "b"], dtype="string"), Kind.CATEGORICAL),
        ([True, None, False], Kind.BOOLEAN),
        ([decimal.Decimal("1.5"), None, decimal.Decimal(2)], Kind.NUMERIC),
        ([dt.datetime(2013, 1, 1), None, dt.datetime(2013, 1, 3)], Kind.NUMERIC),
        ([1, "a", 2.5], Kind.CATEGORICAL),
        ([None, None, None], Kind.UNKNOWN),
    ],
)
def test_kinds_are_told_by_type_or_by_what_is_there(values, kind):
    frame = pd.DataFrame({"x": values})
    repeated = pd.concat([frame] * 10)
    assert shift_of(repeated, repeated).kind is kind


def test_zeros_and_ones_beside_booleans_are_booleans():
    flags = R.random(N) < 0.4
    shift = shift_of(one(flags), one(flags.astype(int)))
    assert (shift.kind, shift.status) == (Kind.BOOLEAN, Status.OK)
    assert shift.of("jensen_shannon").value == pytest.approx(0, abs=1e-7)
    assert shift_of(one(flags), one(NORMAL)).status is Status.KIND_CHANGED


def test_what_is_asked_wrongly_raises():
    with pytest.raises(ValueError, match="'psy' is not known"):
        compare(one(NORMAL), one(NORMAL), methods=["psy"])
    with pytest.raises(ValueError, match=r"'evidently\.psi' cannot decide"):
        compare(one(NORMAL), one(NORMAL), decide={"x": "evidently.psi"})
    twice = pd.DataFrame(np.ones((3, 2)), columns=["x", "x"])
    with pytest.raises(ValueError, match="two of"):
        compare(twice, one(NORMAL))
    with pytest.raises(ValueError, match="format"):
        Profile.from_json({"format": "other"})


ODD = st.one_of(
    st.lists(st.one_of(st.none(), st.floats()), max_size=70),
    st.lists(st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, math.nan]), max_size=70),
    st.lists(st.integers(-(2**62), 2**62), max_size=70),
    st.lists(st.one_of(st.none(), st.booleans()), max_size=70),
    st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=70),
    st.lists(st.one_of(st.none(), st.integers(0, 1), st.text(max_size=1)), max_size=70),
    st.just([None] * 30),
    st.sampled_from([1.0, True, "a"]).map(lambda v: [v] * 40),
)


# What SciPy says of its exact test belongs to the definition of another library.
@pytest.mark.filterwarnings("ignore:ks_2samp:RuntimeWarning")
@settings(max_examples=150, deadline=None)
@given(ODD, ODD)
def test_no_data_raise(reference, current):
    sides = one(reference), one(current)
    asked = {"methods": sorted(KNOWN), "threads": 1}
    stored = Profile.from_json(json.loads(json.dumps(profile(sides[0]).to_json())))
    for side in (sides[0], stored):
        shift = compare(side, sides[1], **asked).of("x")
        assert isinstance(shift.status, Status)
        for measured in shift.methods:
            assert (measured.value is None) == (measured.status is not Status.OK)
            assert measured.value is None or math.isfinite(measured.value)
            assert measured.p is None or 0 < measured.p <= 1


def test_columns_of_a_relation_have_the_same_kinds_whatever_they_are_called():
    con = duckdb.connect()
    rows = con.sql(
        """SELECT i::INT AS "a b", (i % 3)::VARCHAR AS "we""ird.x", i % 2 = 0 AS "select",
           DATE '2013-01-01' + i::INT AS day, NULL AS nothing, [i] AS list, {'a': i} AS struct,
           i::DECIMAL(8, 2) AS price, CASE WHEN i > 4 THEN 'a'::ENUM('a', 'b') END AS e,
           CASE WHEN i = 2 THEN 'nan'::FLOAT WHEN i = 3 THEN 'inf'::FLOAT
                WHEN i > 5 THEN i END AS real, TIME '10:00' AS clock, 'x'::BLOB AS blob
           FROM range(100) t(i)"""
    )
    report = compare(rows, rows, methods=["psi"])
    kinds = {shift.column: shift.kind for shift in report.columns}
    # Nothing but NULL has the type of an integer in DuckDB 1.5, its own in 2.0.
    assert kinds.pop("nothing") in (Kind.NUMERIC, Kind.UNKNOWN)
    assert report.of("nothing").status is Status.NO_VALUES_REFERENCE
    assert kinds == {
        "a b": Kind.NUMERIC,
        'we"ird.x': Kind.CATEGORICAL,
        "select": Kind.BOOLEAN,
        "day": Kind.NUMERIC,
        "list": Kind.UNSUPPORTED,
        "struct": Kind.UNSUPPORTED,
        "price": Kind.NUMERIC,
        "e": Kind.CATEGORICAL,
        "real": Kind.NUMERIC,
        "clock": Kind.UNSUPPORTED,
        "blob": Kind.UNSUPPORTED,
    }
    real = report.of("real").current
    assert (real.rows, real.values, real.missing, real.infinite) == (100, 94, 5, 1)
