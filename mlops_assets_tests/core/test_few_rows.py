"""The join for few rows gives what the join for many gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.core.features.few_rows import is_bounded, look_up_few
from mlops_assets.core.features.join_spec import JoinSpec
from mlops_assets.core.features.point_in_time import look_up

T0 = datetime(2024, 3, 10)
HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us")
KEYS = [("a", pa.string()), ("b", pa.int32())]
FACTS = pa.schema(
    [*KEYS, ("event_time", MOMENT), ("known_at", MOMENT), ("revision", pa.int64()),
     ("x", pa.float64()), ("row", pa.string())]
)  # fmt: skip
REQUESTS = pa.schema([("row_ordinal", pa.int64()), *KEYS, ("as_of", MOMENT)])


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        made.execute("SET threads = 2")
        yield made


def spec(ttl: timedelta | None, event_time: str = "event_time") -> JoinSpec:
    return JoinSpec("view", '"facts"', ("a", "b"), ("x", "row"), event_time, "known_at", ttl,
                    tie_breaker="revision")  # fmt: skip


def fill(con: duckdb.DuckDBPyConnection, seed: int, static: bool = False) -> None:
    """Facts and rows on a coarse grid, so that bounds, ties and expiry are all met."""
    random = np.random.default_rng(seed)

    def some(values: list[Any], n: int) -> list[Any]:
        return [values[i] for i in random.integers(0, len(values), n)]

    def at(n: int, moment: datetime | None = None) -> list[Any]:
        hours = random.integers(0, 12, n).tolist()
        shift = some([-1, 0, 0, 0, 1], n)
        return [
            T0 + h * HOUR + timedelta(microseconds=s) for h, s in zip(hours, shift, strict=True)
        ]

    n, m = int(random.integers(0, 200)), int(random.integers(0, 80))
    event = at(n)
    known = [e + int(late) * HOUR for e, late in zip(event, some([0, 0, 1, 5], n), strict=True)]
    if static:
        known = some([datetime(1, 1, 1), T0, T0 + 3 * HOUR], n)
    facts = zip(some(["k", "l", None], n), some([1, 2], n), event, known, range(n),
                some([None, 1.5, 2.5], n), some(["p", "q", None], n), strict=True)  # fmt: skip
    rows = zip(range(1, m + 1), some(["k", "l", "m", None], m), some([1, 2, None], m),
               some([*at(8), None], m), strict=True)  # fmt: skip
    for name, columns, values in (
        ("facts", FACTS, list(facts)),
        ("requests", REQUESTS, list(rows)),
    ):
        given = pa.Table.from_pylist(
            [dict(zip(columns.names, row, strict=True)) for row in values], schema=columns
        )
        con.register("given", given)
        con.execute(f"CREATE OR REPLACE TABLE {name} AS FROM given")
        con.unregister("given")


def both(con: duckdb.DuckDBPyConnection, wanted: JoinSpec) -> tuple[list[Any], list[Any]]:
    [(first, last)] = con.execute("SELECT min(as_of), max(as_of) FROM requests").fetchall()
    look_up(con, "requests", wanted, "many")
    look_up_few(con, "requests", wanted, "few", first, last)
    found = con.execute("FROM many").fetchall(), con.execute("FROM few").fetchall()
    con.execute("DROP TABLE many; DROP TABLE few")
    return found


@pytest.mark.parametrize("ttl", [timedelta(microseconds=1), HOUR, 5 * HOUR, None])
def test_few_rows_find_what_many_rows_find(con, ttl):
    present = 0
    for seed in range(20):
        fill(con, seed)
        many, few = both(con, spec(ttl))
        assert few == many, seed
        present += sum(row[1] is not None for row in few)
    assert present > 5


def test_static_values_and_their_revisions_are_found_alike(con):
    for seed in range(15):
        fill(con, seed, static=True)
        many, few = both(con, spec(None, "known_at"))
        assert few == many, seed


def test_without_rows_or_with_rows_of_no_moment_nothing_is_found(con):
    fill(con, 3)
    con.execute("DELETE FROM requests")
    assert both(con, spec(HOUR)) == ([], [])
    con.execute("INSERT INTO requests VALUES (1, 'k', 1, NULL), (2, 'k', 1, 'infinity')")
    many, few = both(con, spec(HOUR))
    assert few == many == [(1, None, None), (2, None, None)]


def test_a_ttl_longer_than_time_is_no_bound(con):
    fill(con, 5)
    many, few = both(con, spec(timedelta.max))
    assert few == many


def test_only_what_bounds_a_rows_facts_is_joined_so():
    assert is_bounded(spec(HOUR))
    assert is_bounded(spec(None, "known_at"))
    assert not is_bounded(spec(None))
