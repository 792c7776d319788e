"""Load events: which run loaded which model file, and which were refused and why.

What a load looks at belongs in ``artifacts.artifacts``. Estimators from a process' memory are no
event: their file was not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage.records import fetch, insert

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.artifacts.artifacts import LoadEvent


def record_loads(con: duckdb.DuckDBPyConnection, events: Iterable[LoadEvent], run_id: str) -> None:
    """Add an event for each load and refusal of a run."""
    for event in events:
        insert(con, "registry.load_events", {**asdict(event), "run_id": run_id})


def load_events(
    con: duckdb.DuckDBPyConnection, model: str, version: int | None = None
) -> list[dict[str, Any]]:
    """Return the events of a model or of one of its versions, the first one first."""
    return fetch(
        con,
        "SELECT * FROM registry.load_events WHERE model = $model "
        "AND ($version IS NULL OR version = $version) ORDER BY loaded_at, rowid",
        {"model": model, "version": version},
    )
