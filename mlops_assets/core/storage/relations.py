"""DuckDB relations: what a text selects from, its columns and times, temporary tables, detaching.

General helpers for code that composes queries. Quoting names belongs in ``sql``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage.sql import identifier

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TABLE = re.compile(r'\s*("[^"]+"|\w+)(\s*\.\s*("[^"]+"|\w+)){0,2}\s*')
_counter = itertools.count()


def from_item(sql: str) -> str:
    """``sql``, a query or a (quoted) table name, as something to select from."""
    # The line break ends a comment on the query's last line.
    return sql if _TABLE.fullmatch(sql) else f"({sql.rstrip().rstrip(';')}\n)"


def column_types(
    con: duckdb.DuckDBPyConnection, source: str, parameters: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Column names and DuckDB types of a table name or query, in order."""
    described = con.execute(f"DESCRIBE FROM {from_item(source)}", parameters or {}).fetchall()
    return {row[0]: row[1] for row in described}


def table_exists(con: duckdb.DuckDBPyConnection, dataset: str) -> bool:
    """Whether ``<schema>.<table>`` exists in the current database."""
    return not missing_tables(con, [dataset])


def missing_tables(con: duckdb.DuckDBPyConnection, datasets: Iterable[str]) -> list[str]:
    """Return those of ``<schema>.<table>`` that do not exist in the current database.

    One look at the catalog for all of them: it takes milliseconds.
    """
    there = {
        name
        for (name,) in con.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = current_database()"
        ).fetchall()
    }
    return [name for name in datasets if name not in there]


def detached(
    con: duckdb.DuckDBPyConnection, result: duckdb.DuckDBPyRelation
) -> duckdb.DuckDBPyRelation:
    """Run ``result`` and return it as a relation in memory that depends on no table.

    It keeps its types, also those that Arrow does not have (HUGEINT, UUID, ENUM, ...).
    """
    return typed_relation(con, result.to_arrow_table(), [str(t) for t in result.types])


def typed_relation(
    con: duckdb.DuckDBPyConnection, table: pa.Table, wanted: Sequence[str]
) -> duckdb.DuckDBPyRelation:
    """``table`` as a relation whose columns have the DuckDB types ``wanted``."""
    kept = con.from_arrow(table)
    if [str(t) for t in kept.types] == list(wanted):
        return kept
    # Names may hold anything here: they are those of a caller's query.
    names = ['"' + name.replace('"', '""') + '"' for name in kept.columns]
    return kept.project(
        ", ".join(
            name if str(have) == want else f"CAST({name} AS {want}) AS {name}"
            for name, have, want in zip(names, kept.types, wanted, strict=True)
        )
    )


def utc(expression: str, sql_type: str, where: str) -> str:
    """``expression`` as naive UTC TIMESTAMP."""
    if sql_type == "TIMESTAMP":
        return expression
    if sql_type == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {expression})"
    if sql_type in ("DATE", "TIMESTAMP_S", "TIMESTAMP_MS"):
        return f"CAST({expression} AS TIMESTAMP)"
    raise ValueError(
        f"{where} is {sql_type}; it must be a time of microseconds or coarser: "
        "cast it to TIMESTAMP (UTC), rounding a fact's time up and a row's down"
    )


class TemporaryNames:
    """Names for temporary tables that nothing else on the connection uses."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, purpose: str) -> str:
        """Return a quoted name."""
        name = identifier(f"temporary_{next(_counter)}_{purpose}"[:128])
        self.given.append(name)
        return name


@contextmanager
def temporary_tables(con: duckdb.DuckDBPyConnection) -> Iterator[TemporaryNames]:
    """Hand out names for temporary tables, and drop those tables at the end."""
    names = TemporaryNames()
    try:
        yield names
    except BaseException:
        _drop(con, names, failed=True)
        raise
    _drop(con, names, failed=False)


def _drop(con: duckdb.DuckDBPyConnection, names: TemporaryNames, *, failed: bool) -> None:
    import duckdb

    for name in names.given:
        try:
            con.execute(f"DROP TABLE IF EXISTS {name}")
        except duckdb.Error:
            # After an error inside a transaction nothing but its rollback works, and that
            # undoes the tables; the first error is the one to be seen.
            if not failed:
                raise
