"""Copies: a version entered under another model's name, or again under its own.

A copy is a version of its own, with the next number, the same bytes and everything that was
recorded of the training; it names what it is a copy of. Aliases, evaluations and decisions
are not copied: a copy has to pass its own gate.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mlops_assets.core.registry.aliases import champion
from mlops_assets.core.registry.versions import get, loadable, next_number
from mlops_assets.core.storage.records import fetch, insert, utc_now

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.registry.versions import ModelVersion


def copy_version(
    con: duckdb.DuckDBPyConnection,
    model: str,
    version: int,
    to_model: str,
    *,
    now: datetime | None = None,
) -> int:
    """Enter a version once more, as the next one of ``to_model``; return its number.

    Raises
    ------
    NotFound
        If there is no such version.
    BytesDeleted
        If its model file was deleted.
    """
    loadable(con, model, version)
    number = next_number(con, to_model)
    changed = {
        "model": to_model,
        "version": number,
        "parent_version": champion(con, to_model),
        "created_at": now or utc_now(),
        "source_model": model,
        "source_version": version,
    }
    (row,) = fetch(
        con,
        "SELECT * FROM registry.model_versions WHERE model = $model AND version = $version",
        {"model": model, "version": version},
    )
    insert(con, "registry.model_versions", row | changed)
    return number


def original(con: duckdb.DuckDBPyConnection, model: str, version: int) -> ModelVersion:
    """Return the version that was trained, of which this one is a copy, or a copy's copy."""
    found = get(con, model, version)
    while found.source_model is not None and found.source_version is not None:
        found = get(con, found.source_model, found.source_version)
    return found
