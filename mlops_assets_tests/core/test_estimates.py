"""Estimates over windows: stored beside what came out, and trusted only once they were right."""

from __future__ import annotations

import pytest

from mlops_assets.core import registry
from mlops_assets.core.models import metrics
from mlops_assets.core.monitoring import estimates, performance, reference_rows, window_rows
from mlops_assets_tests.core.shop import Shop, day, use_case


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression"])
def shop(tmp_path_factory, request) -> Shop:
    """Windows of three days close on days 2, 5, 8, ...; from day 24 on there are no labels."""
    declared = use_case(request.param)
    made = Shop(tmp_path_factory.mktemp("shop"), declared, rows_per_day=300).land(0, 9)
    made.train(10)
    made.land(10, 23).land(24, 29, labels=False)
    made.monitor(0, 29)
    return made


def stored(shop: Shop) -> list[estimates.EstimateRow]:
    return estimates.read(shop.con, shop.model)


def test_windows_that_closed_follow_each_other_and_others_are_not_looked_at(shop):
    assert [
        w.closes for w in window_rows.closed(shop.con, shop.use_case, shop.model, day(0), day(30))
    ] == [day(n) for n in range(11, 30, 3)]
    assert {row.window_end for row in stored(shop)} == {day(n) for n in range(11, 30, 3)}


def test_an_estimate_is_near_what_came_out_and_knows_how_near_it_was_before(shop):
    rows = [row for row in estimates.shown(shop.model, stored(shop)) if row.realised is not None]
    assert len(rows) == 5
    assert [row.windows for row in rows] == [0, 1, 2, 3, 4]
    for row in rows[1:]:
        assert row.status == "estimated", row.reason
        assert row.value == pytest.approx(row.realised, rel=0.3)
        assert row.low < row.value < row.high
    assert not any(row.validated for row in rows[:4])  # too few windows to tell


def test_where_labels_are_missing_there_is_an_estimate_and_no_realised_value(shop):
    [last] = [row for row in estimates.shown(shop.model, stored(shop)) if row.window_end == day(29)]
    assert (last.realised, last.realised_n) == (None, 0)
    assert last.value is not None
    [shown] = performance.read(shop.con, shop.model, day(29), day(29), kind="estimated")
    assert (shown.value, shown.metric) == (last.value, shop.model.metric)
    assert shown.status == ("validated" if last.validated else "unvalidated")
    realised = performance.read(shop.con, shop.model, day(29), day(29))
    assert {row.status for row in realised} == {"no_labels"}


def test_realised_is_the_metric_of_the_windows_own_rows(shop):
    version = registry.get(shop.con, shop.model.name, 1)
    window = window_rows.Window(day(12), day(14), 1)
    rows = window_rows.load(shop.con, shop.model, version, window)
    assert len(rows) == 900
    known = rows.scored.take(rows.labelled)
    expected = metrics.value(shop.model.problem, shop.model.metric, known)
    found = [row for row in stored(shop) if row.window_end == day(14) and row.realised is not None]
    assert {row.realised for row in found if row.metric == shop.model.metric} == {expected}
    assert {row.realised_n for row in found} == {int(rows.labelled.sum())}


def test_measuring_again_gives_the_same(shop):
    before = stored(shop)
    again = estimates.measure_range(
        shop.con, shop.use_case, shop.model, day(0), day(30), shop.folder
    )
    assert sorted(map(str, again)) == sorted(map(str, before))
    part = estimates.measure_range(
        shop.con, shop.use_case, shop.model, day(15), day(21), shop.folder
    )
    assert sorted(map(str, part)) == sorted(
        str(row) for row in before if day(15) <= row.window_end < day(21)
    )


def test_reference_rows_are_what_the_version_said_of_its_holdout(shop):
    version = registry.get(shop.con, shop.model.name, 1)
    kept = reference_rows.read(shop.folder, shop.model, version, "holdout")
    evaluated = registry.latest_evaluation(shop.con, shop.model.name)
    assert len(kept.features) == evaluated.report.rows
    value = metrics.value(shop.model.problem, shop.model.metric, kept.scored)
    assert value == pytest.approx(evaluated.report.challenger[shop.model.metric].value)
    assert list(kept.features.columns) == [g["name"] for g in version.signature["inputs"]]
    train = reference_rows.read(shop.folder, shop.model, version, "train")
    assert len(train.features) == version.train_rows


def test_without_reference_rows_nothing_is_estimated_anew(shop, tmp_path):
    everything = (shop.con, shop.use_case, shop.model, day(0), day(30))
    shop.con.begin()
    shop.con.execute("DELETE FROM monitoring.estimates")
    assert estimates.measure_range(*everything, tmp_path) == []
    shop.con.rollback()


def test_estimating_anew_gives_what_was_stored(shop):
    before = stored(shop)
    shop.con.begin()
    shop.con.execute("DELETE FROM monitoring.estimates")
    again = estimates.measure_range(
        shop.con, shop.use_case, shop.model, day(0), day(30), shop.folder
    )
    shop.con.rollback()
    assert sorted(map(str, again)) == sorted(map(str, before))
