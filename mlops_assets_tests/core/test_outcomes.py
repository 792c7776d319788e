"""Joining labels to captured predictions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest

from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.serving import capture
from mlops_assets.core.storage import store
from mlops_assets_tests.core.shop import Shop, day, use_case

TABLE = "capture.sent_back__outcomes"


@pytest.fixture(scope="module")
def captured(tmp_path_factory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"), use_case()).land(0, 9)
    made.train(10)
    made.land(10, 12)
    made.capture(8, 12)
    return made


@pytest.fixture
def shop(captured) -> Iterator[Shop]:
    """Whatever a test does is rolled back."""
    captured.con.begin()
    yield captured
    captured.con.rollback()


def test_every_known_label_is_joined_once(shop):
    reports = shop.join(8, 12)
    assert (reports[day(8)].predictions, reports[day(8)].join_rate) == (0, None)
    expected = dict(
        shop.con.execute(
            "SELECT partition_date, count(*) FROM raw.returns WHERE partition_date >= ? GROUP BY 1",
            [day(10)],
        ).fetchall()
    )
    for n in (10, 11, 12):
        report = reports[day(n)]
        assert report.outcomes == expected[day(n)]
        assert report.join_rate == report.outcomes / 120
    wrong = shop.con.execute(
        f"SELECT count(*) FROM {TABLE} o JOIN raw.returns r ON r.order_id::VARCHAR = o.row_key "
        "WHERE o.label <> r.returned OR o.label_known_at <> r.known_at"
    ).fetchall()
    assert wrong == [(0,)]


def test_late_doubled_and_corrected_labels_end_the_same_in_every_order(shop):
    shop.join(10, 12)
    wanted = shop.table(TABLE)
    query = "SELECT * FROM raw.returns WHERE partition_date >= ?"
    returns = shop.con.execute(query, [day(10)]).df()
    made = np.random.default_rng(3)
    for _ in range(3):
        some = returns[made.random(len(returns)) < 0.5].copy()
        some["returned"] = made.random(len(some)) < 0.5  # to be corrected
        for part in (some, returns):
            for n in made.permutation([10, 11, 12]).tolist():
                rows = part[part["partition_date"].dt.date == day(n)]
                store.replace_partitions(shop.con, "raw.returns", rows, [day(n)], run_id="l")
                shop.join(10, 12)
        assert shop.table(TABLE) == wanted


def test_a_daily_run_looks_again_at_days_whose_labels_may_still_come(shop):
    model = shop.model
    assert capture.refresh_start(shop.use_case, model, day(12)) == day(11)
    assert capture.refresh_start(shop.use_case, model, day(0)) == day(0)
    slow = use_case(label=type(model.label)(**vars(model.label) | {
        "matures_after": timedelta(days=2, hours=1)
    }))  # fmt: skip
    assert capture.refresh_start(slow, slow.models[0], day(12)) == day(9)


def test_outcomes_without_predictions_say_what_to_run(tmp_path):
    made = Shop(tmp_path, use_case()).land(0, 1)
    with pytest.raises(NotComputedError, match="shop/sent_back/predictions"):
        made.join(0, 1)
