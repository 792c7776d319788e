"""The Dagster instance that a replay writes to: the same files, opened once.

Dagster's SQLite storages open a new SQLAlchemy engine for every statement and wait for the
disk at every commit; with a few hundred events a run that is most of a run's time. Here
each file keeps one connection, and commits do not wait for the disk: what a power cut
could lose is replayed again. The files and their schema are Dagster's own, so that the UI
and the daemon read the history afterwards with their stock storages.

Only the replay uses these classes. What they do beyond opening a connection once spares a
question whose answer is known; the event log, which does more, is in ``event_log``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite_storage import (
    DagsterSqliteStorage,
    _event_logs_directory,
    _runs_directory,
    _schedule_directory,
)
from sqlalchemy.engine import make_url

from mlops_assets.replay.event_log import EventLog
from mlops_assets.replay.sqlite_file import Present, SqliteFile


class _Runs(SqliteRunStorage):
    """The run storage with one open connection."""

    def __init__(self, conn_string: str, inst_data: Any = None) -> None:
        self._file = SqliteFile(make_url(conn_string).database or "")
        self._present = Present()
        self._snapshots: dict[str, Any] = {}
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[db.Connection]:
        with self._file.begin() as connection:
            yield connection

    def has_built_index(self, migration_name: str) -> bool:
        return self._present(
            f"index {migration_name}", lambda: super(_Runs, self).has_built_index(migration_name)
        )

    def has_run_stats_index_cols(self) -> bool:
        return self._present("statistics", super().has_run_stats_index_cols)

    def _get_snapshot(self, snapshot_id: str) -> Any:
        # Named by a hash of the content. Each run asks three times for one of a few.
        if snapshot_id not in self._snapshots:
            snapshot: Any = super()._get_snapshot(snapshot_id)
            if snapshot is None:
                return None
            self._snapshots[snapshot_id] = snapshot
        return self._snapshots[snapshot_id]

    def dispose(self) -> None:
        self._file.close()


class _Schedules(SqliteScheduleStorage):
    """The tick storage with one open connection."""

    def __init__(self, conn_string: str, inst_data: Any = None) -> None:
        self._file = SqliteFile(make_url(conn_string).database or "")
        self._present = Present()
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[db.Connection]:
        with self._file.begin() as connection:
            yield connection

    def has_built_index(self, migration_name: str) -> bool:
        return self._present(
            f"index {migration_name}",
            lambda: super(_Schedules, self).has_built_index(migration_name),
        )

    def _has_instigators_table(self, conn: db.Connection) -> bool:
        return self._present(
            "instigators", lambda: super(_Schedules, self)._has_instigators_table(conn)
        )

    def dispose(self) -> None:
        self._file.close()


class ReplayStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage over the same files, with connections kept open."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        # Not the parent's constructor, which would open each storage a first time.
        super(DagsterSqliteStorage, self).__init__()
        self.base_dir = base_dir
        self._inst_data = inst_data
        self._run_storage = _Runs.from_local(_runs_directory(base_dir))
        self._event_log_storage = EventLog(_event_logs_directory(base_dir))
        self._schedule_storage = _Schedules.from_local(_schedule_directory(base_dir))

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> ReplayStorage:
        return cls.from_local(inst_data=inst_data, **config_value)


class ReplayInstanceError(RuntimeError):
    """There is no instance to keep the history in. The message says what to set."""


@contextmanager
def replay_instance() -> Iterator[dg.DagsterInstance]:
    """Open the instance of ``DAGSTER_HOME`` for a replay.

    Where it keeps its history in SQLite, with the storages above and without capturing
    steps' console output, which fills a file for each run; any other storage as it is.

    Raises
    ------
    ReplayInstanceError
        If ``DAGSTER_HOME`` is not set or no folder.
    """
    home = os.environ.get("DAGSTER_HOME", "")
    if not home or not Path(home).is_dir():
        raise ReplayInstanceError(
            f"DAGSTER_HOME is {repr(home) if home else 'not set'}, and a replay keeps its history "
            "there. Set it to the absolute path of an existing folder, such as data/dagster_home."
        )
    ref = InstanceRef.from_dir(home)
    storage = ref.storage_data
    if storage is None or storage.class_name != DagsterSqliteStorage.__name__:
        with dg.DagsterInstance.get() as instance:
            yield instance
        return
    overrides = {
        "storage": {
            "custom": {
                "module": __name__,
                "class": ReplayStorage.__name__,
                "config": yaml.safe_load(storage.config_yaml),
            }
        },
        "compute_logs": {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        },
        # Of the console only; the event log gets everything.
        "python_logs": {"python_log_level": "CRITICAL"},
    }
    batch = os.environ.get("DAGSTER_EVENT_BATCH_SIZE")
    os.environ["DAGSTER_EVENT_BATCH_SIZE"] = batch or "1000"
    try:
        with dg.DagsterInstance.from_ref(InstanceRef.from_dir(home, overrides=overrides)) as made:
            yield made
    finally:
        if batch is None:
            del os.environ["DAGSTER_EVENT_BATCH_SIZE"]
