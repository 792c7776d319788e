"""What the registry's records share: errors, rows as dictionaries, canonical JSON.

Which records there are belongs in ``registry``, ``aliases`` and ``decisions``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage import sql

if TYPE_CHECKING:
    import duckdb


class RegistryError(RuntimeError):
    """A registry operation was refused; the message says why and what to do."""


class NotFound(RegistryError):
    """There is no such model version, evaluation or decision."""


class Conflict(RegistryError):
    """Something else happened in between, or contradicts what is recorded."""


class Protected(RegistryError):
    """The champion moves only with a decision that passed, or with a recorded override."""


class BytesDeleted(RegistryError):
    """The version's model file was deleted; its record is there."""


class StillReferred(RegistryError):
    """A version's bytes stay, because something may need them; the message says what."""


def utc_now() -> datetime:
    """When a row is recorded: naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def fetch(con: duckdb.DuckDBPyConnection, query: str, values: Any) -> list[dict[str, Any]]:
    """Return the rows of a query as dictionaries."""
    result = con.execute(query, values)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def insert(con: duckdb.DuckDBPyConnection, dataset: str, row: Mapping[str, Any]) -> None:
    """Add one row to a registry table, by column name."""
    con.execute(
        f"INSERT INTO {sql.table(dataset)} ({sql.identifiers(row)}) "
        f"VALUES ({', '.join('?' * len(row))})",
        list(row.values()),
    )


def to_json(value: Any) -> str:
    """Return JSON in one canonical form; NaN and infinity, which JSON lacks, become null."""
    return json.dumps(plain(value), sort_keys=True, allow_nan=False, ensure_ascii=False)


def plain(value: Any) -> Any:
    """Return the value as JSON has it: mappings and lists, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def identifier(*parts: Any) -> str:
    """Return an id that is a digest of ``parts``: the same content, the same id."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def exists(con: duckdb.DuckDBPyConnection, dataset: str, column: str, value: str) -> bool:
    """Whether a registry table has a row with that value."""
    query = f"SELECT 1 FROM {sql.table(dataset)} WHERE {sql.identifier(column)} = ?"
    return bool(con.execute(query, [value]).fetchall())


def no_version(con: duckdb.DuckDBPyConnection, model: str, version: int) -> NotFound:
    """Return the error that says which versions there are."""
    there = [
        row[0]
        for row in con.execute(
            "SELECT version FROM registry.model_versions WHERE model = $model ORDER BY version",
            {"model": model},
        ).fetchall()
    ]
    known = f"versions {there[0]} to {there[-1]}" if there else "no version yet"
    return NotFound(f"Model {model!r} has no version {version}; it has {known}")
