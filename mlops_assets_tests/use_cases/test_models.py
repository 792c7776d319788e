"""The flights' models: what they are given, and that their estimators survive real rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.artifacts import loaded
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets.core.features import feature_views, retrieval
from mlops_assets.core.models import metrics, training
from mlops_assets.core.scoring import scoring
from mlops_assets.use_cases.nyc_flights import USE_CASE
from mlops_assets.vocabulary import OnDemandFeatures
from mlops_assets_tests.core.recorded import recorded
from mlops_assets_tests.use_cases import flights

START, SPLIT, END = date(2013, 1, 7), date(2013, 1, 21), date(2013, 1, 28)


@pytest.fixture(scope="module")
def con():
    with flights.connect() as connection:
        flights.fill(connection, "2013-01-01", "2013-01-29")
        for view in USE_CASE.feature_views:
            bounds = (START, END) if view.partitioned else (None, None)
            assert not feature_views.compute(connection, USE_CASE, view, *bounds, "r").problems
        yield connection


def labelled(con, model, start, end) -> pd.DataFrame:
    rows = retrieval.feature_rows(con, USE_CASE, model, start, end, label=True).df()
    return rows[rows["label"].notna()].reset_index(drop=True)


@pytest.mark.parametrize("model", USE_CASE.models, ids=lambda m: m.name)
def test_a_fitted_model_beats_a_constant_is_kept_and_scores_anything(con, model, tmp_path):
    fitted = training.fit_frame(model, labelled(con, model, START, SPLIT))
    store = ArtifactStore(tmp_path)
    later = labelled(con, model, SPLIT, END)
    rows = scoring.prepare(later, fitted.signature)
    kept = store.save(fitted.estimator, model.problem, rows, model.trusted_types)
    loaded.forget_loaded()
    estimator = store.load(recorded(kept), model.trusted_types)

    said = scoring.outputs(
        model.problem,
        estimator,
        scoring.prepare(later, fitted.signature),
        fitted.signature["output"]["classes"],
    )
    truth = training.labels(model.problem, later["label"])
    found = metrics.compute(model.problem, replace(said, label=truth))[model.metric]
    constant = later["label"].astype(float)
    rate = constant.mean()
    simple = (
        -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        if model.problem == "binary"
        else np.abs(constant - constant.median()).mean()
    )
    assert found < 0.97 * float(simple)

    # A carrier, an airport and an aircraft never seen; no weather, no recent flight.
    strange = later.head(5).copy()
    types = {column["name"]: column["type"] for column in fitted.signature["inputs"]}
    for name in strange.columns:
        if name in ("carrier", "origin", "destination"):
            strange[name] = "??"
        elif types.get(name, "category") != "category":
            strange[name] = np.nan
    said = scoring.predict(model.problem, estimator, strange, fitted.signature)
    assert np.isfinite(np.asarray(said["prediction"], dtype=float)).all()


def test_the_models_share_views_over_several_sources(con):
    shared = set.intersection(
        *({name.partition(".")[0] for name in m.features} for m in USE_CASE.models)
    )
    views = [USE_CASE.view(name) for name in shared]
    stored = [view for view in views if not isinstance(view, OnDemandFeatures)]
    assert len(stored) >= 3
    assert len({name for view in stored for name in view.sources}) >= 3


def test_no_feature_is_named_like_an_outcome():
    for model in USE_CASE.models:
        names = retrieval.feature_columns(USE_CASE, model)
        outcome = {"arrival_delay", "departure_delay", "actual_arrival", "cancelled", "diverted"}
        assert not outcome & set(names)
        assert len(names) == len(set(names))


def test_every_column_says_what_it_is():
    schemas = [s.schema() for s in USE_CASE.sources] + [v.schema() for v in USE_CASE.feature_views]
    for schema in schemas:
        for name, column in schema.columns.items():
            assert column.description, name
    for view in USE_CASE.views:
        if isinstance(view, OnDemandFeatures):
            assert set(view.descriptions) == set(view.features)
