"""Signing versions: when they are registered, and later by someone who has the key.

A signature is a row of its own, so that signing a version that is older than the key, or with
a new key, changes nothing that is recorded. What is signed belongs in ``artifacts.signing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_assets.core.artifacts import signing
from mlops_assets.core.registry.versions import get
from mlops_assets.core.storage.records import RegistryError, insert, utc_now

if TYPE_CHECKING:
    import duckdb


def sign_version(
    con: duckdb.DuckDBPyConnection,
    model: str,
    version: int,
    keys: Sequence[bytes],
    *,
    actor: str,
    now: datetime | None = None,
) -> str:
    """Sign a version with the first of the keys, and return the signature.

    Raises
    ------
    NotFound
        If there is no such version.
    RegistryError
        If there is no key.
    """
    if not keys:
        raise RegistryError(
            "There is no signing key. Set MLOPS_ASSETS_SIGNING_KEY to the key that versions are "
            "signed with."
        )
    found = get(con, model, version)
    said = signing.sign({name: getattr(found, name) for name in signing.SIGNED}, keys[0])
    insert(
        con,
        "registry.version_signatures",
        {
            "model": model,
            "version": version,
            "hmac": said,
            "actor": actor,
            "signed_at": now or utc_now(),
        },
    )
    return said
