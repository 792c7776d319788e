"""Rows of the event log's index that an event gives rise to, besides its own.

Dagster's SQLite tables, as the stock storage fills them. Which event has which of them, and
in which transaction, belongs in ``event_log``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
)

from mlops_assets.replay.sqlite_file import insert, plain, update


def insert_tags(
    raw: sqlite3.Connection, tags: Mapping[str, str], event_id: int, row: Mapping[str, Any]
) -> None:
    """The tags of an event about an asset."""
    for name, value in tags.items():
        tag = {
            "event_id": event_id,
            "asset_key": row["asset_key"],
            "key": name,
            "value": value,
            "event_timestamp": row["timestamp"],
        }
        raw.execute(insert(AssetEventTagsTable, tuple(tag)), plain(tag))


def insert_planned_check(
    raw: sqlite3.Connection, event: EventLogEntry, event_id: int, row: Mapping[str, Any]
) -> None:
    """The check of each partition of a run that intends to make it."""
    planned = event.get_dagster_event().asset_check_planned_data
    days = planned.partitions_subset
    check = {
        "asset_key": planned.asset_key.to_string(),
        "check_name": planned.check_name,
        "partition": None,
        "run_id": event.run_id,
        "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
        "evaluation_event": row["event"],
        "evaluation_event_timestamp": row["timestamp"],
        "evaluation_event_storage_id": event_id,
    }
    check = plain(check)
    raw.executemany(
        insert(AssetCheckExecutionsTable, tuple(check)),
        [{**check, "partition": day} for day in (days.get_partition_keys() if days else [None])],
    )


def store_evaluation(
    raw: sqlite3.Connection, event: EventLogEntry, event_id: int, row: Mapping[str, Any]
) -> None:
    """The outcome of a check, in the place of the plan to make it where there was one."""
    evaluation = event.get_dagster_event().asset_check_evaluation_data
    target = evaluation.target_materialization_data
    passed = AssetCheckExecutionRecordStatus.SUCCEEDED
    failed = AssetCheckExecutionRecordStatus.FAILED
    check = plain(
        {
            "asset_key": evaluation.asset_key.to_string(),
            "check_name": evaluation.check_name,
            "partition": evaluation.partition,
            "run_id": event.run_id,
            "execution_status": (passed if evaluation.passed else failed).value,
            "evaluation_event": row["event"],
            "evaluation_event_timestamp": row["timestamp"],
            "evaluation_event_storage_id": event_id,
            "materialization_event_storage_id": target.storage_id if target else None,
        }
    )
    changed = raw.execute(
        "UPDATE asset_check_executions SET execution_status = :execution_status, "
        "evaluation_event = :evaluation_event, "
        "evaluation_event_timestamp = :evaluation_event_timestamp, "
        "evaluation_event_storage_id = :evaluation_event_storage_id, "
        "materialization_event_storage_id = :materialization_event_storage_id "
        "WHERE asset_key = :asset_key AND check_name = :check_name AND run_id = :run_id "
        "AND partition IS :partition",
        check,
    ).rowcount
    if changed > 1:
        raise DagsterInvariantViolationError(
            f"Updated {changed} rows for asset check evaluation {evaluation.asset_check_key} as a "
            "result of duplicate AssetCheckPlanned events."
        )
    if not changed:
        raw.execute(insert(AssetCheckExecutionsTable, tuple(check)), check)


def store_asset(raw: sqlite3.Connection, key: dg.AssetKey, values: Mapping[str, Any]) -> None:
    """The asset's own row, which holds its latest materialisation."""
    if not values:
        return
    row = plain({**values, "asset_key": key.to_string()})
    changed = raw.execute(update(AssetKeyTable, tuple(values), "asset_key"), row)
    if not changed.rowcount:
        raw.execute(insert(AssetKeyTable, tuple(row)), row)
