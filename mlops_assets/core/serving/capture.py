"""Scoring a day's rows with the version that serves it, and keeping what was said.

``capture.<model>__predictions`` has one row for every row that was scored: the features as
they were used, the version, the prediction. Captured rows are never changed: running a day
again scores only rows that have appeared since.

Which rows are new and what is said of them is in ``scored_rows``, what became of the
predictions in ``outcomes``, what the champion before would have said in ``shadow``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from mlops_assets.core import registry
from mlops_assets.core.features import pinned_views
from mlops_assets.core.features.retrieval import create_feature_rows
from mlops_assets.core.monitoring.monitoring import columns_of, serving
from mlops_assets.core.serving.outcomes import OutcomeReport, join_outcomes, refresh_start
from mlops_assets.core.serving.predictions import (
    prediction_id,
    predictions_table,
    unite_view,
)
from mlops_assets.core.serving.scored_rows import (
    NOT_CONTENT,
    Load,
    create_pending,
    rows_query,
    score_rows,
)
from mlops_assets.core.storage import store
from mlops_assets.core.storage.days import days
from mlops_assets.core.storage.relations import temporary_tables

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.vocabulary import Model, UseCase

__all__ = [
    "CaptureReport",
    "OutcomeReport",
    "capture_predictions",
    "join_outcomes",
    "prediction_id",
    "predictions_table",
    "refresh_start",
    "unite_view",
]


@dataclass(frozen=True)
class CaptureReport:
    """What happened to a day.

    Attributes
    ----------
    version
        Version that serves the day; ``None``: none does.
    rows
        Captured rows of the day, earlier ones included.
    new_rows
        Rows captured just now.
    status
        ``scored``; ``unchanged``: all its rows had been captured; ``no_rows``: there is
        nothing to predict; ``no_champion``.
    """

    version: int | None
    rows: int
    new_rows: int
    status: str


def capture_predictions(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    load: Load,
    run_id: str,
    now: datetime | None = None,
) -> dict[date, CaptureReport]:
    """Score and keep the rows of the days from ``start`` to before ``end`` that are not yet.

    Each row is scored by the champion of its day, with the features known at its ``as_of``.
    A day without champion has no predictions, and a ledger row that says so. Call it in a
    transaction.

    Parameters
    ----------
    load
        Called once for each version that is needed.
    now
        When the predictions are made (naive UTC); by default the clock's time.

    Raises
    ------
    SignatureError
        If the features do not fit the serving version.
    ScoringError
        If the estimator gives no valid prediction for any row. Nothing is captured.
    NotComputedError
        If the rows, a feature view or the label's source were never materialised.
    ViewChangedError
        If a view was defined anew since the serving version was trained, and it cannot be
        served its own definition's features, or must not; see ``Model.on_view_change``.
    """
    served = serving(con, model.name, days(start, end))
    reports = capture_days(
        con, use_case, model, served, Into(predictions_table(model)), load, run_id, now
    )
    unite_view(con, use_case)
    return reports


@dataclass(frozen=True)
class Into:
    """Where scored rows are kept, and how much of them.

    Attributes
    ----------
    dataset
        The table.
    features
        Whether the features as used are kept with the predictions.
    look_up
        First day and the day after the last one whose features are looked up, where that is
        more than is scored: the same days as before are not looked up again.
    """

    dataset: str
    features: bool = True
    look_up: tuple[date, date] | None = None


def capture_days(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    versions: Mapping[date, int | None],
    into: Into,
    load: Load,
    run_id: str,
    now: datetime | None = None,
) -> dict[date, CaptureReport]:
    """Score and keep those rows of the days that are not in the table yet.

    ``versions`` says which version scores each day, ``None``: none does. The rest is as for
    ``capture_predictions``.
    """
    at = now or datetime.now(UTC).replace(tzinfo=None)
    reports: dict[date, CaptureReport] = {}
    by_version: dict[int | None, dict[date, int | None]] = {}
    for day, version in versions.items():
        by_version.setdefault(version, {})[day] = version
    declared: dict[date, int | None] = by_version.pop(None, {})
    for version, on_days in by_version.items():
        trained_on = pinned_views.served(
            con, use_case, model, registry.get(con, model.name, version)
        )
        if trained_on == (use_case, model):
            declared |= on_days
            continue
        pinned_views.catch_up(con, *trained_on, max(on_days) + timedelta(days=1), run_id)
        reports |= _capture(con, *trained_on, on_days, into, load, run_id, at)
    if declared:
        reports |= _capture(con, use_case, model, declared, into, load, run_id, at)
    return dict(sorted(reports.items()))


def _capture(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    served: Mapping[date, int | None],
    into: Into,
    load: Load,
    run_id: str,
    at: datetime,
) -> dict[date, CaptureReport]:
    """Score and keep the rows of these days, each with its version."""
    wanted = sorted(served)
    there = columns_of(con, into.dataset)
    with temporary_tables(con) as temporary:
        rows, pending = temporary("rows"), temporary("pending")
        to_score = [day for day, version in served.items() if version is not None]
        # Without a champion only the types of the columns are needed.
        first = min(to_score, default=wanted[0])
        last = max(to_score) + timedelta(days=1) if to_score else first
        create_feature_rows(con, use_case, model, *(into.look_up or (first, last)), rows)
        captured = into.dataset if there else None
        create_pending(con, use_case, model, served, rows, pending, captured=captured)
        con.register("scored_rows", score_rows(con, use_case, model, pending, load))
        try:
            query = rows_query(
                con, use_case, model, pending, "scored_rows", there, with_features=into.features
            )
            written = store.append_rows(
                con,
                into.dataset,
                con.sql(query, params=[at, run_id]),
                key=["partition_date", "row_key"],
                run_id=run_id,
                dates=wanted,
                digest_exclude=NOT_CONTENT,
                now=at,
            )
        finally:
            con.unregister("scored_rows")
    return {
        day: CaptureReport(
            version=served[day],
            rows=written[day].rows,
            new_rows=written[day].new_rows,
            status=_status(served[day], written[day]),
        )
        for day in wanted
    }


def _status(version: int | None, written: store.PartitionWritten) -> str:
    if written.new_rows:
        return "scored"
    if written.rows:
        return "unchanged"
    return "no_champion" if version is None else "no_rows"
