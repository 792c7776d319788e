"""Failed and recovered checks and failed runs reach the outbox and the alert file."""

import json


def told(place):
    path = place.settings.alert_log("toy")
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_installing_alerts_on_a_history_of_failures_raises_none(place):
    place.script.failing["2024-03-05"] = "WARN"
    place.schedule(2024, 3, 8)
    place.sensor("alerts")
    place.sensor("alerts")
    assert told(place) == []


def test_a_check_that_fails_in_a_run_that_succeeds_is_told_and_so_is_its_recovery(place):
    place.sensor("alerts")
    place.script.failing["2024-03-05"] = "WARN"
    place.schedule(2024, 3, 8)
    place.sensor("alerts")
    (alert,) = told(place)
    assert alert["kind"] == "failed"
    assert alert["severity"] == "WARN"
    assert alert["place"] == "toy/raw/orders on 2024-03-01 to 2024-03-07"
    assert alert["remedy"] == "Ask the shop for a better file."
    place.schedule(2024, 3, 9)
    place.sensor("alerts")
    assert [a["kind"] for a in told(place)] == ["failed", "recovered"]


def test_a_check_that_keeps_failing_is_told_once(place):
    place.sensor("alerts")
    place.script.failing.update({f"2024-03-{d:02d}": "WARN" for d in range(1, 20)})
    for day in (8, 9, 10):
        place.schedule(2024, 3, day)
        place.sensor("alerts")
    assert len(told(place)) == 1
    (failing,) = (
        place.daemon.repository.get_top_level_resources()["notifier"]
        .resource_fn(None)
        .outbox.failing()
    )
    assert failing["repeats"] == 2


def test_a_failed_run_is_told_with_its_error(place):
    place.sensor("alerts")
    place.script.broken.add("2024-03-05")
    place.schedule(2024, 3, 8)
    place.sensor("alerts")
    (alert,) = told(place)
    assert alert["title"] == "job daily"
    assert "performance cannot be told" in alert["detail"]


def test_a_run_that_fails_by_a_failed_check_is_told_once_and_not_twice(place):
    place.sensor("alerts")
    place.script.failing["2024-03-05"] = "ERROR"
    place.schedule(2024, 3, 8)
    place.sensor("alerts")
    (alert,) = told(place)
    assert alert["title"] == "check contract"
    assert alert["severity"] == "ERROR"


def test_the_same_events_read_twice_are_one_alert(place):
    place.sensor("alerts")
    place.script.failing["2024-03-05"] = "WARN"
    place.schedule(2024, 3, 8)
    (state,) = (s for s in place.instance.all_instigator_state() if s.name == "toy_alerts")
    place.sensor("alerts")
    place.instance.update_instigator_state(state)  # as if the tick had crashed at its end
    place.sensor("alerts")
    assert len(told(place)) == 1


def test_a_failing_and_recovering_check_between_two_ticks_is_not_lost(place):
    place.sensor("alerts")
    place.script.failing["2024-03-05"] = "WARN"
    place.schedule(2024, 3, 8)
    place.schedule(2024, 3, 9)
    place.sensor("alerts")
    assert [a["kind"] for a in told(place)] == ["failed", "recovered"]
