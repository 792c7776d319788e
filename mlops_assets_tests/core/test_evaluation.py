"""Evaluation: all contenders on the same rows, the baseline honest, the report complete."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from mlops_assets.core.models import training
from mlops_assets.core.promotion import evaluation, gate
from mlops_assets.core.promotion.evaluation import Contender, EvaluationReport, evaluate
from mlops_assets.core.scoring.scoring import SignatureError
from mlops_assets.vocabulary import Label, Model, PromotionGate, Rows
from mlops_assets_tests.core.test_gate import CLEAN

DAYS = 14


def judge(declared: Model, report: EvaluationReport) -> gate.Verdict:
    """The verdict where nothing is wrong with the holdout."""
    clean = replace(report, holdout=CLEAN)
    return gate.decide(declared.gate, clean, problem=declared.problem, metric=declared.metric)


def model(problem="binary", estimator=LogisticRegression, **more) -> Model:
    return Model(
        name="m",
        problem=problem,
        rows=Rows(source="orders", as_of="ordered_at"),
        features=["view"],
        label=Label(name="late", source="orders", expression="late", join=["order_id"]),
        estimator=estimator,
        slices=["shop"],
        **more,
    )


def frame(n=3000, seed=0, label="bool", flip=False) -> pd.DataFrame:
    """``flip``: the features mean the opposite, as after a change of the world."""
    rng = np.random.default_rng(seed)
    out = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    signal = (-2 if flip else 2) * out["a"] + rng.logistic(size=n)
    out["partition_date"] = pd.Timestamp("2024-05-01") + pd.to_timedelta(
        np.arange(n) * DAYS // n, unit="D"
    )
    out["shop"] = rng.choice(["north", "south", None], n, p=[0.6, 0.3, 0.1])
    values = {
        "bool": signal > 1,
        "three": np.select([signal > 1, signal > -1], ["late", "in time"], "early"),
        "number": 10 * signal + 100,
    }
    out["label"] = values[label]
    return out


def contender(declared: Model, data: pd.DataFrame, version: int, features=("a", "b")) -> Contender:
    fitted = training.fit_frame(declared, data[[*features, "label"]])
    return Contender(version, fitted.estimator, fitted.signature)


PROBLEMS = [
    ("binary", LogisticRegression, "bool"),
    ("multiclass", LogisticRegression, "three"),
    ("regression", LinearRegression, "number"),
]


@pytest.mark.parametrize(("problem", "estimator", "label"), PROBLEMS)
def test_a_challenger_that_learnt_the_new_world_wins(problem, estimator, label):
    declared = model(problem, estimator)
    old = contender(declared, frame(seed=1, label=label, flip=True), 1)
    new = contender(declared, frame(seed=2, label=label), 2)
    report = evaluate(declared, frame(seed=3, label=label), new, old)
    assert report.versus_champion is not None
    assert report.versus_champion.high < 0
    assert report.versus_baseline.high < 0
    assert (report.challenger_version, report.champion_version) == (2, 1)
    verdict = judge(declared, report)
    assert verdict.promoted, verdict.reasons
    back = evaluate(declared, frame(seed=3, label=label), old, new)
    assert not judge(declared, back).promoted


@pytest.mark.parametrize(
    ("problem", "estimator", "label", "metric"),
    [
        ("binary", lambda: DummyClassifier(strategy="prior"), "bool", None),
        ("multiclass", lambda: DummyClassifier(strategy="prior"), "three", None),
        ("regression", lambda: DummyRegressor(strategy="median"), "number", "mae"),
        ("regression", DummyRegressor, "number", "rmse"),
    ],
)
def test_the_baseline_is_the_best_constant_and_no_better(problem, estimator, label, metric):
    declared = model(problem, estimator, gate=PromotionGate(metric=metric))
    constant = contender(declared, frame(seed=1, label=label), 1)
    report = evaluate(declared, frame(seed=2, label=label), constant)
    for name, found in report.baseline.items():
        assert report.challenger[name].value == pytest.approx(found.value, nan_ok=True)
    # A model that is the baseline does not beat it.
    verdict = judge(declared, report)
    assert [r.name for r in verdict.rules if r.passed is False] == ["baseline"]


def test_a_first_model_has_no_champion_in_its_report():
    declared = model()
    report = evaluate(declared, frame(seed=2), contender(declared, frame(), 1))
    assert report.champion is None
    assert report.versus_champion is None
    assert report.champion_version is None
    assert all(s.difference is None for s in report.slices)


def test_a_champion_on_features_that_are_gone_is_reported_and_does_not_stop_the_challenger():
    declared = model()
    holdout = frame(seed=2).drop(columns="b")
    report = evaluate(
        declared,
        holdout,
        contender(declared, frame(seed=1), 2, features=("a",)),
        contender(declared, frame(seed=1), 1),
    )
    assert report.champion is None
    assert "b is missing" in (report.champion_problem or "")
    assert report.champion_version == 1


def test_a_challenger_that_cannot_score_the_holdout_is_an_error():
    declared = model()
    challenger = contender(declared, frame(seed=1), 2)
    with pytest.raises(SignatureError, match="b is missing"):
        evaluate(declared, frame(seed=2).drop(columns="b"), challenger)


class Broken:
    """Answers NaN, as after an overflow."""

    def predict_proba(self, prepared):
        return np.full((len(prepared), 2), np.nan)


def test_a_challenger_that_answers_nan_is_measured_as_undefined_and_refused():
    declared = model()
    good = contender(declared, frame(seed=1), 1)
    broken = replace(good, version=2, estimator=Broken())
    report = evaluate(declared, frame(seed=2), broken, good)
    assert math.isnan(report.challenger["log_loss"].value)
    verdict = judge(declared, report)
    refused = {rule.name for rule in verdict.rules if rule.passed is False}
    assert refused == {"defined", "baseline", "champion", "slices"}


def test_slices_cover_every_row_missing_values_included():
    declared = model()
    report = evaluate(declared, frame(seed=2), contender(declared, frame(), 1))
    assert [s.slice for s in report.slices] == ["shop=north", "shop=south", "shop=<missing>"]
    assert sum(s.rows for s in report.slices) == report.rows


def test_a_slice_column_with_a_thousand_values_does_not_flood_the_report():
    data = pd.DataFrame({"shop": np.r_[np.arange(1000), [7, 7, 7]]})
    found = list(evaluation.slice_rows(data, ["shop"]))
    assert len(found) == evaluation.SLICE_VALUES
    assert found[0][0] == "shop=7"
    assert len(found[0][1]) == 4


def test_a_slice_that_got_worse_refuses_an_otherwise_better_model():
    class South:
        """Right in the north, confidently wrong in the south."""

        def __init__(self, good):
            self.good = good

        def predict_proba(self, prepared):
            said = self.good.predict_proba(prepared[["a", "b"]])
            south = prepared["s"].to_numpy() == 1
            said[south] = said[south][:, ::-1]
            return said

    declared = model(gate=PromotionGate(beat_baseline=False, margin=100.0))
    good = contender(declared, frame(seed=1), 1)
    signature = {
        **good.signature,
        "inputs": [*good.signature["inputs"], {"name": "s", "type": "number", "nullable": False}],
    }
    holdout = frame(seed=2)
    holdout["s"] = (holdout["shop"] == "south").astype(int)
    report = evaluate(declared, holdout, Contender(2, South(good.estimator), signature), good)
    verdict = judge(declared, report)
    assert [r.name for r in verdict.rules if r.passed is False] == ["slices"]
    [rule] = [r for r in verdict.rules if r.name == "slices"]
    assert "shop=south" in rule.sentence
    assert "shop=north" not in rule.sentence


def test_a_report_survives_json_nan_included():
    declared = model()
    good = contender(declared, frame(seed=1), 1)
    report = evaluate(declared, frame(seed=2), replace(good, estimator=Broken()), good)
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert repr(EvaluationReport.from_dict(json.loads(text))) == repr(report)


def test_the_same_evaluation_gives_the_same_report():
    declared = model()
    first, second = contender(declared, frame(seed=1), 1), contender(declared, frame(seed=4), 2)
    holdout = frame(seed=2)
    assert evaluate(declared, holdout, second, first) == evaluate(declared, holdout, second, first)


def test_rows_of_one_day_are_not_taken_for_independent_unless_declared():
    """Two models that differ by whole days: sure by row, and not by day."""
    declared, by_row = model(), model(gate=PromotionGate(block="row"))
    holdout = frame(seed=3)

    class Lucky:
        """Better on ten of fourteen days, worse on the others."""

        def __init__(self, good):
            self.good = good

        def predict_proba(self, prepared):
            said = self.good.predict_proba(prepared[["a", "b"]])
            day = np.arange(len(prepared)) * DAYS // len(prepared)
            weight = np.where(day % 7 < 5, 0.85, 0.65)[:, None]
            return weight * said + (1 - weight) * 0.5

    good = contender(declared, frame(seed=1), 1)
    flat = replace(good, estimator=Lucky(good.estimator), version=2)

    class Even(Lucky):
        def predict_proba(self, prepared):
            return 0.79 * self.good.predict_proba(prepared[["a", "b"]]) + 0.21 * 0.5

    even = replace(good, estimator=Even(good.estimator))
    days, rows = (evaluate(d, holdout, flat, even) for d in (declared, by_row))
    assert days.versus_champion is not None
    assert rows.versus_champion is not None
    assert days.versus_champion.value == rows.versus_champion.value
    assert days.versus_champion.standard_error > 2 * rows.versus_champion.standard_error
    assert (days.versus_champion.blocks, rows.versus_champion.blocks) == (DAYS, None)
    assert (days.block, rows.block) == ("day", "row")
    assert all(s.difference is not None and s.difference.blocks == DAYS for s in days.slices)


def test_rows_without_days_are_an_error_that_says_what_to_declare():
    declared = model()
    with pytest.raises(ValueError, match="block='row'"):
        evaluate(
            declared, frame(seed=2).drop(columns="partition_date"), contender(declared, frame(), 1)
        )


def test_accuracy_by_row_is_compared_by_the_exact_test():
    declared = model(gate=PromotionGate(metric="accuracy", block="row"))
    first, second = contender(declared, frame(seed=1), 1), contender(declared, frame(seed=4), 2)
    report = evaluate(declared, frame(seed=2), second, first)
    assert report.versus_champion is not None
    assert report.versus_champion.method == "mcnemar"
    [rule] = [r for r in judge(declared, report).rules if r.name == "champion"]
    assert rule.p == report.versus_champion.p


def test_the_time_is_measured_where_there_is_a_budget_and_only_there():
    declared = model()
    challenger = replace(contender(declared, frame(seed=1), 1), size_bytes=1234)
    report = evaluate(declared, frame(seed=2), challenger)
    assert (report.size_bytes, report.milliseconds) == (1234, None)
    hurried = model(gate=PromotionGate(max_milliseconds=1e-6, max_bytes=1233))
    report = evaluate(hurried, frame(seed=2), challenger)
    assert report.milliseconds is not None
    assert 1e-6 < report.milliseconds < 10_000
    refused = {rule.name for rule in judge(hurried, report).rules if rule.passed is False}
    assert refused == {"size", "time"}


def test_a_champion_scored_on_other_rows_is_noticed():
    declared = model()
    holdout = frame(seed=2).assign(row_key=[str(i) for i in range(3000)])
    new, old = contender(declared, frame(seed=1), 2), contender(declared, frame(seed=4), 1)
    for own, other in (
        (holdout, 0),
        (holdout.copy(), 0),
        (holdout.assign(row_key=holdout["row_key"].shift(1)), 3000),
        (holdout.drop(columns="row_key"), 3000),
    ):
        report = evaluate(declared, holdout, new, replace(old, features=own), evidence=CLEAN)
        assert report.holdout is not None
        assert report.holdout.other_rows == other


@pytest.mark.parametrize(("problem", "estimator", "label"), PROBLEMS)
def test_calibration_is_of_every_row_and_each_tenth(problem, estimator, label):
    declared = model(problem, estimator)
    report = evaluate(
        declared, frame(seed=2, label=label), contender(declared, frame(seed=1, label=label), 1)
    )
    overall, *tenths = report.calibration
    assert len(tenths) == 10
    assert sum(part.rows for part in tenths) == overall.rows == report.rows
    assert [p.predicted for p in tenths] == sorted(p.predicted for p in tenths)
    weighted = sum(part.rows * part.gap.value for part in tenths) / report.rows
    assert weighted == pytest.approx(overall.gap.value)
    assert overall.gap.blocks == DAYS
