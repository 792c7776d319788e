"""Columns of a DuckDB relation: categories are counted in SQL, numbers are fetched by column.

One column at a time: a table far larger than memory is compared in the memory of a column.
Names are those of the data, not declared ones: any name works, quoted by doubling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods.columns import (
    Categories,
    Nothing,
    Numbers,
    booleans,
    numbers,
)
from mlops_assets.core.drift_methods.statuses import Kind

if TYPE_CHECKING:
    import duckdb
    import numpy as np

_INTEGERS = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    }
)
_FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")
_MOMENTS = ("DATE", "TIMESTAMP")
_NAMES = ("VARCHAR", "ENUM", "UUID")


def fetch(
    relation: duckdb.DuckDBPyRelation, name: str
) -> Callable[[], Numbers | Categories | Nothing]:
    """Fetch one column; the function returned cleans it, and may run in another thread."""
    declared = str(relation.types[relation.columns.index(name)]).upper()
    column = '"' + name.replace('"', '""') + '"'
    if declared == "BOOLEAN" or (declared.startswith(_NAMES) and not declared.endswith("]")):
        counted = _count(relation, column)
        return lambda: _categories(counted, boolean=declared == "BOOLEAN")
    if declared in _INTEGERS or (declared.startswith(_FRACTIONS) and "[" not in declared):
        # Whole numbers of up to 32 bits come as they are: half the memory, and sorted faster.
        narrow = declared in ("TINYINT", "SMALLINT", "INTEGER")
        fetched = _fetch(relation, column if narrow else f"{column}::DOUBLE")
        return lambda: _numbers(fetched, integer=declared in _INTEGERS)
    if declared.startswith(_MOMENTS) and "[" not in declared:
        fetched = _fetch(relation, f"epoch({column})")
        return lambda: _numbers(fetched, integer=False)
    rows = relation.count("*").fetchall()[0][0]
    # A column of literal NULLs has the type of an integer, or '"NULL"'.
    kind = Kind.UNKNOWN if "NULL" in declared else Kind.UNSUPPORTED
    return lambda: Nothing(kind, rows)


def _fetch(relation: duckdb.DuckDBPyRelation, expression: str) -> np.ndarray:
    return relation.project(f"{expression} AS v").fetchnumpy()["v"]


def _numbers(fetched: np.ndarray, *, integer: bool) -> Numbers:
    import numpy as np

    if isinstance(fetched, np.ma.MaskedArray):
        known = fetched.compressed()
        return numbers(known, missing=len(fetched) - len(known), integer=integer)
    return numbers(fetched, integer=integer)


def _count(relation: duckdb.DuckDBPyRelation, column: str) -> list[tuple[str | None, int]]:
    return relation.project(f"{column}::VARCHAR AS v").aggregate("v, count(*) AS n").fetchall()


def _categories(counted: list[tuple[str | None, int]], *, boolean: bool) -> Categories:
    by_name = dict(counted)
    missing = by_name.pop(None, 0)
    known = {str(name): n for name, n in by_name.items()}
    if boolean:
        true = known.get("true", 0)
        return booleans(true, sum(known.values()), missing)
    return Categories(known, missing)
