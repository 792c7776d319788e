"""The outbox: changes of state are told, once, until they have arrived."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from mlops_assets.core.alerts.alerting import Observation, Outbox
from mlops_assets.core.alerts.delivery import MAX_FAILURES_IN_A_ROUND, deliver


@pytest.fixture
def outbox(tmp_path):
    return Outbox(tmp_path / "alerts.sqlite")


def seen(at: float, passed: bool = False, severity="ERROR", key: str = "check:a:b") -> Observation:
    return Observation(
        key=key,
        passed=passed,
        severity=severity,
        at=at,
        title="check b",
        place="a on 2024-03-01",
        detail="3 rows",
        remedy="Mend it.",
        run_id="run-1",
    )


def kinds(alerts) -> list[str]:
    return [alert.kind for alert in alerts]


def test_failure_repetition_and_recovery_are_one_alert_each_way(outbox):
    assert kinds(outbox.record([seen(1, passed=True)], ["log"])) == []
    assert kinds(outbox.record([seen(2)], ["log"])) == ["failed"]
    assert kinds(outbox.record([seen(3), seen(4)], ["log"])) == []
    assert outbox.failing() == [
        {"key": "check:a:b", "severity": "ERROR", "since": 2.0, "repeats": 2}
    ]
    (recovered,) = outbox.record([seen(5, passed=True)], ["log"])
    assert recovered.kind == "recovered"
    assert (recovered.since, recovered.repeats) == (2.0, 2)
    assert "failed 3 times" in recovered.text
    assert outbox.failing() == []
    assert kinds(outbox.record([seen(6)], ["log"])) == ["failed"]


def test_recording_the_same_observations_again_tells_nobody_again(outbox):
    observations = [seen(1), seen(2, passed=True), seen(3)]
    assert kinds(outbox.record(observations, ["log"])) == ["failed", "recovered", "failed"]
    assert outbox.record(observations, ["log"]) == []
    assert len(outbox.pending("log")) == 3


def test_observations_out_of_order_do_not_turn_the_state_back(outbox):
    assert kinds(outbox.record([seen(5, passed=True), seen(3)], ["log"])) == [
        "failed",
        "recovered",
    ]
    assert outbox.record([seen(4)], ["log"]) == []
    assert outbox.failing() == []


def test_a_warning_that_becomes_an_error_is_told_and_then_only_counted(outbox):
    severities = ["WARN", "ERROR", "WARN", "ERROR"]
    made = outbox.record([seen(n, severity=s) for n, s in enumerate(severities)], ["log"])
    assert [(a.kind, a.severity) for a in made] == [("failed", "WARN"), ("failed", "ERROR")]
    assert outbox.failing()[0]["since"] == 0.0


def test_one_check_does_not_recover_another(outbox):
    outbox.record([seen(1, key="a"), seen(2, key="b")], ["log"])
    outbox.record([seen(3, passed=True, key="a")], ["log"])
    assert [row["key"] for row in outbox.failing()] == ["b"]


def test_the_message_says_what_where_since_when_how_bad_and_what_to_do(outbox):
    (alert,) = outbox.record([seen(0)], ["log"])
    assert alert.headline == "[ERROR] check b: a on 2024-03-01"
    assert alert.text.splitlines() == [
        "3 rows",
        "Failing since 1970-01-01T00:00:00Z.",
        "What to do: Mend it.",
        "Run: run-1",
    ]


def test_what_could_not_be_sent_stays_pending_and_is_sent_in_the_next_round(outbox):
    outbox.record([seen(1)], ["log", "down"])
    told: list[str] = []

    def refuse(alert):
        raise ConnectionError("no route")

    sinks = {"down": refuse, "log": lambda alert: told.append(alert.alert_id)}
    report = deliver(outbox, sinks, now=lambda: 2.0)
    assert (report.sent, report.failed, report.pending) == (1, 1, 1)
    (waiting,) = outbox.undelivered()
    assert waiting["sink"] == "down"
    assert waiting["attempts"] == 1
    assert waiting["last_error"] == "ConnectionError: no route"
    sinks["down"] = sinks["log"]
    report = deliver(outbox, sinks, now=lambda: 3.0)
    assert (report.sent, report.pending) == (1, 0)
    assert len(told) == 2


def test_a_dead_sink_does_not_cost_its_time_out_for_every_alert(outbox):
    outbox.record([seen(n, key=str(n)) for n in range(20)], ["down"])
    tried = []

    def refuse(alert):
        tried.append(alert.key)
        raise TimeoutError

    deliver(outbox, {"down": refuse}, now=lambda: 0.0)
    assert len(tried) == MAX_FAILURES_IN_A_ROUND
    deliver(outbox, {"down": refuse}, now=lambda: 0.0)
    # An alert that is refused for its content does not keep the others from their turn.
    assert len(set(tried)) == 2 * MAX_FAILURES_IN_A_ROUND


def test_a_crash_between_sending_and_noting_sends_again_and_loses_nothing(outbox, monkeypatch):
    outbox.record([seen(1)], ["log"])
    told = []

    def crash(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "mark_sent", crash)
        with pytest.raises(SystemExit):
            deliver(outbox, {"log": told.append}, now=lambda: 0.0)
    deliver(outbox, {"log": told.append}, now=lambda: 0.0)
    assert len(told) == 2


def test_a_new_sink_is_not_flooded_with_old_alerts(outbox):
    outbox.record([seen(1)], ["log"])
    told = []
    deliver(outbox, {"log": lambda a: None, "new": told.append}, now=lambda: 0.0)
    assert told == []


def test_a_sink_that_is_no_longer_set_is_not_waited_for(outbox):
    outbox.record([seen(1)], ["log", "gone"])
    report = deliver(outbox, {"log": lambda a: None}, now=lambda: 0.0)
    assert report.pending == 0


def test_a_record_that_fails_half_way_leaves_no_trace(outbox):
    broken = replace(seen(2, key="b"), title=object())  # SQLite cannot store it
    with pytest.raises(sqlite3.Error):
        outbox.record([seen(1), broken], ["log"])
    assert outbox.failing() == []
    assert kinds(outbox.record([seen(1)], ["log"])) == ["failed"]


def test_the_outbox_survives_its_process(tmp_path):
    Outbox(tmp_path / "a.sqlite").record([seen(1)], ["log"])
    assert len(Outbox(tmp_path / "a.sqlite").pending("log")) == 1
