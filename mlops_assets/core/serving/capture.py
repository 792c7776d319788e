"""Scoring a day's rows with the version that serves it, and keeping what was said.

``capture.<model>__predictions`` has one row for every row that was scored: the features as
they were used, the version, the prediction. Captured rows are never changed: running a day
again scores only rows that have appeared since.

What the estimator is given and what it answers belongs in ``scoring``, which rows there are
in ``retrieval``, what became of the predictions in ``outcomes``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops_assets.core import registry
from mlops_assets.core.features import pinned_views
from mlops_assets.core.features.retrieval import create_feature_rows, feature_columns
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.monitoring.monitoring import columns_of, serving
from mlops_assets.core.serving.outcomes import OutcomeReport, join_outcomes, refresh_start
from mlops_assets.core.serving.predictions import (
    COMMON,
    prediction_id,
    predictions_table,
    unite_view,
)
from mlops_assets.core.storage import sql, store
from mlops_assets.core.storage.days import days
from mlops_assets.core.storage.relations import column_types, table_exists, temporary_tables

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

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

#: Gives the estimator of a version and its signature.
Load: TypeAlias = Callable[[int], tuple[Any, Mapping[str, Any]]]

#: Columns of the captured rows that say when and by which run, not what.
NOT_CONTENT = ("predicted_at", "run_id")


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
    at = now or datetime.now(UTC).replace(tzinfo=None)
    reports: dict[date, CaptureReport] = {}
    by_version: dict[int | None, dict[date, int | None]] = {}
    for day, version in serving(con, model.name, days(start, end)).items():
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
        reports |= _capture(con, *trained_on, on_days, load, run_id, at)
    if declared:
        reports |= _capture(con, use_case, model, declared, load, run_id, at)
    unite_view(con, use_case)
    return dict(sorted(reports.items()))


def _capture(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    served: Mapping[date, int | None],
    load: Load,
    run_id: str,
    at: datetime,
) -> dict[date, CaptureReport]:
    """Score and keep the rows of these days, each with its version."""
    wanted = sorted(served)
    dataset = predictions_table(model)
    there = columns_of(con, dataset)
    with temporary_tables(con) as temporary:
        rows, pending = temporary("rows"), temporary("pending")
        to_score = [day for day, version in served.items() if version is not None]
        # Without a champion only the types of the columns are needed.
        first = min(to_score, default=wanted[0])
        last = max(to_score) + timedelta(days=1) if to_score else first
        create_feature_rows(con, use_case, model, first, last, rows)
        _create_pending(con, use_case, model, served, rows, pending, captured=bool(there))
        scored = _score(con, use_case, model, pending, load)
        con.register("capture_scored", scored)
        try:
            fresh = con.sql(_query(con, use_case, model, pending, there), params=[at, run_id])
            written = store.append_rows(
                con,
                dataset,
                fresh,
                key=["partition_date", "row_key"],
                run_id=run_id,
                dates=wanted,
                digest_exclude=NOT_CONTENT,
                now=at,
            )
        finally:
            con.unregister("capture_scored")
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


def _create_pending(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    served: Mapping[date, int | None],
    rows: str,
    pending: str,
    *,
    captured: bool,
) -> None:
    """Make the table of the rows to score: those of ``rows`` not captured yet."""
    versions = {day: version for day, version in served.items() if version is not None}
    condition = ""
    if captured:
        condition = (
            f"WHERE NOT EXISTS (SELECT 1 FROM {sql.table(predictions_table(model))} c "
            "WHERE c.partition_date = r.partition_date AND c.row_key = r.row_key "
            # Lets DuckDB skip what was captured on other days.
            "AND c.partition_date BETWEEN $first AND $last)"
        )
    bounds = {"first": min(served), "last": max(served)} if captured else {}
    con.execute(
        f"CREATE TEMP TABLE {pending} AS "
        "WITH served AS (SELECT unnest($days::DATE[]) AS day, "
        "unnest($versions::INTEGER[]) AS version) "
        "SELECT row_number() OVER (ORDER BY r.partition_date, r.as_of, r.row_key) AS ordinal, "
        "left(sha256(concat_ws(chr(31), $use_case, $model, s.version::VARCHAR, "
        "epoch_us(r.as_of)::VARCHAR, r.row_key)), 32) AS prediction_id, "
        "s.version AS model_version, r.* "
        f"FROM {rows} r JOIN served s ON s.day = r.partition_date {condition} ORDER BY ordinal",
        {
            "days": list(versions),
            "versions": list(versions.values()),
            "use_case": use_case.name,
            "model": model.name,
            **bounds,
        },
    )


def _score(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, pending: str, load: Load
) -> pa.Table:
    """Return ``ordinal, prediction, score, scores`` of the pending rows."""
    import pyarrow as pa

    from mlops_assets.core.models import scoring

    maps = pa.map_(pa.string(), pa.float64())
    parts = []
    found = con.execute(
        f"SELECT DISTINCT model_version FROM {pending} ORDER BY model_version"
    ).fetchall()
    for (version,) in found:
        estimator, signature = load(version)
        features = sql.identifiers(feature_columns(use_case, model))
        frame = con.execute(
            f"SELECT ordinal, {features} FROM {pending} "
            "WHERE model_version = $version ORDER BY ordinal",
            {"version": version},
        ).df()
        said = scoring.predict(model.problem, estimator, frame, signature)
        scores = said["scores"].tolist() if model.problem == "multiclass" else [None] * len(said)
        parts.append(
            pa.table(
                {
                    "ordinal": pa.array(frame["ordinal"].tolist(), pa.int64()),
                    "prediction": pa.array(said["prediction"].tolist()),
                    "score": pa.array(said["score"], pa.float64(), from_pandas=True),
                    "scores": pa.array(
                        [None if row is None else list(row.items()) for row in scores], maps
                    ),
                }
            )
        )
    if parts:
        return pa.concat_tables(parts, promote_options="permissive")
    types = [("ordinal", pa.int64()), ("prediction", pa.null()), ("score", pa.float64())]
    return pa.schema([*types, ("scores", maps)]).empty_table()


def _query(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    pending: str,
    there: Mapping[str, str],
) -> str:
    """Select the new rows of the table in its column order."""
    features = feature_columns(use_case, model)
    prediction = there.get("prediction") or _prediction_type(con, use_case, model)
    selected = [
        sql.identifiers(COMMON, "p."),
        sql.identifiers(features, "p."),
        f"CAST(s.prediction AS {prediction}) AS prediction",
        "s.score",
        *(["s.scores"] if model.problem == "multiclass" else []),
        "$1::TIMESTAMP AS predicted_at",
        "$2::VARCHAR AS run_id",
    ]
    ours = {*COMMON, *features, "prediction", "score", "scores", *NOT_CONTENT}
    # Features of earlier versions that the model no longer has.
    gone = {name: kind for name, kind in there.items() if name not in ours}
    selected += [f"NULL::{kind} AS {sql.identifier(name)}" for name, kind in gone.items()]
    return (
        f"SELECT {', '.join(selected)} FROM {pending} p "
        "JOIN capture_scored s ON s.ordinal = p.ordinal ORDER BY p.ordinal"
    )


def _prediction_type(con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model) -> str:
    """A class has the type of the label, so that the two can be compared."""
    if model.problem == "regression":
        return "DOUBLE"
    dataset = f"raw.{model.label.source}"
    if not table_exists(con, dataset):
        raise NotComputedError(
            f"Model {model.name!r} takes the type of its predictions from its label: materialise "
            f"{use_case.name}/raw/{model.label.source} first."
        )
    query = f"SELECT ({model.label.expression}\n) AS label FROM {sql.table(dataset)} l"
    return column_types(con, query)["label"]
