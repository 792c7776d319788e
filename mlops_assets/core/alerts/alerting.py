"""Alerts as data: what turned bad, what recovered, and to whom it has been told.

An *observation* is one outcome of something watched (a check, a job). The outbox turns
observations into *alerts* only where the state changes, and keeps for each alert and sink
whether it has been delivered. Delivering belongs in ``core.alerts.delivery``, collecting
observations in ``automation.alerts``, sinks in ``resources.notifier``. The outbox is a small
SQLite file of its own, so that a long write to the DuckDB file delays no alert.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

Severity = Literal["WARN", "ERROR"]
Kind = Literal["failed", "recovered"]

_TABLES = """
CREATE TABLE IF NOT EXISTS states (
    key TEXT PRIMARY KEY,
    failing INTEGER NOT NULL,
    severity TEXT NOT NULL,      -- the worst since it began to fail
    since REAL NOT NULL,         -- first failure of the present ones, or the recovery
    last_at REAL NOT NULL,       -- newest observation; older ones are not news
    repeats INTEGER NOT NULL     -- failures since the alert that are only counted
);
CREATE TABLE IF NOT EXISTS alerts (
    alert_id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    place TEXT NOT NULL,
    detail TEXT NOT NULL,
    remedy TEXT NOT NULL,
    run_id TEXT NOT NULL,
    at REAL NOT NULL,
    since REAL NOT NULL,
    repeats INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    alert_id TEXT NOT NULL,
    sink TEXT NOT NULL,
    status TEXT NOT NULL,        -- pending, sent, dropped (the sink is no longer set)
    attempts INTEGER NOT NULL,
    last_error TEXT,
    sent_at REAL,
    PRIMARY KEY (alert_id, sink)
);
CREATE INDEX IF NOT EXISTS deliveries_pending ON deliveries (sink) WHERE status = 'pending';
"""


@dataclass(frozen=True)
class Observation:
    """One outcome of something watched.

    Attributes
    ----------
    key
        Identifies what is watched; its state is kept under this key.
    passed
        Whether it was good.
    severity
        How bad it is when it was not.
    at
        When, in seconds since 1970.
    title
        What is watched, in a few words.
    place
        Where: the asset and the days, or the job.
    detail
        What was found.
    remedy
        What to do when it fails.
    run_id
        The run that found it.
    """

    key: str
    passed: bool
    severity: Severity
    at: float
    title: str
    place: str
    detail: str = ""
    remedy: str = ""
    run_id: str = ""


@dataclass(frozen=True)
class Alert:
    """A change of state that people should hear of."""

    alert_id: str
    key: str
    kind: Kind
    severity: Severity
    title: str
    place: str
    detail: str
    remedy: str
    run_id: str
    at: float
    since: float
    repeats: int

    @property
    def headline(self) -> str:
        """One line: how bad, what, where."""
        word = "RECOVERED" if self.kind == "recovered" else self.severity
        return f"[{word}] {self.title}: {self.place}"

    @property
    def text(self) -> str:
        """What, where, since when, how bad, what to do, and the run."""
        lines = []
        if self.detail:
            lines.append(self.detail)
        if self.kind == "recovered":
            failed = self.repeats + 1
            lines.append(
                f"Passes again since {_clock(self.at)}, having failed {failed} "
                f"time{'s' if failed > 1 else ''} since {_clock(self.since)}."
            )
        else:
            lines.append(f"Failing since {_clock(self.since)}.")
            if self.remedy:
                lines.append(f"What to do: {self.remedy}")
        if self.run_id:
            lines.append(f"Run: {self.run_id}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The alert for JSON; times are ISO 8601 in UTC."""
        return {**asdict(self), "at": _clock(self.at), "since": _clock(self.since)}


class Outbox:
    """Alert state in a SQLite file.

    Parameters
    ----------
    path
        The file; it is made when missing. Its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.executescript(_TABLES)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        finally:
            connection.close()

    def record(self, observations: Iterable[Observation], sinks: Iterable[str]) -> list[Alert]:
        """Take in observations and return the alerts that they give rise to.

        A failure of something good is an alert; so is a warning that becomes an error, and
        a pass of something failing. Further failures are counted and not told again. An
        observation that is not newer than what is known of its key changes nothing, so
        that recording the same ones twice does no harm.

        Parameters
        ----------
        observations
            In any order; they are taken by time.
        sinks
            To whom each new alert has to be delivered.
        """
        sinks = list(sinks)
        alerts = []
        with self._transaction() as connection:
            for observation in sorted(observations, key=lambda o: o.at):
                alert = _take(connection, observation)
                if alert is None:
                    continue
                alerts.append(alert)
                values = asdict(alert)
                connection.execute(
                    f"INSERT OR IGNORE INTO alerts ({', '.join(values)}) "
                    f"VALUES ({', '.join('?' * len(values))})",
                    list(values.values()),
                )
                connection.executemany(
                    "INSERT OR IGNORE INTO deliveries VALUES (?, ?, 'pending', 0, NULL, NULL)",
                    [(alert.alert_id, sink) for sink in sinks],
                )
        return alerts

    def pending(self, sink: str) -> list[Alert]:
        """Alerts that ``sink`` has not been told yet: least tried first, then oldest."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT a.* FROM deliveries d JOIN alerts a USING (alert_id) "
                "WHERE d.sink = ? AND d.status = 'pending' ORDER BY d.attempts, a.at, a.rowid",
                (sink,),
            ).fetchall()
        return [Alert(**dict(row)) for row in rows]

    def mark_sent(self, alert_id: str, sink: str, at: float) -> None:
        """Note that ``sink`` has been told."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET status = 'sent', attempts = attempts + 1, "
                "last_error = NULL, sent_at = ? WHERE alert_id = ? AND sink = ?",
                (at, alert_id, sink),
            )

    def mark_failed(self, alert_id: str, sink: str, error: str) -> None:
        """Note an attempt that failed; the alert stays pending."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, last_error = ? "
                "WHERE alert_id = ? AND sink = ?",
                (error, alert_id, sink),
            )

    def drop_unset(self, sinks: Iterable[str]) -> int:
        """Stop waiting for sinks that are no longer set; return how many deliveries."""
        known = list(sinks)
        with self._transaction() as connection:
            return connection.execute(
                "UPDATE deliveries SET status = 'dropped' WHERE status = 'pending' "
                f"AND sink NOT IN ({', '.join('?' * len(known))})",
                known,
            ).rowcount

    def undelivered(self) -> list[dict[str, Any]]:
        """Every pending delivery: headline, sink, attempts and last error."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT a.*, d.sink, d.attempts, d.last_error FROM deliveries d "
                "JOIN alerts a USING (alert_id) WHERE d.status = 'pending' ORDER BY a.at"
            ).fetchall()
        return [dict(row) for row in rows]

    def failing(self) -> list[dict[str, Any]]:
        """What is failing now: key, severity, since and how often it failed again."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT key, severity, since, repeats FROM states WHERE failing ORDER BY since"
            ).fetchall()
        return [dict(row) for row in rows]


def _take(connection: sqlite3.Connection, seen: Observation) -> Alert | None:
    state = connection.execute("SELECT * FROM states WHERE key = ?", (seen.key,)).fetchone()
    if state is not None and seen.at <= state["last_at"]:
        return None
    state = dict(state) if state is not None else {"failing": 0, "severity": "", "since": 0.0}
    failing = bool(state["failing"])
    kind: Kind | None = None
    severity, since, repeats = seen.severity, seen.at, 0
    if failing and not seen.passed:
        since = state["since"]
        if state["severity"] == "WARN" and seen.severity == "ERROR":
            kind = "failed"
        else:
            severity = state["severity"]
        repeats = state["repeats"] + 1
    elif not failing and not seen.passed:
        kind = "failed"
    elif failing and seen.passed:
        kind = "recovered"
        severity = state["severity"]
    connection.execute(
        "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?)",
        (seen.key, int(not seen.passed), severity, since, seen.at, repeats),
    )
    if kind is None:
        return None
    identity = f"{seen.key}\x1f{kind}\x1f{seen.at!r}\x1f{seen.run_id}"
    return Alert(
        alert_id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        key=seen.key,
        kind=kind,
        severity=severity,
        title=seen.title,
        place=seen.place,
        detail=seen.detail,
        remedy=seen.remedy,
        run_id=seen.run_id,
        at=seen.at,
        since=state["since"] if kind == "recovered" else since,
        repeats=state["repeats"] if kind == "recovered" else repeats,
    )


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
