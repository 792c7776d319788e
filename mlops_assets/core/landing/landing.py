"""Landed files: which there are, and how their rows get into ``raw.<source>``.

Files land in ``<landing>/<source>/date=YYYY-MM-DD/``, a static source's directly in
``<landing>/<source>/``. All files of a day together are the day: each ingestion replaces
it. Bad data never raises: a day that cannot be used keeps the rows it had, and its report
says why. Finding and reading files belong in ``landed_files``, ``landed_days`` and
``file_formats``, what a good row is in ``contracts``, writing in ``landing_tables``; when to
ingest belongs to Dagster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.core.landing import landing_tables
from mlops_assets.core.landing.landed_days import DayReport, LandedDay, read_days
from mlops_assets.core.landing.landed_files import LandedFile, Scan, scan
from mlops_assets.core.storage import contracts
from mlops_assets.core.storage.days import constant_offset
from mlops_assets.core.storage.row_checks import ContractError, RowProblems, check_rows
from mlops_assets.vocabulary import DeclarationError

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd
    import pandera.pandas as pa

    from mlops_assets.vocabulary import Source

__all__ = ["DayReport", "IngestReport", "LandedFile", "Scan", "ingest", "scan"]


@dataclass(frozen=True)
class IngestReport:
    """What became of each day that was asked for."""

    days: dict[date | None, DayReport]


def ingest(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    timezone: str,
    files: Sequence[LandedFile],
    dates: Sequence[date] | None,
    landing: Path,
    run_id: str,
    now: datetime | None = None,
) -> IngestReport:
    """Read landed files and make their rows the days ``dates`` of ``raw.<source>``.

    Rows that break the contract, belong to another local day or are duplicates within
    their day go to ``quarantine.<source>``, with file, number, reason and content. Besides
    the declared columns ``raw.<source>`` has ``partition_date`` (if partitioned) and
    ``ingest_seq``: the day's ordinal times 10^9 plus the row's number over the day's files
    in order of their names, the same at each ingestion. ``ops.landed_files`` lists the files
    whose rows the days hold. Call it within a transaction.

    A day is refused, and keeps what it had, if a file of it is unreadable, has no rows or
    breaks the contract as a whole, or if more than the tolerated share of its rows do. A
    day without files keeps what it had, or is recorded with no rows.

    Parameters
    ----------
    files
        Of ``scan``; those of other days than ``dates`` are left alone.
    dates
        Local days; ``None`` for a static source.
    landing
        The folder that was scanned.
    now
        When it is ingested (UTC); by default the clock's time.

    Raises
    ------
    DeclarationError
        If the schema or the key of the source is unusable.
    SchemaChangeError
        If ``raw.<source>`` was made under another contract and cannot hold these rows.
    """
    if (dates is None) == source.partitioned:
        raise ValueError(
            f"source {source.name!r}: give dates for a partitioned source and only for one"
        )
    now = now or datetime.now(UTC).replace(tzinfo=None)
    schema = contracts.schema_of(source)
    specs = contracts.columns(schema)
    _check_times(source, specs)
    by_day: dict[date | None, list[LandedFile]] = {d: [] for d in dates or ()} or {None: []}
    if dates is not None and not dates:
        return IngestReport({})
    for file in sorted(files, key=lambda f: f.path.name):
        if file.day in by_day:
            by_day[file.day].append(file)
    days, frame = read_days(source, schema, by_day, landing)
    if frame is not None:
        _judge(source, schema, timezone, frame, [day for day in days if day.length])
    landing_tables.write(con, source, specs, days, frame, timezone, run_id, now)
    return IngestReport({day.day: day.report for day in days})


def _check_times(source: Source, specs: Sequence[contracts.ColumnSpec]) -> None:
    types = {spec.name: spec.type for spec in specs}
    for role, name in (("event_time", source.event_time), ("known_at", source.known_at)):
        if name is not None and types.get(name) != "TIMESTAMP":
            raise DeclarationError(
                f"Source {source.name!r}: {role}: {name!r} must be a column of the schema with "
                f"type 'datetime64[us]', not {types.get(name, 'missing')}"
            )


def _judge(
    source: Source,
    schema: pa.DataFrameSchema,
    timezone: str,
    frame: pd.DataFrame,
    days: list[LandedDay],
) -> None:
    """Find the rows of each day that break the contract, and refuse days with too many.

    ``frame`` has the rows of ``days``, one day after the other: all days are checked at once,
    since a check costs the same for a thousand rows and for ten.
    """
    import numpy as np
    import pandas as pd

    lengths = [day.length for day in days]
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    problems = RowProblems()
    for day, start in zip(days, starts, strict=True):
        for position, reasons in day.rows.found.items():
            problems.found[start + position] = list(reasons)
    if source.partitioned:
        landed = np.repeat(np.array([day.day for day in days], dtype="datetime64[D]"), lengths)
        _other_days(source, timezone, frame, landed, days, problems)
    known = {position: list(reasons) for position, reasons in problems.found.items()}
    groups = pd.Series(np.repeat(np.arange(len(days)), lengths))
    try:
        entangled = check_rows(schema, frame, source.key, problems, groups)
    except ContractError:
        entangled = True
    if entangled:
        # Something judges rows together; a day must not be judged by other days' rows.
        problems = RowProblems()
        for day, start, length in zip(days, starts, lengths, strict=True):
            own = RowProblems(
                {p - start: r for p, r in known.items() if start <= p < start + length}
            )
            rows = frame.iloc[start : start + length].reset_index(drop=True)
            try:
                check_rows(schema, rows, source.key, own)
            except ContractError as error:
                for problem in error.problems:
                    day.refuse(problem)
            problems.found.update({start + p: r for p, r in own.found.items()})
    for day, start, length in zip(days, starts, lengths, strict=True):
        day.rows = RowProblems(
            {p - start: r for p, r in problems.found.items() if start <= p < start + length}
        )
        _tally(source, day, length)


def _other_days(
    source: Source,
    timezone: str,
    frame: pd.DataFrame,
    landed: np.ndarray,
    days: list[LandedDay],
    problems: RowProblems,
) -> None:
    """Reject the rows whose event is not of the local day they landed for."""
    import numpy as np
    import pandas as pd

    name = source.event_time
    assert name is not None
    offset = constant_offset((day.day for day in days if day.day is not None), timezone)
    local = (
        frame[name].dt.tz_localize("UTC").dt.tz_convert(timezone).dt.tz_localize(None)
        if offset is None
        else frame[name] + offset
    ).to_numpy()
    missing = np.isnat(local)
    for position in np.flatnonzero(missing):
        if position not in problems.found:
            problems.add([position], f"{name}: is missing", [f"{name}: is missing"])
    other = np.flatnonzero(~missing & (local.astype("datetime64[D]") != landed))
    problems.add(
        other,
        f"{name}: is not of the day it landed for",
        (
            f"{name}: {pd.Timestamp(local[position])} in {timezone} is not of the day "
            f"{landed[position]} it landed for"
            for position in other
        ),
    )


def _tally(source: Source, day: LandedDay, length: int) -> None:
    report = day.report
    report.quarantined = len(day.rows.found)
    report.reasons = dict(
        Counter(rule for reasons in day.rows.found.values() for rule, _ in reasons)
    )
    share = report.quarantined / length
    if share > source.quarantine_tolerance:
        day.refuse(
            f"{report.quarantined} of {length} rows ({share:.1%}) break the contract, more than "
            f"the {source.quarantine_tolerance:.1%} that are tolerated: "
            + "; ".join(f"{rule} ({n})" for rule, n in report.reasons.items())
        )
