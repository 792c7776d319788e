"""What cannot be estimated has a status, what is not validated triggers nothing."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.estimation import Estimate, Matured, Sample, estimate, fit, validate
from mlops_assets.core.models.scored import Scored


def sample(n: int = 800, seed: int = 0, shift: float = 0.0, **changed) -> Sample:
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, n)
    score = 1 / (1 + np.exp(-x))
    label = rng.random(n) < score
    made = {"label": label, "prediction": score >= 0.5, "score": score, **changed}
    features = pd.DataFrame({"x": x, "colour": rng.choice(["red", "blue"], n)})
    return Sample(Scored(**made), features)


def numbers(n: int = 800, seed: int = 0, noise: float = 1.0) -> Sample:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, n)
    label = x + rng.normal(0, noise, n) * (1 + (x > 0))
    return Sample(Scored(label, x), pd.DataFrame({"x": x, "kind": rng.choice(["a", "b"], n)}))


def status(reference: Sample, window: Sample, method="cbpe", problem="binary") -> set[str]:
    found = estimate(fit(problem, reference, method), window)
    assert all(math.isnan(f.value) for f in found if f.status != "estimated")
    assert all(f.reason for f in found if f.status != "estimated")
    return {f.status for f in found}


def holed(values: np.ndarray) -> np.ndarray:
    values = values.astype(float)
    values[3] = np.nan
    return values


@pytest.mark.parametrize("method", ["cbpe", "pape"])
def test_data_that_cannot_be_estimated_have_a_status(method):
    good = sample()
    score = good.scored.score
    assert status(good, sample(400, 1), method) == {"estimated"}
    assert status(good, sample(5, 1), method) == {"too_few_rows"}
    assert status(good, sample(0, 1), method) == {"too_few_rows"}
    assert status(sample(50), sample(400, 1), method) == {"too_few_reference_rows"}
    assert status(sample(0), sample(400, 1), method) == {"too_few_reference_rows"}
    unlabelled = sample(label=np.full(800, None, dtype=object))
    assert status(unlabelled, sample(400, 1), method) == {"too_few_reference_rows"}
    assert status(sample(label=np.zeros(800, bool)), good, method) == {"one_class"}
    assert status(sample(label=np.ones(800, bool)), good, method) == {"one_class"}
    assert status(sample(score=holed(score)), good, method) == {"missing_scores"}
    assert status(good, sample(score=holed(score)), method) == {"missing_scores"}


@pytest.mark.parametrize("method", ["pape", "dle"])
def test_features_that_are_missing_or_others_have_a_status(method):
    good, problem = (sample(), "binary") if method == "pape" else (numbers(), "regression")
    bare = Sample(good.scored)
    assert status(bare, good, method, problem) == {"missing_features"}
    assert status(good, bare, method, problem) == {"missing_features"}
    fewer = Sample(good.scored, good.features.drop(columns="x"))
    assert status(good, fewer, method, problem) == {"other_features"}
    more = Sample(good.scored, good.features.assign(new=1.0))
    assert status(good, more, method, problem) == {"estimated"}


@pytest.mark.parametrize("method", ["pape", "dle"])
def test_odd_columns_are_no_exception(method):
    good, problem = (sample(), "binary") if method == "pape" else (numbers(), "regression")
    odd = good.features.assign(
        empty=np.nan,
        constant=1.0,
        nothing=pd.Series([None] * 800, dtype=object),
        holes=np.where(np.arange(800) % 3 == 0, np.nan, 2.0),
        infinite=np.where(np.arange(800) % 3 == 0, np.inf, 2.0),
        flag=np.arange(800) % 2 == 0,
    )
    unseen = odd.copy()
    unseen.loc[:80, odd.columns[1]] = "unheard of"
    assert status(Sample(good.scored, odd), Sample(good.scored, unseen), method, problem) == {
        "estimated"
    }


def test_a_category_that_is_new_throughout_the_window_is_said_to_be_so():
    good = sample()
    new = Sample(good.scored, good.features.assign(colour="unheard of"))
    assert status(good, new, "pape") == {"shifted_too_far"}


def test_a_window_unlike_any_reference_row_is_said_to_be_so():
    assert status(sample(2000), sample(1000, 1, shift=5.0), "pape") == {"shifted_too_far"}


def test_a_metric_without_a_denominator_is_undefined_and_the_others_are_not():
    good = sample()
    never = sample(400, 1, prediction=np.zeros(400, bool))
    found = {f.metric: f.status for f in estimate(fit("binary", good, "cbpe"), never)}
    assert found.pop("precision") == "undefined"
    assert set(found.values()) == {"estimated"}


def test_a_class_that_never_occurs_has_a_status():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet([1, 1, 1], 800)
    names = np.array(["a", "b", "c"], dtype=object)
    said = names[scores.argmax(axis=1)]
    rows = Sample(Scored(np.where(said == "c", "a", said), said, scores=scores, classes=names))
    assert status(rows, rows, "cbpe", "multiclass") == {"one_class"}


def test_missing_predictions_of_a_regression_have_a_status():
    good = numbers()
    holes = Sample(Scored(good.scored.label, holed(good.scored.prediction)), good.features)
    assert status(good, holes, "dle", "regression") == {"missing_scores"}
    [found] = estimate(fit("regression", good, "dle"), good, ["r2"])
    assert found.status == "not_estimable"


def test_mistakes_of_the_caller_raise():
    with pytest.raises(ValueError, match="does not estimate regression"):
        fit("regression", numbers(), "cbpe")
    fitted = fit("binary", sample(), "cbpe")
    with pytest.raises(ValueError, match="no metric of binary"):
        estimate(fitted, sample(), ["mae"])
    with pytest.raises(ValueError, match="needs costs"):
        estimate(fitted, sample(), ["business_value"])
    with pytest.raises(ValueError, match="has 3 rows"):
        Sample(sample().scored, blocks=np.arange(3))


def told(estimated: float, realised: float, reach: float = 0.02) -> Matured:
    return Matured(estimated, estimated - reach, estimated + reach, realised, 0.5)


def test_an_estimator_is_validated_by_enough_windows_with_a_small_error():
    good = [told(0.50, 0.51), told(0.52, 0.50), told(0.49, 0.49), told(0.50, 0.53)]
    assert validate(good, bound=0.02).validated
    assert not validate(good[:3], bound=0.02).validated
    assert not validate(good, bound=0.01).validated
    assert not validate(good, bound=None).validated
    found = validate(good, bound=0.02)
    assert (found.windows, found.mae) == (4, pytest.approx(0.015))
    assert found.bias == pytest.approx(-0.005)
    assert found.coverage == 0.75
    assert found.unchanged_mae == pytest.approx((0.01 + 0.0 + 0.01 + 0.03) / 4)


def test_windows_without_estimate_or_labels_validate_nothing():
    empty = [told(math.nan, 0.5), told(0.5, math.nan)] * 10
    found = validate(empty, bound=1.0)
    assert (found.windows, found.validated) == (0, False)
    assert math.isnan(found.mae)
    assert not validate([], bound=1.0, least=0).validated


@pytest.mark.parametrize(("metric", "value"), [("log_loss", 0.7), ("roc_auc", 0.55)])
def test_only_a_validated_estimate_that_is_surely_worse_triggers(metric, value):
    trusted = validate([told(0.5, 0.5)] * 4, bound=0.02)

    def found(error, status="estimated", reach=0.02) -> Estimate:
        return Estimate("pape", metric, 500, 800, status, value=value, low=value - reach,
                        high=value + reach, error=error)  # fmt: skip

    assert found(trusted).worse_than(0.6)
    assert not found(trusted, reach=0.2).worse_than(0.6)
    assert not found(validate([told(0.5, 0.5)] * 3, bound=0.02)).worse_than(0.6)
    assert not found(trusted, "undefined").worse_than(0.6)
    assert not found(trusted, reach=math.nan).worse_than(0.6)
    assert not estimate(fit("binary", sample(), "cbpe"), sample(400, 1))[0].validated


def test_direct_losses_are_as_sure_as_they_say_and_follow_the_mix():
    held, errors, unchanged = [], [], []
    for run in range(4):
        reference, window = numbers(2000, run), numbers(2000, 100 + run)
        rough = window.take(window.scored.prediction > -0.5)
        for found in estimate(fit("regression", reference, "dle"), rough):
            gap = np.abs(rough.scored.prediction - rough.scored.label)
            before = np.abs(reference.scored.prediction - reference.scored.label)
            real, past = (
                (g.mean() if found.metric == "mae" else np.sqrt((g**2).mean()))
                for g in (gap, before)
            )
            held.append(found.low <= real <= found.high)
            errors.append(abs(found.value - real))
            unchanged.append(abs(past - real))
    assert np.mean(held) >= 0.75  # 0.95 of 200, in bench_estimation
    assert np.mean(errors) < 0.5 * np.mean(unchanged)


def test_a_loss_model_that_has_learnt_nothing_says_that_nothing_has_changed():
    rng = np.random.default_rng(0)
    day = np.arange(2000) // 100
    rows = [
        Sample(Scored(rng.normal(0, 1, 2000), np.zeros(2000)), rng.normal(0, 1, (2000, 5)), day)
        for _ in range(2)
    ]
    [found, _] = estimate(fit("regression", rows[0], "dle"), rows[1])
    assert found.calibrated < 0.2
    assert found.value == pytest.approx(np.abs(rows[0].scored.label).mean(), abs=0.01)
