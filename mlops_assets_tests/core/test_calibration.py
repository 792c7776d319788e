"""Calibration: a gap is found where there is one, and is as sure as the days allow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlops_assets.core.models.scored import Scored
from mlops_assets.core.promotion.calibration import ALL, calibration, expected_error


def binary(n=5000, seed=0, shift=0.0) -> Scored:
    rng = np.random.default_rng(seed)
    chance = rng.beta(2, 4, n)
    label = rng.random(n) < chance
    score = np.clip(chance + shift, 0, 1)
    return Scored(label, score >= 0.5, score)


def test_a_calibrated_model_has_gaps_that_may_be_chance():
    overall, *tenths = calibration("binary", binary(), None)
    assert overall.part == ALL
    assert [part.part for part in tenths] == [str(n) for n in range(1, 11)]
    assert overall.gap.low < 0 < overall.gap.high
    assert sum(part.gap.low < 0 < part.gap.high for part in tenths) >= 8
    assert expected_error([overall, *tenths]) < 0.03


def test_a_shifted_model_is_found_out():
    overall, *tenths = calibration("binary", binary(shift=0.1), None)
    assert overall.gap.value == pytest.approx(0.1, abs=0.02)
    assert overall.gap.low > 0
    assert expected_error([overall, *tenths]) == pytest.approx(0.1, abs=0.02)


def test_labels_of_any_type_are_compared_with_the_positive_class():
    plain = binary()
    names = np.array(["no", "yes"], dtype=object)[plain.label.astype(int)]
    named = Scored(names, plain.prediction, plain.score, None, ["no", "yes"])
    assert calibration("binary", named, None) == calibration("binary", plain, None)


def test_equal_predictions_are_one_part():
    rng = np.random.default_rng(0)
    score = np.where(np.arange(1000) < 700, 0.2, 0.6)
    scored = Scored(rng.random(1000) < score, score >= 0.5, score)
    _, *tenths = calibration("binary", scored, None)
    assert [part.rows for part in tenths] == [700, 300]


def test_a_multiclass_model_is_right_as_often_as_it_says():
    rng = np.random.default_rng(1)
    scores = rng.dirichlet([1, 1, 1], 20_000)
    classes = np.array(["a", "b", "c"], dtype=object)
    label = classes[(scores.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)]
    scored = Scored(label, classes[scores.argmax(axis=1)], None, scores, list(classes))
    overall, *_ = calibration("multiclass", scored, None)
    assert overall.gap.low < 0 < overall.gap.high
    assert overall.predicted == pytest.approx(scores.max(axis=1).mean())


def test_a_regressions_bias_is_in_the_unit_of_its_label():
    rng = np.random.default_rng(2)
    label = rng.gamma(2, 10, 4000)
    overall, *_ = calibration("regression", Scored(label, label + rng.normal(-3, 5, 4000)), None)
    assert overall.gap.value == pytest.approx(-3, abs=0.5)


def test_days_that_are_off_as_a_whole_make_the_gap_less_sure():
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(14), 300)
    chance = np.clip(0.3 + rng.normal(0, 0.1, 14)[day], 0, 1)
    label = rng.random(len(day)) < chance
    scored = Scored(label, np.zeros(len(day), dtype=bool), np.full(len(day), 0.3))
    by_row, by_day = (calibration("binary", scored, b)[0].gap for b in (None, day))
    assert by_day.standard_error > 3 * by_row.standard_error
    assert (by_row.blocks, by_day.blocks) == (None, 14)


def test_a_prediction_that_is_no_number_leaves_nothing_that_could_pass():
    broken = binary(100)
    assert broken.score is not None
    score = broken.score.copy()
    score[3] = np.nan
    [overall] = calibration("binary", Scored(broken.label, broken.prediction, score), None)
    assert math.isnan(overall.gap.value)
    assert math.isnan(expected_error([overall]))


def test_no_rows_have_no_calibration():
    assert calibration("binary", binary(10).take(np.array([], dtype=int)), None) == []
