"""Drift reports over days."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core import registry
from mlops_assets.core.drift_methods.multiplicity import adjust
from mlops_assets.core.monitoring import drift, drift_rows, training_profile
from mlops_assets.core.monitoring.drift_rows import DriftRow, importance_share
from mlops_assets.core.monitoring.histograms import histogram
from mlops_assets.core.monitoring.training_profile import TrainingProfile
from mlops_assets.vocabulary import DriftPolicy
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


def every(shop: Shop, first: int, last: int) -> list[DriftRow]:
    return drift.measure_range(shop.con, shop.use_case, shop.model, day(first), day(last + 1))


def measured(shop: Shop, first: int, last: int) -> list[DriftRow]:
    return [row for row in every(shop, first, last) if row.decides]


def test_a_range_gives_what_its_days_give_one_by_one(shop):
    assert every(shop, 8, 24) == [r for n in range(8, 25) for r in every(shop, n, n)]


def test_only_what_was_shifted_has_drifted(shop):
    rows = {row.column_name: row for row in measured(shop, 22, 22)}
    assert set(rows) == {"amount", "region", "express", "score", "label"}
    assert [name for name, row in rows.items() if row.drifted] == ["amount", "score", "label"]
    assert rows["amount"].value > 1
    assert rows["score"].role == "prediction"
    assert rows["region"].n_current == 3 * 120
    assert rows["amount"].n_current < 3 * 120  # the missing are no values
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
    assert {row.n_current for row in rows if row.column_name == "region"} == {120}


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
    made = training_profile.make(pd.DataFrame({"gone": np.arange(100.0)}), shop.model.drift)
    seen = drift.Seen.load(shop.con, shop.model, 1, made, day(20), day(22))
    [row] = drift.report(shop.model, 1, made, seen, {"gone": 1.0}, day(22))
    assert (row.status, row.value, row.drifted) == ("no_column_current", None, False)


@pytest.mark.parametrize("of", ["amount", "numeric"])
def test_a_column_can_have_a_threshold_of_its_own(shop, of):
    declared = replace(shop.model, drift=replace(shop.model.drift, thresholds={of: 9.0}))
    rows = drift.measure_range(shop.con, shop.use_case, declared, day(22), day(23))
    [amount] = [row for row in rows if row.column_name == "amount" and row.decides]
    assert (amount.threshold, amount.drifted) == (9.0, False)


def test_what_training_weeks_showed_among_themselves_is_not_called_drift():
    made = np.random.default_rng(0)
    days = np.repeat(np.arange(70), 50)
    season = np.where(days // 7 % 2 == 0, -1.0, 1.0)
    frame = pd.DataFrame({"warm": season + made.normal(0, 0.3, len(days))})
    profile = training_profile.make(frame, DriftPolicy(), days=days)
    assert profile.windows == 10
    assert profile.usual["warm"] > 0.5
    # Another warm week lies as far from the whole as the warm weeks of training did.
    again = pd.DataFrame({"warm": 1 + made.normal(0, 0.3, 350)})
    hot = pd.DataFrame({"warm": 3 + made.normal(0, 0.3, 350)})
    for window, always, beyond in ((again, True, False), (hot, True, True)):
        shift = drift.compare(profile.columns, window).of("warm")
        for policy, expected in (
            (DriftPolicy(beyond_training=False), always),
            (DriftPolicy(), beyond),
        ):
            [row] = [row for row in drift._rows(shift, profile, policy) if row["decides"]]
            assert row["drifted"] is expected


def test_a_short_training_period_says_nothing_of_what_is_usual(shop):
    assert (
        TrainingProfile.from_json(registry.training_profile(shop.con, shop.model.name, 1)).usual
        == {}
    )
    profile = training_profile.make(pd.DataFrame({"x": [1.0, 2.0]}), DriftPolicy())
    assert (profile.windows, profile.usual) == (0, {})


def test_a_profile_is_read_as_it_was_written_and_others_are_refused(shop):
    stored = registry.training_profile(shop.con, shop.model.name, 1)
    assert TrainingProfile.from_json(stored).to_json() == stored
    with pytest.raises(ValueError, match="train the model again"):
        TrainingProfile.from_json({"columns": {}})


def test_methods_that_do_not_decide_are_stored_and_raise_no_alarm(shop):
    rows = [row for row in every(shop, 22, 22) if not row.decides]
    assert {row.method for row in rows} == {"psi"}
    assert not any(row.drifted for row in rows)
    assert {row.column_name for row in rows} == {row.column_name for row in measured(shop, 22, 22)}


def test_a_histogram_holds_every_row_of_both_sides():
    made = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": np.where(made.random(500) < 0.1, np.nan, made.normal(size=500)),
            "name": made.choice([f"n{i:02}" for i in range(30)], 500),
            "flag": made.random(500) < 0.2,
        }
    )
    profile = training_profile.make(frame, DriftPolicy())
    for name in frame.columns:
        found = histogram(profile.columns.columns[name], frame[name])
        assert found.reference == pytest.approx(found.current)
        assert found.missing[0] == pytest.approx(frame[name].isna().mean())
        assert sum(found.current) + found.missing[1] == pytest.approx(1)
    assert histogram(profile.columns.columns["number"], frame["name"]) is None


def test_adjusted_p_values_are_those_of_benjamini_and_hochberg():
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(2).random(25) ** 3
    assert adjust(list(p)) == pytest.approx(false_discovery_control(p), abs=1e-15)
    assert adjust([]) == []


def test_one_bad_day_does_not_last(shop):
    rows = every(shop, 18, 24)
    shop.con.begin()
    drift.write_range(shop.con, shop.model, day(18), day(25), rows)
    first_drifted = min(row.window_end for row in rows if row.drifted and row.role == "feature")
    at = (first_drifted - day(0)).days
    # The rest of its window had no drift, so the first drifted report stands alone.
    assert [
        r for r in drift_rows.lasting(shop.con, shop.model, day(at)) if r.role == "feature"
    ] == []
    [lasting] = [
        r for r in drift_rows.lasting(shop.con, shop.model, day(at + 1)) if r.role == "feature"
    ]
    assert lasting.column_name == "amount"
    assert drift_rows.read(shop.con, shop.model, day(18), day(24)) == sorted(
        [row for row in rows if row.decides],
        key=lambda r: (r.window_end, r.version, r.column_name),
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
    assert len(drift_rows.read(shop.con, shop.model, day(22), day(22))) == len(rows)
    shop.con.rollback()
