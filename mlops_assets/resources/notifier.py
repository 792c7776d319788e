"""Where alerts go: the log, a JSON-lines file, and any Apprise URL.

Which alerts there are, and that they are retried, is the outbox's affair
(``mlops_assets.core.alerts.alerting``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.alerts.alerting import Alert, Outbox
from mlops_assets.core.alerts.delivery import Sink

if TYPE_CHECKING:
    from pydantic import SecretStr

    from mlops_assets.settings import Settings
    from mlops_assets.vocabulary import UseCase

_log = logging.getLogger("mlops_assets.alerts")


class DeliveryError(RuntimeError):
    """An alert could not be sent. The message says through which URL and why."""


class Notifier:
    """Sinks for alerts, and the outbox that remembers what they were told.

    A plain object and no ``ConfigurableResource``: the Dagster UI shows the configuration
    of those, and these URLs carry passwords.

    Parameters
    ----------
    outbox
        SQLite file of the alerts' state.
    log_file
        JSON-lines file that every alert is appended to.
    urls
        Apprise URLs.
    to_log
        Whether alerts also go to the log ``mlops_assets.alerts``.
    """

    def __init__(
        self,
        outbox: Path,
        log_file: Path,
        urls: Sequence[SecretStr] = (),
        *,
        to_log: bool = True,
    ) -> None:
        self.outbox = Outbox(outbox)
        self.log_file = log_file
        self._urls = tuple(urls)
        self._to_log = to_log

    @classmethod
    def from_settings(cls, use_case: UseCase, settings: Settings) -> Notifier:
        """The notifier that the settings ask for."""
        return cls(
            settings.outbox(use_case.name), settings.alert_log(use_case.name), settings.alert_urls
        )

    @property
    def sinks(self) -> dict[str, Sink]:
        """Name to a function that sends one alert and raises when it could not.

        A URL's sink is named by a hash, so that the outbox holds no secret.
        """
        sinks: dict[str, Sink] = {"file": self._to_file}
        if self._to_log:
            sinks["log"] = _to_log
        for number, url in enumerate(self._urls, start=1):
            digest = hashlib.sha256(url.get_secret_value().encode()).hexdigest()[:12]
            sinks[f"url:{digest}"] = _url_sink(url, number)
        return sinks

    def _to_file(self, alert: Alert) -> None:
        line = json.dumps(alert.as_dict(), ensure_ascii=False) + "\n"
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _to_log(alert: Alert) -> None:
    level = logging.INFO
    if alert.kind == "failed":
        level = logging.ERROR if alert.severity == "ERROR" else logging.WARNING
    _log.log(level, "%s\n%s", alert.headline, alert.text)


def _url_sink(url: SecretStr, number: int) -> Sink:
    def send(alert: Alert) -> None:
        import apprise

        secret = url.get_secret_value()
        service = apprise.Apprise.instantiate(secret, suppress_exceptions=True)
        if service is None:
            raise DeliveryError(
                f"alert URL number {number} is none that Apprise understands. Correct it in "
                "MLOPS_ASSETS_ALERT_URLS; the forms are at https://github.com/caronc/apprise/wiki"
            )
        kinds: dict[tuple[str, str], Any] = {
            ("failed", "ERROR"): apprise.NotifyType.FAILURE,
            ("failed", "WARN"): apprise.NotifyType.WARNING,
        }
        kind = kinds.get((alert.kind, alert.severity), apprise.NotifyType.SUCCESS)
        sender = apprise.Apprise()
        sender.add(service)
        # Apprise says why only in its log.
        with apprise.LogCapture(level=apprise.logging.WARNING, fmt="%(message)s") as captured:
            delivered = sender.notify(title=alert.headline, body=alert.text, notify_type=kind)
            why = str(getattr(captured, "getvalue", str)()).strip()
        if not delivered:
            why = why.replace(secret, "<url>").replace("\n", "; ")[:300] or "no reason given"
            raise DeliveryError(
                f"{service.url(privacy=True)} (alert URL number {number}) refused it: {why}"
            )

    return send
