"""The Dagster instance that a replay writes to: the same files, opened once.

Dagster's SQLite storages open a new SQLAlchemy engine for every statement and wait for the
disk at every commit; with a few hundred events a run that is most of a run's time. Here
each file keeps one connection, and commits do not wait for the disk: what a power cut
could lose is replayed again. The files and their schema are Dagster's own, so that the UI
and the daemon read the history afterwards with their stock storages.

Only the replay uses these classes. They override the one method of each storage that
opens a connection.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

BUSY_TIMEOUT_SECONDS = 30


def _engine(conn_string: str) -> db.Engine:
    engine = db.create_engine(
        conn_string,
        poolclass=db.pool.StaticPool,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @db.event.listens_for(engine, "connect")
    def relax(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    return engine


class _Connections:
    """One connection for each file, for one thread at a time."""

    def __init__(self) -> None:
        self._engines: dict[str, db.Engine] = {}
        self._lock = threading.RLock()

    @contextmanager
    def connect(self, conn_string: str) -> Iterator[db.Connection]:
        with self._lock:
            if conn_string not in self._engines:
                self._engines[conn_string] = _engine(conn_string)
            with self._engines[conn_string].connect() as connection, connection.begin():
                yield connection

    def close(self, conn_string: str) -> None:
        with self._lock:
            engine = self._engines.pop(conn_string, None)
            if engine is not None:
                engine.dispose()

    def close_all(self) -> None:
        for conn_string in list(self._engines):
            self.close(conn_string)
