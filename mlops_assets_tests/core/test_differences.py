"""Differences of two models: exact where there is an exact answer, honest where days differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlops_assets.core.models import scored
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.promotion import differences
from mlops_assets_tests.core.test_metrics import ALL, binary, example


def noised(problem: str, first: Scored, seed=5) -> Scored:
    """The same rows by a model that is as good, but for some noise."""
    rng = np.random.default_rng(seed)
    if problem == "regression":
        return Scored(first.label, first.prediction + rng.normal(0, 5, len(first)))
    if problem == "binary":
        assert first.score is not None
        score = np.clip(first.score + rng.normal(0, 0.1, len(first)), 0.01, 0.99)
        return Scored(first.label, score >= 0.5, score)
    assert first.scores is not None
    scores = first.scores + rng.random(first.scores.shape)
    scores /= scores.sum(axis=1, keepdims=True)
    names = np.array(first.classes, dtype=object)
    return Scored(first.label, names[scores.argmax(1)], None, scores, first.classes)


@pytest.mark.parametrize(("problem", "metric"), ALL)
def test_bootstrap_and_contributions_agree_on_a_paired_difference(problem, metric):
    first = example(problem, seed=1)
    second = noised(problem, first)
    drawn = differences.paired_difference(problem, metric, first, second, 0.9)
    exact = differences.paired_difference(problem, metric, first, second, 0.9, method="t")
    assert drawn.value == exact.value
    width = exact.high - exact.low
    assert drawn.low == pytest.approx(exact.low, abs=0.15 * width)
    assert drawn.high == pytest.approx(exact.high, abs=0.15 * width)
    # The unnoised one is better, whichever way the metric points.
    assert drawn.value < 0


def test_a_paired_difference_is_the_same_every_time():
    a, b = binary(seed=1), binary(seed=1, noise=0.2)
    assert differences.paired_difference(
        "binary", "log_loss", a, b
    ) == differences.paired_difference("binary", "log_loss", a, b)


def test_models_scored_on_different_rows_are_not_compared():
    with pytest.raises(ValueError, match="same rows"):
        differences.paired_difference("binary", "log_loss", binary(seed=1), binary(seed=2))


@pytest.mark.parametrize(("problem", "metric"), ALL)
@pytest.mark.parametrize("blocks", [None, np.arange(50) // 10])
def test_a_missing_prediction_makes_every_difference_undefined(problem, metric, blocks):
    s = example(problem, 50)
    prediction = s.prediction.astype(float if problem == "regression" else object)
    prediction[3] = np.nan if problem == "regression" else None
    score = None if s.score is None else np.r_[np.nan, s.score[1:]]
    scores = None if s.scores is None else np.r_[[[np.nan] * 3], s.scores[1:]]
    broken = Scored(s.label, prediction, score, scores, s.classes)
    for method in ("exact", "bootstrap", "t"):
        found = differences.paired_difference(
            problem, metric, broken, s, method=method, blocks=blocks
        )
        assert math.isnan(found.value)
        assert math.isnan(found.high)
    none = s.take(np.array([], dtype=int))
    assert math.isnan(differences.paired_difference(problem, metric, none, none).value)


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (7, 0), (0, 7), (12, 4), (30, 30), (160, 120)])
def test_mcnemars_test_is_exact(won, lost):
    """The oracle is the binomial test of the rows on which only one model is right."""
    rows = 1000
    right = np.ones((2, rows), dtype=bool)
    right[1, :won] = False
    right[0, won : won + lost] = False
    label = np.arange(rows) % 2 == 0
    ours, theirs = (Scored(label, label == is_right, np.full(rows, 0.5)) for is_right in right)
    found = differences.paired_difference("binary", "accuracy", ours, theirs, 0.9, method="exact")
    p = stats.binomtest(won, won + lost, alternative="greater").pvalue if won + lost else 1.0
    assert found.method == "mcnemar"
    assert found.p == pytest.approx(p, abs=1e-12)
    assert (found.high < 0) == (p < 0.05)
    assert found.value == pytest.approx((lost - won) / rows)
    assert found.low <= found.value <= found.high


def test_mcnemars_test_is_left_where_a_margin_or_days_make_it_inexact():
    a, b = binary(seed=1), binary(seed=1, noise=0.2)
    for more in ({"bound": 0.01}, {"blocks": np.arange(2000) // 200}):
        found = differences.paired_difference("binary", "accuracy", a, b, method="exact", **more)
        assert found.method == "bootstrap"


@pytest.mark.parametrize(("problem", "metric"), ALL)
def test_blocks_of_one_row_are_rows(problem, metric):
    first = example(problem, 400, seed=1)
    second = noised(problem, first)
    by_row = differences.paired_difference(problem, metric, first, second, method="t")
    single = differences.paired_difference(
        problem, metric, first, second, method="t", blocks=np.arange(400)
    )
    assert single.standard_error == pytest.approx(by_row.standard_error, rel=2e-3)
    assert single.high == pytest.approx(by_row.high, abs=2e-3 * (by_row.high - by_row.low))
    assert (single.blocks, by_row.blocks) == (400, None)


@pytest.mark.parametrize(("problem", "metric"), ALL)
@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_rows_that_are_copies_within_their_day_make_nothing_surer(problem, metric, method):
    """Each row ten times: ten times as many rows, and by day the same error as by row before."""
    first = example(problem, 300, seed=1)
    second = noised(problem, first)
    copies = np.repeat(np.arange(300), 10)
    once = differences.paired_difference(problem, metric, first, second, method="t")
    often = differences.paired_difference(
        problem, metric, first.take(copies), second.take(copies), method=method, blocks=copies
    )
    assert often.value == pytest.approx(once.value)
    assert often.standard_error == pytest.approx(once.standard_error, rel=0.1)


def test_the_variance_by_day_is_that_of_the_day_means():
    """Days of equal size: the oracle is Student's t on the days' mean differences."""
    rng = np.random.default_rng(3)
    days, per_day = 12, 40
    blocks = np.repeat(np.arange(days), per_day)
    label = rng.normal(size=days * per_day)
    shift = rng.normal(0, 0.3, days)[blocks]
    ours, theirs = Scored(label, label + 1 + shift), Scored(label, label + 1.1)
    found = differences.paired_difference(
        "regression", "mae", ours, theirs, 0.9, method="t", blocks=blocks, bound=0.05
    )
    gaps = np.abs(ours.prediction - label) - np.abs(theirs.prediction - label)
    means = gaps.reshape(days, per_day).mean(axis=1)
    low, high = stats.t.interval(0.9, days - 1, means.mean(), stats.sem(means))
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-3 * (high - low))
    assert found.p == pytest.approx(
        stats.ttest_1samp(means, 0.05, alternative="less").pvalue, rel=0.02
    )
    assert found.blocks == days


def test_the_variance_by_day_is_the_jackknife_of_the_days():
    """Days of very unequal size; the oracle leaves each out and measures again."""
    rng = np.random.default_rng(4)
    first = example("regression", 600, seed=1)
    second = noised("regression", first)
    blocks = np.sort(rng.choice(8, 600, p=[0.4, 0.2, 0.1, 0.1, 0.08, 0.06, 0.04, 0.02]))
    found = differences.paired_difference(
        "regression", "mae", first, second, method="t", blocks=blocks
    )
    gaps = np.abs(first.prediction - first.label) - np.abs(second.prediction - second.label)
    without = np.array([gaps[blocks != b].mean() for b in range(8)])
    error = np.sqrt(7 / 8 * np.sum((without - gaps.mean()) ** 2))
    assert found.standard_error == pytest.approx(error, rel=2e-3)


def test_days_that_are_absent_do_not_count():
    first = example("regression", 90, seed=1)
    second = noised("regression", first)
    dense = np.arange(90) // 30
    found = [
        differences.paired_difference("regression", "rmse", first, second, method=m, blocks=b)
        for m in ("t", "bootstrap")
        for b in (dense, 5 + 7 * dense)
    ]
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert found[0].blocks == 3


def test_one_day_tells_nothing():
    first = example("regression", 90, seed=1)
    found = differences.paired_difference(
        "regression", "mae", first, noised("regression", first), method="t",
        blocks=np.zeros(90, dtype=int),
    )  # fmt: skip
    assert math.isfinite(found.value)
    assert math.isnan(found.high)


@pytest.mark.parametrize(("metric", "method"), [("log_loss", "bootstrap"), ("roc_auc", "t")])
def test_p_value_and_bound_tell_the_same(metric, method):
    a = binary(seed=1)
    for noise in np.linspace(0.0, 0.06, 13):
        rng = np.random.default_rng(9)
        assert a.score is not None
        score = np.clip(a.score + rng.normal(0, noise, len(a)), 0.01, 0.99)
        found = differences.paired_difference(
            "binary", metric, a, Scored(a.label, score >= 0.5, score), 0.9, method=method
        )
        assert found.p is not None
        assert (found.p < 0.05) == (found.high < 0)


def test_contributions_by_day_use_the_one_definition_of_a_contribution():
    _, parts = scored.estimate("regression", "r2", example("regression", 500))
    assert parts.sum() == pytest.approx(0, abs=1e-12)
