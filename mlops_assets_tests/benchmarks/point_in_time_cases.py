"""Generated cases for the point-in-time join, and what they must give, in plain Python.

Thousands of cases go into one join: each has a number of its own, which is one of the keys,
so that cases cannot touch each other, and rows and facts of few values, so that ties,
duplicates and exact bounds are the rule. The oracle looks at every fact of a case.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features.join_spec import JoinSpec

if TYPE_CHECKING:
    import duckdb

US = timedelta(microseconds=1)

#: Moments in UTC around which a clock or a calendar does something odd: clocks going forward
#: and back in Berlin and New York, a leap day, a new year, the epoch.
MOMENTS = (
    datetime(2024, 3, 31, 1),
    datetime(2024, 10, 27, 1),
    datetime(2013, 3, 10, 7),
    datetime(2013, 11, 3, 6),
    datetime(2024, 2, 29),
    datetime(2024, 12, 31, 23, 59, 59, 999_995),
    datetime(1969, 12, 31, 23, 59, 59, 999_995),
)

#: Pairs that would be taken for one another if composite keys were put together, with and
#: without separators; and NULL.
PAIRS = (
    ("1", "11"), ("11", "1"), ("111", ""), ("", "111"), ("1", "1"), ("a,b", "c"), ("a", "b,c"),
    ("a|b", "c"), ("a", "b|c"), ('"', "'"), ("'", '"'), ("NULL", "x"), (None, "x"), ("x", None),
    ("x", ""), ("", "x"), ("A", "a"), ("a", "A"), ("a ", "a"), ("a", " a"), ("\x00", "1"),
    ("ß", "ss"), ("é", "e\u0301"),
)  # fmt: skip

ROWS = "id BIGINT, case_id BIGINT, k1 VARCHAR, k2 VARCHAR, as_of TIMESTAMP"
FACTS = (
    "case_id BIGINT, k1 VARCHAR, k2 VARCHAR, happened TIMESTAMP, known TIMESTAMP, "
    "seq BIGINT, grade INTEGER, x DOUBLE, y VARCHAR"
)


@dataclass(frozen=True)
class Cases:
    """Independent cases: rows and facts of all of them, as tuples of ``ROWS`` and ``FACTS``."""

    rows: list[tuple]
    facts: list[tuple]
    number: int


def generate(seed: int, number: int, unit: timedelta) -> Cases:
    """Make ``number`` cases whose times are a few ``unit`` apart."""
    pick = random.Random(seed)
    rows: list[tuple] = []
    facts: list[tuple] = []
    for case in range(number):
        start = pick.choice(MOMENTS)
        pairs = pick.sample(PAIRS, pick.choice((1, 2, 3)))

        def moment(start: datetime = start, may_lack: float = 0.05) -> datetime | None:
            return None if pick.random() < may_lack else start + pick.randrange(11) * unit

        for _ in range(pick.choice((0, 0, 1, 2, 4, 7, 11))):  # also views without any fact
            pair = pick.choice(pairs)
            happened, known = moment(), moment(may_lack=0.15)
            if happened is not None and pick.random() < 0.4:
                known = happened  # known at once; others early, late or never
            grade = pick.choice((0, 1, None))
            x, y = pick.choice((0.5, -1.0, None)), pick.choice(("p", "q", None))
            for _ in range(1 if pick.random() < 0.85 else 2):  # the same again: a duplicate
                facts.append((case, *pair, happened, known, len(facts), grade, x, y))
            if pick.random() < 0.3:  # a late correction of the same event
                later = moment(may_lack=0)
                facts.append((case, *pair, happened, later, len(facts), grade, 9.0, "corrected"))
        for _ in range(pick.randrange(1, 6)):
            row = (len(rows), case, *pick.choice(pairs), moment())
            rows += [row] * (1 if pick.random() < 0.85 else 2)
    pick.shuffle(rows)
    pick.shuffle(facts)
    return Cases(rows, facts, number)


def expected(cases: Cases, spec: JoinSpec) -> list[tuple]:
    """What each row must get: x, y and their statuses, by looking at every fact of its case."""
    by_case: dict[int, list[tuple]] = {}
    for fact in cases.facts:
        by_case.setdefault(fact[0], []).append(fact)
    return [one(row, by_case.get(row[1], []), spec) for row in cases.rows]


def one(row: tuple, facts: list[tuple], spec: JoinSpec) -> tuple:
    """The same for one row among ``facts``."""
    as_of = row[4]
    # Rows have an id before the three columns that may be keys.
    compared = [("case_id", "k1", "k2").index(name) for name in spec.keys]
    wanted = [row[1 + n] for n in compared]
    timed = spec.event_time is not None
    if None in wanted or (timed and as_of is None):
        facts = []
    best: Any = None
    for fact in facts:
        if [fact[n] for n in compared] != wanted:
            continue
        happened, known, seq, grade, x, y = fact[3:]
        if spec.known_at is None or (known is None and spec.null_known_at == "event_time"):
            known = happened
        if timed and (None in (happened, known) or happened > as_of or known > as_of):
            continue
        rank: list[Any] = [happened, known] if timed else []
        if spec.tie_breaker:
            rank.append(_nulls_first({"seq": seq, "grade": grade}[spec.tie_breaker]))
        rank += [_nulls_first(x), _nulls_first(y)]
        if best is None or rank > best[0]:
            best = (rank, happened, x, y)
    if best is None:
        return (None, None, "not_found", "not_found")
    _, happened, x, y = best
    if spec.ttl is not None and as_of - happened > spec.ttl:
        return (None, None, "expired", "expired")
    return (x, y, *("null" if value is None else "present" for value in (x, y)))


def _nulls_first(value: Any) -> tuple:
    return (value is not None, value if value is not None else 0)


def load(con: duckdb.DuckDBPyConnection, rows: list[tuple], facts: list[tuple]) -> None:
    """Make the temporary tables ``rows`` and ``facts``."""
    import pyarrow as pa

    for name, schema, values in (("rows", ROWS, rows), ("facts", FACTS, facts)):
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name}({schema})")
        if values:
            names = [column.split()[0] for column in schema.split(", ")]
            columns = dict(zip(names, map(list, zip(*values, strict=True)), strict=True))
            con.from_arrow(pa.table(columns)).query("given", f"INSERT INTO {name} FROM given")
