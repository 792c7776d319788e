"""Content digests: equal if and only if two relations hold the same rows.

Used to say whether a partition or a training set has changed. Where digests are kept
belongs in ``store`` and ``snapshots``.

Each row becomes JSON text of its columns in order of their names, its MD5 is taken, and
the two halves of the hashes are summed; names, types and the number of rows go into the
result. A sum does not depend on the order of rows and, unlike XOR, sees a row that is
there twice. JSON rather than DuckDB's ``hash()``, which may change between versions, and
rather than concatenated text: it marks NULL, escapes text, and is fast (16 ms for 6,500
rows of 25 columns on 2 cores; casts to text with length prefixes take 50 ms).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from mlops_assets.core.storage.relations import column_types, from_item
from mlops_assets.core.storage.sql import identifier

if TYPE_CHECKING:
    import duckdb

# Types that JSON would turn into floating numbers or leave out; as text they are exact.
_AS_TEXT = ("HUGEINT", "UHUGEINT", "DECIMAL", "BLOB", "BIT", "INTERVAL", "UUID", "BIGNUM")

_SUMS = (
    "count(*), coalesce(sum((n >> 64)::UBIGINT), 0), "
    "coalesce(sum((n & 18446744073709551615::UHUGEINT)::UBIGINT), 0)"
)


def content_digest(
    con: duckdb.DuckDBPyConnection, relation_sql: str, exclude: Sequence[str] = ()
) -> str:
    """Return the digest of all rows of a query or quoted table name.

    It depends on the rows, however they are ordered, and on the names and types of their
    columns, except those in ``exclude``. 32 hexadecimal digits.
    """
    types = _counted(column_types(con, relation_sql), exclude)
    [(rows, high, low)] = con.execute(
        f"SELECT {_SUMS} FROM (SELECT {_row_hash(types)} AS n FROM {from_item(relation_sql)})"
    ).fetchall()
    return _digest(types, rows, high, low)


def partition_digests(
    con: duckdb.DuckDBPyConnection,
    relation_sql: str,
    dates: Sequence[date] | None,
    exclude: Sequence[str] = (),
    types: dict[str, str] | None = None,
    other_days: bool = False,
) -> dict[date | None, tuple[int, str]]:
    """Return the number of rows and the digest of each day, in one query.

    A day's digest is ``content_digest`` of its rows. ``dates`` is ``None``: all rows are one
    partition, ``None``. Days without rows have 0 rows and a digest of their own. ``types``
    are the columns' types, where they are known already. With ``other_days``, days that are
    not among ``dates`` and have rows are returned too.
    """
    if dates is not None and not dates and not other_days:
        return {}
    types = _counted(types or column_types(con, relation_sql), exclude)
    rows = f"{_row_hash(types)} AS n FROM {from_item(relation_sql)}"
    if dates is None:
        found = con.execute(f"SELECT NULL, {_SUMS} FROM (SELECT {rows})").fetchall()
    else:
        where, bounds = "", {}
        if dates and not other_days:
            where = "WHERE partition_date BETWEEN $low AND $high"
            bounds = {"low": min(dates), "high": max(dates)}
        found = con.execute(
            f"SELECT partition_date, {_SUMS} FROM (SELECT partition_date, {rows} {where}) "
            "GROUP BY ALL",
            bounds,
        ).fetchall()
    sums = {row[0]: row[1:] for row in found}
    wanted = [None] if dates is None else sorted(set(dates))
    return {
        day: (sums.get(day, (0, 0, 0))[0], _digest(types, *sums.get(day, (0, 0, 0))))
        for day in [*wanted, *(sums.keys() - set(wanted) if other_days else ())]
    }


def _counted(types: dict[str, str], exclude: Sequence[str]) -> dict[str, str]:
    """Return the columns that count as content, in order of their names."""
    return {name: types[name] for name in sorted(types) if name not in set(exclude)}


def _row_hash(types: dict[str, str]) -> str:
    values = ", ".join(
        f"{identifier(name)}::VARCHAR" if type_.startswith(_AS_TEXT) else identifier(name)
        for name, type_ in types.items()
    )
    return f"md5_number(json_array({values})::VARCHAR)"


def _digest(types: dict[str, str], rows: int, high: int, low: int) -> str:
    text = json.dumps([list(types.items()), int(rows), int(high), int(low)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
