"""Capturing predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from mlops_assets.core.features import retrieval
from mlops_assets.core.features.view_definitions import ViewChangedError
from mlops_assets.core.scoring.scoring import ScoringError
from mlops_assets.core.serving import capture
from mlops_assets.core.storage import store
from mlops_assets.vocabulary import OnDemandFeatures
from mlops_assets_tests.core.shop import Shop, day, use_case

TABLE = "capture.sent_back__predictions"


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression"])
def landed(request, tmp_path_factory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"), use_case(request.param)).land(0, 9)
    made.train(10)
    return made.land(10, 12)


@pytest.fixture
def shop(landed) -> Iterator[Shop]:
    """Whatever a test does is rolled back."""
    declared, estimators = landed.use_case, dict(landed.estimators)
    landed.con.begin()
    yield landed
    landed.con.rollback()
    landed.use_case, landed.estimators = declared, estimators


def test_every_row_is_captured_once_from_the_first_champion_on(shop):
    reports = shop.capture(8, 12)
    assert [(r.version, r.rows, r.new_rows, r.status) for r in reports.values()] == [
        (None, 0, 0, "no_champion"),
        (None, 0, 0, "no_champion"),
        (1, 120, 120, "scored"),
        (1, 120, 120, "scored"),
        (1, 120, 120, "scored"),
    ]
    [(rows, keys)] = shop.con.execute(
        f"SELECT count(*), count(DISTINCT row_key) FROM {TABLE}"
    ).fetchall()
    assert rows == keys == 360
    # A day without champion is known to be empty, not unknown.
    assert store.partitions(shop.con, TABLE)[day(8)].rows == 0


def test_running_a_day_again_changes_nothing(shop):
    shop.capture(8, 12)
    before = shop.table(TABLE), shop.table("ops.partitions")
    reports = shop.capture(8, 12)
    assert {r.status for r in reports.values()} == {"no_champion", "unchanged"}
    assert (shop.table(TABLE), shop.table("ops.partitions")) == before


def test_what_is_captured_is_what_the_estimator_was_given(shop):
    shop.capture(10, 12)
    estimator, signature = shop.load(1)
    captured = shop.con.execute(f"SELECT * FROM {TABLE} ORDER BY row_key").df()
    rows = (
        retrieval.feature_rows(shop.con, shop.use_case, shop.model, day(10), day(13))
        .order("row_key")
        .df()
    )
    for name in ("row_key", "as_of", "amount", "region", "express"):
        assert captured[name].equals(rows[name]), name
    from mlops_assets.core.scoring import scoring

    again = scoring.predict(shop.model.problem, estimator, captured, signature)
    assert again["prediction"].tolist() == captured["prediction"].tolist()
    if shop.model.problem == "regression":
        assert captured["score"].isna().all()
    else:
        assert np.allclose(captured["score"], again["score"], rtol=0, atol=0)
    if shop.model.problem == "multiclass":
        assert captured["scores"].tolist() == again["scores"].tolist()
        assert captured["scores"].map(lambda s: sum(s.values())).to_numpy() == pytest.approx(1)
    else:
        assert "scores" not in captured


def test_a_late_row_is_scored_and_the_others_stay_as_they_were(shop):
    raw = shop.con.execute("SELECT * FROM raw.orders WHERE partition_date = ?", [day(11)]).df()
    store.replace_partitions(shop.con, "raw.orders", raw[:100], [day(11)], run_id="l")
    shop.capture(10, 12)
    before = shop.table(TABLE)
    store.replace_partitions(shop.con, "raw.orders", raw, [day(11)], run_id="l")
    reports = shop.capture(10, 12)
    assert (reports[day(11)].rows, reports[day(11)].new_rows) == (120, 20)
    assert [row for row in shop.table(TABLE) if row in before] == before


def test_days_are_scored_by_the_version_that_served_them(shop):
    shop.train(11, effective=12)
    reports = shop.capture(10, 12)
    assert [r.version for r in reports.values()] == [1, 1, 2]
    found = shop.con.execute(
        f"SELECT DISTINCT partition_date, model_version FROM {TABLE} ORDER BY 1"
    ).fetchall()
    assert found == [(day(10), 1), (day(11), 1), (day(12), 2)]


def test_ids_are_those_that_explain_looks_for(shop):
    shop.capture(10, 12)
    found = shop.con.execute(
        f"SELECT prediction_id, model_version, row_key, as_of FROM {TABLE}"
    ).fetchall()
    assert len({row[0] for row in found}) == 360
    for identifier, version, row_key, as_of in found:
        assert identifier == capture.prediction_id("shop", "sent_back", version, row_key, as_of)


def test_a_new_feature_does_not_rewrite_what_was_captured(shop):
    shop.capture(10, 11)
    view = OnDemandFeatures(
        name="order_features",
        features={"amount": "amount", "region": "region", "dear": "amount > 30"},
    )
    shop.use_case = replace(shop.use_case, views=[view])
    shop.train(12)
    shop.capture(10, 12)
    found = shop.con.execute(
        f"SELECT model_version, count(express), count(dear) FROM {TABLE} GROUP BY ALL ORDER BY 1"
    ).fetchall()
    assert found[0] == (1, 240, 0)
    assert found[1][:2] == (2, 0)
    assert found[1][2] > 100


def test_a_champion_whose_feature_was_defined_anew_is_served_its_own_definition(shop):
    view = OnDemandFeatures(name="order_features", features={"amount": "-amount"})
    declared = replace(shop.use_case, views=[view])
    capture.capture_predictions(shop.con, declared, shop.model, day(10), day(11), shop.load, "run")
    found = shop.con.execute(f"SELECT min(amount) > 0, count(region), count(*) FROM {TABLE}")
    assert found.fetchall() == [(True, 120, 120)]


def test_a_champion_whose_feature_was_defined_anew_is_refused_where_declared(shop):
    view = OnDemandFeatures(name="order_features", features={"amount": "-amount"})
    model = replace(shop.model, on_view_change="refuse")
    declared = replace(shop.use_case, views=[view], models=[model])
    with pytest.raises(ViewChangedError, match="order_features"):
        capture.capture_predictions(shop.con, declared, model, day(10), day(11), shop.load, "run")
    assert shop.con.execute("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'capture'") \
        .fetchall() == [(0,)]  # fmt: skip


def test_an_invalid_prediction_is_never_captured(shop):
    class Broken:
        def predict(self, frame):
            return np.full(len(frame), np.nan)

        def predict_proba(self, frame):
            classes = len(shop.load(1)[1]["output"]["classes"])
            return np.full((len(frame), classes), np.nan)

    shop.estimators[1] = (Broken(), shop.load(1)[1])
    with pytest.raises(ScoringError, match="120 of 120"):
        shop.capture(10, 10)


def test_the_view_over_all_models_has_every_prediction(shop):
    shop.capture(10, 12)
    found = shop.con.execute(
        "SELECT model, count(*), count(prediction) FROM capture.predictions GROUP BY ALL"
    ).fetchall()
    assert found == [("sent_back", 360, 360)]


def test_running_again_does_not_change_the_catalog(shop):
    shop.capture(10, 12)
    [before] = shop.con.execute(
        "SELECT view_oid FROM duckdb_views() WHERE view_name = 'predictions'"
    ).fetchall()
    shop.capture(10, 12)
    [after] = shop.con.execute(
        "SELECT view_oid FROM duckdb_views() WHERE view_name = 'predictions'"
    ).fetchall()
    assert before == after


def test_a_prediction_says_when_it_was_made(shop):
    shop.capture(10, 10)
    found = shop.con.execute(f"SELECT DISTINCT predicted_at, run_id FROM {TABLE}").fetchall()
    assert found == [(datetime(2030, 1, 1), "run")]
