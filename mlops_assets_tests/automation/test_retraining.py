"""A decision to retrain becomes one run."""

import dagster as dg
import pytest

from mlops_assets.automation.retraining import read_decisions


def test_one_decision_is_one_run_with_its_reason(place):
    place.script.decisions["2024-03-05"] = ("retrain", "d5")
    place.schedule(2024, 3, 8)
    (run,) = place.sensor("late_retrain")
    assert run.job_name == "retrain_late"
    configured = next(config for job, _, config in place.script.ran if job == "retrain_late")
    assert configured == {"reason": "since 2024-03-05", "decision_id": "d5"}
    assert len([1 for job, *_ in place.script.ran if job == "retrain_late"]) == 4
    assert place.sensor("late_retrain") == []


def test_a_day_that_is_run_again_does_not_retrain_again(place):
    place.script.decisions["2024-03-07"] = ("retrain", "d7")
    place.schedule(2024, 3, 8)
    assert len(place.sensor("late_retrain")) == 1
    place.schedule(2024, 3, 9)  # covers the 7th again
    assert place.sensor("late_retrain") == []


def test_decisions_that_would_train_on_the_same_data_are_one_retrain(place):
    place.script.decisions.update(
        {"2024-03-04": ("retrain", "d4"), "2024-03-06": ("retrain", "d6")}
    )
    place.schedule(2024, 3, 8)
    (run,) = place.sensor("late_retrain")
    assert run.tags["mlops/decision_id"] == "d6"
    assert run.tags["mlops/superseded"] == '["d4"]'


def test_other_decisions_start_nothing(place):
    place.script.decisions["2024-03-05"] = ("blocked", "d5")
    place.schedule(2024, 3, 8)
    assert place.sensor("late_retrain") == []
    assert place.skip_reason("late_retrain") == "7 new decisions, none of them to retrain."


def test_a_decision_without_its_id_is_an_error_and_not_a_lost_retrain():
    with dg.DagsterInstance.ephemeral() as instance:
        key = dg.AssetKey(["toy", "late", "retrain_decision"])
        instance.report_runless_asset_event(
            dg.AssetMaterialization(key, metadata={"decision": "retrain"})
        )
        with pytest.raises(ValueError, match="decision_id"):
            read_decisions(instance, key, None)
