"""One landed day on its way into the warehouse: its files, its rows, its report.

Finding files belongs in ``landed_files``, judging rows in ``landing``, writing them in
``landing_tables``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.core import contracts
from mlops_assets.core.file_formats import Unreadable, read_file
from mlops_assets.core.landed_files import LandedFile
from mlops_assets.core.row_checks import ContractError, RowProblems

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

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
class LandedDay:
    """A day on its way: what was read, and what is wrong with it."""

    day: date | None
    report: DayReport
    #: Its rows with the declared columns and types; ``None``: no file, or refused.
    frame: pd.DataFrame | None = None
    #: The rows as read, for the record of those that are set aside.
    given: list[pd.DataFrame] = field(default_factory=list)
    rows: RowProblems = field(default_factory=RowProblems)
    #: (path relative to the landing folder, sha256, bytes, rows) of each file, by name
    files: list[tuple[str, str, int, int]] = field(default_factory=list)

    def refuse(self, problem: str) -> None:
        """Keep the day as it is in the warehouse, for the reason given."""
        self.report.refused = True
        self.report.problems.append(problem)

    def place(self, position: int) -> tuple[str, int]:
        """Return the file of a row and the row's number in it, from 1."""
        for path, _, _, n in self.files:
            if position < n:
                return path, position + 1
            position -= n
        raise IndexError(position)


def read_day(
    source: Source,
    schema: pa.DataFrameSchema,
    day: date | None,
    files: Sequence[LandedFile],
    landing: Path,
) -> LandedDay:
    """Read a day's files; the frame stays ``None`` if there is none or it was refused."""

    result = LandedDay(day, DayReport(files=len(files)))
    if not files:
        result.report.problems.append("no file landed")
        return result
    frames: list[pd.DataFrame] = []
    seen: dict[str, str] = {}
    offset = 0
    for file in files:
        path = file.path.relative_to(landing).as_posix()
        try:
            content = file.path.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            if sha256 in seen:
                result.report.notes.append(f"{path} equals {seen[sha256]} and was left out")
                result.files.append((path, sha256, len(content), 0))
                continue
            seen[sha256] = path
            if len(content) != file.size:
                raise Unreadable(
                    f"had {file.size} bytes when it was found and {len(content)} when it was "
                    "read: it is still being written; write files elsewhere and rename them here"
                )
            given = read_file(source, file.path, content)
            frame, problems = contracts.conform(schema, given)
            if frame.empty:
                raise Unreadable("has no rows")
        except (OSError, Unreadable, ContractError) as error:
            result.refuse(f"{path}: {error}")
            continue
        for position, reasons in problems.found.items():
            result.rows.found[offset + position] = reasons
        offset += len(frame)
        frames.append(frame)
        result.given.append(given)
        result.files.append((path, sha256, len(content), len(frame)))
    if not result.report.refused:
        result.frame = concatenate(frames)
    return result


def concatenate(frames: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
