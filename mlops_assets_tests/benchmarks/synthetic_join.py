"""One join of 1 million rows with 10 million facts, in a process of its own, for its memory.

``python -m mlops_assets_tests.benchmarks.synthetic_join DATABASE``: prints seconds, peak
memory and what was found as JSON. ``make_database`` makes what it reads. Started by
``bench_point_in_time``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from mlops_assets.core.features.point_in_time import JoinSpec, point_in_time_table

FACTS, ROWS = 10_000_000, 1_000_000
TTL = timedelta(days=30)
SAMPLED = 1000


def make_database(path: Path, facts_per_key: int) -> None:
    """A year of facts with late known times, one in twenty of them corrected later."""
    with duckdb.connect(str(path)) as con:
        con.execute(
            """
            CREATE TABLE facts AS
            WITH events AS (
                SELECT i, i // 20 * 20 + greatest(i % 20, 1) AS event -- 0 corrects 1
                FROM range($facts) t(i)
            ), timed AS (
                SELECT i, (hash(event * 8 + 1) % $keys)::INTEGER AS key,
                       TIMESTAMP '2013-01-01'
                       + to_seconds((hash(event * 8 + 2) % (365 * 86400))::BIGINT) AS event_time
                FROM events
            )
            SELECT key, event_time, event_time + to_microseconds(
                       (-3.6e9 * ln((hash(i * 8 + 4) % 1000000 + 1) / 1000001.0))::BIGINT
                       + if(i % 20 = 0, 86400000000, 0)) AS known_at,
                   i AS ingest_seq,
                   (hash(i * 8 + 3) % 1000) / 10.0::DOUBLE AS x,
                   (hash(i * 8 + 5) % 1000) / 7.0::DOUBLE AS y
            FROM timed
            """,
            {"facts": FACTS, "keys": FACTS // facts_per_key},
        )
        con.execute(
            """
            CREATE TABLE rows AS
            SELECT i AS id, (hash(i * 8 + 6) % $keys)::INTEGER AS key,
                   TIMESTAMP '2013-01-01'
                   + to_seconds((hash(i * 8 + 7) % (365 * 86400))::BIGINT) AS as_of
            FROM range($rows) t(i)
            """,
            {"rows": ROWS, "keys": FACTS // facts_per_key},
        )


def main(database: str) -> None:
    """Join and tell."""
    spec = JoinSpec(
        "facts", "facts", ("key",), ("x", "y"), "event_time", "known_at", TTL, "ingest_seq"
    )
    with duckdb.connect(database, read_only=True) as con:
        # Loads what Python needs (DuckDB imports pandas to bind a value): not the join's time.
        few = "SELECT key, event_time AS as_of FROM facts LIMIT 9"
        point_in_time_table(con, few, [JoinSpec(**{**vars(spec), "table": "FROM facts LIMIT 9"})])
        con.execute("SELECT $moment", {"moment": datetime(2013, 1, 1)})
        started = time.perf_counter()
        table = point_in_time_table(con, "rows", [spec])
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sample = con.from_arrow(table.slice(0, SAMPLED))
        found = sample.project("id, x, y").fetchall()
        right = con.execute(
            f"""
            SELECT id, CASE WHEN fresh THEN x END, CASE WHEN fresh THEN y END FROM (
                SELECT r.id, best.x, best.y, r.as_of - best.event_time <= $ttl AS fresh
                FROM (FROM rows LIMIT {SAMPLED}) r LEFT JOIN (
                    SELECT r.id, arg_max(f, (f.event_time, f.known_at, f.ingest_seq)) AS best
                    FROM (FROM rows LIMIT {SAMPLED}) r JOIN facts f ON f.key = r.key
                    AND f.event_time <= r.as_of AND f.known_at <= r.as_of GROUP BY r.id
                ) USING (id)
            ) ORDER BY id
            """,
            {"ttl": TTL},
        ).fetchall()
        started = time.perf_counter()
        point_in_time_table(con, "rows", [JoinSpec(**{**vars(spec), "known_at": None})])
        no_cutoff_seconds = time.perf_counter() - started
    told = {
        "seconds": seconds,
        "no_cutoff_seconds": no_cutoff_seconds,
        "peak_rss_gb": peak * 1024 / 1e9,
        "rows": table.num_rows,
        "found": table.num_rows - table.column("x").null_count,
        "equal": found == right and table.num_rows == ROWS,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
