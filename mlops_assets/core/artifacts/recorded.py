"""What the registry says of a model file, and whether the file and this process agree.

How the file is read belongs in ``artifacts``; signatures in ``signing``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from mlops_assets.core.artifacts import signing
from mlops_assets.core.artifacts.refusal import ArtifactError
from mlops_assets.core.models import identity

#: Libraries that must be what they were when a version was registered.
EXACT_LIBRARIES = ("scikit-learn", "skops", "numpy")


class Recorded(Protocol):
    """What the registry says of a version, as far as loading relies on it."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def artifact_sha256(self) -> str: ...
    @property
    def model_digest(self) -> str | None: ...
    @property
    def golden(self) -> Mapping[str, Any] | None: ...
    @property
    def environment(self) -> Mapping[str, Any]: ...
    @property
    def hmac(self) -> str | None: ...


@dataclass(frozen=True)
class Artifact:
    """A stored model file.

    Attributes
    ----------
    sha256, size_bytes
        Of the file.
    model_digest
        Of the model in it, see ``model_digest``.
    golden
        Rows and what the model says of them, see ``golden``.
    """

    sha256: str
    size_bytes: int
    model_digest: str | None = None
    golden: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadEvent:
    """A model file was loaded, or refused for a reason.

    Attributes
    ----------
    seconds
        From reading the file to the end.
    loaded_at
        UTC.
    """

    model: str
    version: int
    artifact_sha256: str
    loaded: bool
    reason: str | None
    seconds: float
    loaded_at: datetime


def row_of(version: Recorded) -> dict[str, Any]:
    """Return what a signature covers."""
    return {name: getattr(version, name) for name in signing.SIGNED}


def refuse_another_model(version: Recorded, found: str) -> None:
    """Raise unless the file's model digest is the recorded one."""
    if version.model_digest is None:
        raise ArtifactError(
            f"version {version.version} of {version.model} was registered without a model digest"
        )
    if found != version.model_digest:
        raise ArtifactError(
            f"it holds the model {found[:12]}, and version {version.version} of {version.model} "
            f"is the model {version.model_digest[:12]}: the row or the file was changed"
        )


def refuse_other_versions(version: Recorded, in_the_file: frozenset[str]) -> None:
    """Raise unless the libraries here are the recorded ones, and wrote the file."""
    recorded = version.environment.get("libraries", {})
    for library in EXACT_LIBRARIES:
        here, then = identity.library_version(library), recorded.get(library)
        if then != here:
            raise ArtifactError(
                f"it was registered with {library} {then or 'of an unknown version'}, here is "
                f"{here}, which may predict something else: install the recorded version, or "
                "retrain"
            )
    other = in_the_file - {identity.library_version("scikit-learn")}
    if other:
        raise ArtifactError(
            f"it was written by scikit-learn {min(other)}, here is "
            f"{identity.library_version('scikit-learn')}: install that version, or retrain"
        )
