"""Drift reports over days."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_assets.core.monitoring import drift
from mlops_assets.core.monitoring.drift_rows import importance_share
from mlops_assets_tests.core.shop import Shop, day, use_case


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    """Unchanged until day 19; from day 20 on amounts are three times as large."""
    made = Shop(tmp_path_factory.mktemp("shop"), use_case()).land(0, 9)
    made.train(10)
    made.land(10, 19).land(20, 24, amount=60.0)
    made.capture(0, 24)
    made.join(0, 24)
    return made


def measured(shop: Shop, first: int, last: int) -> list[drift.DriftRow]:
    return drift.measure_range(shop.con, shop.use_case, shop.model, day(first), day(last + 1))


def test_a_range_gives_what_its_days_give_one_by_one(shop):
    assert measured(shop, 8, 24) == [r for n in range(8, 25) for r in measured(shop, n, n)]


def test_only_what_was_shifted_has_drifted(shop):
    rows = {row.column_name: row for row in measured(shop, 22, 22)}
    assert set(rows) == {"amount", "region", "express", "score", "label"}
    assert [name for name, row in rows.items() if row.drifted] == ["amount", "score", "label"]
    assert rows["amount"].value > 1
    assert rows["score"].role == "prediction"
    assert rows["amount"].n_current == 3 * 120
    assert rows["label"].n_current < 3 * 120


def test_unchanged_days_are_quiet_and_their_values_are_kept(shop):
    rows = [row for row in measured(shop, 13, 19) if row.role == "feature"]
    assert not any(row.drifted for row in rows)
    assert all(row.value is not None for row in rows)


def test_a_day_without_champion_has_no_report(shop):
    assert measured(shop, 5, 9) == []


def test_a_window_looks_at_the_serving_version_only(shop, tmp_path):
    made = Shop(tmp_path, use_case()).land(0, 9)
    made.train(10)
    made.land(10, 12)
    made.capture(0, 12)
    made.train(13)
    made.land(13, 13)
    made.capture(13, 13)
    rows = measured(made, 13, 13)
    assert {row.version for row in rows} == {2}
    assert {row.n_current for row in rows if row.role == "feature"} == {120}


def test_labels_that_come_later_do_not_change_what_features_were_said_to_do(tmp_path):
    made = Shop(tmp_path, use_case()).land(0, 9)
    made.train(10)
    made.land(10, 14, amount=26.0, labels=False)
    made.capture(10, 14)
    made.join(10, 14)
    before = [row for row in measured(made, 14, 14) if row.role != "label"]
    made.land(10, 14, amount=26.0, flip=True)
    made.join(10, 14)
    after = measured(made, 14, 14)
    assert [row for row in after if row.role != "label"] == before
    assert [row.status for row in after if row.role == "label"] == ["ok"]


def test_a_column_that_was_never_captured_has_a_status(shop):
    reference = {
        "columns": {
            "gone": {
                "role": "feature",
                "kind": "numeric",
                "edges": [1.0],
                "counts": [50, 50],
                "nulls": 0,
                "n": 100,
            }
        }
    }
    [row] = drift.report(shop.con, shop.model, 1, reference, {"gone": 1.0}, day(22))
    assert (row.status, row.value, row.drifted) == ("no_current", None, False)


def test_a_column_can_have_a_threshold_of_its_own(shop):
    declared = replace(shop.model, drift=replace(shop.model.drift, columns={"amount": 9.0}))
    rows = drift.measure_range(shop.con, shop.use_case, declared, day(22), day(23))
    [amount] = [row for row in rows if row.column_name == "amount"]
    assert (amount.threshold, amount.drifted) == (9.0, False)


def test_one_bad_day_does_not_last(shop):
    rows = measured(shop, 18, 24)
    shop.con.begin()
    drift.write_range(shop.con, shop.model, day(18), day(25), rows)
    first_drifted = min(row.window_end for row in rows if row.drifted and row.role == "feature")
    at = (first_drifted - day(0)).days
    # The rest of its window had no drift, so the first drifted report stands alone.
    assert [r for r in drift.lasting(shop.con, shop.model, day(at)) if r.role == "feature"] == []
    [lasting] = [r for r in drift.lasting(shop.con, shop.model, day(at + 1)) if r.role == "feature"]
    assert lasting.column_name == "amount"
    assert drift.read(shop.con, shop.model, day(18), day(24)) == sorted(
        rows, key=lambda r: (r.window_end, r.version, r.column_name)
    )
    shop.con.rollback()


def test_features_without_importance_count_alike(shop):
    rows = [row for row in measured(shop, 22, 22) if row.role == "feature"]
    drifted = [row for row in rows if row.drifted]
    assert importance_share(drifted, rows) == pytest.approx(drifted[0].importance)
    without = [replace(row, importance=0.0) for row in rows]
    assert importance_share(without[:1], without) == pytest.approx(1 / 3)
    assert importance_share([], []) == 0.0


def test_rows_of_another_day_are_refused_before_anything_is_deleted(shop):
    rows = measured(shop, 22, 22)
    shop.con.begin()
    drift.write_range(shop.con, shop.model, day(22), day(23), rows)
    with pytest.raises(ValueError, match="nothing was written"):
        drift.write_range(shop.con, shop.model, day(20), day(21), rows)
    assert len(drift.read(shop.con, shop.model, day(22), day(22))) == len(rows)
    shop.con.rollback()
