"""What refers to a version: the reasons why its model file must stay.

What is deleted when nothing does belongs in ``collection``. A reference is whatever could
make a later run load the file, or a person ask for it: an alias, days that the version
serves, a rollback, a decision that is in force or still to come, predictions that it made.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from mlops_assets.core.registry.aliases import CHAMPION, AliasEvent, aliases, history
from mlops_assets.core.registry.rollbacks import previous_champion
from mlops_assets.core.storage import sql

if TYPE_CHECKING:
    import duckdb


def references(con: duckdb.DuckDBPyConnection, model: str, version: int) -> list[str]:
    """Return everything that refers to a version, each as a sentence; empty if nothing does."""
    events = history(con, model)
    found = [
        f"alias {alias!r} points to it"
        for alias, pointed in aliases(con, model).items()
        if pointed == version
    ]
    found += [f"it serves {days}: scoring them again loads it" for days in _served(events, version)]
    if previous_champion(events) == version:
        found.append("a rollback would let it serve again")
    return [*found, *_decisions(con, model, version, events), *_captured(con, model, version)]


def _served(events: list[AliasEvent], version: int) -> list[str]:
    """The days of the champion's earlier events that took effect on any day at all."""
    return [
        f"{event.effective_from} to {following.effective_from - timedelta(days=1)}"
        for event, following in pairwise(events)
        if event.to_version == version and event.effective_from < following.effective_from
    ]


def _decisions(
    con: duckdb.DuckDBPyConnection, model: str, version: int, events: list[AliasEvent]
) -> list[str]:
    decided = con.execute(
        "SELECT promotion_id, promoted FROM registry.promotion_decisions "
        "WHERE model = $model AND version = $version ORDER BY decided_at, rowid",
        {"model": model, "version": version},
    ).fetchall()
    if not decided:
        ((newest,),) = con.execute(
            "SELECT max(version) FROM registry.model_versions WHERE model = $model",
            {"model": model},
        ).fetchall()
        return ["it is the newest version and waits for its decision"] if version == newest else []
    carried_out = {event.promotion_id for event in events}
    in_force = events[-1].promotion_id if events else None
    found = []
    for promotion_id, promoted in decided:
        named = f"promotion decision {promotion_id[:12]}"
        if promotion_id == in_force and events[-1].to_version == version:
            found.append(f"{named} put it in place as {CHAMPION!r} and is in force")
        elif promoted and promotion_id not in carried_out:
            found.append(f"{named} promotes it and is not carried out yet")
    return found


def _captured(con: duckdb.DuckDBPyConnection, model: str, version: int) -> list[str]:
    """Predictions in ``capture.<model>__predictions`` and whatever else is captured by version."""
    tables = con.execute(
        "SELECT c.table_name FROM duckdb_columns() c JOIN duckdb_tables() t "
        "USING (database_name, schema_name, table_name) WHERE c.schema_name = 'capture' "
        "AND c.column_name = 'model_version' AND starts_with(c.table_name, $prefix) "
        "AND NOT contains(substr(c.table_name, length($prefix) + 1), '__') ORDER BY ALL",
        {"prefix": f"{model}__"},
    ).fetchall()
    found = []
    for (table,) in tables:
        ((rows, first, last),) = con.execute(
            "SELECT count(*), min(partition_date), max(partition_date) "
            f"FROM {sql.table(f'capture.{table}')} WHERE model_version = $version",
            {"version": version},
        ).fetchall()
        if rows:
            found.append(f"it made {rows:,} rows of capture.{table}, {first} to {last}")
    return found
