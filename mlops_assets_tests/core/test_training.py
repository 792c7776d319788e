"""Training: the same rows give the same model, and what a version records is true."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from mlops_assets.core.models import training
from mlops_assets.core.models.snapshots import TrainingSet
from mlops_assets.core.models.training import TrainingError
from mlops_assets.core.monitoring.training_profile import TrainingProfile
from mlops_assets.core.scoring.scoring import SignatureError
from mlops_assets.vocabulary import Label, Model, Rows


def model(problem="binary", estimator=LogisticRegression, **more) -> Model:
    return Model(
        name="m",
        problem=problem,
        rows=Rows(source="orders", as_of="ordered_at"),
        features=["view"],
        label=Label(name="late", source="orders", expression="late", join=["order_id"]),
        estimator=estimator,
        **more,
    )


def frame(n=600, label="bool") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    out = pd.DataFrame({"row_key": [str(i) for i in range(n)], "strong": rng.normal(size=n)})
    out["weak"] = rng.normal(size=n)
    out["noise"] = rng.normal(size=n)
    signal = out["strong"] * 2 + out["weak"] * 0.5 + rng.logistic(size=n)
    values = {
        "bool": signal > 1,
        "text": np.where(signal > 1, "late", "in time"),
        "int": (signal > 1).astype(int),
        "three": np.select([signal > 1, signal > -1], ["late", "in time"], "early"),
        "number": 10 * signal + 100,
    }
    out["label"] = values[label]
    return out


def test_a_fit_from_a_snapshot_uses_its_training_rows_only(tmp_path):
    rows = frame().assign(split="train")
    rows.loc[500:, "split"] = "holdout"
    rows.loc[500:, "label"] = True
    with duckdb.connect() as con:
        con.register("rows", rows)
        con.execute(f"COPY rows TO '{tmp_path / 'd.parquet'}'")
    training_set = TrainingSet(
        model="m",
        digest="d",
        path=Path("d.parquet"),
        cutoff=date(2024, 1, 3),
        train_start=date(2024, 1, 1),
        train_end=date(2024, 1, 2),
        holdout_end=date(2024, 1, 3),
        train_rows=500,
        holdout_rows=100,
        view_versions={},
    )
    fitted = training.fit(model(), training_set, tmp_path)
    rate = float(rows["label"][:500].mean())
    assert fitted.signature["output"]["prior"]["rates"] == pytest.approx([1 - rate, rate])
    assert [c["name"] for c in fitted.signature["inputs"]] == ["strong", "weak", "noise"]


@pytest.mark.parametrize(
    ("label", "classes"),
    [("bool", [False, True]), ("text", ["in time", "late"]), ("int", [0, 1])],
)
def test_the_positive_class_is_the_second_whatever_the_label_type(label, classes):
    fitted = training.fit_frame(model(), frame(label=label))
    assert fitted.signature["output"]["classes"] == classes
    assert fitted.estimator.coef_[0][0] > 0
    assert fitted.metrics["roc_auc"] > 0.8


def test_multiclass_and_regression_work_the_same_way():
    three = training.fit_frame(model("multiclass"), frame(label="three"))
    assert three.signature["output"]["classes"] == ["early", "in time", "late"]
    assert sum(three.signature["output"]["prior"]["rates"]) == pytest.approx(1)
    assert set(three.metrics) == {"log_loss", "accuracy"}
    data = frame(label="number")
    number = training.fit_frame(model("regression", LinearRegression), data)
    prior = number.signature["output"]["prior"]
    assert prior["median"] == pytest.approx(data["label"].median())
    assert prior["mean"] == pytest.approx(data["label"].mean())
    assert number.metrics["r2"] > 0.5


def test_labels_that_sql_widened_to_floats_are_classes_again():
    data = frame(label="int")
    data["label"] = data["label"].astype(float)
    assert training.fit_frame(model(), data).signature["output"]["classes"] == [0, 1]


def test_a_fit_that_was_not_seeded_repeats_all_the_same():
    def forest():
        return make_pipeline(StandardScaler(), RandomForestRegressor(5))

    data = frame(label="number")
    first, second = (
        training.fit_frame(model("regression", forest), data).estimator for _ in range(2)
    )
    inputs = data[["strong", "weak", "noise"]]
    np.testing.assert_array_equal(first.predict(inputs), second.predict(inputs))


def test_a_seed_that_was_declared_is_kept():
    fitted = training.fit_frame(
        model("regression", lambda: RandomForestRegressor(3, random_state=7)), frame(label="number")
    )
    assert fitted.parameters["random_state"] == 7


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
def test_importance_ranks_features_whichever_way_the_metric_points(metric):
    from mlops_assets.vocabulary import PromotionGate

    fitted = training.fit_frame(model(gate=PromotionGate(metric=metric)), frame(2000))
    shares = fitted.importance
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["strong"] > shares["weak"] > shares["noise"]
    assert shares["noise"] < 0.05


def test_a_model_that_uses_no_feature_has_no_importance_and_no_nan():
    from sklearn.dummy import DummyClassifier

    fitted = training.fit_frame(model(estimator=DummyClassifier), frame())
    assert set(fitted.importance.values()) == {0.0}


def test_what_is_recorded_is_json():
    fitted = training.fit_frame(
        model(estimator=lambda: make_pipeline(StandardScaler(), HistGradientBoostingClassifier())),
        frame(),
    )
    for part in (fitted.signature, fitted.reference, fitted.importance, fitted.parameters):
        assert json.loads(json.dumps(part, allow_nan=False)) == part
    assert " at 0x" not in json.dumps(fitted.parameters)


def test_the_reference_profiles_what_is_captured():
    profile = TrainingProfile.from_json(training.fit_frame(model(), frame()).reference)
    assert {name: profile.role(name) for name in profile.columns.columns} == {
        "strong": "feature",
        "weak": "feature",
        "noise": "feature",
        "score": "prediction",
        "label": "label",
    }
    number = training.fit_frame(model("regression", LinearRegression), frame(label="number"))
    assert TrainingProfile.from_json(number.reference).role("prediction") == "prediction"


def test_a_missing_label_is_not_trained_on():
    data = frame()
    data["label"] = data["label"].astype(object)
    data.loc[3, "label"] = None
    with pytest.raises(TrainingError, match="1 of 600 labels are missing"):
        training.fit_frame(model(), data)


@pytest.mark.parametrize("label", [True, "late"])
def test_one_class_is_refused_with_what_to_do(label):
    with pytest.raises(TrainingError, match="more days"):
        training.fit_frame(model(), frame().assign(label=label))


def test_three_classes_are_no_binary_problem():
    with pytest.raises(TrainingError, match="multiclass"):
        training.fit_frame(model(), frame(label="three"))


def test_fractions_are_no_classes():
    with pytest.raises(TrainingError, match="cast them"):
        training.fit_frame(model(), frame(label="number"))


def test_no_rows_are_refused_with_what_to_do():
    with pytest.raises(TrainingError, match="no rows"):
        training.fit_frame(model(), frame().iloc[:0])


def test_an_infinite_label_is_refused():
    data = frame(label="number")
    data.loc[0, "label"] = math.inf
    with pytest.raises(TrainingError, match="infinite"):
        training.fit_frame(model("regression", LinearRegression), data)


def test_a_classifier_without_probabilities_is_refused_before_it_is_fitted():
    with pytest.raises(TrainingError, match=r"predict_proba.*CalibratedClassifierCV"):
        training.fit_frame(model(estimator=LinearSVC), frame())


def stacked(problem: str):
    """What answers in the end is left open, so that only the fit knows it."""
    if problem == "regression":
        return StackingRegressor([("a", LinearRegression())], cv=2)
    return StackingClassifier([("a", LogisticRegression())], cv=2)


AROUND = {
    "alone": lambda estimator: estimator,
    "pipeline": lambda estimator: make_pipeline(StandardScaler(), estimator),
    "search": lambda estimator: GridSearchCV(estimator, {"passthrough": [True]}, cv=2),
}


@pytest.mark.parametrize(
    ("problem", "label"), [("binary", "bool"), ("multiclass", "three"), ("regression", "number")]
)
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_what_answers_may_be_made_by_the_fit(problem, label, around):
    data = frame(200, label)
    fitted = training.fit_frame(model(problem, lambda: around(stacked(problem))), data)
    assert np.isfinite(list(fitted.metrics.values())).all()


def test_a_part_that_is_left_open_hides_no_lack_of_probabilities():
    for lacking in (
        lambda: make_pipeline(stacked("binary"), LinearSVC()),
        lambda: StackingClassifier([("a", LogisticRegression())], LinearSVC(), cv=2),
    ):
        with pytest.raises(TrainingError, match=r"predict_proba.*CalibratedClassifierCV"):
            training.fit_frame(model(estimator=lacking), frame())


def test_an_estimator_that_fails_is_named_with_the_model():
    data = frame()
    data.loc[0, "strong"] = np.nan
    with pytest.raises(TrainingError, match=r"'m': LogisticRegression\.fit failed on 600 rows"):
        training.fit_frame(model(), data)


def test_a_time_is_no_feature():
    with pytest.raises(SignatureError, match="when"):
        training.fit_frame(model(), frame().assign(when=pd.Timestamp("2024-01-01")))
