"""Revisions of feature values: what a late or corrected fact changes, and from when.

A day of a view that is computed again gives, as a rule, what is there. Where it does not, a
fact has arrived late or was corrected. The value that was served until then stays, and the new
one is a further row for the same key and event time, known from the moment the correction was
(``known_at``, data time) and with the next ``revision``. So a row to predict finds the value
that was known at its moment, and a training set can be built again as it was.

A value that has disappeared gets a revision of NULLs: from then on nothing is known of it.
Versions of the facts themselves belong in ``history``, the join in ``point_in_time``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from mlops_assets.core.storage import store
from mlops_assets.core.storage.contracts import ColumnSpec
from mlops_assets.core.storage.relations import temporary_tables
from mlops_assets.core.storage.sql import identifier, identifiers, table

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.storage.staging import Frame
    from mlops_assets.core.storage.store import PartitionWritten

KNOWN_AT = "known_at"
REVISION = "revision"
#: From when the values of a view without days are known, until one is corrected.
ALWAYS = datetime(1, 1, 1)


def write(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    computed: str,
    dates: Sequence[date] | None,
    *,
    key: Sequence[str],
    features: Sequence[str],
    now: datetime,
    run_id: str,
    columns: Sequence[ColumnSpec],
) -> dict[date | None, PartitionWritten]:
    """Write computed values; those of days that had been computed before as revisions.

    Parameters
    ----------
    computed
        Quoted name of a temporary table with ``key``, ``known_at``, ``features``, ``revision``
        (0) and, unless ``dates`` is ``None``, ``partition_date``.
    key
        Columns of which at most one value is served at a time: the entity's keys and, for a
        view with days, the event time.
    now
        From when a value that differs from the one before is known (UTC), unless its own
        ``known_at`` is later.
    dates, run_id, columns
        See ``store.replace_partitions``.

    Returns
    -------
    dict
        For each day what it holds now; ``changed`` tells whether anything was revised.
    """
    ledger = store.partitions(con, dataset, dates)
    again = [day for day in (dates if dates is not None else [None]) if day in ledger]
    if not again:
        return _replace(con, dataset, computed, dates, run_id, columns)
    names = [*key, *features, *(["partition_date"] if dates is not None else [])]
    same = " AND ".join(f"c.{identifier(k)} = l.{identifier(k)}" for k in key)
    differs = " OR ".join(f"c.{identifier(f)} IS DISTINCT FROM l.{identifier(f)}" for f in features)
    held = " OR ".join(f"l.{identifier(f)} IS NOT NULL" for f in features)
    emptied = ", ".join(
        f"NULL AS {identifier(n)}" if n in features else f"l.{identifier(n)}" for n in names
    )
    here, days = "true", {}
    if dates is not None:
        here, days = "partition_date IN (SELECT unnest($again::DATE[]))", {"again": again}
    with temporary_tables(con) as temporary:
        stored, fresh, revised = temporary("stored"), temporary("fresh"), temporary("revised")
        con.execute(
            f"CREATE TEMP TABLE {stored} AS SELECT {identifiers(names)}, {KNOWN_AT}, "
            f"coalesce({REVISION}, 0) AS {REVISION} FROM {table(dataset)} WHERE {here}",
            days,
        )
        # Of several values for one key, known one after the other, the last is what counts from
        # now on; the others have had their time, and are not compared.
        con.execute(
            f"CREATE TEMP TABLE {fresh} AS FROM {computed} WHERE {here} QUALIFY row_number() OVER "
            f"(PARTITION BY {identifiers(key)} ORDER BY {KNOWN_AT} DESC) = 1",
            days,
        )
        con.execute(
            f"CREATE TEMP TABLE {revised} AS WITH latest AS (FROM {stored} QUALIFY "
            f"row_number() OVER (PARTITION BY {identifiers(key)} "
            f"ORDER BY {KNOWN_AT} DESC, {REVISION} DESC) = 1) "
            # New and changed values; then those that are no more.
            f"SELECT {identifiers(names, 'c.')}, greatest(c.{KNOWN_AT}, $now) AS {KNOWN_AT}, "
            f"coalesce(l.{REVISION}, 0) + 1 AS {REVISION} "
            f"FROM {fresh} c LEFT JOIN latest l ON {same} WHERE l.{REVISION} IS NULL OR {differs} "
            f"UNION ALL BY NAME SELECT {emptied}, greatest(l.{KNOWN_AT}, $now) AS {KNOWN_AT}, "
            f"l.{REVISION} + 1 AS {REVISION} "
            f"FROM latest l ANTI JOIN {fresh} c ON {same} WHERE {held}",
            {"now": now},
        )
        con.execute(f"INSERT INTO {revised} BY NAME FROM {computed} WHERE NOT ({here})", days)
        everything = f"FROM {stored} UNION ALL BY NAME FROM {revised}"
        return _replace(con, dataset, con.sql(everything), dates, run_id, columns)


def _replace(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    rows: Frame,
    dates: Sequence[date] | None,
    run_id: str,
    columns: Sequence[ColumnSpec],
) -> dict[date | None, PartitionWritten]:
    return store.replace_partitions(con, dataset, rows, dates, run_id=run_id, columns=columns)
