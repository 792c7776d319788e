"""Queries parsed, with every column qualified and every star expanded.

What cannot be followed afterwards is refused here. Following columns belongs in
``query_lineage``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

#: Functions in ``FROM`` that make rows of their arguments alone, besides series and unnest.
_GENERATORS = frozenset({"json_each", "json_tree", "repeat_row"})


class Unreadable(ValueError):
    """What a query's columns derive from cannot be told; the message says why."""


def qualified(query: str, tables: Mapping[str, Iterable[str]]) -> Scope:
    """Return the query with every column qualified and every star expanded.

    Raises
    ------
    Unreadable
        If it is no query, or uses what cannot be followed.
    Exception
        Of sqlglot, of many types, if it does not understand the query.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    # Types are not needed, but a table without columns would be taken as unknown.
    schema = {table: dict.fromkeys(columns, "UNKNOWN") for table, columns in tables.items()}
    parsed = sqlglot.parse_one(query, dialect="duckdb").unnest()
    _refuse(parsed)
    scope = build_scope(qualify(parsed, dialect="duckdb", schema=schema))
    if scope is None or not isinstance(scope.expression, exp.Query):
        raise Unreadable("not a query")
    return scope


def _refuse(parsed: exp.Expr) -> None:
    from sqlglot import exp

    if any(with_.args.get("recursive") for with_ in parsed.find_all(exp.With)):
        raise Unreadable("recursive")
    for kind, said in ((exp.Pivot, "PIVOT"), (exp.Columns, "COLUMNS")):
        if parsed.find(kind):
            raise Unreadable(f"uses {said}")
    for table in parsed.find_all(exp.Table):
        function = table.this
        generates = isinstance(function, exp.GenerateSeries | exp.Repeat) or (
            isinstance(function, exp.Anonymous) and function.name.lower() in _GENERATORS
        )
        if isinstance(function, exp.Func) and not generates:
            raise Unreadable(f"reads {function.sql(dialect='duckdb')}")
