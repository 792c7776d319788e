"""Model files: content-addressed, written whole or not at all, read without trust.

How an estimator becomes bytes and comes back belongs here; which bytes are which version
belongs in ``registry``. The format is skops' (a zip of JSON and arrays); there is no pickle
path. What a file may contain is decided by ``trusted_types`` and by the declaration, never by
the file.

A load refuses, in this order:

1. a file that is missing, too large, or whose SHA-256 is not the recorded one,
2. a version without a right signature, where a key is set (``signing``),
3. a zip or a schema that the store would not have written (``artifact_checks``),
4. another model than the recorded one (``model_digest``),
5. other versions of scikit-learn, skops or numpy than the recorded ones,
6. types outside the allow-list, contents that point outside of themselves, and whatever
   crashes a process or exhausts it, all found out in another process (``guard``),
7. a model that says something else of the golden rows than when it was registered.

Then the bytes that passed are loaded here, and an event is noted, also of a refusal.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.artifacts import artifact_checks, fitted_checks, golden, guard, signing
from mlops_assets.core.artifacts.artifact_checks import MAX_BYTES
from mlops_assets.core.artifacts.construction import construct, read_back, refuse_unregistrable
from mlops_assets.core.artifacts.loaded import key_of, recall, remember
from mlops_assets.core.artifacts.model_digest import model_digest
from mlops_assets.core.artifacts.recorded import (
    Artifact,
    LoadEvent,
    Recorded,
    refuse_another_model,
    refuse_other_versions,
    row_of,
)
from mlops_assets.core.artifacts.refusal import ArtifactError
from mlops_assets.core.artifacts.trusted_types import allowed_types
from mlops_assets.core.artifacts.writing import to_bytes, write_durably
from mlops_assets.core.models.threads import wait_passively
from mlops_assets.core.storage.records import utc_now
from mlops_assets.settings import signing_keys

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Artifact", "ArtifactError", "ArtifactStore", "LoadEvent"]


class ArtifactStore:
    """Model files in a folder, each under the SHA-256 of its bytes.

    Parameters
    ----------
    root
        The folder; it is made at the first save.
    keys
        With which versions are signed, by default those of the environment
        (``settings.signing_keys``); where there is none, signatures are not looked at.
    max_bytes
        Larger files are neither written nor read.

    Attributes
    ----------
    events
        Of the files that were read, in order; estimators from memory are no event.
    """

    def __init__(
        self, root: Path, keys: Sequence[bytes] | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        self.root = Path(root)
        self.keys = signing_keys() if keys is None else tuple(keys)
        self.max_bytes = max_bytes
        self.events: list[LoadEvent] = []

    def path(self, sha256: str) -> Path:
        """Where the file of that digest is or would be."""
        if re.fullmatch(r"[0-9a-f]{64}", sha256) is None:
            raise ArtifactError(f"{sha256!r} is no SHA-256: 64 lower-case hexadecimal digits")
        return self.root / sha256[:2] / f"{sha256}.skops"

    def save(
        self,
        estimator: Any,
        problem: str,
        rows: pd.DataFrame,
        trusted_types: Iterable[str] = (),
    ) -> Artifact:
        """Write a fitted estimator and prove that it can be read back.

        The bytes of equal estimators differ (skops names arrays by memory address), so
        saving twice makes two files; their ``model_digest`` is the same.

        Parameters
        ----------
        problem
            Of the model; decides what the estimator is asked.
        rows
            Rows as ``scoring.prepare`` makes them, of which some become golden.

        Raises
        ------
        ArtifactError
            If the estimator holds what a later run could not load: a lambda, a function or
            class of the main program or of inside a function, or a type that is not trusted.
        """
        what = type(estimator).__name__
        try:
            data = to_bytes(estimator)
        except Exception as error:
            raise ArtifactError(
                f"{what} cannot be written as a skops file: {error}. "
                "Build it from scikit-learn estimators, or from classes of an importable module."
            ) from error
        if len(data) > self.max_bytes:
            raise ArtifactError(
                f"{what} takes {len(data)} bytes, more than the cap of "
                f"{self.max_bytes}: make the model smaller or raise the cap"
            )
        allowed = allowed_types(trusted_types)
        try:
            contents = artifact_checks.open_file(data)
        except ArtifactError as error:
            raise ArtifactError(f"{what} makes a file that would be refused: {error}") from error
        refuse_unregistrable(contents.types)
        loaded = read_back(what, data, allowed)
        kept = golden.golden(problem, loaded, rows)
        said = golden.outputs(problem, estimator, golden.frame(kept))
        if said != kept["outputs"]:
            raise ArtifactError(
                f"{what} says something else once it is read back. State that is kept outside "
                "of its attributes is the usual cause: keep it in attributes."
            )
        artifact = Artifact(
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            model_digest=model_digest(contents.schema),
            golden=kept,
        )
        write_durably(self.path(artifact.sha256), data)
        remember(key_of(artifact.sha256, allowed, artifact.model_digest, kept), loaded)
        return artifact

    def load(self, version: Recorded, trusted_types: Iterable[str] = ()) -> Any:
        """Return the estimator of a version.

        The last ``CACHED`` estimators stay in memory, so that scoring every day does not
        read the champion every day; the same object is returned, so do not change it. What
        the registry says of the version is looked at each time.

        Parameters
        ----------
        version
            As the registry has it, such as from ``registry.loadable``.

        Raises
        ------
        ArtifactError
            If the file is missing or refused; see the module.
        """
        allowed = allowed_types(trusted_types)
        key = key_of(version.artifact_sha256, allowed, version.model_digest, version.golden)
        cached = recall(key)
        if cached is not None:
            self._check_record(version)
            return cached
        with self._noted(version):
            estimator = self._load(version, allowed)
        remember(key, estimator)
        return estimator

    def check(self, version: Recorded, trusted_types: Iterable[str] = ()) -> None:
        """Do all that a load does, from the file, and keep nothing of it.

        Raises
        ------
        ArtifactError
            As ``load``.
        """
        with self._noted(version):
            self._load(version, allowed_types(trusted_types))

    def _load(self, version: Recorded, allowed: frozenset[str]) -> Any:
        wait_passively()
        path = self.path(version.artifact_sha256)
        data = self._read(path)
        found = hashlib.sha256(data).hexdigest()
        if found != version.artifact_sha256:
            raise ArtifactError(
                f"{path} has SHA-256 {found}, not the registered one: it was damaged or "
                "replaced. Restore it from a backup, or roll back to another version."
            )
        signing.refuse_unsigned(row_of(version), version.hmac, self.keys)
        if guard.available():
            guard.start()  # imports what it needs while we do
        try:
            contents = artifact_checks.open_file(data)
            refuse_another_model(version, model_digest(contents.schema))
            refuse_other_versions(version, contents.versions)
            return _tried_and_loaded(version, data, allowed)
        except ArtifactError as error:
            raise ArtifactError(
                f"{path} is refused: {error}. Roll back to another version or train a new one."
            ) from error

    def _check_record(self, version: Recorded) -> None:
        signing.refuse_unsigned(row_of(version), version.hmac, self.keys)
        refuse_other_versions(version, frozenset())

    @contextmanager
    def _noted(self, version: Recorded) -> Iterator[None]:
        started = time.perf_counter()
        reason: str | None = None
        try:
            yield
        except BaseException as error:
            reason = str(error) or type(error).__name__
            raise
        finally:
            self.events.append(
                LoadEvent(
                    model=version.model,
                    version=version.version,
                    artifact_sha256=version.artifact_sha256,
                    loaded=reason is None,
                    reason=reason,
                    seconds=time.perf_counter() - started,
                    loaded_at=utc_now(),
                )
            )

    def _read(self, path: Path) -> bytes:
        try:
            # Opening a pipe that nobody writes to would wait for ever.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(0, "it is no regular file")
                if found.st_size > self.max_bytes:
                    raise ArtifactError(f"{path} is larger than the cap of {self.max_bytes} bytes")
                return file.read(self.max_bytes)
        except OSError as error:
            raise ArtifactError(
                f"Model file {path} cannot be read ({error.strerror}). Restore it from a "
                "backup, or roll back to a version whose file is there."
            ) from error


def _tried_and_loaded(version: Recorded, data: bytes, allowed: frozenset[str]) -> Any:
    kept = version.golden
    if kept is None or not kept.get("outputs"):
        raise ArtifactError(
            f"version {version.version} of {version.model} was registered without golden rows"
        )
    if guard.available():
        golden.refuse_other_outputs(kept, guard.outputs_of(data, allowed, kept))
        return construct(data, allowed)
    estimator = construct(data, allowed)
    fitted_checks.refuse_what_would_crash(estimator)
    said = golden.outputs(kept["problem"], estimator, golden.frame(kept))
    golden.refuse_other_outputs(kept, said)
    return estimator
