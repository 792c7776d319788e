"""Landing of an archive's files, day by day, as they would have come.

The archive is a folder with one ``<source>.parquet`` for each source. A row of a source
with days lands on the local day of its event time, a static source as a whole. Files are
complete when they appear: they are written aside and renamed.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.core.storage.days import day_start
from mlops_assets.core.storage.sql import define_local_time, identifier
from mlops_assets.vocabulary import Source, UseCase

if TYPE_CHECKING:
    import duckdb

#: Name of the column that a day's folder is named by while it is written aside.
_DAY = "mlops_assets_day"


class ArchiveError(RuntimeError):
    """The archive cannot be landed. The message says what is missing and what to do."""


def check_archive(use_case: UseCase) -> Path:
    """Return the use case's archive folder.

    Raises
    ------
    ArchiveError
        If the use case has none or a source's file is not in it.
    """
    if use_case.archive is None:
        raise ArchiveError(
            f"Use case {use_case.name!r} has no archive to replay. Give UseCase an archive folder "
            "with one <source>.parquet for each source."
        )
    missing = [
        s.name for s in use_case.sources if not (use_case.archive / f"{s.name}.parquet").is_file()
    ]
    if missing:
        raise ArchiveError(
            f"The archive {use_case.archive} of use case {use_case.name!r} has no "
            f"{', '.join(f'{name}.parquet' for name in missing)}. Restore the files, for instance "
            "with git, or run the script that makes them."
        )
    return use_case.archive


def land(use_case: UseCase, landing: Path, start: date, end: date) -> int:
    """Land the archive's rows of the days from ``start`` to ``end`` (exclusive).

    Files that have landed before stay as they are, so that landing the same days again
    changes nothing.

    Returns
    -------
    int
        How many files have landed.
    """
    import duckdb

    archive = check_archive(use_case)
    # One thread writes one file for each day, with the rows in the archive's order.
    with duckdb.connect(config={"threads": 1}) as con:
        define_local_time(con, use_case.timezone)
        return sum(
            _land_days(con, use_case, source, archive, landing, start, end)
            if source.partitioned
            else _land_static(source, archive, landing)
            for source in use_case.sources
        )


def _land_static(source: Source, archive: Path, landing: Path) -> int:
    target = landing / source.name / f"{source.name}.parquet"
    if target.exists():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(landing, source)
    shutil.copyfile(archive / f"{source.name}.parquet", aside / target.name)
    (aside / target.name).rename(target)
    shutil.rmtree(aside)
    return 1


def _land_days(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    source: Source,
    archive: Path,
    landing: Path,
    start: date,
    end: date,
) -> int:
    assert source.event_time is not None  # the vocabulary sees to it
    aside = _aside(landing, source)
    time = identifier(source.event_time)
    rows = con.sql(
        f"SELECT *, CAST(local_time({time}) AS DATE) AS {_DAY} "
        f"FROM read_parquet($archive) WHERE {time} >= $start AND {time} < $end",
        params={
            "archive": str(archive / f"{source.name}.parquet"),
            "start": day_start(start, use_case.timezone),
            "end": day_start(end, use_case.timezone),
        },
    )
    rows.write_parquet(str(aside), partition_by=[_DAY], overwrite=True)
    landed = 0
    for folder in sorted(aside.iterdir()):
        day = folder.name.partition("=")[2]
        target = landing / source.name / f"date={day}" / f"{source.name}.parquet"
        if target.exists():
            continue
        (written,) = folder.iterdir()
        target.parent.mkdir(parents=True, exist_ok=True)
        written.rename(target)
        landed += 1
    shutil.rmtree(aside)
    return landed


def _aside(landing: Path, source: Source) -> Path:
    """An empty folder on the same file system, where no sensor looks."""
    folder = landing / ".replay" / source.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
