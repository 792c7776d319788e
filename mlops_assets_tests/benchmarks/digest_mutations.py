"""Random mutations of a table, and whether the content digest sees them.

Cells and rows are mutated in many copies of the table at once, each copy a partition of one
relation, so that ten thousand digests take some seconds; names and types of columns, which all
rows share, one by one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

import duckdb

from mlops_assets.core.storage.digests import content_digest, partition_digests

#: Column types of the table, five columns of each.
KINDS = {
    "d": "DOUBLE",
    "n": "BIGINT",
    "s": "VARCHAR",
    "t": "TIMESTAMP",
}
EACH = 5
_ORIGIN = date(2000, 1, 1)


def columns() -> dict[str, str]:
    """Names and types of the 20 columns."""
    return {f"{kind}{n}": type_ for kind, type_ in KINDS.items() for n in range(EACH)}


def create_table(con: duckdb.DuckDBPyConnection, name: str, rows: int) -> None:
    """Make a table of ``rows`` rows: numbers, categories, times, some of them missing."""
    made = {
        "DOUBLE": "(hash(i * {n}) % 1000003) / 7.0",
        "BIGINT": "(hash(i + {n}) % 1000)::BIGINT",
        "VARCHAR": "'category ' || (hash(i * 3 + {n}) % 50)",
        "TIMESTAMP": "TIMESTAMP '2013-01-01' + to_minutes((i * {n})::BIGINT % 500000)",
    }
    selected = ", ".join(
        f"CASE WHEN hash(i, {at}) % 20 > 0 THEN {made[type_].format(n=at + 1)} END AS {column}"
        for at, (column, type_) in enumerate(columns().items())
    )
    con.execute(
        f"CREATE OR REPLACE TABLE {name} AS SELECT i AS id, {selected} FROM range({rows}) r(i)"
    )


def content_mutations(
    con: duckdb.DuckDBPyConnection, name: str, number: int, seed: int, at_once: int = 250
) -> Iterator[bool]:
    """Mutate a cell or a row of the table ``number`` times; yield whether each was seen.

    A cell becomes another value of its type, the least that differs (the next number, one
    microsecond, one more blank), or missing, or stops being so; a row goes or comes twice.
    """
    rng = random.Random(seed)
    ((rows,),) = con.execute(f"SELECT count(*) FROM {name}").fetchall()
    names = columns()
    nudged = {
        "DOUBLE": "coalesce(v * (1 + 2.3e-16), 0.0)",
        "BIGINT": "coalesce(v + 1, 0)",
        "VARCHAR": "coalesce(v || ' ', '')",
        "TIMESTAMP": "coalesce(v + INTERVAL 1 MICROSECOND, TIMESTAMP '1970-01-01')",
    }
    for start in range(0, number, at_once):
        copies = range(start, min(start + at_once, number))
        kinds = [*names] * 9 + ["gone", "twice"] * 20
        mutations = [
            (copy, rng.randrange(rows), rng.choice(kinds), rng.random()) for copy in copies
        ]
        con.execute(
            "CREATE OR REPLACE TEMP TABLE mutations "
            "(copy INTEGER, place BIGINT, what VARCHAR, chance DOUBLE)"
        )
        con.executemany("INSERT INTO mutations VALUES (?, ?, ?, ?)", mutations)
        changed = ", ".join(
            f"CASE WHEN m.what = '{column}' AND m.place = b.id THEN CASE WHEN m.chance < 0.2 AND "
            f"{column} IS NOT NULL THEN NULL ELSE {nudged[type_].replace('v ', column + ' ')} END "
            f"ELSE {column} END AS {column}"
            for column, type_ in names.items()
        )
        mutated = (
            f"SELECT b.id, {changed}, DATE '{_ORIGIN}' + m.copy AS partition_date "
            f"FROM {name} b CROSS JOIN mutations m, "
            "range(CASE WHEN m.place <> b.id THEN 1 WHEN m.what = 'gone' THEN 0 "
            "WHEN m.what = 'twice' THEN 2 ELSE 1 END)"
        )
        days = [_ORIGIN + timedelta(days=copy) for copy in copies]
        found = partition_digests(con, mutated, days, exclude=["partition_date"])
        unchanged = content_digest(con, name)
        for day in days:
            yield found[day][1] != unchanged


def schema_mutations(
    con: duckdb.DuckDBPyConnection, name: str, number: int, seed: int
) -> Iterator[bool]:
    """Rename, retype, drop, add or swap columns ``number`` times; yield whether it was seen."""
    rng = random.Random(seed)
    unchanged = content_digest(con, name)
    for at in range(number):
        column, type_ = rng.choice(list(columns().items()))
        other = rng.choice([c for c, t in columns().items() if t == type_ and c != column])
        what = rng.choice(["rename", "retype", "drop", "add", "swap"])
        wider = {
            "DOUBLE": "DECIMAL(38, 9)",
            "BIGINT": "HUGEINT",
            "VARCHAR": "BLOB",
            "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
        }[type_]
        query = {
            "rename": f"SELECT * RENAME ({column} AS {column}_{at}) FROM {name}",
            "retype": f"SELECT * REPLACE ({column}::{wider} AS {column}) FROM {name}",
            "drop": f"SELECT * EXCLUDE ({column}) FROM {name}",
            "add": f"SELECT *, NULL::{type_} AS {column}_{at} FROM {name}",
            "swap": f"SELECT * RENAME ({column} AS {other}, {other} AS {column}) FROM {name}",
        }[what]
        yield content_digest(con, query) != unchanged
