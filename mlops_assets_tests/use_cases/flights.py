"""The archive in a DuckDB file, for the tests of the flights."""

from __future__ import annotations

import duckdb

from mlops_assets.core.storage import store
from mlops_assets.core.storage.sql import define_local_time, table
from mlops_assets.use_cases.nyc_flights import USE_CASE

assert USE_CASE.archive is not None
ARCHIVE = USE_CASE.archive


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory with a view of each archive file, named as its source."""
    con = duckdb.connect(":memory:")
    con.execute("SET threads = 2")
    store.initialise(con)
    define_local_time(con, USE_CASE.timezone)
    for source in USE_CASE.sources:
        path = ARCHIVE / f"{source.name}.parquet"
        con.execute(f"CREATE VIEW {source.name} AS FROM read_parquet('{path}')")
    return con


def fill(con: duckdb.DuckDBPyConnection, start: str, end: str) -> None:
    """Put the rows of the local days from ``start`` to before ``end`` into ``raw``."""
    for source in USE_CASE.sources:
        # Quarantine takes the one row with an impossible wind; nothing else is rejected.
        keep = "coalesce(wind_speed, 0) <= 150" if source.name == "weather" else "true"
        day = f"local_time({source.event_time})::DATE" if source.partitioned else "NULL::DATE"
        between = f"{day} >= '{start}' AND {day} < '{end}'" if source.partitioned else "true"
        con.execute(
            f"CREATE OR REPLACE TABLE {table(f'raw.{source.name}')} AS "
            f"SELECT *, {day} AS partition_date, row_number() OVER () AS ingest_seq "
            f"FROM {source.name} WHERE {keep} AND {between}"
        )
