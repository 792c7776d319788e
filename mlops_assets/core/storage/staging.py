"""Rows on their way into a table: checked against it, typed like it, in a temporary copy.

What is staged is what will be inserted, digested beforehand. Deleting and inserting, and
the ledger, belong in ``store``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from mlops_assets.core.storage.relations import column_types, table_exists, temporary_tables
from mlops_assets.core.storage.sql import identifier, table

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from mlops_assets.core.storage.contracts import ColumnSpec

#: Rows to write; text is the quoted name of a temporary table that nobody else uses or changes.
Frame: TypeAlias = "duckdb.DuckDBPyRelation | pd.DataFrame | pa.Table | str"

#: Column with a row's day.
PARTITION = "partition_date"

_counter = count()

_NUMBERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE"),
)
# pandas before 3 counts nanoseconds; times here are stored with microseconds.
_TIMES = ("TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S")


class SchemaChangeError(ValueError):
    """Rows do not fit the table that is there. Nothing was deleted or written."""


@dataclass(frozen=True)
class Staged:
    """A temporary table of rows that fit their target.

    Attributes
    ----------
    name
        Of the temporary table, quoted.
    types
        DuckDB types of its columns.
    there
        DuckDB types of the target's columns; empty if there is no target yet.
    """

    name: str
    types: dict[str, str]
    there: dict[str, str]


@contextmanager
def staged(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    rows: Frame,
    dates: Sequence[date] | None,
    columns: Sequence[ColumnSpec] | None,
) -> Iterator[Staged]:
    """Give ``rows`` as a temporary table that has the types of the table to be.

    A copy, because ``rows`` may read what is about to be deleted, and because what is
    digested must be what is inserted; a temporary table that has these types is taken as it is.

    Raises
    ------
    SchemaChangeError
        If a column has disappeared or changed its type, or a value does not fit.
    """
    import duckdb

    with temporary_tables(con) as names:
        name = names("staged")
        with _registered(con, rows) as given:
            there = column_types(con, table(dataset)) if table_exists(con, dataset) else {}
            types = column_types(con, given)
            wanted = _wanted_types(con, dataset, given, types, there, columns, dates)
            if isinstance(rows, str) and types == wanted:
                yield Staged(given, wanted, there)
                return
            casts = ", ".join(
                f"CAST({identifier(column)} AS {type_}) AS {identifier(column)}"
                for column, type_ in wanted.items()
            )
            try:
                con.execute(f"CREATE TEMP TABLE {name} AS SELECT {casts} FROM {given}")
            except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
                raise SchemaChangeError(
                    f"{dataset}: a value does not fit its column: {error}"
                ) from error
        yield Staged(name, wanted, there)


def _wanted_types(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    given: str,
    types: dict[str, str],
    there: dict[str, str],
    columns: Sequence[ColumnSpec] | None,
    dates: Sequence[date] | None,
) -> dict[str, str]:
    """Return each column's type in the table to be; refuse what would lose something."""
    declared = {spec.name: spec.type for spec in columns or ()}
    problems = [f"column {n} is declared and not in the rows" for n in declared if n not in types]
    problems += [f"column {n} ({t}) is gone" for n, t in there.items() if n not in types]
    if dates is not None and PARTITION not in types:
        problems.append(f"column {PARTITION} is missing, which says each row's day")
    if dates is not None:
        declared[PARTITION] = "DATE"
    wanted: dict[str, str] = {}
    for name in [*(n for n in declared if n in types), *(n for n in types if n not in declared)]:
        type_ = declared.get(name, types[name])
        type_ = "TIMESTAMP" if type_ in _TIMES else type_
        old = there.get(name)
        if old is not None and old != type_:
            # A declared type is a statement; a type that pandas or a query happened to give
            # only matters where values would be lost.
            if name not in declared and _fits(con, given, name, type_, old):
                type_ = old
            else:
                problems.append(f"column {name} was {old} and would become {type_}")
        elif old is None and type_ == '"NULL"':
            type_ = "VARCHAR"
        wanted[name] = type_
    if problems:
        raise SchemaChangeError(
            f"{dataset}: the rows do not fit the table: {'; '.join(problems)}. Nothing was "
            f"changed. Give the rows those columns, or, if the change is meant, drop the table "
            f"({table(dataset)}) and materialise all its days again."
        )
    return wanted


def _fits(con: duckdb.DuckDBPyConnection, given: str, name: str, type_: str, old: str) -> bool:
    """Whether the values of a column are missing, or numbers that ``old`` holds exactly."""
    column = identifier(name)
    lost = f"{column} IS NOT NULL"
    if type_ in _NUMBERS and old in _NUMBERS:
        lost = f"CAST(TRY_CAST({column} AS {old}) AS {type_}) IS DISTINCT FROM {column}"
    [(n,)] = con.execute(f"SELECT count(*) FILTER ({lost}) FROM {given}").fetchall()
    return n == 0


def check_days(dataset: str, found: Iterable[date | None], dates: Sequence[date] | None) -> None:
    """Refuse rows of other days than those that are written.

    Raises
    ------
    ValueError
        If ``found``, the days that rows have, are not all among ``dates``.
    """
    other = [] if dates is None else sorted(str(day) for day in {*found} - {*dates})
    if other:
        raise ValueError(
            f"{dataset}: rows of {', '.join(other[:5])}{'...' if len(other) > 5 else ''} are not "
            "among the days that are written"
        )


@contextmanager
def _registered(con: duckdb.DuckDBPyConnection, rows: Frame) -> Iterator[str]:
    """Give ``rows`` a name in SQL."""
    import duckdb

    if isinstance(rows, str):
        yield rows
        return
    name = f"given_{next(_counter)}"
    con.register(name, rows)
    try:
        yield name
    except BaseException:
        # DuckDB 2.0 refuses this within an aborted transaction, whose rollback does it; the
        # first error is the one to be seen.
        with suppress(duckdb.TransactionException):
            con.unregister(name)
        raise
    con.unregister(name)


def create(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    types: dict[str, str],
    columns: Sequence[ColumnSpec],
) -> None:
    """Make a table; ``columns`` give the descriptions kept with it.

    No column is NOT NULL: contracts are checked before anything is written, and a column
    can then be added to a table that has rows.
    """
    definition = ", ".join(f"{identifier(name)} {type_}" for name, type_ in types.items())
    con.execute(f"CREATE TABLE {table(dataset)} ({definition})")
    _describe(con, table(dataset), columns)


def create_or_extend(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    rows: Staged,
    columns: Sequence[ColumnSpec] | None,
) -> bool:
    """Make the table, or add the columns it lacks; return whether columns were added."""
    target = table(dataset)
    if not rows.there:
        create(con, dataset, rows.types, columns or ())
        return False
    new = {name: type_ for name, type_ in rows.types.items() if name not in rows.there}
    for name, type_ in new.items():
        con.execute(f"ALTER TABLE {target} ADD COLUMN {identifier(name)} {type_}")
    _describe(con, target, [spec for spec in columns or () if spec.name in new])
    return bool(new)


def _describe(con: duckdb.DuckDBPyConnection, target: str, columns: Sequence[ColumnSpec]) -> None:
    for spec in columns:
        text = spec.description + (f" [{spec.unit}]" if spec.unit else "")
        if text:
            # COMMENT takes no parameters; this is the one place where text is escaped.
            quoted = text.replace("'", "''")
            con.execute(f"COMMENT ON COLUMN {target}.{identifier(spec.name)} IS '{quoted}'")
