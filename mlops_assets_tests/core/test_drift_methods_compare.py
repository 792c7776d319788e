"""One comparison, wherever its rows come from; a stored reference is not read again."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.drift_methods import Profile, compare, profile
from mlops_assets.core.drift_methods.methods import OWN
from mlops_assets_tests.benchmarks import drift_null

MOVED = {"normal_0": 0.4, "lognormal_0": 0.3}
REFERENCE, CURRENT = drift_null.pair(1, 3_000, 1_000, MOVED)


@pytest.fixture
def con():
    with duckdb.connect() as con:
        con.register("r_frame", REFERENCE)
        con.register("c_frame", CURRENT)
        con.execute("CREATE TABLE reference AS FROM r_frame; CREATE TABLE current AS FROM c_frame")
        yield con


def test_frames_relations_and_any_threads_give_the_same_report(con):
    report = compare(REFERENCE, CURRENT, threads=1)
    assert set(MOVED) <= set(report.drifted)
    assert compare(con.table("reference"), con.table("current")) == report
    assert compare(REFERENCE, con.table("current"), threads=3) == report


def test_a_stored_reference_gives_the_same_alarms_after_its_rows_are_gone(con):
    stored = json.dumps(profile(con.table("reference")).to_json(), allow_nan=False)
    con.execute("DROP TABLE reference")
    report = compare(Profile.from_json(json.loads(stored)), con.table("current"))
    exact = compare(REFERENCE, CURRENT)
    assert report.drifted == exact.drifted
    for shift in exact.columns:
        found = report.of(shift.column)
        assert (found.status, found.reference.missing) == (shift.status, shift.reference.missing)
        for measured in shift.methods:
            if measured.method in ("wasserstein",):
                continue  # in the column's units
            again = found.of(measured.method)
            assert again.value == pytest.approx(measured.value, abs=0.004), measured
    # Histograms and categories are kept as they are.
    for name in ("normal_0", "five_even", "flag"):
        assert report.of(name).of("psi").value == exact.of(name).of("psi").value


def test_a_profile_of_sixteen_columns_is_small_enough_to_be_kept_with_each_version():
    random = np.random.default_rng(1)
    numeric = {f"x{i}": random.lognormal(size=30_000) for i in range(12)}
    text = {f"c{i}": random.integers(0, 10 ** (i + 1), 30_000).astype(str) for i in range(4)}
    made = profile(pd.DataFrame(numeric | text))
    stored = json.dumps(made.to_json(), allow_nan=False)
    assert len(stored) < 250_000  # 12 of full precision, and 2,000 named categories of 10,000
    assert len(json.dumps(profile(pd.DataFrame(numeric)).to_json())) < 180_000
    assert Profile.from_json(json.loads(stored)).to_json() == made.to_json()
    with pytest.raises(ValueError, match="make the profile anew"):
        Profile.from_json(json.loads(stored) | {"format": "another"})


def test_a_profile_is_the_same_from_a_frame_and_a_relation(con):
    assert profile(REFERENCE).to_json() == profile(con.table("reference")).to_json()


def test_a_slice_or_the_window_before_is_a_reference_like_any_other(con):
    half = con.table("current").filter("flag")
    assert compare(con.table("reference"), half, columns=["normal_1"]).drifted == []
    before = compare(profile(CURRENT), profile(CURRENT))
    assert before.drifted == []
    assert before.of("normal_0").of("wasserstein").value == pytest.approx(0, abs=1e-12)


def test_every_value_is_told_alarm_or_not():
    rows = compare(REFERENCE, CURRENT).to_rows()
    assert {row["method"] for row in rows} == set(OWN)
    assert len(rows) == len(OWN) * len(drift_null.COLUMNS)
    by_column = {row["column_name"]: row for row in rows if row["decides"]}
    assert set(by_column) == set(drift_null.COLUMNS)
    quiet = by_column["normal_1"]
    assert quiet["value"] < quiet["threshold"]
    assert quiet["null_quantile"] > 0
    assert not quiet["drifted"]
    pd.DataFrame(rows).to_json()


def test_an_alarm_needs_the_practical_threshold_which_can_be_declared():
    calm = compare(REFERENCE, CURRENT, thresholds={"normal_0": 0.6})
    assert "normal_0" not in calm.drifted
    shift = calm.of("normal_0")
    assert shift.adjusted_p < 1e-4
    assert shift.decision.threshold == 0.6
    assert calm.of("lognormal_0").drifted


def test_the_method_that_decides_can_be_declared_by_kind_and_by_column():
    report = compare(
        REFERENCE, CURRENT, methods=[], decide={"numeric": "psi", "normal_0": "chi_square"}
    )
    assert report.of("normal_0").decided_by == "chi_square"
    assert report.of("normal_1").decided_by == "psi"
    assert report.of("flag").decided_by == "jensen_shannon"
    assert report.of("normal_0").drifted
    assert [m.method for m in report.of("normal_1").methods] == ["psi"]


def test_a_frame_is_not_changed():
    frame = pd.DataFrame({"x": np.array([3.0, np.nan, 1.0] * 20)})
    kept = frame.copy()
    compare(frame, frame)
    pd.testing.assert_frame_equal(frame, kept)
