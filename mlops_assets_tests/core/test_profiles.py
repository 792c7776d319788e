"""Profiles of training data, and counting later values in their bins."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.monitoring import profiles


def profiled(values, role="feature", **options):
    return profiles.profile(pd.DataFrame({"x": values}), ["x"], {"x": role}, **options)["columns"][
        "x"
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(width=32), st.integers(-3, 3).map(float)), max_size=60),
    st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=30),
)
def test_no_value_falls_outside_the_bins(reference, later):
    column = profiled(pd.Series(reference, dtype=float))
    assert sum(column["counts"]) + column["nulls"] == column["n"] == len(reference)
    counts = profiles.count(column, pd.Series(later, dtype=float))
    assert counts.sum() == len(later)
    assert counts[-1] == pd.Series(later, dtype=float).isna().sum()


def test_a_bin_is_counted_as_searching_its_edges_by_hand_would():
    values = np.random.default_rng(0).normal(size=500)
    column = profiled(values)
    edges = [-np.inf, *column["edges"], np.inf]
    by_hand = [int(((values >= a) & (values < b)).sum()) for a, b in itertools.pairwise(edges)]
    assert column["counts"] == by_hand
    assert len(by_hand) == profiles.NUMERIC_BINS
    assert max(by_hand) - min(by_hand) <= 2


def test_leaving_a_constant_shows():
    column = profiled([7.0] * 50)
    assert column["counts"] == [0, 50, 0]
    assert profiles.count(column, pd.Series([7.0, 6.9, 7.1, np.nan])).tolist() == [1, 1, 1, 1]


def test_a_new_category_is_not_dropped():
    column = profiled(["a", "b", "a", None])
    assert column["categories"] == ["a", "b"]
    counts = profiles.count(column, pd.Series(["a", "new", None, "b"]))
    assert counts.tolist() == [1, 1, 1, 1]


def test_rare_categories_do_not_grow_the_profile():
    column = profiled([f"c{i % 100:03}" for i in range(1000)], max_bins=20)
    assert len(column["categories"]) == 19
    assert column["counts"][-1] == 1000 - 190


def test_equal_frequencies_give_one_profile_whatever_the_order_of_rows():
    values = ["b", "a", "d", "c"] * 5
    assert profiled(values, max_bins=3) == profiled(values[::-1], max_bins=3)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([True, False, None], dtype=object),
        pd.Series([True, False, pd.NA], dtype="boolean"),
        pd.Series([1, 0, None], dtype="Int64"),
        pd.Series([1.0, 0.0, np.nan]),
    ],
    ids=["object", "boolean", "Int64", "float"],
)
def test_a_null_does_not_change_what_a_boolean_or_integer_column_is(values):
    column = profiled([0, 1, 1, 0])
    assert column["kind"] == "numeric"
    assert profiles.count(column, values).tolist() == [1, 1, 1]


def test_infinity_is_large_and_not_missing():
    column = profiled(np.arange(100.0))
    counts = profiles.count(column, pd.Series([np.inf, -np.inf, np.nan]))
    assert (counts[0], counts[-2], counts[-1]) == (1, 1, 1)


def test_text_in_a_column_that_was_numeric_counts_as_missing():
    assert profiles.count(profiled([1.0, 2.0, 3.0]), pd.Series(["2", "x"])).tolist() == [0, 1, 0, 1]


def test_an_empty_or_all_missing_column_does_not_raise():
    assert profiled(pd.Series([], dtype=float))["n"] == 0
    assert profiled(pd.Series([None, None], dtype=object))["nulls"] == 2
    assert profiled(pd.Series([np.nan, np.nan]))["nulls"] == 2


def test_a_profile_survives_json():
    frame = pd.DataFrame(
        {"t": pd.date_range("2024-01-01", periods=3), "c": ["a", None, "b"], "n": [1, 2, 3]}
    )
    made = profiles.profile(frame, frame.columns, {"n": "label"})
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["columns"]["n"]["role"] == "label"


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="'y'"):
        profiles.profile(pd.DataFrame({"x": [1]}), ["y"])
