"""The audit: what made a prediction is told, and whether it comes out the same bit for bit."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from mlops_assets import FeatureStore
from mlops_assets.cli import app
from mlops_assets.core import registry
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets.core.audit import bits
from mlops_assets.core.audit.explain import Explanation, explain
from mlops_assets.core.audit.predictions import stored_files
from mlops_assets.core.audit.recompute import DIFFERENT, IDENTICAL, NOT_RECOMPUTABLE, verify
from mlops_assets.core.features import feature_views
from mlops_assets.core.landing import history
from mlops_assets.core.reports import explanation
from mlops_assets.vocabulary import Entity, FeatureView, UseCase
from mlops_assets_tests.core import kiosk, shop
from mlops_assets_tests.core.shop import Shop, day

TABLE = "capture.sent_back__predictions"
NAMES = ("amount", "region", "express", "spent", "nothing", "lost", "before")


def view(name: str, key: str, sources: list[str], sql: str, **features: Any) -> FeatureView:
    return FeatureView(
        name=name,
        entity=Entity(name=key, keys=[key]),
        sources=sources,
        sql=sql,
        schema=kiosk.schema(**features),
        lookback=shop.timedelta(days=1),
        ttl=shop.timedelta(hours=6),
    )


SPENDING = """
SELECT region, date_trunc('hour', ordered_at) + INTERVAL 1 HOUR AS event_time,
       avg(amount) AS spent, trunc(-avg(amount) / 1e6) AS nothing
FROM orders GROUP BY ALL
"""
# Of returns nothing but the order's id tells the region.
LOSSES = """
SELECT region, date_trunc('hour', returns.known_at) + INTERVAL 1 HOUR AS event_time,
       max(loss) AS lost
FROM returns JOIN orders USING (order_id) GROUP BY ALL
"""
# One order's value comes from another order of its region.
BEFORE = """
SELECT order_id, ordered_at AS event_time,
       lag(amount) OVER (PARTITION BY region ORDER BY ordered_at, order_id) AS before
FROM orders
"""


COLUMNS = {
    "orders": {
        "order_id": "int64",
        "ordered_at": "datetime64[us]",
        "amount": float,
        "region": str,
        "express": bool,
    },
    "returns": {
        "order_id": "int64",
        "ordered_at": "datetime64[us]",
        "known_at": "datetime64[us]",
        "returned": bool,
        "loss": float,
    },
}


def declare(problem: str = "binary") -> UseCase:
    made = shop.use_case(problem)
    sources = [replace(s, schema=kiosk.schema(**COLUMNS[s.name])) for s in made.sources]
    made = replace(made, sources=sources)
    views = [
        *made.views,
        view("spending", "region", ["orders"], SPENDING, spent=float, nothing=float),
        view("losses", "region", ["orders", "returns"], LOSSES, lost=float),
        view("previous", "order_id", ["orders"], BEFORE, before=float),
    ]
    model = replace(made.models[0], features=[v.name for v in views])
    return replace(made, views=views, models=[model])


CASE = declare()


def compute(made: Shop, first: int, last: int) -> None:
    for one in made.use_case.feature_views:
        days = (day(first), day(last + 1))
        assert feature_views.compute(made.con, made.use_case, one, *days, "run").problems == []


def make(folder: Path, declared: UseCase) -> Shop:
    """Trained on ten days, two days captured, with files where the settings have them."""
    made = Shop(folder, declared)
    made.artifacts = ArtifactStore(folder / "artifacts" / "shop")
    made.land(0, 12)
    compute(made, 0, 11)
    made.train(10)
    made.capture(10, 11)
    made.join(10, 11)
    return made


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make(tmp_path_factory.mktemp("shop"), CASE)


@pytest.fixture
def served(landed: Shop) -> Iterator[Shop]:
    """Whatever a test does is rolled back."""
    declared, model = landed.use_case, landed.model
    landed.con.begin()
    yield landed
    landed.con.rollback()
    landed.use_case, landed.model = declared, model


def ids(made: Shop) -> list[str]:
    found = made.con.execute(f"SELECT prediction_id FROM {TABLE} ORDER BY prediction_id")
    return [one for (one,) in found.fetchall()]


def load(made: Shop):
    return stored_files(made.con, made.use_case, made.artifacts)


def check(made: Shop, which: list[str] | None = None) -> dict[str, Any]:
    wanted = ids(made) if which is None else which
    return {a.prediction_id: a for a in verify(made.con, made.use_case, wanted, load(made))}


def tell(made: Shop, prediction: str) -> Explanation:
    return explain(made.con, made.use_case, prediction, load(made))


def late_in_the_day(made: Shop) -> str:
    """A prediction with a value of every view."""
    return made.con.execute(
        f"SELECT prediction_id FROM {TABLE} WHERE partition_date = ? AND hour(as_of) >= 12 "
        "AND amount IS NOT NULL AND before IS NOT NULL ORDER BY as_of LIMIT 1",
        [day(11)],
    ).fetchall()[0][0]


def spoil(made: Shop, prediction: str, change: str, *values: Any) -> None:
    made.con.execute(f"UPDATE {TABLE} SET {change} WHERE prediction_id = ?", [*values, prediction])


def test_every_prediction_comes_out_the_same_bit_for_bit(served):
    wanted = ids(served)[::-1]
    made = check(served, wanted)
    assert list(made) == wanted
    assert len(made) == 240
    assert {a.status for a in made.values()} == {IDENTICAL}
    assert {a.differences for a in made.values()} == {()}


@pytest.mark.parametrize("problem", ["multiclass", "regression"])
def test_other_problems_come_out_the_same_too(tmp_path, problem):
    served = make(tmp_path, declare(problem))
    made = check(served)
    assert {a.status for a in made.values()} == {IDENTICAL}
    # One row at a time as well, where a linear model may need its batch.
    alone = [check(served, [one])[one] for one in list(made)[:5]]
    assert {a.status for a in alone} == {IDENTICAL}
    scores = {a.scores is not None for a in made.values()}
    assert scores == {problem == "multiclass"}


def test_an_explanation_tells_all_that_made_the_prediction(served):
    found = tell(served, late_in_the_day(served))
    p = found.prediction
    assert found.identical
    assert [used.name for used in found.features] == list(NAMES)
    assert {used.status for used in found.features} == {"computed", "present"}
    assert all(used.identical for used in found.features)
    (row,) = served.con.execute(
        "SELECT order_id, ordered_at FROM raw.orders WHERE order_id = ?", [int(p.row_key)]
    ).fetchall()
    assert (found.request.values["order_id"], p.as_of) == row
    for fact in found.facts:
        if fact.dataset is not None:
            assert fact.event_time is not None
            assert fact.event_time <= p.as_of
            assert fact.known_at is not None
            assert fact.known_at <= p.as_of
    assert found.version.version == p.version == 1
    assert found.training is not None
    assert found.training.digest == found.version.training_digest
    assert found.placement.how == "override"
    assert found.placement.event is not None
    assert found.placement.event.to_version == 1
    expected = served.con.execute(
        "SELECT label, label_known_at FROM capture.sent_back__outcomes WHERE prediction_id = ?",
        [p.prediction_id],
    ).fetchall()
    assert [(found.label.value, found.label.known_at)] == (expected or [(None, None)])


def test_source_rows_are_pinned_down_and_give_the_value_again(served):
    found = tell(served, late_in_the_day(served))
    region = found.request.values["region"]
    rows = found.behind
    assert {name: (b.how, b.sufficient, b.later) for name, b in rows.items()} == {
        "spending": ("keys", True, False),
        "losses": ("keys", True, False),
        "previous": ("linked", True, False),
    }
    orders, returns = rows["losses"].sources
    assert {row["region"] for row in orders.rows} == {region}
    assert {row["order_id"] for row in returns.rows} <= {row["order_id"] for row in orders.rows}
    facts = {fact.view: fact for fact in found.facts}
    assert all(row["known_at"] <= facts["losses"].known_at for row in returns.rows)
    assert rows["spending"].recomputed == facts["spending"].values
    [previous] = rows["previous"].sources
    assert {row["region"] for row in previous.rows} == {region}
    [(everything,)] = served.con.execute(
        "SELECT count(*) FROM raw.orders WHERE partition_date BETWEEN ? AND ?", [day(9), day(11)]
    ).fetchall()
    assert 1 < previous.n < everything


def test_what_had_expired_or_was_never_there_is_told_apart(served):
    served.capture(12, 12)  # of the day no features have been computed
    [(prediction,)] = served.con.execute(
        f"SELECT prediction_id FROM {TABLE} WHERE partition_date = ? ORDER BY as_of DESC LIMIT 1",
        [day(12)],
    ).fetchall()
    found = tell(served, prediction)
    assert found.identical
    told = {used.name: (used.value, used.status) for used in found.features}
    assert told["spent"] == (None, "expired")
    assert told["before"] == (None, "not_found")
    spending = next(fact for fact in found.facts if fact.view == "spending")
    assert spending.event_time is not None
    assert spending.event_time < found.prediction.as_of - shop.timedelta(hours=6)
    assert spending.values["spent"] > 0
    assert found.behind["spending"].sufficient
    assert "previous" not in found.behind


def test_what_was_tampered_with_is_named_with_both_values(served):
    first, second, third, fourth = ids(served)[:4]
    spoil(served, first, "amount = coalesce(amount, 0) + 1")
    [(score,)] = served.con.execute(
        f"SELECT score FROM {TABLE} WHERE prediction_id = ?", [second]
    ).fetchall()
    spoil(served, second, "score = ?", float(np.nextafter(score, 1)))
    spoil(served, third, "prediction = NOT prediction")
    # From -0.0, which an update to 0.0 would leave, being equal.
    spoil(served, fourth, "nothing = 1.0")
    spoil(served, fourth, "nothing = 0.0")
    made = check(served)
    wrong = {one: a.differs for one, a in made.items() if a.status != IDENTICAL}
    # A score is computed of what is right, and so comes out right.
    assert wrong == {first: "amount", second: "score", third: "prediction", fourth: "nothing"}
    assert {made[one].status for one in wrong} == {DIFFERENT}
    [difference] = made[second].differences
    assert difference.recomputed == score
    text = explanation.markdown(tell(served, first))
    assert text.startswith(f"**Different:** prediction {first} of sent_back, version 1, comes out")
    assert "| amount |" in text


@pytest.mark.parametrize(
    ("captured", "again", "same"),
    [
        (0.1 + 0.2, 0.3, False),
        (0.0, -0.0, False),
        (float("nan"), None, True),
        (float("nan"), float("nan"), True),
        (struct.unpack("<d", b"\1\0\0\0\0\0\xf8\x7f")[0], float("nan"), True),
        (None, 0.0, False),
        (1e300, 1e300, True),
        (2, 2.0, True),
        (2**53 + 1, float(2**53), False),
        ("a", "a", True),
        ("a", None, False),
        (True, False, False),
        ({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}, True),
        ({"a": 0.0}, {"a": -0.0}, False),
    ],
)
def test_what_counts_as_the_same_bits(captured, again, same):
    assert bits.same(captured, again) is same
    if not isinstance(captured, dict):
        left, right = (
            pa.chunked_array([pa.array([captured])]),
            pa.chunked_array([pa.array([again])]),
        )
        types = {left.type, right.type} - {pa.null()}
        if len(types) == 1:
            left, right = left.cast(*types), right.cast(*types)
        assert bits.same_column(left, right).tolist() == [same]


class InCompany:
    """Says something else when asked about other than all rows, as sums of BLAS may."""

    def __init__(self, inner: Any, rows: int) -> None:
        self.inner, self.rows = inner, rows

    def predict_proba(self, frame: Any) -> np.ndarray:
        said = self.inner.predict_proba(frame)
        if len(frame) == self.rows:
            return said
        other = np.nextafter(said[:, 1], 0)
        return np.column_stack([1 - other, other])


def test_scores_that_depend_on_company_are_made_again_in_their_batch(served):
    wanted = ids(served)[:3]
    real = load(served)

    def in_company(name: str, version: int):
        estimator, signature = real(name, version)
        return InCompany(estimator, 240), signature

    made = verify(served.con, served.use_case, wanted, in_company)
    assert [(a.status, a.in_batch) for a in made] == [(IDENTICAL, 240)] * 3
    found = explain(served.con, served.use_case, wanted[0], in_company)
    assert "among the 240 rows that it was captured with" in explanation.conclusion(found)
    # What differs in its batch too is not taken for the same.
    spoil(served, wanted[0], "score = score / 2")
    made = verify(served.con, served.use_case, wanted, in_company)
    assert [(a.status, a.differs) for a in made] == [
        (DIFFERENT, "score"), (IDENTICAL, ""), (IDENTICAL, "")
    ]  # fmt: skip


def test_numbers_that_only_wide_types_hold_come_out_the_same_also_in_their_batch(tmp_path):
    """2**53 as HUGEINT and digits as DECIMAL, each beside a NULL: as floats they are others."""
    features = {
        "amount": "amount",
        "region": "region",
        "large": "CASE WHEN express THEN 9007199254740992 - order_id % 2 END::HUGEINT",
        "digits": "CASE WHEN express THEN order_id % 1000 + 0.12345678901 END::DECIMAL(38, 26)",
    }
    made = shop.use_case()
    served = Shop(tmp_path, replace(made, views=[replace(made.views[0], features=features)]))
    served.land(0, 11).train(10)
    served.capture(10, 11)
    found = check(served)
    assert {(a.status, a.reason) for a in found.values()} == {(IDENTICAL, None)}
    assert {2**53, None} < {a.features["large"] for a in found.values()}
    real = load(served)

    def in_company(name: str, version: int):
        estimator, signature = real(name, version)
        return InCompany(estimator, 240), signature

    again = verify(served.con, served.use_case, ids(served)[:5], in_company)
    assert [(a.status, a.in_batch) for a in again] == [(IDENTICAL, 240)] * 5


def test_facts_corrected_later_change_nothing_and_are_shown_as_they_were(served):
    before = tell(served, late_in_the_day(served))
    source = served.use_case.source("orders")
    with history.kept(served.con, source, shop.ZONE, [day(10), day(11)]):
        served.con.execute(
            "UPDATE raw.orders SET amount = amount + 500 WHERE partition_date >= ?", [day(10)]
        )
    compute(served, 10, 11)
    [(revised,)] = served.con.execute(
        "SELECT count(*) FROM features.spending WHERE revision > 0"
    ).fetchall()
    assert revised > 20
    assert {a.status for a in check(served).values()} == {IDENTICAL}
    after = tell(served, before.prediction.prediction_id)
    assert after.request.values == before.request.values
    assert {name: (b.sufficient, b.later) for name, b in after.behind.items()} == dict.fromkeys(
        before.behind, (True, False)
    )
    shown = {row["order_id"]: row["amount"] for row in after.behind["spending"].sources[0].rows}
    assert shown == {
        row["order_id"]: row["amount"] for row in before.behind["spending"].sources[0].rows
    }


def test_a_view_that_uses_what_it_cannot_know_yet_is_told(tmp_path):
    early = LOSSES.replace("returns.known_at", "orders.ordered_at")
    made = declare()
    views = [v for v in made.views if v.name != "losses"]
    leaky = view("losses", "region", ["orders", "returns"], early, lost=float)
    served = make(tmp_path, replace(made, views=[*views, leaky]))
    found = tell(served, late_in_the_day(served))
    assert found.identical
    assert found.behind["losses"].sufficient
    assert found.behind["losses"].later
    assert "losses used rows that were known only later" in explanation.conclusion(found)


def test_a_view_in_python_is_followed_as_far_as_its_keys_lead(served):
    def spent(frames, start, end):
        orders = frames["orders"]
        hours = orders["ordered_at"].dt.floor("h") + shop.timedelta(hours=1)
        grouped = orders.assign(event_time=hours).groupby(["region", "event_time"])["amount"]
        return grouped.agg(spent="mean", nothing=lambda a: np.trunc(-a.mean() / 1e6)).reset_index()

    declared = [v for v in served.use_case.views if v.name != "spending"]
    python = replace(served.use_case.view("spending"), sql=None, function=spent)
    served.use_case = replace(served.use_case, views=[*declared, python])
    served.con.execute("DROP TABLE features.spending")
    served.con.execute("DELETE FROM registry.feature_views WHERE view = 'spending'")
    served.con.execute("DELETE FROM ops.partitions WHERE dataset = 'features.spending'")
    compute(served, 0, 11)
    served.train(10, effective=12)
    served.land(12, 12)
    compute(served, 12, 12)
    served.capture(12, 12)
    prediction = served.con.execute(
        f"SELECT prediction_id FROM {TABLE} WHERE partition_date = ? AND spent IS NOT NULL "
        "ORDER BY as_of DESC LIMIT 1",
        [day(12)],
    ).fetchall()[0][0]
    found = tell(served, prediction)
    assert found.identical
    assert (found.behind["spending"].how, found.behind["spending"].sufficient) == ("keys", True)


def test_a_row_that_is_gone_is_said_and_not_called_the_same(served):
    prediction = late_in_the_day(served)
    [(key,)] = served.con.execute(
        f"SELECT row_key FROM {TABLE} WHERE prediction_id = ?", [prediction]
    ).fetchall()
    served.con.execute("DELETE FROM raw.orders WHERE order_id = ?", [int(key)])
    found = tell(served, prediction)
    assert found.again.status == NOT_RECOMPUTABLE
    assert not found.identical
    assert "is no longer there" in (found.again.reason or "")
    assert {used.identical for used in found.features} == {None}
    text = explanation.markdown(found)
    assert text.startswith("**Cannot be made again:**")
    assert "no longer in raw.orders" in text


def test_definitions_that_are_not_known_any_more_are_said(served):
    changed = replace(served.use_case.view("spending"), sql=SPENDING + " -- ")
    others = [v for v in served.use_case.views if v.name != "spending"]
    served.use_case = replace(served.use_case, views=[*others, changed])
    served.con.execute("DELETE FROM registry.feature_views WHERE view = 'spending'")
    found = tell(served, ids(served)[0])
    assert found.again.status == NOT_RECOMPUTABLE
    assert "is not in registry.feature_views" in (found.again.reason or "")
    assert explanation.markdown(found).startswith("**Cannot be made again:**")


def test_a_version_is_explained_by_the_definitions_it_was_trained_on(served):
    changed = replace(
        served.use_case.view("spending"), sql=SPENDING.replace("avg(amount) AS", "sum(amount) AS")
    )
    others = [v for v in served.use_case.views if v.name != "spending"]
    served.use_case = replace(served.use_case, views=[*others, changed])
    compute(served, 0, 11)
    found = tell(served, late_in_the_day(served))
    assert found.identical
    assert all(b.sufficient for b in found.behind.values())
    datasets = {fact.view: fact.dataset for fact in found.facts}
    assert str(datasets["spending"]).startswith("features.spending__")


def test_what_served_after_a_rollback_is_told_with_its_own_decision(served):
    served.train(11, effective=12)
    registry.rollback(served.con, "sent_back", actor="me", reason="worse in the evening")
    compute(served, 12, 12)
    served.capture(12, 12)
    prediction = served.con.execute(
        f"SELECT prediction_id FROM {TABLE} WHERE partition_date = ? LIMIT 1", [day(12)]
    ).fetchall()[0][0]
    found = tell(served, prediction)
    assert found.identical
    assert (found.version.version, found.placement.how) == (1, "rollback")
    assert found.placement.event is not None
    text = explanation.markdown(found)
    assert "A rollback: worse in the evening" in text
    assert found.placement.serves_now == 1


def test_an_unknown_id_is_refused(served):
    with pytest.raises(registry.NotFound, match="has the id nothing"):
        tell(served, "nothing")


@pytest.fixture(scope="module")
def stored(landed: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shop, closed."""
    landed.con.execute("CHECKPOINT")
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(landed.folder, folder, dirs_exist_ok=True)
    return folder


def test_the_command_prints_the_verdict_and_ends_with_it(stored, landed, monkeypatch):
    monkeypatch.setenv("MLOPS_ASSETS_DATA_DIR", str(stored))
    prediction = late_in_the_day(landed)
    arguments = ["--use-case", f"{__name__}:CASE"]
    done = CliRunner().invoke(app, ["explain", prediction, *arguments])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert said.startswith(f"Bit-identical: prediction {prediction} of sent_back, version 1")
    assert "3 rows of views behind it come out the same" in said
    assert "Past the gate: test" in said
    whole = CliRunner().invoke(app, ["explain", prediction, "--markdown", *arguments])
    assert "### Rows of sources behind them" in whole.output
    wrong = CliRunner().invoke(app, ["explain", "f" * 32, *arguments])
    assert wrong.exit_code == 1
    assert "No captured prediction of shop" in wrong.output
    card = CliRunner().invoke(app, ["card", "sent_back", "1", *arguments])
    assert card.output.startswith("**Version 1 of sent_back serves")


def test_a_notebook_gets_the_same(stored, landed):
    store = FeatureStore(CASE, data_dir=stored)
    wanted = ids(landed)[:20]
    frame = store.verify(wanted)
    assert frame["prediction_id"].tolist() == wanted
    assert set(frame["status"]) == {IDENTICAL}
    found = store.explain(wanted[0])
    assert found.identical
    assert found._repr_markdown_().startswith("**Bit-identical:**")
