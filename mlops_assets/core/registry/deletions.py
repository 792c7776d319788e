"""Deleted model files: that a version's bytes are gone, since when and why.

Which bytes may go belongs in ``collection``. Deleting is an event; the version's row stays as
it was, so that every prediction, decision and alias event that ever named it still can be
explained.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_assets.core.storage.records import BytesDeleted, fetch

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Deletion:
    """A row of ``registry.artifact_events``: the file of a version was deleted."""

    model: str
    version: int
    artifact_sha256: str
    size_bytes: int
    event: str
    actor: str
    reason: str
    recorded_at: datetime


def deletions(con: duckdb.DuckDBPyConnection, model: str | None = None) -> list[Deletion]:
    """Return the deletions of a model's files, or of all, in the order of their recording."""
    rows = fetch(
        con,
        "SELECT * FROM registry.artifact_events WHERE event = 'deleted' "
        "AND ($model::VARCHAR IS NULL OR model = $model) ORDER BY recorded_at, rowid",
        {"model": model},
    )
    return [Deletion(**row) for row in rows]


def require_bytes(con: duckdb.DuckDBPyConnection, model: str, version: int) -> None:
    """Do nothing if a version's file was not deleted; call it before loading one.

    Raises
    ------
    BytesDeleted
        Saying when, by whom and why it was deleted.
    """
    rows = con.execute(
        "SELECT recorded_at, actor, reason FROM registry.artifact_events "
        "WHERE event = 'deleted' AND model = $model AND version = $version",
        {"model": model, "version": version},
    ).fetchall()
    if rows:
        at, actor, reason = rows[0]
        raise BytesDeleted(
            f"The model file of {model} version {version} was deleted at {at:%Y-%m-%d %H:%M:%S} "
            f"UTC by {actor}: {reason}. Its record stays; train it again from its training set "
            "to get an equal model, or use another version."
        )
