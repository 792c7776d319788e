"""Metrics: the values scikit-learn gives, honest intervals, and NaN where there is no value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from mlops_assets.core.models import metrics
from mlops_assets.core.models.scored import LOG_LOSS_EPSILON, Scored
from mlops_assets.vocabulary import METRICS


def binary(n=2000, seed=0, noise=0.15, classes=None) -> Scored:
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.3
    score = np.clip(0.3 + 0.2 * (label - 0.3) + rng.normal(0, noise, n), 0.01, 0.99)
    predicted = score >= 0.5
    if classes is not None:
        names = np.array(classes, dtype=object)
        return Scored(names[label.astype(int)], names[predicted.astype(int)], score, None, classes)
    return Scored(label, predicted, score)


def multiclass(n=2000, seed=0) -> Scored:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet([1, 1, 1], n)
    classes = ["blue", "green", "red"]
    names = np.array(classes, dtype=object)
    label = names[(scores.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)]
    return Scored(label, names[scores.argmax(axis=1)], None, scores, classes)


def regression(n=2000, seed=0, noise=10.0) -> Scored:
    rng = np.random.default_rng(seed)
    label = rng.gamma(2, 10, n)
    return Scored(label, label + rng.normal(0, noise, n))


def example(problem: str, n=2000, seed=0) -> Scored:
    return {"binary": binary, "multiclass": multiclass, "regression": regression}[problem](n, seed)


ALL = [(problem, metric) for problem, names in METRICS.items() for metric in names]


def test_binary_metrics_are_those_of_scikit_learn():
    s = binary()
    assert metrics.compute("binary", s) == pytest.approx(
        {
            "log_loss": reference.log_loss(s.label, s.score),
            "brier": reference.brier_score_loss(s.label, s.score),
            "roc_auc": reference.roc_auc_score(s.label, s.score),
            "accuracy": reference.accuracy_score(s.label, s.prediction),
        }
    )


def test_multiclass_metrics_are_those_of_scikit_learn():
    s = multiclass()
    assert metrics.compute("multiclass", s) == pytest.approx(
        {
            "log_loss": reference.log_loss(s.label, s.scores, labels=s.classes),
            "accuracy": reference.accuracy_score(s.label, s.prediction),
        }
    )


def test_regression_metrics_are_those_of_scikit_learn():
    s = regression()
    assert metrics.compute("regression", s) == pytest.approx(
        {
            "mae": reference.mean_absolute_error(s.label, s.prediction),
            "rmse": reference.root_mean_squared_error(s.label, s.prediction),
            "r2": reference.r2_score(s.label, s.prediction),
        }
    )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=40).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_ties_do_not_bend_the_roc_area(rows):
    label = np.array([r[0] for r in rows])
    score = np.array([r[1] / 4 for r in rows])
    found = metrics.value("binary", "roc_auc", Scored(label, score > 0.5, score))
    assert found == pytest.approx(reference.roc_auc_score(label, score))


def test_the_type_of_class_labels_changes_no_metric():
    as_booleans = metrics.compute("binary", binary())
    assert metrics.compute("binary", binary(classes=["no", "yes"])) == as_booleans
    assert metrics.compute("binary", binary(classes=[0, 1])) == as_booleans


def test_an_impossible_row_costs_a_finite_loss():
    s = Scored(np.array([True]), np.array([False]), np.array([0.0]))
    assert metrics.value("binary", "log_loss", s) == pytest.approx(-math.log(LOG_LOSS_EPSILON))


def test_a_class_never_seen_in_training_counts_against_the_model():
    classes = ["blue", "red"]
    s = Scored(
        np.array(["violet"], dtype=object),
        np.array(["blue"], dtype=object),
        None,
        np.array([[0.9, 0.1]]),
        classes,
    )
    found = metrics.compute("multiclass", s)
    assert found["accuracy"] == 0.0
    assert found["log_loss"] == pytest.approx(-math.log(LOG_LOSS_EPSILON))


@pytest.mark.parametrize(("problem", "metric"), ALL)
def test_a_missing_prediction_is_never_counted_as_good(problem, metric):
    s = example(problem, 50)
    prediction = s.prediction.astype(float if problem == "regression" else object)
    prediction[3] = np.nan if problem == "regression" else None
    score = None if s.score is None else s.score.copy()
    scores = None if s.scores is None else s.scores.copy()
    if score is not None:
        score[3] = np.nan
    if scores is not None:
        scores[3] = np.nan
    broken = Scored(s.label, prediction, score, scores, s.classes)
    assert math.isnan(metrics.value(problem, metric, broken))
    found = metrics.interval(problem, metric, broken)
    assert math.isnan(found.value)
    assert math.isnan(found.low)


@pytest.mark.parametrize(("problem", "metric"), ALL)
def test_a_missing_label_makes_the_metric_undefined(problem, metric):
    s = example(problem, 50)
    label = s.label.astype(float if problem == "regression" else object)
    label[0] = np.nan if problem == "regression" else None
    broken = Scored(label, s.prediction, s.score, s.scores, s.classes)
    assert math.isnan(metrics.value(problem, metric, broken))


@pytest.mark.parametrize(("problem", "metric"), ALL)
def test_no_rows_are_undefined_and_no_error(problem, metric):
    none = example(problem, 10).take(np.array([], dtype=int))
    found = metrics.interval(problem, metric, none)
    assert found.n == 0
    assert math.isnan(found.value)


def test_one_class_has_no_roc_area_and_constant_labels_no_r2():
    s = binary(100)
    only = s.take(s.label)
    assert math.isnan(metrics.value("binary", "roc_auc", only))
    constant = Scored(np.full(10, 0.1), np.arange(10.0))
    assert math.isnan(metrics.value("regression", "r2", constant))


@pytest.mark.parametrize(("problem", "metric"), ALL)
def test_the_row_values_average_to_the_metric(problem, metric):
    s = example(problem)
    rows = metrics.row_losses(problem, metric, s)
    if metric in ("roc_auc", "rmse", "r2"):
        assert rows is None
    else:
        assert rows is not None
        assert rows.mean() == pytest.approx(metrics.value(problem, metric, s))


@pytest.mark.parametrize(("problem", "metric"), ALL)
def test_the_interval_covers_the_truth_as_often_as_it_says(problem, metric):
    """Truth: the metric of 60,000 rows. The bounds are 4 standard errors wide."""
    truth = metrics.value(problem, metric, example(problem, 60_000, seed=99))
    rows = [example(problem, 200, seed) for seed in range(300)]
    found = [metrics.interval(problem, metric, s) for s in rows]
    covered = np.mean([f.low <= truth <= f.high for f in found])
    assert 0.90 <= covered <= 0.99
