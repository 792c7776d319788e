"""The parts beside what they should equal: scikit-learn, SciPy, and exact counting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlops_assets.core.multivariate import (
    arrangement,
    classifier,
    compare,
    from_arrow,
    keep,
    reconstruction,
    to_arrow,
)
from mlops_assets.core.multivariate.canonical import canonical, row_numbers
from mlops_assets.core.multivariate.features import normal_scores
from mlops_assets_tests.benchmarks import multivariate_cases as cases


def test_a_kept_sample_depends_on_content_alone():
    rows = cases.unchanged(1, 3_000, 1)[0]
    kept = keep(rows, 200)
    shuffled = keep(rows.sample(frac=1, random_state=1).reset_index(drop=True), 200)
    pd.testing.assert_frame_equal(kept, shuffled)
    assert to_arrow(kept) == to_arrow(shuffled)
    assert len(keep(rows.head(100), 200)) == 100
    # A few more rows change the sample by about as few.
    more = keep(pd.concat([rows, cases.unchanged(2, 60, 1)[0]]), 200)
    assert len(pd.merge(kept, more, how="inner")) >= 185


def test_equal_rows_are_sampled_like_any_others():
    r = np.random.default_rng(1)
    rows = pd.DataFrame({"a": r.random(20_000) < 0.3, "b": r.random(20_000) < 0.5})
    share = keep(rows, 2_000).mean()
    assert share["a"] == pytest.approx(0.3, abs=0.035)
    assert share["b"] == pytest.approx(0.5, abs=0.035)


def test_numbers_for_different_purposes_are_unrelated():
    column = canonical(pd.Series(np.arange(5_000.0)))
    first, second = (row_numbers([("a", column)], 5_000, purpose) for purpose in (0, 1))
    assert abs(stats.spearmanr(first, second).statistic) < 0.05
    assert stats.kstest(first / 2.0**64, "uniform").pvalue > 0.001


def test_a_sample_read_back_gives_the_same_report():
    reference, current = cases.unchanged(1, 400, 300)
    reference["lists"] = current["lists"] = "x"
    reference["mixed"] = pd.Series([1, "one", None, 2.5] * 100, dtype=object)
    current["mixed"] = pd.Series([1, "one", None] * 100, dtype=object)
    kept = keep(reference)
    assert compare(from_arrow(to_arrow(kept)), current) == compare(kept, current)


def test_areas_are_those_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    r = np.random.default_rng(2)
    current = r.random((900, 3)) < 0.3
    scores = r.normal(size=(900, 3)) + 0.5 * current
    scores[:, 2] = scores[:, 2].round()  # ties
    expected = [roc_auc_score(current[:, at], scores[:, at]) for at in range(3)]
    assert classifier._areas(scores, current) == pytest.approx(expected, abs=1e-3)


def test_normal_scores_are_those_of_mid_ranks():
    values = np.array([3.0, np.nan, 1.0, 1.0, np.inf, -np.inf, 2.0])
    missing = np.isnan(values)
    found = normal_scores(values, missing)
    ranks = stats.rankdata(values[~missing])
    assert found[~missing] == pytest.approx(stats.norm.ppf((ranks - 0.5) / 6), abs=1e-6)
    assert found[1] == 0


def test_the_plane_is_that_of_scikit_learn():
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    r = np.random.default_rng(3)
    rows = r.normal(size=(500, 6)) @ r.normal(size=(6, 6))
    later = r.normal(size=(50, 6))
    plane = reconstruction.fit(rows)
    made = make_pipeline(StandardScaler(), PCA(n_components=reconstruction.EXPLAINED)).fit(rows)
    again = made.inverse_transform(made.transform(later))
    scale = made[0].scale_
    expected = np.linalg.norm((later - again) / scale, axis=1)
    assert plane.directions.shape[1] == made[1].n_components_
    assert plane.errors(later) == pytest.approx(expected)


def test_sides_are_dealt_within_folds():
    r = np.random.default_rng(4)
    numbers = tuple(r.integers(0, 2**63, size).astype(np.uint64) for size in (103, 31))
    dealt = arrangement.of_rows(numbers)
    assert sorted(dealt.order.tolist()) == list(range(134))
    assert (dealt.current[:, 0] == (dealt.order >= 103)).all()
    for rows in dealt.folds:
        per_side = dealt.current[rows].sum(axis=0)
        assert (per_side == per_side[0]).all()
        assert 6 <= per_side[0] <= 7
    # Each row is a current one as often as any.
    assert dealt.current[:, 1:].mean(axis=1).std() < 0.04


def test_days_are_dealt_whole():
    days = (np.repeat(np.arange(20), 5), np.repeat(np.arange(20, 24), 5))
    dealt = arrangement.of_blocks(days, 0.05)
    day = np.concatenate(days)[dealt.order]
    for one in np.unique(day):
        assert (dealt.current[day == one].std(axis=0) == 0).all()
    assert arrangement.of_blocks((days[0][:10], days[1][:10]), 0.05) is None


def test_p_is_the_share_of_arrangements_and_the_quantile_its_limit():
    drawn = np.arange(99.0)
    p, quantile = arrangement.by_chance(97.5, drawn, 0.05)
    assert p == 0.02
    assert quantile == 94.0
    for value in np.arange(90.25, 99):
        p, _ = arrangement.by_chance(value, drawn, 0.05)
        assert (p <= 0.05) == (value > quantile)
