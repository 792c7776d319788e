"""Writing landed days: good rows, rows set aside, and the list of files they came from.

What is good, and which day is refused, was decided in ``landing``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core import contracts, history, store
from mlops_assets.core.contracts import ColumnSpec
from mlops_assets.core.landed_days import LandedDay, concatenate
from mlops_assets.core.sql import table

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

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
    timezone: str,
    run_id: str,
    now: datetime,
) -> None:
    """Write the good rows of the days that were not refused, and what was set aside."""
    dataset = f"raw.{source.name}"
    columns = [*specs, *([_DAY] if source.partitioned else []), _SEQUENCE]
    # Also when all is refused, so that what reads the table finds it, without rows.
    store.create_table(con, dataset, columns)
    before = store.partitions(con, dataset, [day.day for day in days])
    taken = [day for day in days if not day.report.refused and day.frame is not None]
    # A day without files and without history is recorded as empty; one with history stays.
    absent = [d for d in days if not d.report.refused and d.frame is None and d.day not in before]
    written: dict[date | None, store.PartitionWritten] = {}
    if taken or absent:
        dates = [d.day for d in (*taken, *absent) if d.day is not None]
        again = [day.day for day in taken if day.day in before]
        with history.kept(con, source, timezone, again):
            written = store.replace_partitions(
                con,
                dataset,
                _good_rows(source, taken) if taken else con.sql(f"FROM {table(dataset)} LIMIT 0"),
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
    _set_aside(con, source, days, run_id, now)
    _list_files(con, source, taken, run_id, now)


def _good_rows(source: Source, days: list[LandedDay]) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for day in days:
        assert day.frame is not None
        good = contracts.split(day.frame, day.rows).good
        ordinal = 0 if day.day is None else day.day.toordinal()
        good = good.assign(ingest_seq=ordinal * _DAY_ROWS + good.index.to_numpy(dtype="int64"))
        if source.partitioned:
            good["partition_date"] = pd.Timestamp(day.day)
        frames.append(good)
    return concatenate(frames)


def _set_aside(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    days: list[LandedDay],
    run_id: str,
    now: datetime,
) -> None:
    """Make the rejected rows of the days that were read the content of their quarantine."""
    import pandas as pd

    dataset = f"quarantine.{source.name}"
    columns = (*_QUARANTINE, _DAY) if source.partitioned else _QUARANTINE
    # Also with nothing set aside, so that the table is there to be queried.
    store.create_table(con, dataset, columns)
    before = store.partitions(con, dataset)
    filled = {day for day, state in before.items() if state.rows}
    changed = [d for d in days if d.frame is not None and (d.rows or d.day in filled)]
    if not changed:
        return
    records: list[dict[str, Any]] = []
    for day in changed:
        given = concatenate(day.given)
        for position in sorted(day.rows.found):
            file, number = day.place(position)
            record = {
                "file": file,
                "row_number": number,
                "reason": "; ".join(reason for _, reason in day.rows.found[position]),
                "record": _as_json(given.iloc[position]),
            }
            if source.partitioned:
                record["partition_date"] = day.day
            records.append(record)
    dates = [d.day for d in changed if d.day is not None]
    store.replace_partitions(
        con,
        dataset,
        pd.DataFrame(records, columns=[spec.name for spec in columns], dtype=object),
        dates if source.partitioned else None,
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
        rejected = Counter(day.place(position)[0] for position in day.rows.found)
        after[day.day] = [
            (path, sha256, size, n - rejected[path], rejected[path])
            for path, sha256, size, n in day.files
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
