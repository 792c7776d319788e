"""Looked-up rows kept on a connection, for the next model that asks for the same.

Models of one use case often predict the same rows from the same views: what one has looked
up, the next need not. What is kept is found again only by *all* that it depends on, the
content of every table read included, as ``ops.partitions`` records it; so it is allowed only
where nothing but this package writes: on the connections of a process that has the file to
itself (``Warehouse.keep_open``). The tables are temporary. They go with the connection, with
the transaction that made them if that is rolled back, and when later ones take their place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage.relations import TemporaryNames

if TYPE_CHECKING:
    import duckdb

#: Sets of tables that are kept: the training rows and the holdout of a training set.
KEPT = 2
#: Variable of a connection on which rows may be kept: JSON, ``[[key, [table, ...]], ...]``,
#: the newest first.
_VARIABLE = "kept_rows"


def allow(con: duckdb.DuckDBPyConnection) -> None:
    """Let looked-up rows be kept on ``con``."""
    _remember(con, [])


def tables(
    con: duckdb.DuckDBPyConnection,
    about: Mapping[str, Any],
    read: Iterable[str],
    make: Callable[[TemporaryNames], list[str]],
    temporary: TemporaryNames,
) -> list[str]:
    """Return the names of temporary tables that ``make`` has made, now or before.

    Parameters
    ----------
    about
        All that decides on their content, besides the content of what is read; in JSON types
        or with a ``repr`` that tells.
    read
        Names of the datasets that are read.
    make
        Makes the tables, with names from the argument, and returns their names.
    temporary
        Names of tables to be dropped by the caller: used where nothing may be kept.
    """
    ((state,),) = con.execute(f"SELECT getvariable('{_VARIABLE}')").fetchall()
    if state is None:
        return make(temporary)
    kept = json.loads(state)
    key = _key(con, about, read)
    found = next((names for known, names in kept if known == key), None)
    if found is not None and _there(con, found):
        return found
    names = TemporaryNames()
    made = make(names)
    kept = [[key, made], *(entry for entry in kept if entry[0] != key)]
    for _, outdated in kept[KEPT:]:
        for name in outdated:
            con.execute(f"DROP TABLE IF EXISTS {name}")
    _remember(con, kept[:KEPT])
    return made


def _key(con: duckdb.DuckDBPyConnection, about: Mapping[str, Any], read: Iterable[str]) -> str:
    content = con.execute(
        "SELECT count(*), bit_xor(hash(dataset, partition_date, digest, run_id, written_at)) "
        "FROM ops.partitions WHERE dataset IN (SELECT unnest($read::VARCHAR[]))",
        {"read": sorted(set(read))},
    ).fetchall()
    text = json.dumps([dict(about), content], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _there(con: duckdb.DuckDBPyConnection, names: list[str]) -> bool:
    """Whether the tables exist: a transaction that was rolled back has taken its own away."""
    ((found,),) = con.execute(
        "SELECT count(*) FROM duckdb_tables() "
        "WHERE temporary AND table_name IN (SELECT unnest($names::VARCHAR[]))",
        {"names": [name.strip('"') for name in names]},
    ).fetchall()
    return found == len(names)


def _remember(con: duckdb.DuckDBPyConnection, kept: list[Any]) -> None:
    con.execute(f"SET VARIABLE {_VARIABLE} = $kept", {"kept": json.dumps(kept)})
