"""The event log that a replay writes: Dagster's SQLite files and rows, in few statements.

Dagster's storage stores each event in up to five transactions through SQLAlchemy, and
reads an asset's record and data versions again for every step and check. With a thousand
steps a year that was an eighth of a replay. Here a step's events are one transaction in
each file, and what is known of assets is kept. The rows are those that the stock storage
writes; a test compares them one by one. What is not in this module is the stock storage's.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import sqlalchemy as db
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    DagsterEventType,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._utils.concurrency import ConcurrencyClaimStatus

from mlops_assets.replay import event_rows, slots
from mlops_assets.replay.asset_cache import AssetCache
from mlops_assets.replay.sqlite_file import Present, SqliteFile, insert, plain

# Folder with the empty file of a run, once one has been made in this process.
_templates: list[TemporaryDirectory[str]] = []

#: Files of runs kept open.
OPEN_RUNS = 8

#: Events of a run that are also kept in the index.
_MIRRORED = {*ASSET_EVENTS, *ASSET_CHECK_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS}


class EventLog(SqliteEventLogStorage):
    """The event log with one open connection for each file."""

    def __init__(self, base_dir: str, **kwargs: Any) -> None:
        self._files: dict[str, SqliteFile] = {}
        self._present = Present()
        self._assets = AssetCache()
        self._version: int | None = None
        super().__init__(base_dir, **kwargs)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            file = self._file(shard)
            before = file.raw.total_changes
            try:
                with file.begin() as connection:
                    yield connection
            finally:
                if shard == INDEX_SHARD_NAME and file.raw.total_changes != before:
                    self._assets.clear()

    def _file(self, shard: str) -> SqliteFile:
        file = self._files.get(shard)
        if file is not None:
            return file
        # The runs of a step are read once more by the alerts at its end, and then no more.
        runs = [name for name in self._files if name != INDEX_SHARD_NAME]
        if len(runs) >= OPEN_RUNS:
            self._files.pop(runs[0]).close()
        path = Path(self.path_for_shard(shard))
        if shard not in self._initialized_dbs and not path.exists():
            shutil.copyfile(self._empty_shard(), path)
            self._initialized_dbs.add(shard)
        if shard not in self._initialized_dbs:
            engine = db.create_engine(self.conn_string_for_shard(shard))
            self._initdb(engine)
            engine.dispose()
            self._initialized_dbs.add(shard)
        file = self._files[shard] = SqliteFile(path)
        return file

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
        return self._present(table_name, lambda: super(EventLog, self).has_table(table_name))

    def has_secondary_index(self, name: str) -> bool:
        return self._present(
            f"index {name}", lambda: super(EventLog, self).has_secondary_index(name)
        )

    def _has_asset_key_col_on_connection(self, conn: db.Connection, column_name: str) -> bool:
        return self._present(
            f"column {column_name}",
            lambda: super(EventLog, self)._has_asset_key_col_on_connection(conn, column_name),
        )

    @cached_property
    def _up_to_date(self) -> bool:
        """Whether the files have all that this version of Dagster can store in them."""
        return (
            self.has_asset_key_index_cols()
            and self.has_table(AssetEventTagsTable.name)
            and self.supports_asset_checks
        )

    def store_event(self, event: EventLogEntry) -> None:
        if event.run_id and self._up_to_date:
            self._store([event])
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the events of a run or step in one transaction.

        Does what ``store_event`` does for each event, with one difference that nobody can
        see: of several events about an asset only the last updates the asset's own row,
        which holds the latest event of its kind.
        """
        if len({e.run_id for e in events}) == 1 and events[0].run_id and self._up_to_date:
            self._store(events)
        else:
            for event in events:
                self.store_event(event)

    def _store(self, events: Sequence[EventLogEntry]) -> None:
        rows = [(event, self._event_to_row(event)) for event in events]
        statement = insert(SqlEventLogStorageTable, tuple(rows[0][1]))
        mirrored = [
            (event, row)
            for event, row in rows
            if event.is_dagster_event and event.dagster_event_type in _MIRRORED
        ]
        with self._db_lock, self._file(events[0].run_id).write() as run:
            run.executemany(statement, [plain(row) for _, row in rows])
            if not mirrored:
                return
            try:
                with self._file(INDEX_SHARD_NAME).write() as index:
                    about_assets = self._mirror(index, statement, mirrored)
                for event, event_id, tags in about_assets:
                    self._assets.stored(event, event_id, tags)
            except BaseException:  # an interruption may come between the two
                self._assets.clear()
                raise

    def _mirror(
        self,
        raw: sqlite3.Connection,
        statement: str,
        rows: Sequence[tuple[EventLogEntry, dict[str, Any]]],
    ) -> list[tuple[EventLogEntry, int, Mapping[str, str]]]:
        """Write events to the index; return those about assets, their numbers and tags."""
        about_assets = []
        latest = {}
        for event, row in rows:
            event_id = raw.execute(statement, plain(row)).lastrowid
            assert event_id is not None
            kind = event.dagster_event_type
            key = event.get_dagster_event().asset_key
            if kind in ASSET_EVENTS and key is not None:
                tags = self._tags_for_asset_event(event)
                event_rows.insert_tags(raw, tags, event_id, row)
                about_assets.append((event, event_id, tags))
                latest[key, kind] = (event, event_id)
            elif kind == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                event_rows.insert_planned_check(raw, event, event_id, row)
            elif kind == DagsterEventType.ASSET_CHECK_EVALUATION:
                event_rows.store_evaluation(raw, event, event_id, row)
        for (key, _), (event, event_id) in latest.items():
            values = self._get_asset_entry_values(event, event_id, True)
            event_rows.store_asset(raw, key, values)
        return about_assets

    def _forget_if_changed(self) -> None:
        """Empty the cache if another process has written to the index."""
        raw = self._file(INDEX_SHARD_NAME).raw
        ((version,),) = raw.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._version = version
            self._assets.clear()

    def get_asset_records(
        self, asset_keys: Sequence[dg.AssetKey] | None = None
    ) -> Sequence[AssetRecord]:
        if asset_keys is None:
            return super().get_asset_records()
        with self._db_lock:
            self._forget_if_changed()
        known = self._assets.records
        missing = [key for key in asset_keys if key not in known]
        if missing:
            for record in super().get_asset_records(missing):
                known[record.asset_entry.asset_key] = record
        # In the order of the stock storage.
        found = {key for key in asset_keys if key in known}
        return [known[key] for key in sorted(found, key=lambda key: key.to_string())]

    def get_latest_tags_by_partition(
        self,
        asset_key: dg.AssetKey,
        event_type: DagsterEventType,
        tag_keys: Sequence[str],
        asset_partitions: Sequence[str] | None = None,
        before_cursor: int | None = None,
        after_cursor: int | None = None,
    ) -> Mapping[str, Mapping[str, str]]:
        if before_cursor is not None or after_cursor is not None:
            return super().get_latest_tags_by_partition(
                asset_key, event_type, tag_keys, asset_partitions, before_cursor, after_cursor
            )
        with self._db_lock:
            self._forget_if_changed()
        found = self._assets.known_tags(asset_key, event_type, tag_keys, asset_partitions)
        if found is None:
            latest = super().get_latest_tags_by_partition(asset_key, event_type, tag_keys)
            self._assets.tags[asset_key, event_type, tuple(tag_keys)] = dict(latest)
            found = self._assets.known_tags(asset_key, event_type, tag_keys, asset_partitions)
        assert found is not None
        return found

    def get_materialized_partitions(
        self,
        asset_key: dg.AssetKey,
        before_cursor: int | None = None,
        after_cursor: int | None = None,
    ) -> set[str]:
        if before_cursor or after_cursor:
            return super().get_materialized_partitions(asset_key, before_cursor, after_cursor)
        with self._db_lock:
            self._forget_if_changed()
        known = self._assets.partitions
        if asset_key not in known:
            known[asset_key] = super().get_materialized_partitions(asset_key)
        return set(known[asset_key])

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        with self._db_lock, self._file(INDEX_SHARD_NAME).write() as raw:
            status = slots.claim(raw, concurrency_key, run_id, step_key, priority)
        if status is not None:
            return status
        return super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)

    def free_concurrency_slot_for_step(self, run_id: str, step_key: str) -> None:
        with self._db_lock, self._file(INDEX_SHARD_NAME).write() as raw:
            waited_for = slots.free(raw, run_id, step_key)
        if waited_for:
            self.assign_pending_steps(waited_for)

    def dispose(self) -> None:
        super().dispose()
        for file in self._files.values():
            file.close()
        self._files.clear()
