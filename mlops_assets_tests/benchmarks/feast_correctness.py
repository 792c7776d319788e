"""Feast 0.67.0 and this point-in-time join on the same data: where they differ, where not.

``make bench-feast-correctness``. Prints a table, writes ``data/bench/feast_correctness.json``,
and fails if an answer of ours is wrong, if the two differ where they mean the same, or if
Feast is not found wrong in at least four cases.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import duckdb

from mlops_assets.core.features.join_spec import JoinSpec
from mlops_assets.core.features.point_in_time import point_in_time_join
from mlops_assets_tests.benchmarks import point_in_time_cases as cases
from mlops_assets_tests.benchmarks.feast_cases import WRONG_CASES, WrongCase
from mlops_assets_tests.benchmarks.feast_peer import FEAST, Peer, View, feast
from mlops_assets_tests.benchmarks.report import write_json

CASES_PER_SETTING = 1000
KEYS = ("case_id", "k1", "k2")

#: What both mean the same by: ttl, in units, whether Feast knows the created time, and whether
#: it is told to look at nothing created later.
AGREED = [
    (ttl, created, cutoff)
    for ttl in (None, 1, 5)
    for created, cutoff in ((False, False), (True, False), (True, True))
]


def ours(con: duckdb.DuckDBPyConnection, case: WrongCase, facts: str) -> list[tuple]:
    """Our answer: ``(row_id, x)``."""
    found = point_in_time_join(con, case.rows, [case.spec(facts)], as_of="event_timestamp")
    return found.project("row_id, x").fetchall()


def theirs(con: duckdb.DuckDBPyConnection, peer: Peer, case: WrongCase, facts: str) -> list[tuple]:
    """Feast's answer, sorted: its order is not judged."""
    table, _ = peer.ask(con, case.do, case.rows, [case.view(facts)], store=case.store)
    return con.from_arrow(table).project("row_id, x").order("ALL").fetchall()


def compare_wrong(con: duckdb.DuckDBPyConnection, peer: Peer, case: WrongCase) -> dict[str, Any]:
    """Put one case to both."""
    orders = [case.facts, *([case.again] if case.again else [])]
    said = [theirs(con, peer, case, facts) for facts in orders]
    found = [ours(con, case, facts) for facts in orders]
    # Where the fault is that the order of the facts matters, no single answer is wrong.
    feast_wrong = len({str(s) for s in said}) > 1 if case.again else said[0] != case.right
    return {
        "title": case.title,
        "where": case.where,
        "right": case.right,
        "feast": said if case.again else said[0],
        "ours": found[-1],
        "feast_wrong": feast_wrong,
        "ours_right": all(answer == case.right for answer in found),
    }


def agreeing(seed: int, unit: timedelta) -> cases.Cases:
    """Generated cases on which the two mean the same: known times, and no full ties."""
    generated = cases.generate(seed, CASES_PER_SETTING, unit)
    facts = {fact[:5]: fact for fact in generated.facts if None not in fact[3:5]}
    rows = [(n, *row[1:]) for n, row in enumerate(generated.rows) if row[4] is not None]
    return cases.Cases(rows, list(facts.values()), generated.number)


def compare_agreed(
    con: duckdb.DuckDBPyConnection,
    peer: Peer,
    seed: int,
    ttl: int | None,
    created: bool,
    cutoff: bool,
) -> dict[str, Any]:
    """Put generated cases to both, and to the oracle."""
    unit = (timedelta(microseconds=1), timedelta(minutes=30))[seed % 2]
    age = None if ttl is None else ttl * unit
    generated = agreeing(seed, unit)
    if not created:  # then an equal event time is a full tie
        facts = {fact[:4]: fact for fact in generated.facts}
        generated = cases.Cases(generated.rows, list(facts.values()), generated.number)
    cases.load(con, generated.rows, generated.facts)
    spec = JoinSpec(
        "view", "facts", KEYS, ("x", "y"), "happened", "known" if cutoff else None, age, "known"
    )
    columns = "id, x, y"
    mine = point_in_time_join(con, "rows", [spec]).project(columns).fetchall()
    table, _ = peer.ask(
        con,
        "historical",
        "SELECT id AS row_id, * EXCLUDE (id, as_of), as_of AS event_timestamp FROM rows",
        [View("v", "FROM facts", KEYS, ("x", "y"), "happened", "known" if created else None, age)],
        cutoff=cutoff,
    )
    said = con.from_arrow(table).project("row_id, x, y").fetchall()
    told = JoinSpec(**{**vars(spec), "tie_breaker": None})
    if not cutoff and created:  # the latest created wins, whether it was known or not
        latest: dict[tuple, tuple] = {}
        for fact in sorted(generated.facts, key=lambda fact: fact[4]):
            latest[fact[:4]] = fact
        generated = cases.Cases(generated.rows, list(latest.values()), generated.number)
    right = [
        (row[0], *values[:2])
        for row, values in zip(generated.rows, cases.expected(generated, told), strict=True)
    ]
    return {
        "ttl": ttl,
        "unit_us": unit // timedelta(microseconds=1),
        "created": created,
        "cutoff": cutoff,
        "cases": generated.number,
        "rows": len(right),
        "found": sum(values[1:] != (None, None) for values in right),
        "ours_wrong": sum(a != b for a, b in zip(mine, right, strict=True)),
        "differ": len(set(mine) ^ set(said)) + abs(len(mine) - len(said)),
    }


def main() -> int:
    """Compare, print, write; return the exit code."""
    with duckdb.connect() as con, feast() as peer:
        wrong = [compare_wrong(con, peer, case) for case in WRONG_CASES]
        agreed = [compare_agreed(con, peer, n, *setting) for n, setting in enumerate(AGREED)]
        versions = peer.versions
    print(f"{FEAST} (on DuckDB {versions['duckdb']}) and ours (on {duckdb.__version__})\n")
    for one in wrong:
        print(f"{one['where']}: {one['title']}")
        print(f"    right  {one['right']}")
        print(f"    ours   {one['ours']}{'' if one['ours_right'] else '   WRONG'}")
        print(f"    Feast  {one['feast']}{'   WRONG' if one['feast_wrong'] else ''}")
    total = {name: sum(one[name] for one in agreed) for name in ("cases", "rows", "found")}
    differ, ours_wrong = (sum(one[name] for one in agreed) for name in ("differ", "ours_wrong"))
    feast_wrong = sum(one["feast_wrong"] for one in wrong)
    print(
        f"\nWhere both mean the same: {total['cases']} generated cases in {len(agreed)} settings, "
        f"{total['rows']} rows ({total['found']} with a value): {differ} differences, "
        f"{ours_wrong} answers of ours wrong."
    )
    print(
        f"Feast wrong in {feast_wrong} of {len(wrong)} cases, ours in "
        f"{sum(not one['ours_right'] for one in wrong)}."
    )
    ok = all(one["ours_right"] for one in wrong) and not differ and not ours_wrong
    write_json(
        "feast_correctness",
        {
            "feast": versions["feast"],
            "feast_wrong": feast_wrong,
            "ours_wrong": sum(not one["ours_right"] for one in wrong) + ours_wrong,
            "wrong_cases": wrong,
            "agreed": {**total, "differ": differ, "settings": agreed},
        },
    )
    return 0 if ok and feast_wrong >= 4 else 1


if __name__ == "__main__":
    sys.exit(main())
