"""Frames of query results that hold the values of the database, all digits included.

DuckDB's ``df`` makes float64 of DECIMAL and HUGEINT, whose digits it does not hold, before
anybody could notice. What a frame must look like belongs in ``scoring.signature``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage.relations import column_types

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


def exact_frame(
    con: duckdb.DuckDBPyConnection,
    query: str,
    params: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Return the result of a query, as ``df`` does but for DECIMAL, HUGEINT and UHUGEINT.

    Columns of these are Arrow decimals, with every digit. All others are just what ``df``
    makes of them.
    """
    import pandas as pd

    wide = [
        name
        for name, type_ in column_types(con, query, params).items()
        if type_ in ("HUGEINT", "UHUGEINT") or type_.startswith("DECIMAL(")
    ]
    # Not a relation: with parameters its result would pass through Python, cell by cell.
    result = con.execute(query, params or {})
    if not wide:
        return result.df()
    table = result.to_arrow_table()
    frame = con.from_arrow(table.drop_columns(wide)).df() if len(wide) < table.num_columns else None
    columns = {
        name: pd.Series(pd.array(table[name], dtype=pd.ArrowDtype(table[name].type)))
        if name in wide
        else frame[name]  # type: ignore[index]
        for name in table.column_names
    }
    return pd.DataFrame(columns, columns=list(columns))
