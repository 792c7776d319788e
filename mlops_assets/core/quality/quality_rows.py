"""Rows of ``monitoring.quality`` and ``monitoring.incidents``: what is kept, and read again.

``monitoring.quality`` has a row for each column of a measured day and one, without a column, for
its rows as a whole, which holds the day's profile: from it all can be judged anew. Nothing is
measured or judged here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from mlops_assets.core.quality.assessing import AssessedDay, MeasuredDay
from mlops_assets.core.quality.incidents import Incident
from mlops_assets.core.quality.landed import Landed
from mlops_assets.core.quality.profiles import ColumnProfile, DayProfile
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.records import identifier

if TYPE_CHECKING:
    import duckdb

QUALITY, INCIDENTS = "monitoring.quality", "monitoring.incidents"


@dataclass(frozen=True)
class QualityRow:
    """A row of ``monitoring.quality``. Shares are of the day's rows, or of a column's values."""

    dataset: str
    partition_date: date
    revision: int
    measured_on: date | None
    column_name: str | None
    kind: str | None
    status: str
    unusual: str | None
    cause: str | None
    rows: int
    usual_rows: float | None
    missing: float | None
    not_finite: float | None
    distinct_values: int | None
    minimum: float | None
    median: float | None
    maximum: float | None
    top_share: float | None
    longest_run: int | None
    unseen: float | None
    outside: float | None
    future: float | None
    hours_off: float | None
    key_repeats: int | None
    content_repeats: int | None
    age_hours: float | None
    refused: bool | None
    profile: str | None
    landed: str | None


@dataclass(frozen=True)
class IncidentRow:
    """A row of ``monitoring.incidents``; ``still_bad`` is a JSON list of days."""

    incident_id: str
    dataset: str
    cause: str
    column_name: str | None
    opened: date
    last_day: date
    days: int
    state: str
    closed_on: date | None
    recovery: str
    still_bad: str
    size: str
    factor: float | None
    evidence: str
    advice: str


def quality_rows(dataset: str, assessed: Iterable[AssessedDay]) -> list[QualityRow]:
    """Return the rows of assessed days: each day's own first, then its columns'."""
    return [row for told in assessed for row in _rows(dataset, told)]


def _rows(dataset: str, told: AssessedDay) -> Iterable[QualityRow]:
    measured, day = told.measured, told.measured.profile
    for column in (None, *day.columns):
        part = day.columns[column] if column is not None else None
        causes = [str(d.cause) for d in told.diagnoses if d.column == column]
        # Times that are off are the rows' as much as the column's.
        unusual = [str(f.measure) for f in told.judgement.findings if f.column == column]
        status = told.judgement.statuses.get(column)
        relative = told.judgement.measures.get(column, {})
        whole = column is None
        yield QualityRow(
            dataset=dataset,
            partition_date=measured.day,
            revision=measured.revision,
            measured_on=measured.measured_on,
            column_name=column,
            kind=None if part is None else part.kind,
            status=str(status) if status is not None else "not_judged",
            unusual=", ".join(unusual) or None,
            cause=", ".join(causes) or None,
            rows=day.rows,
            **_figures(day, part),
            usual_rows=_finite(relative.get("usual_rows")),
            unseen=relative.get("unseen", relative.get("novel")),
            outside=relative.get("outside"),
            future=relative.get("future"),
            hours_off=relative.get("hours"),
            key_repeats=day.key_repeats if whole else None,
            content_repeats=day.content_repeats if whole else None,
            age_hours=_finite(relative.get("age_hours")),
            refused=measured.landed.refused if whole else None,
            profile=day.to_json() if whole else None,
            landed=measured.landed.to_json() if whole else None,
        )


def _figures(day: DayProfile, part: ColumnProfile | None) -> dict[str, Any]:
    names = ("missing", "not_finite", "distinct_values", "minimum", "median", "maximum")
    if part is None or not day.rows:
        return dict.fromkeys((*names, "top_share", "longest_run"))
    known = day.rows - part.missing - part.not_finite
    return {
        "missing": part.missing / day.rows,
        "not_finite": part.not_finite / day.rows,
        "distinct_values": part.distinct,
        "minimum": part.minimum,
        "median": part.quantiles[len(part.quantiles) // 2] if part.quantiles else None,
        "maximum": part.maximum,
        "top_share": part.top_rows / known if known and part.values else None,
        "longest_run": part.runs[0].length if part.runs else None,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def incident_rows(found: Iterable[Incident]) -> list[IncidentRow]:
    """Return the rows of incidents; an incident keeps its id as it goes on and ends."""
    return [
        IncidentRow(
            incident_id=identifier(i.dataset, str(i.cause), i.column, str(i.opened)),
            dataset=i.dataset,
            cause=str(i.cause),
            column_name=i.column,
            opened=i.opened,
            last_day=i.last_day,
            days=i.days,
            state=str(i.state),
            closed_on=i.closed_on,
            recovery=i.recovery,
            still_bad=json.dumps([str(day) for day in i.still_bad]),
            size=i.size,
            factor=i.factor,
            evidence=i.evidence,
            advice=i.advice,
        )
        for i in found
    ]


def revised(stored: Iterable[MeasuredDay], measured: Iterable[MeasuredDay]) -> list[MeasuredDay]:
    """Number newly measured days: a day that is what it was is left out."""
    last: dict[date, MeasuredDay] = {}
    for told in sorted(stored, key=lambda t: t.revision):
        last[told.day] = told
    found = []
    for told in measured:
        before = last.get(told.day)
        if before is None:
            found.append(replace(told, revision=0))
        elif (before.profile, before.landed) != (told.profile, told.landed):
            found.append(replace(told, revision=before.revision + 1))
    return found


def read_days(
    con: duckdb.DuckDBPyConnection, dataset: str, first: date, last: date
) -> list[MeasuredDay]:
    """Return the measured days from ``first`` to ``last``, both inclusive, with all revisions."""
    found = con.execute(
        f"SELECT partition_date, profile, revision, measured_on, landed FROM {sql.table(QUALITY)} "
        "WHERE dataset = $dataset AND column_name IS NULL "
        "AND partition_date BETWEEN $first AND $last ORDER BY partition_date, revision",
        {"dataset": dataset, "first": first, "last": last},
    ).fetchall()
    return [
        MeasuredDay(day, DayProfile.from_json(profile), revision, on, Landed.from_json(landed))
        for day, profile, revision, on, landed in found
    ]


def write(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    assessed: Sequence[AssessedDay],
    found: Sequence[Incident],
) -> None:
    """Keep assessed days, and the incidents of a table in place of those it had.

    In the caller's transaction.
    """
    days = [(told.measured.day, told.measured.revision) for told in assessed]
    con.execute(
        f"DELETE FROM {sql.table(QUALITY)} WHERE dataset = $dataset AND (partition_date, revision) "
        "IN (SELECT unnest($days::DATE[]), unnest($revisions::INTEGER[]))",
        {"dataset": dataset, "days": [d for d, _ in days], "revisions": [r for _, r in days]},
    )
    _insert(con, QUALITY, QualityRow, quality_rows(dataset, assessed))
    con.execute(f"DELETE FROM {sql.table(INCIDENTS)} WHERE dataset = ?", [dataset])
    _insert(con, INCIDENTS, IncidentRow, incident_rows(found))


def _insert(con: duckdb.DuckDBPyConnection, table: str, kind: type, rows: Sequence[Any]) -> None:
    import pyarrow as pa

    if not rows:
        return
    names = [f.name for f in fields(kind)]
    columns = pa.table({name: [getattr(row, name) for row in rows] for name in names})
    con.register("quality_written", columns)
    try:
        con.execute(
            f"INSERT INTO {sql.table(table)} BY NAME SELECT {sql.identifiers(names)} "
            "FROM quality_written"
        )
    finally:
        con.unregister("quality_written")
