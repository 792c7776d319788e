"""Rows that differ as a whole are found, chance is not, and no data raise."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core import drift_methods
from mlops_assets.core.multivariate import Status, compare
from mlops_assets_tests.benchmarks import multivariate_cases as cases
from mlops_assets_tests.benchmarks.multivariate_false_alarms import shift


@pytest.mark.parametrize(("sizes", "reports"), [((50, 50), 20), ((400, 50), 15)])
def test_reports_on_unchanged_rows_are_quiet(sizes, reports):
    """The whole is ``make bench-multivariate``: here so few that chance allows for more."""
    found = [shift(cases.unchanged, seed, *sizes) for seed in range(reports)]
    # At a rate of 0.05, four or more have a probability of 0.016 and 0.005.
    assert sum(one.drifted for one in found) <= 3
    # p alone, of either: ten or more of 40 at a rate of 0.1 have a probability of 0.005.
    assert sum(d.p <= 0.1 for one in found for d in one.detections) <= 9


@pytest.mark.parametrize(
    ("change", "pair"),
    [
        ("one pair: correlation 0.7 to -0.7", {"x0", "x1"}),
        ("a number and a flag swapped", {"x10", "flag"}),
    ],
)
def test_a_change_that_no_column_shows_is_found_and_named(change, pair):
    reference, current = cases.CHANGES[change](3, 2_000, 800)
    assert drift_methods.compare(reference, current, methods=[]).drifted == []
    found = compare(reference, current)
    assert found.domain_classifier.drifted
    assert found.reconstruction.drifted
    first, second = found.separating[:2]
    assert {first.column, second.column} == pair
    assert {first.with_column, second.with_column} == pair
    assert first.share + second.share > 0.8


def test_a_harmless_move_of_many_rows_is_no_alarm_and_is_told():
    found = shift(cases.harmless, 1, 20_000, 20_000)
    assert not found.drifted
    assert 0.5 < found.domain_classifier.value < 0.6


def test_the_threshold_that_is_declared_decides():
    reference, current = cases.CHANGES["six numbers moved by 0.15 sd"](1, 2_000, 2_000)
    assert not compare(reference, current).drifted
    found = compare(reference, current, thresholds={"domain_classifier": 0.53})
    assert found.domain_classifier.drifted
    assert found.separating


def test_days_that_share_weather_are_no_change_where_days_are_dealt():
    quiet = loud = 0
    for seed in range(4):
        reference, current = cases.days(seed, 40, 7, 120, 0.6)
        features = [name for name in reference.columns if name != "day"]
        loud += compare(reference, current, columns=features).drifted
        found = compare(reference, current, blocks="day")
        quiet += not found.drifted
        assert found.domain_classifier.n_current == 7 * 120
    assert (loud, quiet) == (4, 4)


def test_a_change_beyond_that_of_days_is_found_where_days_are_dealt():
    reference, _ = cases.days(1, 40, 1, 120, 0.3)
    _, current = cases.days(2, 1, 7, 120, 0.3)
    current = current.assign(x0=-current["x0"], day=current["day"] + 40)
    assert compare(reference, current, blocks="day").domain_classifier.drifted


def test_one_day_against_many_is_too_few_to_deal():
    reference, current = cases.days(1, 10, 1, 120, 0.3)
    found = compare(reference, current, blocks="day")
    assert {one.status for one in found.detections} == {Status.TOO_FEW_BLOCKS}


def _rows(n: int, seed: int = 0) -> pd.DataFrame:
    return cases.unchanged(seed, n, 1)[0]


@pytest.mark.parametrize(
    ("reference", "current", "status"),
    [
        (_rows(0), _rows(50), Status.NO_ROWS_REFERENCE),
        (_rows(50), _rows(0), Status.NO_ROWS_CURRENT),
        (_rows(50), _rows(29), Status.TOO_FEW),
        (pd.DataFrame({"a": [1.0] * 50}), pd.DataFrame({"a": [1] * 50}), Status.CONSTANT),
        (pd.DataFrame({"a": [None] * 50}), pd.DataFrame({"a": [None] * 50}), Status.CONSTANT),
        (pd.DataFrame({"a": range(50)}), pd.DataFrame({"b": range(50)}), Status.NO_COLUMNS),
        (pd.DataFrame({"a": range(50)}), pd.DataFrame({"a": ["x"] * 50}), Status.NO_COLUMNS),
        (pd.DataFrame({"a": [1j] * 50}), pd.DataFrame({"a": [2j] * 50}), Status.NO_COLUMNS),
    ],
)
def test_what_cannot_be_compared_has_a_status(reference, current, status):
    found = compare(reference, current)
    assert {one.status for one in found.detections} == {status}
    assert not found.drifted
    assert all(one.value is None for one in found.detections)
    assert {row["status"] for row in found.to_rows()} == {status.value}


def test_one_column_is_enough_for_the_classifier_and_not_for_a_plane():
    r = np.random.default_rng(1)
    found = compare(
        pd.DataFrame({"a": r.normal(size=200)}), pd.DataFrame({"a": r.normal(1, 1, size=200)})
    )
    assert found.domain_classifier.drifted
    assert [one.column for one in found.separating] == ["a"]
    assert found.reconstruction.status is Status.TOO_FEW_COLUMNS


def test_awkward_columns_are_taken_or_left_out_with_the_reason():
    reference, current = _rows(200, 1), _rows(200, 2)
    whole = np.arange(200)
    for frame in (reference, current):
        frame["same"] = "x"
        frame["lists"] = pd.Series([[1, at % 3] for at in whole])
        frame["mixed"] = pd.Series([at if at % 2 else f"t{at % 5}" for at in whole], dtype=object)
        frame["when"] = pd.Timestamp("2013-01-01") + pd.to_timedelta(whole, unit="h")
        frame["coded"] = pd.Categorical([f"c{at % 4}" for at in whole])
        frame["yes"] = pd.Series(
            [None if at % 7 == 0 else at % 2 == 0 for at in whole], dtype=object
        )
        frame.loc[::9, "x0"] = np.inf
        frame.loc[1::9, "x2"] = -np.inf
    current["three"] = None
    reference["hundred"] = range(200)
    current["fifteen"] = "never seen"
    del current["rare"]
    found = compare(reference, current)
    assert found.skipped == {
        "same": "constant",
        "hundred": "kind_changed",
        "rare": "not_in_current",
    }
    for one in found.detections:
        assert one.status is Status.OK
        assert math.isfinite(one.value)
    assert found.domain_classifier.drifted
    # Each alone tells the sides apart altogether.
    assert {one.column for one in found.separating[:2]} == {"three", "fifteen"}


def test_columns_that_were_functions_of_others_and_are_no_more_are_found():
    r = np.random.default_rng(2)
    a, b = r.normal(size=(2, 300))
    found = compare(
        pd.DataFrame({"a": a, "twice": 2 * a, "thrice": 3 * a}),
        pd.DataFrame({"a": b, "twice": 2 * r.permutation(b), "thrice": 3 * b}),
    )
    assert found.reconstruction.drifted
    assert found.reconstruction.measured["reference_error"] < 1e-9


def test_the_order_of_rows_and_columns_does_not_matter():
    reference, current = cases.unchanged(5, 300, 200)
    again = compare(
        reference.sample(frac=1, random_state=1)[list(reversed(reference.columns))],
        current.sample(frac=1, random_state=2),
    )
    first = compare(reference, current)
    for one, other in zip(first.detections, again.detections, strict=True):
        assert other.value == pytest.approx(one.value, abs=2e-3)
        assert other.p == pytest.approx(one.p, abs=0.02)


def test_whole_numbers_that_have_become_floats_are_the_same_column():
    r = np.random.default_rng(3)
    values = pd.DataFrame({"a": r.integers(0, 9, 300), "b": r.integers(0, 9, 300)})
    now = pd.DataFrame({"a": r.integers(0, 9, 300), "b": r.integers(0, 9, 300)})
    assert compare(values, now).to_rows() == compare(values, now.astype(float)).to_rows()


def test_rows_are_compared_with_themselves_without_an_alarm():
    rows = _rows(500)
    found = compare(rows, rows)
    assert found.domain_classifier.value == pytest.approx(0.5, abs=1e-6)
    assert not found.drifted


def test_errors_name_what_is_wrong():
    rows = _rows(40)
    with pytest.raises(KeyError, match="cannot compare column 'nowhere'"):
        compare(rows, rows, columns=["nowhere"])
    with pytest.raises(KeyError, match="blocks 'day'"):
        compare(rows, rows, blocks="day")
    with pytest.raises(ValueError, match="'psi' is no method"):
        compare(rows, rows, thresholds={"psi": 0.1})
    with pytest.raises(ValueError, match=r"two of \['x0'\]"):
        compare(rows[["x0", "x0"]], rows)
