"""Deleting model files that nothing needs, and never a version's row.

Whether something refers to a version belongs in ``references``, what was deleted in
``deletions``. A file goes after the transaction that records its deletion was committed: a
crash in between leaves a file too many, which the next collection finds, never one too few.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mlops_assets.core.registry.deletions import Deletion, deletions
from mlops_assets.core.registry.references import references
from mlops_assets.core.registry.versions import ModelVersion, loadable, versions
from mlops_assets.core.storage.records import StillReferred, insert, utc_now

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.artifacts.artifacts import ArtifactStore

#: Opens the database for one transaction, such as ``Warehouse.transaction``.
Transaction: TypeAlias = "Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]"

#: Newest versions of each model whose files stay although nothing refers to them.
KEEP = 3
#: Files younger than this stay: a run writes its file before it registers the version.
GRACE = timedelta(hours=1)

_FILE = re.compile(r"(?P<sha256>[0-9a-f]{64})\.skops|\..+\.part")


@dataclass(frozen=True)
class Unneeded:
    """A version whose file goes. ``path`` is ``None`` where the file stays, or is gone.

    It stays where another version that keeps its file has the same bytes.
    """

    model: str
    version: int
    artifact_sha256: str
    size_bytes: int
    path: Path | None


@dataclass(frozen=True)
class Stray:
    """A file in the artifact folder that no version needs."""

    path: Path
    size_bytes: int
    why: str


@dataclass(frozen=True)
class Garbage:
    """What a collection deletes, or, for a dry run, would."""

    versions: list[Unneeded] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)

    @property
    def freed_bytes(self) -> int:
        """Size of the files that go."""
        shared: dict[Path, int] = {v.path: v.size_bytes for v in self.versions if v.path}
        return sum(shared.values()) + sum(stray.size_bytes for stray in self.strays)


def find(
    con: duckdb.DuckDBPyConnection,
    artifacts: ArtifactStore,
    *,
    keep: int = KEEP,
    now: datetime | None = None,
) -> Garbage:
    """Return what ``collect`` would delete now; nothing is changed.

    Parameters
    ----------
    keep
        Newest versions of each model whose files stay in any case.
    now
        The clock's time (naive UTC), for the age of files without a version.
    """
    gone = {(deleted.model, deleted.version) for deleted in deletions(con)}
    kept: list[ModelVersion] = []
    unneeded: list[ModelVersion] = []
    for (model,) in con.execute(
        "SELECT DISTINCT model FROM registry.model_versions ORDER BY model"
    ).fetchall():
        there = [v for v in versions(con, model) if (model, v.version) not in gone]
        for index, version in enumerate(there):
            newest = index >= len(there) - keep
            needed = newest or bool(references(con, model, version.version))
            (kept if needed else unneeded).append(version)
    needed_bytes = {version.artifact_sha256 for version in kept}
    return Garbage(
        [
            Unneeded(
                v.model,
                v.version,
                v.artifact_sha256,
                v.size_bytes,
                _file(artifacts, v.artifact_sha256, needed_bytes),
            )
            for v in unneeded
        ],
        _strays(
            artifacts,
            needed_bytes | {version.artifact_sha256 for version in unneeded},
            {deleted.artifact_sha256 for deleted in deletions(con)},
            (now or utc_now()) - GRACE,
        ),
    )


def collect(
    transaction: Transaction,
    artifacts: ArtifactStore,
    *,
    actor: str,
    reason: str,
    keep: int = KEEP,
    now: datetime | None = None,
) -> Garbage:
    """Delete what nothing needs; return what was deleted, which is what ``find`` says before.

    Raises
    ------
    ValueError
        If actor or reason are empty.
    """
    _require_words(actor, reason)
    with transaction() as con:
        found = find(con, artifacts, keep=keep, now=now)
        for version in found.versions:
            _record(con, version, actor, reason, now)
    for path in [*(v.path for v in found.versions if v.path), *(s.path for s in found.strays)]:
        path.unlink(missing_ok=True)
    return found


def delete_bytes(
    transaction: Transaction,
    artifacts: ArtifactStore,
    model: str,
    version: int,
    *,
    actor: str,
    reason: str,
    now: datetime | None = None,
) -> Unneeded:
    """Delete the model file of one version that nothing refers to; its row stays.

    Raises
    ------
    NotFound
        If there is no such version.
    StillReferred
        If something refers to it; says what.
    BytesDeleted
        If it was deleted before.
    ValueError
        If actor or reason are empty.
    """
    _require_words(actor, reason)
    with transaction() as con:
        found = loadable(con, model, version)
        referring = references(con, model, version)
        if referring:
            raise StillReferred(
                f"The model file of {model} version {version} stays: {'; '.join(referring)}"
            )
        others = {
            sha256
            for (sha256,) in con.execute(
                "SELECT artifact_sha256 FROM registry.model_versions v "
                "WHERE NOT (model = $model AND version = $version) AND NOT EXISTS ("
                "SELECT 1 FROM registry.artifact_events e WHERE e.event = 'deleted' "
                "AND e.model = v.model AND e.version = v.version)",
                {"model": model, "version": version},
            ).fetchall()
        }
        deleted = Unneeded(
            model,
            version,
            found.artifact_sha256,
            found.size_bytes,
            _file(artifacts, found.artifact_sha256, others),
        )
        _record(con, deleted, actor, reason, now)
    if deleted.path is not None:
        deleted.path.unlink(missing_ok=True)
    return deleted


def _record(
    con: duckdb.DuckDBPyConnection,
    version: Unneeded,
    actor: str,
    reason: str,
    now: datetime | None,
) -> None:
    deleted = Deletion(
        version.model,
        version.version,
        version.artifact_sha256,
        version.size_bytes,
        "deleted",
        actor,
        reason,
        now or utc_now(),
    )
    insert(con, "registry.artifact_events", vars(deleted))


def _file(artifacts: ArtifactStore, sha256: str, needed: set[str]) -> Path | None:
    path = artifacts.path(sha256)
    return path if sha256 not in needed and path.exists() else None


def _strays(
    artifacts: ArtifactStore, registered: set[str], deleted: set[str], before: datetime
) -> list[Stray]:
    found = []
    for path in sorted(artifacts.root.rglob("*")):
        named = _FILE.fullmatch(path.name)
        if named is None or path.is_symlink() or not path.is_file():
            continue
        sha256, stat = named["sha256"], path.stat()
        if sha256 in registered:
            continue
        if sha256 in deleted:
            found.append(Stray(path, stat.st_size, "of a version whose bytes were deleted"))
        elif datetime.fromtimestamp(stat.st_mtime, UTC).replace(tzinfo=None) < before:
            why = "no version refers to it" if sha256 else "left by a write that was cut off"
            found.append(Stray(path, stat.st_size, why))
    return found


def _require_words(actor: str, reason: str) -> None:
    if not actor.strip() or not reason.strip():
        raise ValueError("Deleting needs an actor and a reason; both are kept for ever")
