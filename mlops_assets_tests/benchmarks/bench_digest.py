"""``make bench-digest``: does the content digest see every mutation, and what does it cost?"""

from __future__ import annotations

import statistics
import sys
import time

import duckdb

from mlops_assets.core.storage.digests import content_digest
from mlops_assets_tests.benchmarks.digest_mutations import (
    content_mutations,
    create_table,
    schema_mutations,
)
from mlops_assets_tests.benchmarks.report import write_json

CONTENT, SCHEMA = 9_500, 500
MUTATED_ROWS, TIMED_ROWS, TIMES = 2_000, 1_000_000, 5


def main() -> int:
    """Run, print and keep the figures; return 1 if a mutation was missed."""
    with duckdb.connect() as con:
        create_table(con, "base", MUTATED_ROWS)
        seen = [
            *content_mutations(con, "base", CONTENT, seed=1, at_once=250),
            *schema_mutations(con, "base", SCHEMA, seed=2),
        ]
        create_table(con, "large", TIMED_ROWS)
        seconds = []
        for _ in range(TIMES):
            began = time.perf_counter()
            digest = content_digest(con, "large")
            seconds.append(time.perf_counter() - began)
        con.execute("CREATE TABLE shuffled AS FROM large ORDER BY hash(id)")
        same = content_digest(con, "shuffled") == digest
    missed = seen.count(False)
    figures = {
        "mutations": len(seen),
        "missed": missed,
        "rows": TIMED_ROWS,
        "columns": 21,
        "seconds": round(statistics.median(seconds), 3),
        "independent_of_order": same,
    }
    print(
        f"{len(seen):,} mutations of {MUTATED_ROWS:,} rows, {missed} missed; "
        f"{TIMED_ROWS:,} rows of {figures['columns']} columns in {figures['seconds']} s."
    )
    write_json("digest", figures)
    return int(missed > 0 or not same)


if __name__ == "__main__":
    sys.exit(main())
