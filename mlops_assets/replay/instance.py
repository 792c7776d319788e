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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import sqlalchemy as db
import sqlalchemy.event
import yaml
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._core.storage.sqlite_storage import (
    DagsterSqliteStorage,
    _event_logs_directory,
    _runs_directory,
    _schedule_directory,
)

BUSY_TIMEOUT_SECONDS = 30

# Folder with the empty file of a run, once one has been made in this process.
_templates: list[TemporaryDirectory[str]] = []

_BATCHED = {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    DagsterEventType.ASSET_MATERIALIZATION,
}


def _engine(conn_string: str) -> db.Engine:
    engine = db.create_engine(
        conn_string,
        poolclass=db.pool.QueuePool,
        pool_size=1,
        max_overflow=9,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @sqlalchemy.event.listens_for(engine, "connect")
    def relax(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    return engine


class _EventLog(SqliteEventLogStorage):
    """The event log with one open connection for each file, and events written in batches."""

    def __init__(self, base_dir: str, **kwargs: Any) -> None:
        self._engines: dict[str, db.Engine] = {}
        self._tables: set[str] = set()
        super().__init__(base_dir, **kwargs)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            engine = self._engines.get(shard)
            if engine is None:
                engine = self._open(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _open(self, shard: str) -> db.Engine:
        if shard != INDEX_SHARD_NAME:
            # A run's file is seldom needed once the next run has begun.
            for name in [n for n in self._engines if n != INDEX_SHARD_NAME]:
                self._engines.pop(name).dispose()
        path = Path(self.path_for_shard(shard))
        if shard not in self._initialized_dbs and not path.exists():
            shutil.copyfile(self._empty_shard(), path)
            self._initialized_dbs.add(shard)
        engine = self._engines[shard] = _engine(self.conn_string_for_shard(shard))
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return engine

    def _empty_shard(self) -> Path:
        # Making a run's file takes Alembic 0.1 s, most of it parsing its migrations again.
        if not _templates:
            folder = TemporaryDirectory(prefix="mlops-assets-replay-")
            engine = db.create_engine(create_db_conn_string(folder.name, "empty"))
            self._initdb(engine)
            engine.dispose()
            _templates.append(folder)
        return Path(_templates[0].name) / "empty.db"

    def has_table(self, table_name: str) -> bool:
        # Asked for every event; a table that exists does not go away.
        if table_name not in self._tables:
            if not super().has_table(table_name):
                return False
            self._tables.add(table_name)
        return True

    def _has_asset_key_col_on_connection(self, conn: db.Connection, column_name: str) -> bool:
        key = f"asset_keys.{column_name}"
        if key not in self._tables:
            if not super()._has_asset_key_col_on_connection(conn, column_name):
                return False
            self._tables.add(key)
        return True

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the planned or materialised partitions of a run or step in two transactions.

        Does what ``store_event`` does for each event, with one difference that nobody can
        see: of several events about an asset only the last updates the asset's own row,
        which holds the latest event of its kind.
        """
        if any(e.dagster_event_type not in _BATCHED for e in events):
            for event in events:
                self.store_event(event)
            return
        insert = SqlEventLogStorageTable.insert()
        rows = {id(e): self._event_to_row(e) for e in events}
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(insert, list(rows.values()))
        about_assets = [e for e in events if e.dagster_event_type in ASSET_EVENTS]
        about_checks = [e for e in events if e.dagster_event_type in ASSET_CHECK_EVENTS]
        with self.index_connection() as connection:
            mirrored = [*about_assets, *about_checks]
            result = connection.execute(
                insert.returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True),
                [rows[id(e)] for e in mirrored],
            )
            ids = [row[0] for row in result]
            self._store_asset_event_tags(connection, about_assets, ids[: len(about_assets)])
            latest = {
                (e.get_dagster_event().asset_key, e.dagster_event_type): (e, event_id)
                for e, event_id in zip(about_assets, ids, strict=False)
            }
            for event, event_id in latest.values():
                self._store_asset_event(connection, event, event_id)
        for event, event_id in zip(about_checks, ids[len(about_assets) :], strict=True):
            self.store_asset_check_event(event, event_id)

    def dispose(self) -> None:
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()


class _Runs(SqliteRunStorage):
    """The run storage with one open connection."""

    @cached_property
    def _engine(self) -> db.Engine:
        return _engine(self._conn_string)

    @contextmanager
    def connect(self) -> Iterator[db.Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        self._engine.dispose()


class _Schedules(SqliteScheduleStorage):
    """The tick storage with one open connection."""

    @cached_property
    def _engine(self) -> db.Engine:
        return _engine(self._conn_string)

    @contextmanager
    def connect(self) -> Iterator[db.Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        self._engine.dispose()


class ReplayStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage over the same files, with connections kept open."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        # Not the parent's constructor, which would open each storage a first time.
        super(DagsterSqliteStorage, self).__init__()
        self.base_dir = base_dir
        self._inst_data = inst_data
        self._run_storage = _Runs.from_local(_runs_directory(base_dir))
        self._event_log_storage = _EventLog(_event_logs_directory(base_dir))
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
