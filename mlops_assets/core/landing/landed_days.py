"""Landed days on their way into the warehouse: their files, their rows, their reports.

Finding files belongs in ``landed_files``, judging rows in ``landing``, writing them in
``landing_tables``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.landing.file_formats import Unreadable, as_frame, read_file
from mlops_assets.core.landing.landed_files import LandedFile
from mlops_assets.core.storage import contracts
from mlops_assets.core.storage.row_checks import ContractError, RowProblems

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas
    import pyarrow as pa

    from mlops_assets.vocabulary import Source


@dataclass
class DayReport:
    """What became of one day of a source, or of a static source (day ``None``).

    Attributes
    ----------
    rows, digest
        Of the day as it is now in ``raw.<source>``.
    quarantined
        Rows of the files that broke the contract.
    files
        Files that were read.
    problems
        Why the day was refused, or that no file has landed; one sentence each.
    refused
        The files cannot be used as they are; the day keeps the rows it had.
    reasons
        Broken rule to the number of rows that break it.
    notes
        What happened and is no problem, such as a file that is there twice.
    new
        Whether the day's content has changed.
    """

    rows: int = 0
    quarantined: int = 0
    digest: str = ""
    files: int = 0
    problems: list[str] = field(default_factory=list)
    refused: bool = False
    reasons: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    new: bool = False


@dataclass
class ReadFile:
    """A file that was read: its path from the landing folder, and what was in it."""

    path: str
    sha256: str = ""
    size: int = 0
    #: Its rows as read; ``None``: it could not be read, or equals another of the day.
    given: pd.DataFrame | pa.Table | None = None
    #: Why it cannot be used.
    problem: str = ""
    #: Rows of it that belong to its day.
    rows: int = 0


@dataclass
class LandedDay:
    """A day on its way: what was read, and what is wrong with it."""

    day: date | None
    report: DayReport
    #: By name.
    files: list[ReadFile] = field(default_factory=list)
    #: Problems of its rows, whose positions count from the day's first row.
    rows: RowProblems = field(default_factory=RowProblems)

    def refuse(self, problem: str) -> None:
        """Keep the day as it is in the warehouse, for the reason given."""
        self.report.refused = True
        self.report.problems.append(problem)

    @property
    def length(self) -> int:
        """Number of its rows in the frame of all days; 0: no file, or refused when read."""
        return sum(file.rows for file in self.files)

    def place(self, position: int) -> tuple[ReadFile, int]:
        """Return the file of a row and the row's position in it."""
        for file in self.files:
            if position < file.rows:
                return file, position
            position -= file.rows
        raise IndexError(position)


def read_days(
    source: Source,
    schema: pandera.pandas.DataFrameSchema,
    files: Mapping[date | None, Sequence[LandedFile]],
    landing: Path,
) -> tuple[list[LandedDay], pd.DataFrame | None]:
    """Read the files of days: the days, and the rows of all that can be used, day after day.

    The rows have the declared columns and types. There is no frame if there are no rows.
    """
    days = [
        _read_day(source, day, found, landing)
        for day, found in sorted(files.items(), key=lambda item: item[0] or date.min)
    ]
    frame = _conform_together(schema, [file for day in days for file in day.files])
    if frame is None:
        frames = [frame for day in days for frame in _conform_day(schema, day)]
        frame = concatenate(frames) if frames else None
    return days, frame


def _read_day(
    source: Source, day: date | None, files: Sequence[LandedFile], landing: Path
) -> LandedDay:
    result = LandedDay(day, DayReport(files=len(files)))
    if not files:
        result.report.problems.append("no file landed")
    seen: dict[str, str] = {}
    for file in files:
        read = ReadFile(file.path.relative_to(landing).as_posix())
        result.files.append(read)
        try:
            content = file.path.read_bytes()
            read.sha256, read.size = hashlib.sha256(content).hexdigest(), len(content)
            if read.sha256 in seen:
                result.report.notes.append(
                    f"{read.path} equals {seen[read.sha256]} and was left out"
                )
                continue
            seen[read.sha256] = read.path
            if len(content) != file.size:
                raise Unreadable(
                    f"had {file.size} bytes when it was found and {len(content)} when it was "
                    "read: it is still being written; write files elsewhere and rename them here"
                )
            read.given = read_file(source, file.path, content)
        except (OSError, Unreadable) as error:
            read.problem = str(error) or type(error).__name__
    return result


def _conform_together(
    schema: pandera.pandas.DataFrameSchema, files: Sequence[ReadFile]
) -> pd.DataFrame | None:
    """Conform the rows of all files at once, since that costs the same for one file and for ten.

    Returns ``None`` unless all files are alike and have nothing wrong with them: what is said
    of a file must not depend on others.
    """
    given = [file.given for file in files if file.given is not None]
    if not given or any(file.problem for file in files):
        return None
    rows = _together(given)
    if rows is None or not all(map(len, given)):
        return None
    try:
        frame, problems = contracts.conform(schema, as_frame(rows))
    except (Unreadable, ContractError):
        return None
    if problems:
        return None
    for file in files:
        file.rows = 0 if file.given is None else len(file.given)
    return frame


def _together(given: Sequence[Any]) -> pd.DataFrame | pa.Table | None:
    """Put the rows of files one below the other, if their columns are the same."""
    import pandas as pd
    import pyarrow as pa

    first = given[0]
    if all(isinstance(rows, pa.Table) for rows in given):
        alike = all(rows.schema.equals(first.schema) for rows in given)
        return pa.concat_tables(given) if alike else None
    if all(isinstance(rows, pd.DataFrame) for rows in given):
        alike = first.columns.is_unique and all(
            rows.columns.equals(first.columns) and rows.dtypes.equals(first.dtypes)
            for rows in given
        )
        return concatenate(given) if alike else None
    return None


def _conform_day(schema: pandera.pandas.DataFrameSchema, day: LandedDay) -> list[pd.DataFrame]:
    """Conform the day's files one by one; no frames if it is refused."""
    frames: list[pd.DataFrame] = []
    offset = 0
    for file in day.files:
        try:
            if file.problem:
                raise Unreadable(file.problem)
            if file.given is None:
                continue
            frame, problems = contracts.conform(schema, as_frame(file.given))
            if frame.empty:
                raise Unreadable("has no rows")
        except (Unreadable, ContractError) as error:
            day.refuse(f"{file.path}: {error}")
            continue
        for position, reasons in problems.found.items():
            day.rows.found[offset + position] = reasons
        offset += len(frame)
        file.rows = len(frame)
        frames.append(frame)
    if day.report.refused:
        for file in day.files:
            file.rows = 0
        day.rows = RowProblems()
        return []
    return frames


def concatenate(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put frames one below the other."""
    import pandas as pd

    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
