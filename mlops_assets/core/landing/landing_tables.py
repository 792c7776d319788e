"""Writing landed days: good rows, rows set aside, and the list of files they came from.

What is good, and which day is refused, was decided in ``landing``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.landing import history
from mlops_assets.core.landing.file_formats import as_frame
from mlops_assets.core.landing.landed_days import LandedDay
from mlops_assets.core.storage import store
from mlops_assets.core.storage.contracts import ColumnSpec
from mlops_assets.core.storage.sql import table

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from mlops_assets.vocabulary import Source

#: Rows that a day may have before its numbers run into the next day's.
_DAY_ROWS = 10**9

_DAY = ColumnSpec("partition_date", "DATE", False, "Local day of the event")
_SEQUENCE = ColumnSpec("ingest_seq", "BIGINT", False, "Order in which rows have landed")
_QUARANTINE = (
    ColumnSpec("file", "VARCHAR", False, "File, relative to the landing folder"),
    ColumnSpec("row_number", "BIGINT", False, "Row in the file, from 1"),
    ColumnSpec("reason", "VARCHAR", False, "What the row breaks, with the values"),
    ColumnSpec("record", "JSON", False, "The row as it was read"),
)


def write(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    specs: list[ColumnSpec],
    days: list[LandedDay],
    frame: pd.DataFrame | None,
    timezone: str,
    run_id: str,
    now: datetime,
) -> None:
    """Write the good rows of the days that were not refused, and what was set aside.

    ``frame`` has the rows of the days that could be read, one day after the other.
    """
    dataset, aside = f"raw.{source.name}", f"quarantine.{source.name}"
    columns = [*specs, *([_DAY] if source.partitioned else []), _SEQUENCE]
    kept = [*_QUARANTINE, *([_DAY] if source.partitioned else [])]
    # Also when all is refused or nothing is set aside, so that what reads the tables finds
    # them, without rows.
    store.create_tables(con, {dataset: columns, aside: kept})
    before = store.partitions(con, dataset, [day.day for day in days])
    taken = [day for day in days if not day.report.refused and day.length]
    # A day without files and without history is recorded as empty; one with history stays.
    absent = [d for d in days if not d.report.refused and not d.length and d.day not in before]
    written: dict[date | None, store.PartitionWritten] = {}
    if taken or absent:
        dates = [d.day for d in (*taken, *absent) if d.day is not None]
        again = [day.day for day in taken if day.day in before]
        with history.kept(con, source, timezone, again):
            written = store.replace_partitions(
                con,
                dataset,
                con.sql(f"FROM {table(dataset)} LIMIT 0")
                if frame is None or not taken
                else _good_rows(source, frame, days),
                dates if source.partitioned else None,
                run_id=run_id,
                columns=columns,
                now=now,
            )
    for day in days:
        state = written.get(day.day) or before.get(day.day)
        if state is None:
            continue
        report = day.report
        report.rows, report.digest, report.new = state.rows, state.digest, state.changed
        if day.day not in written:
            report.notes.append(f"keeps the {state.rows} rows it had")
    _set_aside(con, aside, kept, days, run_id, now)
    _list_files(con, source, taken, run_id, now)


def _good_rows(source: Source, frame: pd.DataFrame, days: list[LandedDay]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    read = [day for day in days if day.length]
    lengths = [day.length for day in read]
    ordinals = [0 if day.day is None else day.day.toordinal() for day in read]
    starts = np.cumsum([0, *lengths[:-1]])
    numbers = np.arange(len(frame)) - np.repeat(starts, lengths)
    added = {_SEQUENCE.name: numbers + np.repeat(np.array(ordinals) * _DAY_ROWS, lengths)}
    if source.partitioned:
        added[_DAY.name] = np.repeat(np.array([d.day for d in read], "datetime64[D]"), lengths)
    good = np.ones(len(frame), dtype=bool)
    for day, start in zip(read, starts, strict=True):
        good[start + np.fromiter(day.rows.found, dtype="int64")] = False
        if day.report.refused:
            good[start : start + day.length] = False
    # In Arrow, because DuckDB takes five times as long to look through a frame with text.
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    for name, values in added.items():
        rows = rows.append_column(name, pa.array(values))
    return rows if good.all() else rows.filter(pa.array(good))


def _set_aside(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    columns: list[ColumnSpec],
    days: list[LandedDay],
    run_id: str,
    now: datetime,
) -> None:
    """Make the rejected rows of the days that were read the content of their quarantine."""
    import pandas as pd

    partitioned = _DAY in columns
    before = store.partitions(con, dataset, [day.day for day in days])
    filled = {day for day, state in before.items() if state.rows}
    changed = [d for d in days if d.length and (d.rows or d.day in filled)]
    if not changed:
        return
    records: list[dict[str, Any]] = []
    for day in changed:
        given: dict[str, pd.DataFrame] = {}
        for position in sorted(day.rows.found):
            file, number = day.place(position)
            if file.path not in given:
                given[file.path] = as_frame(file.given)
            record = {
                "file": file.path,
                "row_number": number + 1,
                "reason": "; ".join(reason for _, reason in day.rows.found[position]),
                "record": _as_json(given[file.path].iloc[number]),
            }
            if partitioned:
                record["partition_date"] = day.day
            records.append(record)
    dates = [d.day for d in changed if d.day is not None]
    store.replace_partitions(
        con,
        dataset,
        pd.DataFrame(records, columns=[spec.name for spec in columns], dtype=object),
        dates if partitioned else None,
        run_id=run_id,
        columns=columns,
        now=now,
    )


def _as_json(row: pd.Series) -> str:
    import numpy as np
    import pandas as pd

    def plain(value: Any) -> Any:
        if pd.api.types.is_scalar(value) and pd.isna(value):
            return None
        value = value.item() if isinstance(value, np.generic) else value
        # JSON has no infinity.
        return str(value) if isinstance(value, float) and math.isinf(value) else value

    values = {str(name): plain(value) for name, value in row.items()}
    return json.dumps(values, default=str, ensure_ascii=False)


def _list_files(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    days: list[LandedDay],
    run_id: str,
    now: datetime,
) -> None:
    """Bring ``ops.landed_files`` up to date; days whose files are the same stay as they are."""
    before: dict[date | None, list[tuple[Any, ...]]] = {}
    for day, *state in con.execute(
        "SELECT partition_date, path, sha256, size_bytes, rows, quarantined "
        "FROM ops.landed_files WHERE source = ?",
        [source.name],
    ).fetchall():
        before.setdefault(day, []).append(tuple(state))
    after: dict[date | None, list[tuple[Any, ...]]] = {}
    for day in days:
        rejected = Counter(day.place(position)[0].path for position in day.rows.found)
        after[day.day] = [
            (f.path, f.sha256, f.size, f.rows - rejected[f.path], rejected[f.path])
            for f in day.files
        ]
    changed = [d for d, files in after.items() if sorted(files) != sorted(before.get(d, []))]
    if not changed:
        return
    con.execute(
        "DELETE FROM ops.landed_files WHERE source = $source AND (partition_date IS NULL OR "
        "partition_date IN (SELECT unnest($days::DATE[])))",
        {"source": source.name, "days": changed},
    )
    rows = [(day, *file) for day in changed for file in after[day]]
    days_, paths, hashes, sizes, good, bad = (list(column) for column in zip(*rows, strict=True))
    con.execute(
        "INSERT INTO ops.landed_files (source, partition_date, path, sha256, size_bytes, rows, "
        "quarantined, run_id, ingested_at) SELECT $source, unnest($days::DATE[]), "
        "unnest($paths::VARCHAR[]), unnest($hashes::VARCHAR[]), unnest($sizes::BIGINT[]), "
        "unnest($good::BIGINT[]), unnest($bad::BIGINT[]), $run_id, $now::TIMESTAMP",
        {
            "source": source.name,
            "days": days_,
            "paths": paths,
            "hashes": hashes,
            "sizes": sizes,
            "good": good,
            "bad": bad,
            "run_id": run_id,
            "now": now,
        },
    )
