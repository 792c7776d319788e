"""Slots of concurrency pools, claimed and freed in one transaction where nobody waits.

Dagster does it in eight transactions for each step, so that many processes may claim at the
same time. The rows are the same; where another step has or awaits the pool, its own way is
taken, see ``event_log``.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime

from dagster._utils.concurrency import ConcurrencyClaimStatus, ConcurrencySlotStatus


def claim(
    raw: sqlite3.Connection, pool: str, run_id: str, step_key: str, priority: int | None
) -> ConcurrencyClaimStatus | None:
    """Claim a slot of a pool that no step has or awaits; ``None`` if that is not so."""
    if raw.execute(
        "SELECT 1 FROM pending_steps WHERE concurrency_key = ? LIMIT 1", (pool,)
    ).fetchone():
        return None
    slot = raw.execute(
        "SELECT id FROM concurrency_slots "
        "WHERE concurrency_key = ? AND step_key IS NULL AND NOT deleted LIMIT 1",
        (pool,),
    ).fetchone()
    if slot is None:
        return None
    pending = raw.execute(
        "INSERT INTO pending_steps "
        "(concurrency_key, run_id, step_key, priority, assigned_timestamp) "
        "VALUES (?, ?, ?, ?, CURRENT_TIMESTAMP)",
        (pool, run_id, step_key, priority or 0),
    ).lastrowid
    raw.execute(
        "UPDATE concurrency_slots SET run_id = ?, step_key = ? WHERE id = ?",
        (run_id, step_key, slot[0]),
    )
    assigned, created = raw.execute(
        "SELECT assigned_timestamp, create_timestamp FROM pending_steps WHERE id = ?", (pending,)
    ).fetchone()
    return ConcurrencyClaimStatus(
        concurrency_key=pool,
        slot_status=ConcurrencySlotStatus.CLAIMED,
        priority=priority or None,
        assigned_timestamp=datetime.fromisoformat(assigned),
        enqueued_timestamp=datetime.fromisoformat(created),
    )


def free(raw: sqlite3.Connection, run_id: str, step_key: str) -> list[str]:
    """Free a step's slots; return the pools in which another step waits for one."""
    step = (run_id, step_key)
    # A slot is marked as deleted when the pool is made smaller while a step has it.
    raw.execute("DELETE FROM concurrency_slots WHERE run_id = ? AND step_key = ? AND deleted", step)
    raw.execute(
        "UPDATE concurrency_slots SET run_id = NULL, step_key = NULL "
        "WHERE run_id = ? AND step_key = ?",
        step,
    )
    had = raw.execute(
        "SELECT DISTINCT concurrency_key FROM pending_steps "
        "WHERE run_id = ? AND step_key = ? AND assigned_timestamp IS NOT NULL",
        step,
    ).fetchall()
    raw.execute("DELETE FROM pending_steps WHERE run_id = ? AND step_key = ?", step)
    return [
        pool
        for (pool,) in had
        if raw.execute(
            "SELECT 1 FROM pending_steps "
            "WHERE concurrency_key = ? AND assigned_timestamp IS NULL LIMIT 1",
            (pool,),
        ).fetchone()
    ]
