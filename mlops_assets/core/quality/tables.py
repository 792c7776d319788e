"""What is to be known of a table before its quality can be measured: its key, times, labels.

Not its contract: what a value may be is the source's pandera schema, judged when it lands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_assets.vocabulary import Source


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose quality is measured, day by day.

    Attributes
    ----------
    dataset
        ``'<schema>.<table>'``: the name it is recorded under.
    timezone
        IANA name; days and hours are local ones.
    key
        Columns that identify a row of a day; none: rows may repeat.
    event_time
        The time (UTC) a row is about.
    series
        Whether the rows are readings that follow each other, those of each station (the other
        key columns) in order of time: then one reading that repeats for hours is looked for.
        ``None``: if the event time is part of the key. Of other rows many may share a value
        for good reasons, such as the weather of an hour.
    day_column
        Column with the local day; ``None``: all rows are of the one day that is asked for.
    labels
        Columns with two values whose rate is kept for groups of the other columns, so that
        swapped values can be told from a bad day.
    leave_out
        Columns that are not looked at, such as the order of arrival.
    """

    dataset: str
    timezone: str
    key: tuple[str, ...] = ()
    event_time: str | None = None
    series: bool | None = None
    day_column: str | None = "partition_date"
    labels: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ("ingest_seq",)

    @property
    def has_readings(self) -> bool:
        """Whether the rows are readings that follow each other."""
        return self.event_time in self.key if self.series is None else self.series

    @property
    def group(self) -> tuple[str, ...]:
        """Key columns whose readings follow each other."""
        timed = self.event_time in self.key
        return tuple(k for k in self.key if k != self.event_time) if timed else ()


def of_source(source: Source, timezone: str, *, landed: bool = False) -> Table:
    """Return the table of a source: ``raw.<source>``, or its rows as they landed.

    Parameters
    ----------
    landed
        The rows are those of the files, which have no column with the day yet.
    """
    return Table(
        dataset=f"raw.{source.name}",
        timezone=timezone,
        key=tuple(source.key),
        event_time=source.event_time,
        day_column="partition_date" if source.partitioned and not landed else None,
    )
