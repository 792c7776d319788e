"""Which files have landed for a source, and which entries are passed over, with the reason.

Only names and sizes are looked at; reading belongs in ``landed_days``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.core.landing.file_formats import EXTENSIONS

if TYPE_CHECKING:
    from mlops_assets.vocabulary import Source

_DAY = re.compile(r"date=(\d{4}-\d{2}-\d{2})")
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".inprogress", ".swp", "~")


@dataclass(frozen=True)
class LandedFile:
    """A file that has landed: for which source and day, and its size in bytes when found."""

    path: Path
    source: str
    day: date | None
    size: int


@dataclass(frozen=True)
class Scan:
    """What is in a source's landing folder.

    Attributes
    ----------
    files
        By day and name.
    ignored
        Other entries with the reason why they are not used.
    """

    files: list[LandedFile] = field(default_factory=list)
    ignored: list[tuple[Path, str]] = field(default_factory=list)


def scan(
    landing: Path,
    source: Source,
    start: date | None = None,
    end: date | None = None,
) -> Scan:
    """Look for landed files of ``source``. A folder that is missing holds no files.

    A file counts once it has its final name: write it elsewhere, or under a name that
    begins with a dot or underscore or ends in ``.tmp``, and rename it.

    Parameters
    ----------
    landing
        The use case's landing folder, which holds a folder for each source.
    start, end
        First day of the use case, and the day after its last; files of other days are
        ignored. ``None``: no bound.

    Raises
    ------
    NotADirectoryError
        If the landing folder or the source's folder is a file.
    """
    result = Scan()
    root = landing.resolve()
    folder = landing / source.name
    for path in (landing, folder):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(
                f"{path} is a file where files should land; move it away and make it a folder"
            )
    if not folder.is_dir():
        return result
    if not folder.resolve().is_relative_to(root):
        result.ignored.append((folder, "is a link that leads out of the landing folder"))
        return result
    for entry in _entries(folder):
        reason = _unusable_name(entry, root)
        if reason is not None:
            result.ignored.append((Path(entry.path), reason))
        elif not source.partitioned:
            _take(entry, source, None, result)
        elif not entry.is_dir():
            result.ignored.append((Path(entry.path), "is not in a folder date=YYYY-MM-DD"))
        else:
            day = _day(entry.name)
            if isinstance(day, str):
                result.ignored.append((Path(entry.path), day))
            elif (start is not None and day < start) or (end is not None and day >= end):
                reason = f"is not a day from {start} to before {end}"
                result.ignored.append((Path(entry.path), reason))
            else:
                for inner in _entries(entry.path):
                    reason = _unusable_name(inner, root)
                    if reason is not None:
                        result.ignored.append((Path(inner.path), reason))
                    else:
                        _take(inner, source, day, result)
    return result


def _entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from sorted(entries, key=lambda entry: entry.name)


def _unusable_name(entry: os.DirEntry[str], root: Path) -> str | None:
    if entry.name.startswith((".", "_")):
        return "has a name that begins with a dot or underscore: hidden or unfinished"
    if entry.name.lower().endswith(_UNFINISHED):
        return "has the name of an unfinished file; rename it when it is complete"
    if entry.is_symlink():
        target = Path(entry.path).resolve()
        if not target.exists():
            return "is a link to nothing"
        if not target.is_relative_to(root):
            return "is a link that leads out of the landing folder"
    return None


def _day(name: str) -> date | str:
    match = _DAY.fullmatch(name)
    if match is None:
        return "is not a folder date=YYYY-MM-DD"
    try:
        return date.fromisoformat(match[1])
    except ValueError:
        return f"{match[1]} is no day of the calendar"


def _take(entry: os.DirEntry[str], source: Source, day: date | None, result: Scan) -> None:
    path = Path(entry.path)
    if not entry.is_file():
        result.ignored.append((path, "is a folder or device where files should be"))
    elif source.loader is None and path.suffix.lower() not in EXTENSIONS:
        result.ignored.append((path, f"is of an unknown kind; there is {', '.join(EXTENSIONS)}"))
    else:
        result.files.append(LandedFile(path, source.name, day, entry.stat().st_size))
