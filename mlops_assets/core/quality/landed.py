"""What landing said about a day: refused or not, which rules its rows break, and its rows then.

Landing judges single rows and files against the contract, and is not repeated here: its word
is evidence. Rows of a refused day never reach ``raw.<source>``; they are measured as they are
in their files (``landed_rows``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlops_assets.core.landing.file_formats import Unreadable, as_frame, read_file
from mlops_assets.core.storage import contracts
from mlops_assets.core.storage.coercion import coerce

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.core.landing.landed_days import DayReport
    from mlops_assets.core.landing.landed_files import LandedFile
    from mlops_assets.vocabulary import Source

# The sentences of ``contracts.conform``; a test holds the two together.
_SCHEMA = (
    (re.compile(r"column '(?P<c>[^']+)' is missing"), "is missing"),
    (re.compile(r"column '(?P<c>[^']+)' is not declared"), "is new"),
    (re.compile(r"column '(?P<c>[^']+)' is there twice"), "is there twice"),
    (re.compile(r"column '(?P<c>[^']+)' should be (?P<to>\w+), but holds (?P<of>.+?)(;|$)"), ""),
)
_REPEATS = ("repeats an equal row", "other rows with this key have other values")
_UNREADABLE = (
    *("is no complete Parquet file", "is empty (0 bytes)", "fields, the header", "is no JSON ("),
)


@dataclass(frozen=True)
class Landed:
    """What landing said about one day of a source.

    Attributes
    ----------
    refused
        Whether the day keeps the rows it had.
    rows, quarantined
        Rows of the files, and those of them that break the contract.
    reasons
        Rule to the number of rows that break it.
    problems
        Why the day was refused, in sentences.
    """

    refused: bool = False
    rows: int = 0
    quarantined: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()

    @classmethod
    def of(cls, report: DayReport) -> Landed:
        """Return what an ingestion reported of a day."""
        kept = 0 if report.refused else report.rows
        return cls(
            refused=report.refused,
            rows=kept + report.quarantined,
            quarantined=report.quarantined,
            reasons=dict(report.reasons),
            problems=tuple(report.problems) if report.refused else (),
        )

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps({**vars(self), "reasons": dict(self.reasons)})

    @classmethod
    def from_json(cls, text: str) -> Landed:
        """Return what ``to_json`` kept."""
        told = json.loads(text)
        return cls(**{**told, "problems": tuple(told["problems"])})

    @property
    def schema_changes(self) -> list[tuple[str, str]]:
        """Columns whose presence or type has changed, each with what happened to it."""
        found = []
        for problem in self.problems:
            for pattern, said in _SCHEMA:
                for match in pattern.finditer(problem):
                    told = said or f"holds {match['of'].strip()} and no {match['to']}"
                    found.append((match["c"], told))
        # A column that is gone tells more than one that has come in its place.
        return sorted(dict(found).items(), key=lambda item: item[1] == "is new")

    @property
    def repeats(self) -> int:
        """Rows set aside because another has their key."""
        return sum(n for rule, n in self.reasons.items() if rule.endswith(_REPEATS))

    @property
    def unreadable(self) -> str:
        """Why a file could not be read to its end; empty: all could."""
        return next((p for p in self.problems if any(u in p for u in _UNREADABLE)), "")

    @property
    def worst(self) -> tuple[str | None, str]:
        """The rule that most rows break, and the column that it is about."""
        if not self.reasons:
            return None, "; ".join(self.problems)
        rule = max(self.reasons, key=lambda r: self.reasons[r])
        column = rule.partition(":")[0] if ":" in rule else None
        return column if column and column.isidentifier() else None, rule


def landed_rows(source: Source, files: Sequence[LandedFile]) -> pd.DataFrame | None:
    """Return the rows of a day's files as they landed, good or not; ``None``: none readable.

    Columns have their declared types where any value allows it; a value that does not is
    missing then.
    """
    import pandas as pd

    frames = []
    for file in files:
        try:
            content = file.path.read_bytes()
            frames.append(as_frame(read_file(source, file.path, content)))
        except (OSError, Unreadable):
            continue  # landing says so, and refuses the day
    if not frames:
        return None
    rows = pd.concat(frames, ignore_index=True)
    for spec in contracts.columns(contracts.schema_of(source)):
        if spec.name in rows.columns:
            converted, bad = coerce(rows[spec.name], spec.type)
            if bad.sum() < rows[spec.name].notna().sum():
                rows[spec.name] = converted
    return rows
