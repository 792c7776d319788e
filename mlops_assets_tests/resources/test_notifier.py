"""Alerts arrive at a real receiver, in the log and in the file, and secrets stay secret."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from mlops_assets.core.alerts.alerting import Observation
from mlops_assets.core.alerts.delivery import deliver
from mlops_assets.resources.notifier import DeliveryError, Notifier


class Receiver:
    """A web hook on the loopback interface."""

    def __init__(self) -> None:
        self.got: list[dict] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.got.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> SecretStr:
        return SecretStr(f"json://user:s3cret@127.0.0.1:{self.server.server_port}/alerts")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def notifier(tmp_path, *urls: SecretStr) -> Notifier:
    return Notifier(tmp_path / "alerts.sqlite", tmp_path / "alerts.jsonl", urls)


def tell(made: Notifier, passed: bool = False, at: float = 1.0, severity="ERROR"):
    made.outbox.record(
        [Observation("k", passed, severity, at, "check x", "a", "bad", "Mend it.", "r")],
        made.sinks,
    )
    return deliver(made.outbox, made.sinks, now=lambda: at)


def test_an_alert_arrives_in_the_log_the_file_and_at_the_url(tmp_path, receiver, caplog):
    made = notifier(tmp_path, receiver.url)
    with caplog.at_level(logging.INFO, logger="mlops_assets.alerts"):
        report = tell(made)
    assert (report.sent, report.pending) == (3, 0)
    (got,) = receiver.got
    assert got["title"] == "[ERROR] check x: a"
    assert "Mend it." in got["message"]
    assert got["type"] == "failure"
    (line,) = made.log_file.read_text().splitlines()
    assert json.loads(line)["title"] == "check x"
    (record,) = [r for r in caplog.records if r.name == "mlops_assets.alerts"]
    assert record.levelno == logging.ERROR


def test_severity_and_recovery_reach_the_receiver(tmp_path, receiver):
    made = notifier(tmp_path, receiver.url)
    tell(made, severity="WARN")
    tell(made, passed=True, at=2.0)
    assert [got["type"] for got in receiver.got] == ["warning", "success"]


def test_a_receiver_that_is_down_gets_the_alert_later_and_keeps_nobody_waiting(tmp_path, receiver):
    receiver.status = 500
    made = notifier(tmp_path, receiver.url)
    report = tell(made)
    assert (report.sent, report.pending) == (2, 1)
    receiver.status = 200
    report = deliver(made.outbox, made.sinks, now=lambda: 2.0)
    assert (report.sent, report.pending) == (1, 0)
    assert len(receiver.got) == 1


def test_the_error_says_why_and_gives_no_password_away(tmp_path, receiver):
    receiver.status = 500
    made = notifier(tmp_path, receiver.url)
    tell(made)
    (waiting,) = made.outbox.undelivered()
    assert "alert URL number 1" in waiting["last_error"]
    assert "500" in waiting["last_error"]
    everything = (tmp_path / "alerts.sqlite").read_bytes() + made.log_file.read_bytes()
    assert b"s3cret" not in everything
    assert "s3cret" not in repr(waiting)


def test_a_url_that_apprise_does_not_understand_says_what_to_do(tmp_path):
    made = notifier(tmp_path, SecretStr("nonsense-url"))
    (alert,) = made.outbox.record(
        [Observation("k", False, "ERROR", 1.0, "check x", "a")], made.sinks
    )
    send = next(sink for name, sink in made.sinks.items() if name.startswith("url:"))
    with pytest.raises(DeliveryError, match="MLOPS_ASSETS_ALERT_URLS"):
        send(alert)
