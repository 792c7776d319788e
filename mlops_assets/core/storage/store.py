"""Writing datasets: whole partitions, or rows that are new, with a ledger of what is there.

A dataset is a table ``<schema>.<table>``; its partitions are the days in its column
``partition_date``, or the whole table where it has none (partition ``None``). The ledger
``ops.partitions`` has a row for every partition that was written, also an empty one: a
partition without a ledger row was never computed.

Nothing here begins or ends a transaction. The caller does, so that rows, ledger and whatever
belongs with them become visible together or not at all. What a table's content means
belongs to the modules that write it; fitting rows to a table belongs in ``staging``,
content digests in ``digests``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage import staging
from mlops_assets.core.storage.digests import content_digest, partition_digests
from mlops_assets.core.storage.relations import missing_tables
from mlops_assets.core.storage.sql import identifier, identifiers, table
from mlops_assets.core.storage.staging import PARTITION, Frame, SchemaChangeError
from mlops_assets.core.storage.tables import create_tables as create_fixed_tables

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.storage.contracts import ColumnSpec

__all__ = [
    "PartitionWritten",
    "SchemaChangeError",
    "append_rows",
    "content_digest",
    "create_tables",
    "initialise",
    "latest_day",
    "partitions",
    "replace_partitions",
]


@dataclass(frozen=True)
class PartitionWritten:
    """State of a partition.

    Attributes
    ----------
    rows
        Number of rows in the partition.
    digest
        Of its content, whatever the order of its rows.
    changed
        Whether the call that returns this changed the content.
    new_rows
        Rows that the call inserted.
    """

    rows: int
    digest: str
    changed: bool = False
    new_rows: int = 0


def initialise(con: duckdb.DuckDBPyConnection) -> None:
    """Make whatever schemas and fixed tables are missing; calling it again changes nothing."""
    create_fixed_tables(con)


def create_tables(
    con: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[ColumnSpec]]
) -> None:
    """Make empty tables with these columns, unless they are there; the ledger stays as it is."""
    for dataset in missing_tables(con, tables):
        columns = tables[dataset]
        staging.create(con, dataset, {spec.name: spec.type for spec in columns}, columns)


def replace_partitions(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    rows: Frame,
    dates: Sequence[date] | None,
    *,
    run_id: str,
    columns: Sequence[ColumnSpec] | None = None,
    digest_exclude: Sequence[str] = (),
    now: datetime | None = None,
) -> dict[date | None, PartitionWritten]:
    """Make ``rows`` the whole content of the partitions ``dates`` of ``dataset``.

    The table is made if it is missing. Columns are matched by name. A new column is added
    to the table, empty in the rows that are there. Call it within a transaction.

    Parameters
    ----------
    dataset
        ``<schema>.<table>``.
    rows
        With a column ``partition_date`` unless ``dates`` is ``None``. It may read the table
        that is replaced.
    dates
        The partitions to replace; those without rows become empty. ``None``: the table has
        no partitions and is replaced as a whole.
    columns
        Declared columns: their types win over those of ``rows``, their descriptions are
        kept with the table. Columns of ``rows`` that are not declared keep their own types.
    digest_exclude
        Columns that do not count as content, such as a run id.
    now
        When it is written (UTC); by default the clock's time.

    Returns
    -------
    dict
        For each of ``dates`` what it holds now. Where the digest is what it was, the ledger
        row stays as it is.

    Raises
    ------
    SchemaChangeError
        If a column has disappeared or changed its type, or a value does not fit.
    ValueError
        If there are rows of other days than ``dates``.
    """
    with staging.staged(con, dataset, rows, dates, columns) as given:
        written = partition_digests(
            con, given.name, dates, digest_exclude, given.types, other_days=True
        )
        staging.check_days(dataset, written, dates)
        added = staging.create_or_extend(con, dataset, given, columns)
        target = table(dataset)
        if dates is None:
            con.execute(f"DELETE FROM {target}")
        elif dates:
            # The bounds let DuckDB skip row groups of other days.
            con.execute(
                f"DELETE FROM {target} WHERE {PARTITION} BETWEEN $low AND $high "
                f"AND {PARTITION} IN (SELECT unnest($dates::DATE[]))",
                {"low": min(dates), "high": max(dates), "dates": list(dates)},
            )
        con.execute(f"INSERT INTO {target} BY NAME SELECT * FROM {given.name}")
    result = _record(con, dataset, written, run_id, now, new_rows=None)
    if added:
        _refresh(con, dataset, [d for d in partitions(con, dataset) if d not in result],
                 run_id, digest_exclude, now)  # fmt: skip
    return result


def append_rows(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    rows: Frame,
    *,
    key: Sequence[str],
    run_id: str,
    dates: Sequence[date] | None,
    columns: Sequence[ColumnSpec] | None = None,
    digest_exclude: Sequence[str] = (),
    now: datetime | None = None,
) -> dict[date | None, PartitionWritten]:
    """Insert the rows whose ``key`` the table does not have; leave all others untouched.

    Parameters, errors and the result are those of ``replace_partitions``; ``rows`` and
    ``digest`` of the result are those of the whole partition.

    Raises
    ------
    ValueError
        Also if two of ``rows`` share a key, or a key is NULL.
    """
    names = identifiers(key)
    with staging.staged(con, dataset, rows, dates, columns) as given:
        if dates is not None:
            days = con.execute(f"SELECT DISTINCT {PARTITION} FROM {given.name}").fetchall()
            staging.check_days(dataset, (day for (day,) in days), dates)
        added = staging.create_or_extend(con, dataset, given, columns)
        null = " OR ".join(f"{identifier(name)} IS NULL" for name in key)
        [(total, distinct, without)] = con.execute(
            f"SELECT count(*), count(DISTINCT ({names})), count(*) FILTER ({null}) "
            f"FROM {given.name}"
        ).fetchall()
        if without or distinct != total:
            raise ValueError(
                f"{dataset}: of {total} rows to append, {without} have no key and "
                f"{total - distinct} share one; {', '.join(key)} must identify a row"
            )
        same = " AND ".join(f"t.{identifier(name)} = s.{identifier(name)}" for name in key)
        fresh = (
            f"SELECT s.* FROM {given.name} s WHERE NOT EXISTS "
            f"(SELECT 1 FROM {table(dataset)} t WHERE {same})"
        )
        day = "NULL::DATE" if dates is None else PARTITION
        inserted = dict(
            con.execute(f"SELECT {day}, count(*) FROM ({fresh}) GROUP BY ALL").fetchall()
        )
        if inserted:
            con.execute(f"INSERT INTO {table(dataset)} BY NAME {fresh}")
    written = partition_digests(con, table(dataset), dates, digest_exclude)
    result = _record(con, dataset, written, run_id, now, new_rows=inserted)
    if added:
        _refresh(con, dataset, [d for d in partitions(con, dataset) if d not in result],
                 run_id, digest_exclude, now)  # fmt: skip
    return result


def partitions(
    con: duckdb.DuckDBPyConnection, dataset: str, among: Iterable[date | None] | None = None
) -> dict[date | None, PartitionWritten]:
    """Return what the ledger says of each partition of ``dataset``, in order of days.

    ``among``: only of partitions from the first to the last of these.
    """
    bounds = sorted(day for day in among or () if day is not None)
    where, values = "", {}
    if bounds:
        where = "AND partition_date BETWEEN $first AND $last "
        values = {"first": bounds[0], "last": bounds[-1]}
    rows = con.execute(
        f"SELECT partition_date, rows, digest FROM ops.partitions WHERE dataset = $dataset {where}"
        "ORDER BY partition_date",
        {"dataset": dataset, **values},
    ).fetchall()
    return {day: PartitionWritten(n, digest) for day, n, digest in rows}


def latest_day(con: duckdb.DuckDBPyConnection, dataset: str) -> date | None:
    """Return the last day of ``dataset`` with rows; ``None`` if there is none."""
    [(day,)] = con.execute(
        "SELECT max(partition_date) FROM ops.partitions WHERE dataset = ? AND rows > 0",
        [dataset],
    ).fetchall()
    return day


def _record(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    written: dict[date | None, tuple[int, str]],
    run_id: str,
    now: datetime | None,
    new_rows: dict[Any, int] | None,
) -> dict[date | None, PartitionWritten]:
    """Bring the ledger up to date; rows whose digest has not changed stay as they are."""
    before = partitions(con, dataset, written)
    changed = {
        day: state
        for day, state in written.items()
        if day not in before or (before[day].rows, before[day].digest) != state
    }
    if changed:
        days = list(changed)
        con.execute(
            "DELETE FROM ops.partitions WHERE dataset = $dataset AND (partition_date IS NULL "
            "AND $whole OR partition_date IN (SELECT unnest($days::DATE[])))",
            {"dataset": dataset, "whole": None in changed, "days": days},
        )
        con.execute(
            "INSERT INTO ops.partitions (dataset, partition_date, rows, digest, run_id, "
            "written_at) SELECT $dataset, unnest($days::DATE[]), unnest($rows::BIGINT[]), "
            "unnest($digests::VARCHAR[]), $run_id, $now::TIMESTAMP",
            {
                "dataset": dataset,
                "days": days,
                "rows": [n for n, _ in changed.values()],
                "digests": [digest for _, digest in changed.values()],
                "run_id": run_id,
                "now": now or datetime.now(UTC).replace(tzinfo=None),
            },
        )
    return {
        day: PartitionWritten(
            n,
            digest,
            changed=day in changed,
            new_rows=n if new_rows is None else new_rows.get(day, 0),
        )
        for day, (n, digest) in written.items()
    }


def _refresh(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    days: list[date | None],
    run_id: str,
    digest_exclude: Sequence[str],
    now: datetime | None,
) -> None:
    """Digest partitions again that have gained a column without being written."""
    dates = [day for day in days if day is not None]
    if dates:
        written = partition_digests(con, table(dataset), dates, digest_exclude)
        _record(con, dataset, written, run_id, now, new_rows={})
