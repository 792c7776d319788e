"""What a query's columns derive from: by cases written out, one for each construct."""

from __future__ import annotations

import pytest

from mlops_assets.core.lineage.query_lineage import query_origins
from mlops_assets.core.lineage.query_scopes import Unreadable

TABLES = {
    "t": ["a", "b", "c", "at", "items"],
    "u": ["a", "d", "at"],
}

#: Query, the result's column, what flows into it, what decides which rows count.
CASES = {
    "expression": ("SELECT a + b AS r, c FROM t", "a b", ""),
    "case": ("SELECT CASE WHEN a > 1 THEN b END AS r FROM t", "a b", ""),
    "unknown function": ("SELECT local_time(at)::DATE AS r, FROM t", "at", ""),
    "parameters": ("SELECT a AS r FROM t WHERE at >= $start AND at < $end", "a", "at"),
    "from first": ("FROM t SELECT a AS r", "a", ""),
    "star": ("SELECT * EXCLUDE (b) REPLACE (a + b AS c), a AS r FROM t", "a", ""),
    "cases differ": ('SELECT A AS R FROM T WHERE "B" > 1', "a", "b"),
    "where": ("SELECT a AS r FROM t WHERE b > 1", "a", "b"),
    "alias in where": ("SELECT a + 1 AS r FROM t WHERE r > 1", "a", "a"),
    "column before alias": ("SELECT a AS b, b AS r FROM t", "b", ""),
    "lateral alias": ("SELECT a AS x, x + c AS r FROM t", "a c", ""),
    "join": ("SELECT d AS r FROM t JOIN u ON t.a = u.a AND t.at > u.at", "u.d", "a at u.a u.at"),
    "using": ("SELECT a AS r FROM t LEFT JOIN u USING (a)", "a u.a", "a u.a"),
    "natural": ("SELECT d AS r FROM t NATURAL JOIN u", "u.d", "a at u.a u.at"),
    "asof": (
        "SELECT d AS r FROM t ASOF JOIN u ON t.a = u.a AND t.at >= u.at",
        "u.d",
        "a at u.a u.at",
    ),
    "semi join": ("SELECT b AS r FROM t SEMI JOIN u USING (a)", "b", "a u.a"),
    "self join": ("SELECT x.a AS r FROM t AS x, t AS y WHERE x.b = y.c", "a", "b c"),
    "group": ("SELECT sum(a) AS r FROM t GROUP BY b HAVING max(c) > 1", "a", "b c"),
    "group by all": ("SELECT b, sum(a) AS r FROM t GROUP BY ALL", "a", "b"),
    "group by number": ("SELECT b, sum(a) AS r FROM t GROUP BY 1", "a", "b"),
    "count": ("SELECT count(*) AS r FROM t WHERE a > 1", "", "a"),
    "filter": ("SELECT sum(a) FILTER (WHERE b > 1) AS r FROM t", "a", "b"),
    "ordered aggregate": ("SELECT list(a ORDER BY b) AS r FROM t", "a", "b"),
    "arg_max": ("SELECT arg_max(a, at) AS r FROM t", "a at", ""),
    "within group": ("SELECT quantile_cont(0.5) WITHIN GROUP (ORDER BY a) AS r FROM t", "a", ""),
    "window": ("SELECT sum(a) OVER (PARTITION BY b ORDER BY at) AS r FROM t", "a", "at b"),
    "range": (
        "SELECT avg(a) OVER (ORDER BY at RANGE BETWEEN INTERVAL 2 HOUR PRECEDING AND CURRENT ROW)"
        " AS r FROM t",
        "a",
        "at",
    ),
    "named window": (
        "SELECT lag(a) OVER w AS r FROM t WINDOW v AS (PARTITION BY b), w AS (v ORDER BY at)",
        "a",
        "at b",
    ),
    "rank": ("SELECT row_number() OVER (ORDER BY a) AS r FROM t", "", "a"),
    "qualify": (
        "SELECT a AS r FROM t QUALIFY row_number() OVER (PARTITION BY b ORDER BY c) = 1",
        "a",
        "b c",
    ),
    "distinct": ("SELECT DISTINCT a AS r, b FROM t", "a", "a b"),
    "distinct on": ("SELECT DISTINCT ON (a) b AS r FROM t ORDER BY at", "b", "a at"),
    "order alone": ("SELECT a AS r FROM t ORDER BY b", "a", ""),
    "order and limit": ("SELECT a AS r FROM t ORDER BY b LIMIT 3", "a", "b"),
    "order of the result": ("SELECT a AS r FROM t ORDER BY r LIMIT 3", "a", "a"),
    "order below": ("SELECT first(a) AS r FROM (SELECT a, b FROM t ORDER BY b)", "a", "b"),
    "with": ("WITH w AS (SELECT a + c AS x FROM t WHERE b > 1) SELECT x AS r FROM w", "a c", "b"),
    "with columns": ("WITH w(x) AS (SELECT a FROM t) SELECT x AS r FROM w", "a", ""),
    "with shadowing": ("WITH t AS (SELECT * FROM t WHERE b > 1) SELECT a AS r FROM t", "a", "b"),
    "unused columns": ("SELECT x AS r FROM (SELECT a AS x, c + 1 AS y FROM t)", "a", ""),
    "scalar subquery": (
        "SELECT (SELECT max(d) FROM u WHERE u.a = t.b) AS r FROM t",
        "u.d",
        "b u.a",
    ),
    "exists": (
        "SELECT a AS r FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.b)",
        "a",
        "b u.a",
    ),
    "in": ("SELECT a AS r FROM t WHERE b IN (SELECT d FROM u WHERE at IS NULL)", "a", "b u.at u.d"),
    "lateral": (
        "SELECT x AS r FROM t, LATERAL (SELECT d + t.b AS x FROM u WHERE u.a = t.a)",
        "b u.d",
        "a u.a",
    ),
    "unnest": ("SELECT unnest(items) AS x, a AS r FROM t", "a", "items"),
    "unnest in from": ("SELECT x AS r FROM t, unnest(items) AS z(x)", "items", "items"),
    "series": ("SELECT a AS r FROM t CROSS JOIN generate_series(1, 3) AS s(n)", "a", ""),
    "lambda": ("SELECT list_transform(items, x -> x + a) AS r FROM t", "a items", ""),
    "comprehension": ("SELECT [x + a for x in items if x > b] AS r FROM t", "a b items", ""),
    "struct": ("SELECT items.part AS r FROM t", "items", ""),
    "union all": (
        "SELECT a AS r FROM t UNION ALL SELECT d FROM u WHERE at > $start",
        "a u.d",
        "u.at",
    ),
    "union": ("SELECT a AS r, b FROM t UNION SELECT d, a FROM u", "a u.d", "a b u.a u.d"),
    "union by name": (
        "SELECT a AS r FROM t UNION ALL BY NAME SELECT at, d AS r FROM u",
        "a u.d",
        "",
    ),
    "except": ("SELECT a AS r FROM t EXCEPT SELECT d FROM u", "a u.d", "a u.d"),
    "comment": ("SELECT a AS r FROM t -- the end", "a", ""),
    "constant": ("SELECT 1 AS r FROM t", "", ""),
}

REFUSED = {
    "another table": ("SELECT a FROM v", "not understood"),
    "another schema": ("SELECT a FROM raw.t", "not a source"),
    "a file": ("SELECT count(*) AS n FROM read_parquet('x.parquet')", "reads READ_PARQUET"),
    "an unknown column": ("SELECT z FROM t", "z"),
    "recursion": (
        "WITH RECURSIVE r AS (SELECT a FROM t UNION ALL SELECT a + 1 FROM r) SELECT a FROM r",
        "recursive",
    ),
    "pivot": ("PIVOT t ON b USING sum(c)", "PIVOT"),
    "columns": ("SELECT COLUMNS('a|b') FROM t", "COLUMNS"),
    "whole rows": ("SELECT t AS whole FROM t", "columns are not named"),
    "by position": ("SELECT #1 FROM t", "columns are not named"),
    "no query": ("DROP TABLE t", "not"),
    "no SQL": ("SELECT FROM WHERE", "not understood"),
}


def columns(names: str) -> set[tuple[str, str]]:
    """``a`` of table ``t``, ``u.a`` of ``u``."""
    return {tuple(name.split(".")) if "." in name else ("t", name) for name in names.split()}


@pytest.mark.parametrize("case", CASES)
def test_each_construct_is_followed(case: str) -> None:
    query, values, rows = CASES[case]
    origins = query_origins(query, TABLES)["r"]
    assert origins.values == columns(values)
    assert origins.rows == columns(rows)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_refused_and_not_guessed(case: str) -> None:
    query, said = REFUSED[case]
    with pytest.raises(Unreadable, match=said):
        query_origins(query, TABLES)


def test_columns_are_written_as_the_tables_have_them() -> None:
    origins = query_origins("SELECT FLIGHT AS f FROM Trips", {"trips": ["Flight"]})
    assert origins["f"].all == {("trips", "Flight")}
