"""What the columns of a query derive from, read from its text.

Two ways of deriving are told apart. A table's column *flows into* a column of the result if
it stands in its expression, through common table expressions, subqueries and set operations;
a condition of ``CASE``, an argument of ``arg_max`` or ``coalesce`` count as well. It only
*decides which rows count* if it stands in a join condition, ``WHERE``, ``GROUP BY``,
``HAVING``, ``QUALIFY``, ``DISTINCT``, ``PARTITION BY`` or ``ORDER BY`` of a window, ``FILTER``
or ``ORDER BY`` of an aggregate, ``LIMIT``, or multiplies rows in ``unnest``. Such a column is
counted for every column of the result that is computed from those rows, also where a closer
look would show that it cannot matter (the condition of a left join whose other columns are
used): rather one too many than one too few.

What cannot be followed is refused with ``Unreadable`` instead of being guessed. Parsing
belongs in ``query_scopes``; which queries there are, in ``column_lineage``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mlops_assets.core.lineage.query_scopes import Unreadable, qualified

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

#: A column of a table: ``(table, column)``.
Column: TypeAlias = tuple[str, str]
_NONE: frozenset[Column] = frozenset()


@dataclass(frozen=True)
class Origins:
    """Columns of tables that a result's column derives from.

    Attributes
    ----------
    values
        Their values flow into it.
    rows
        They decide which rows count. A column may be in both.
    """

    values: frozenset[Column] = _NONE
    rows: frozenset[Column] = _NONE

    @property
    def all(self) -> frozenset[Column]:
        """All of them, in whichever way."""
        return self.values | self.rows

    def __or__(self, other: Origins) -> Origins:
        return Origins(self.values | other.values, self.rows | other.rows)

    def among(self, rows: frozenset[Column]) -> Origins:
        """The same, computed from rows that ``rows`` decide on."""
        return Origins(self.values, self.rows | rows) if rows else self

    def deciding(self) -> Origins:
        """The same columns where they only decide which rows count."""
        return Origins(rows=self.all)


def query_origins(query: str, tables: Mapping[str, Iterable[str]]) -> dict[str, Origins]:
    """Return what each column of a query's result derives from.

    Parameters
    ----------
    query
        In DuckDB's SQL; parameters such as ``$start`` and unknown functions are fine.
    tables
        Table name to column names: all that the query may read.

    Returns
    -------
    dict
        By the name of the result's column in lower case, as DuckDB does not tell cases
        apart; the columns that it derives from are written as in ``tables``.

    Raises
    ------
    Unreadable
        If the query is not understood, reads something else, or uses what cannot be followed:
        recursion, ``PIVOT``, ``COLUMNS``, whole rows as values, columns by position.
    """
    reader = _Reader({table: tuple(columns) for table, columns in tables.items()})
    try:
        return reader.relation(qualified(query, reader.tables)).columns
    except Unreadable:
        raise
    # Of any type: whatever is stumbled over in somebody's SQL, which DuckDB may well run, the
    # answer is that it cannot be told. Features are not to fail for it, and the reason is kept.
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        raise Unreadable(f"not understood ({type(error).__name__}: {reason})") from error


@dataclass(frozen=True)
class _Relation:
    """What the columns of a table, subquery or result derive from, and which rows it has."""

    columns: dict[str, Origins]
    rows: frozenset[Column] = _NONE

    @property
    def everything(self) -> Origins:
        found = Origins(rows=self.rows)
        for origins in self.columns.values():
            found |= origins
        return found


class _Reader:
    """Follows the columns of qualified queries down to the tables."""

    def __init__(self, tables: dict[str, tuple[str, ...]]) -> None:
        self.tables = tables
        self._as_written = {
            table.lower(): (table, {column.lower(): column for column in columns})
            for table, columns in tables.items()
        }
        self._known: dict[int, _Relation] = {}

    def relation(self, scope: Scope) -> _Relation:
        """What the columns of a query, or of a function in its ``FROM``, derive from."""
        from sqlglot import exp

        if id(scope) not in self._known:
            if isinstance(scope.expression, exp.SetOperation):
                found = self._set_operation(scope)
            elif isinstance(scope.expression, exp.Select):
                found = self._select(scope)
            elif isinstance(scope.expression, exp.Lateral) and scope.subquery_scopes:
                found = self.relation(scope.subquery_scopes[0])
            else:  # unnest and the like: which of its columns is which is not followed
                origins = self._origins(scope.expression, scope)
                found = _Relation(_Any(origins), origins.all)
            self._known[id(scope)] = found
        return self._known[id(scope)]

    def _set_operation(self, scope: Scope) -> _Relation:
        from sqlglot import exp

        union = scope.expression
        left, right = (self.relation(side) for side in scope.set_operation_scopes)
        if union.args.get("by_name"):
            names = [*left.columns, *(name for name in right.columns if name not in left.columns)]
            columns = {
                name: left.columns.get(name, Origins()) | right.columns.get(name, Origins())
                for name in names
            }
        elif len(left.columns) == len(right.columns):
            columns = {
                name: one | other
                for (name, one), other in zip(
                    left.columns.items(), right.columns.values(), strict=True
                )
            }
        else:
            raise Unreadable("the sides of a set operation have different columns")
        found = _Relation(columns, left.rows | right.rows)
        if not (type(union) is exp.Union and not union.args.get("distinct")) or _is_cut(union):
            found = _Relation(columns, found.everything.all)  # whole rows are compared
        return _Relation({n: o.among(found.rows) for n, o in columns.items()}, found.rows)

    def _select(self, scope: Scope) -> _Relation:
        from sqlglot import exp

        select = scope.expression
        projections = {
            projection.alias_or_name: self._origins(projection, scope)
            for projection in select.expressions
        }
        deciding = Origins()
        for name, _ in scope.references:
            source = scope.sources.get(name)
            if not isinstance(source, exp.Table) and source is not None:
                deciding |= Origins(rows=self.relation(source).rows)
        for clause, value in select.args.items():
            # The order of a result says nothing unless it is cut off; that of a subquery may
            # be relied on above.
            ignored = clause == "order" and scope.is_root and not _is_cut(select)
            if clause not in ("expressions", "windows", "with", "with_") and not ignored:
                for node in _nodes(value):
                    deciding |= self._origins(node, scope)
        distinct, group = select.args.get("distinct"), select.args.get("group")
        for projection, origins in zip(select.expressions, projections.values(), strict=True):
            if (
                (distinct and not distinct.args.get("on"))
                or (group and group.args.get("all") and not projection.find(exp.AggFunc))
                or projection.find(exp.Unnest, exp.Explode)
            ):
                deciding |= origins
        rows = deciding.all
        return _Relation({n.lower(): o.among(rows) for n, o in projections.items()}, rows)

    def _origins(self, node: exp.Expr, scope: Scope) -> Origins:
        """What an expression of a query derives from, the query's rows left aside."""
        from sqlglot import exp

        if isinstance(node, exp.Column):
            return self._column(node, scope)
        if isinstance(node, exp.Star | exp.TableColumn | exp.PositionalColumn):
            if isinstance(node, exp.Star) and isinstance(node.parent, exp.Count):
                return Origins()
            raise Unreadable(f"uses {node.sql(dialect='duckdb')}, whose columns are not named")
        arguments = node.args
        if isinstance(node, exp.DerivedTable) and node is not scope.expression:
            if isinstance(node.parent, exp.From | exp.Join):
                # One of the query's sources, whose columns are followed by name; only joins
                # within parentheses are this query's own.
                inside = isinstance(node, exp.Subquery) and not _is_query(node)
                arguments = {k: v for k, v in arguments.items() if inside or k == "joins"}
            elif isinstance(node, exp.Subquery) and _is_query(node):
                return self._subquery(node, scope)
        elif _is_query(node) and node is not scope.expression:
            return self._subquery(node, scope)
        found = Origins()
        decides = isinstance(node, exp.Window | exp.Filter) or (
            isinstance(node, exp.Order) and not isinstance(node.parent, exp.WithinGroup)
        )
        for name, value in arguments.items():
            for child in _nodes(value):
                origins = self._origins(child, scope)
                found |= origins.deciding() if decides and name != "this" else origins
        if isinstance(node, exp.Window) and node.alias:
            found |= self._named_window(node.alias, scope)
        return found

    def _named_window(self, name: str, scope: Scope) -> Origins:
        for window in scope.expression.args.get("windows") or []:
            if window.name == name:
                return self._origins(window, scope).deciding()
        raise Unreadable(f"the window {name!r} is not defined")

    def _subquery(self, node: exp.Expr, scope: Scope) -> Origins:
        inner = node.unnest()
        for child in scope.subquery_scopes:
            if child.expression is inner:
                return self.relation(child).everything
        raise Unreadable("a subquery stands where none is expected")

    def _column(self, column: exp.Column, scope: Scope) -> Origins:
        from sqlglot import exp

        name, table = column.name.lower(), column.table
        if not table:  # ORDER BY may name a column of the result
            for projection in getattr(scope.expression, "selects", []):
                if projection.alias_or_name.lower() == name and column not in projection.walk():
                    return self._origins(projection, scope)
            raise Unreadable(f"column {name!r} is not in any table")
        at: Scope | None = scope
        while at is not None and table not in (alias for alias, _ in at.references):
            at = at.parent  # of a correlated subquery
        source = None if at is None else at.sources.get(table)
        if at is None or source is None:
            raise Unreadable(f"table {table!r} of column {name!r} is not found")
        if not isinstance(source, exp.Table):
            return self.relation(source).columns[name]
        if isinstance(source.this, exp.Func):
            return self._origins(source.this, at)
        known, columns = self._as_written.get(source.name.lower(), ("", {}))
        if source.db or name not in columns:
            raise Unreadable(f"reads {source.sql(dialect='duckdb')}, which is not a source of it")
        return Origins(frozenset({(known, columns[name])}))


class _Any(dict[str, Origins]):
    """Columns of any name, all of which derive from the same."""

    def __init__(self, origins: Origins) -> None:
        super().__init__({"": origins})

    def __missing__(self, name: str) -> Origins:
        return self[""]


def _is_query(node: exp.Expr) -> bool:
    from sqlglot import exp

    return isinstance(node.unnest(), exp.Select | exp.SetOperation)


def _is_cut(query: exp.Query) -> bool:
    """Whether only some of the rows are taken, so that their order decides."""
    distinct = query.args.get("distinct")
    on = distinct is not None and not isinstance(distinct, bool) and distinct.args.get("on")
    return any(query.args.get(clause) for clause in ("limit", "offset", "fetch")) or bool(on)


def _nodes(value: object) -> Iterator[exp.Expr]:
    from sqlglot import exp

    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, exp.Expr):
            yield item
