"""Delivery of alerts: to every sink, until each has it.

Delivery is retried until it succeeds, so an alert arrives at least once. What is still to
be delivered is the outbox's affair (``core.alerts.alerting``), how a sink sends is
``resources.notifier``'s.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from mlops_assets.core.alerts.alerting import Alert, Outbox

_log = logging.getLogger(__name__)

#: Sends one alert, and raises when it could not.
Sink = Callable[[Alert], None]

#: Failures in a row after which a sink is left alone until the next round: a dead sink
#: would otherwise cost its time-out for every alert.
MAX_FAILURES_IN_A_ROUND = 3


@dataclass(frozen=True)
class DeliveryReport:
    """What one round of deliveries did."""

    sent: int
    failed: int
    pending: int
    errors: Sequence[str]


def deliver(
    outbox: Outbox,
    sinks: Mapping[str, Sink],
    *,
    now: Callable[[], float],
    seconds: float = 20.0,
) -> DeliveryReport:
    """Send what is pending, each sink for itself.

    A sink that fails keeps nobody else waiting: its alerts stay pending, with the error,
    for the next round. After ``MAX_FAILURES_IN_A_ROUND`` failures, or when ``seconds`` have
    passed, the rest of a sink's alerts waits too.

    Parameters
    ----------
    sinks
        Name to a function that sends one alert and raises when it could not.
    now
        The time, in seconds since 1970, to note as sent.
    seconds
        Time for the whole round.
    """
    deadline = monotonic() + seconds
    outbox.drop_unset(sinks)
    sent = failed = 0
    errors: list[str] = []
    for name, send in sinks.items():
        failures = 0
        for alert in outbox.pending(name):
            if failures >= MAX_FAILURES_IN_A_ROUND or monotonic() > deadline:
                break
            try:
                send(alert)
            # Whatever a sink raises, the alert must stay pending and the other sinks served.
            except Exception as error:
                failures += 1
                failed += 1
                message = f"{type(error).__name__}: {error}"[:500]
                errors.append(f"{name}: {message}")
                _log.warning("alert %s was not delivered to %s: %s", alert.alert_id, name, message)
                outbox.mark_failed(alert.alert_id, name, message)
            else:
                sent += 1
                outbox.mark_sent(alert.alert_id, name, now())
    return DeliveryReport(sent, failed, len(outbox.undelivered()), tuple(errors))
