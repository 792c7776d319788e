"""The row that a prediction is about, as it was known at its moment, and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features.model_rows import row_key_of
from mlops_assets.core.landing.history import rows_as_of
from mlops_assets.core.storage.records import fetch

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.audit.predictions import Prediction
    from mlops_assets.vocabulary import Model, UseCase


@dataclass(frozen=True)
class LandedFile:
    """A file from which rows of a source came, as it was ingested last.

    ``path`` is relative to the landing folder; ``day`` is ``None`` for a static source.
    """

    source: str
    day: date | None
    path: str
    sha256: str
    run_id: str


@dataclass(frozen=True)
class Request:
    """The row that a prediction is about.

    Attributes
    ----------
    values
        All its columns, in the version that was known at the prediction's ``as_of``; empty if
        it is no longer there.
    known_at
        From when it was known (UTC); ``None``: its source does not say.
    files
        Of its day.
    """

    source: str
    values: Mapping[str, Any]
    known_at: datetime | None
    files: tuple[LandedFile, ...]


def request_of(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, prediction: Prediction
) -> Request:
    """Return the row that ``prediction`` is about."""
    source = use_case.source(model.rows.source)
    versions = rows_as_of(con, source, "$as_of::TIMESTAMP", None)
    values = {"day": prediction.partition_date, "key": prediction.row_key}
    if "$as_of" in versions:
        values["as_of"] = prediction.as_of
    rows = fetch(
        con,
        f"SELECT * FROM ({versions}) WHERE partition_date = $day AND {row_key_of(source)} = $key",
        values,
    )
    row = rows[0] if rows else {}
    known = row.get(source.known_at_column) if source.known_at_column else None
    files = landed_files(con, source.name, [prediction.partition_date])
    return Request(source.name, row, known, files)


def landed_files(
    con: duckdb.DuckDBPyConnection, source: str, days: Iterable[date | None]
) -> tuple[LandedFile, ...]:
    """Return the files that the days of a source were ingested from last, in order."""
    rows = fetch(
        con,
        "SELECT source, partition_date AS day, path, sha256, run_id FROM ops.landed_files "
        "WHERE source = $source AND (partition_date IN (SELECT unnest($days::DATE[])) "
        "OR partition_date IS NULL) QUALIFY ingested_at = max(ingested_at) "
        "OVER (PARTITION BY partition_date) ORDER BY day, path",
        {"source": source, "days": [day for day in days if day is not None]},
    )
    return tuple(LandedFile(**row) for row in rows)
