"""Realised performance over days."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_assets.core.models import metrics
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.monitoring import performance
from mlops_assets.core.storage import store
from mlops_assets.vocabulary import METRICS
from mlops_assets_tests.core.shop import Shop, day, use_case


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression"])
def shop(request, tmp_path_factory) -> Shop:
    """Day 13 has no orders at all, day 14 no labels yet."""
    made = Shop(tmp_path_factory.mktemp("shop"), use_case(request.param)).land(0, 9)
    made.train(10)
    made.land(10, 12).land(14, 14, labels=False)
    made.capture(0, 14)
    made.join(0, 14)
    return made


def measured(shop: Shop, first: int, last: int) -> list[performance.PerformanceRow]:
    return performance.measure_range(shop.con, shop.use_case, shop.model, day(first), day(last + 1))


def rows_of(shop: Shop, where: str, *values) -> Scored:
    """Read labels and predictions the plain way."""
    frame = shop.con.execute(
        "SELECT p.*, o.label FROM capture.sent_back__predictions p "
        f"JOIN capture.sent_back__outcomes o USING (prediction_id) WHERE {where} ORDER BY row_key",
        values,
    ).df()
    classes = shop.load(1)[1]["output"]["classes"]
    scores = None
    if shop.model.problem == "multiclass":
        scores = frame["scores"].apply(lambda said: [said[c] for c in classes]).tolist()
        import numpy as np

        scores = np.array(scores)
    return Scored(
        frame["label"].to_numpy(),
        frame["prediction"].to_numpy(),
        score=frame["score"].to_numpy() if shop.model.problem == "binary" else None,
        scores=scores,
        classes=classes,
    )


def test_every_number_is_that_of_the_rows_it_claims_to_measure(shop):
    problem = shop.model.problem
    rows = {
        (row.slice, row.metric): row
        for row in measured(shop, 11, 11)
        if row.window_start == row.window_end
    }
    assert set(rows) == {
        (name, metric)
        for name in ("all", "region=east", "region=north", "region=south")
        for metric in METRICS[problem]
    }
    for (name, metric), row in rows.items():
        region = name.partition("=")[2]
        where = "p.partition_date = ? AND (? = '' OR region = ?)"
        wanted = metrics.interval(problem, metric, rows_of(shop, where, day(11), region, region))
        got = (row.value, row.low, row.high)
        assert got == pytest.approx((wanted.value, wanted.low, wanted.high), rel=1e-9)
        assert (row.n, row.status) == (wanted.n, "mature")


def test_the_window_is_of_all_its_days(shop):
    row = performance.rolling(measured(shop, 12, 12), day(12))
    wanted = metrics.interval(
        shop.model.problem, shop.model.metric, rows_of(shop, "p.partition_date <= ?", day(12))
    )
    assert (row.window_start, row.n) == (day(9), wanted.n)
    assert row.value == pytest.approx(wanted.value, rel=1e-9)


def test_a_range_gives_what_its_days_give_one_by_one(shop):
    assert measured(shop, 8, 14) == [r for n in range(8, 15) for r in measured(shop, n, n)]


def test_no_data_is_never_a_number(shop):
    assert measured(shop, 9, 9) == []  # no champion yet
    for n, status in ((13, "no_predictions"), (14, "no_labels")):
        today = [r for r in measured(shop, n, n) if r.window_start == r.window_end]
        assert {(r.status, r.value, r.low, r.high, r.n) for r in today} == {
            (status, None, None, None, 0)
        }
        assert {r.label_join_rate for r in today} == {None if n == 13 else 0.0}


def test_a_day_is_provisional_until_its_labels_have_had_their_time(shop):
    # Labels have landed up to day 12 and mature a day after their day's end.
    status = {
        n: {r.status for r in measured(shop, n, n) if r.window_start == r.window_end}
        for n in (11, 12)
    }
    assert "provisional" in status[12]
    assert "provisional" not in status[11]
    assert performance.mature_until(shop.con, shop.use_case, shop.model) == day(11)


def test_stored_rows_are_those_that_were_measured(shop):
    rows = measured(shop, 10, 14)
    shop.con.begin()
    for _ in range(2):
        performance.write_range(shop.con, shop.model, day(10), day(15), rows)
    stored = performance.read(shop.con, shop.model, day(10), day(14))
    assert sorted(map(repr, stored)) == sorted(map(repr, rows))
    shop.con.rollback()
    value = performance.value(rows, day(11), shop.model.metric)
    assert value == next(r.value for r in rows if r.window_end == day(11))
    assert performance.value(rows, day(13), shop.model.metric) is None
    assert performance.rolling(rows, day(9)) is None


def test_one_class_only_is_undefined_and_not_perfect(tmp_path):
    made = Shop(tmp_path, use_case()).land(0, 9)
    made.train(10)
    made.land(10, 10)
    made.capture(10, 10)
    returns = made.con.execute("SELECT * FROM raw.returns WHERE partition_date = ?", [day(10)]).df()
    returns["returned"] = True
    store.replace_partitions(made.con, "raw.returns", returns, [day(10)], run_id="l")
    made.join(10, 10)
    auc = [r for r in measured(made, 10, 10) if r.metric == "roc_auc"]
    assert {(r.status, r.value) for r in auc} == {("undefined", None)}


def test_a_slice_column_with_many_values_stays_readable(shop):
    declared = replace(shop.model, slices=("amount",))
    rows = performance.measure_range(shop.con, shop.use_case, declared, day(11), day(12))
    assert len({row.slice for row in rows} - {"all"}) == 30


def test_two_versions_on_one_day_are_measured_apart(tmp_path):
    made = Shop(tmp_path, use_case()).land(0, 9)
    made.train(10)
    made.land(10, 10)
    raw = made.con.execute("SELECT * FROM raw.orders WHERE partition_date = ?", [day(10)]).df()
    store.replace_partitions(made.con, "raw.orders", raw[:70], [day(10)], run_id="l")
    made.capture(10, 10)
    made.train(10)  # serves from the same day; the rest of it arrives later
    store.replace_partitions(made.con, "raw.orders", raw, [day(10)], run_id="l")
    made.capture(10, 10)
    made.join(10, 10)
    rows = [r for r in measured(made, 10, 10) if r.slice == "all" and r.window_start == day(10)]
    counts = {r.version: r.n / r.label_join_rate for r in rows}
    assert counts == pytest.approx({1: 70, 2: 50})
