"""Signatures of versions: that the row which describes a model file was written by us.

Whoever can write the DuckDB file can write a digest into it, so digests in the same file
prove only that nothing was damaged. With a key that is elsewhere (``MLOPS_ASSETS_SIGNING_KEY``)
each version is signed when it is registered, over all that loading relies on, and a version
without a right signature is not loaded. There is no exception for versions from before the
key: their date is in the row too. ``mlops-assets sign`` signs them, which is a decision.

Several keys may be given: the first signs, all verify, so that a key can be replaced.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_assets.core.artifacts.refusal import ArtifactError
from mlops_assets.core.storage.records import to_json

#: Fields of a version that a signature covers.
SIGNED = (
    "model",
    "version",
    "artifact_sha256",
    "model_digest",
    "golden",
    "signature",
    "estimator",
    "training_digest",
    "view_versions",
    "code",
    "environment",
)
_SCHEME = "hmac-sha256"


def sign(row: Mapping[str, Any], key: bytes) -> str:
    """Return the signature of a version: ``hmac-sha256:<name of the key>:<hexadecimal>``.

    Parameters
    ----------
    row
        The fields of ``SIGNED``, those that are JSON as Python has it.
    """
    said = hmac.new(key, _message(row), hashlib.sha256).hexdigest()
    return f"{_SCHEME}:{key_name(key)}:{said}"


def refuse_unsigned(row: Mapping[str, Any], said: str | None, keys: Sequence[bytes]) -> None:
    """Raise unless the signature of a version is right under one of the keys.

    Raises
    ------
    ArtifactError
        If it is missing, of another key or of something else; says which.
    """
    if not keys:
        return
    which = f"Version {row['version']} of {row['model']}"
    if said is None:
        raise ArtifactError(
            f"{which} is not signed, and a signing key is set. If you know that it is "
            f"yours, run `mlops-assets sign {row['model']} {row['version']}`; otherwise train a "
            "new version."
        )
    names = [key_name(key) for key in keys]
    scheme, _, rest = said.partition(":")
    name, _, _ = rest.partition(":")
    if scheme != _SCHEME or name not in names:
        raise ArtifactError(
            f"{which} is signed with the key {name!r}, here are {', '.join(names)}. Set the key "
            "that it was signed with, or roll back to a version that is signed with this one."
        )
    key = keys[names.index(name)]
    if not hmac.compare_digest(sign(row, key), said):
        raise ArtifactError(
            f"{which} is not what was signed: its row, or its signature, was changed afterwards. "
            "Restore the database from a backup, or roll back to another version."
        )


def key_name(key: bytes) -> str:
    """Return eight digits by which a key is recognised, and not found out."""
    return hashlib.sha256(b"mlops-assets signing key " + key).hexdigest()[:8]


def _message(row: Mapping[str, Any]) -> bytes:
    return to_json({name: row[name] for name in SIGNED}).encode()
