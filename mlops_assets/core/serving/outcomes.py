"""What became of the captured predictions: their labels, joined once they are known.

``capture.<model>__outcomes`` has one row for every captured prediction whose label is
known; a prediction without one waits, or will never have one (nothing came of the row). The
rows of a day are replaced as a whole, so that late, doubled and corrected labels give the
same table in whatever order they arrive.

How a label is found for a row belongs in ``retrieval``; what the outcomes say about the
model in ``performance``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import TYPE_CHECKING

from mlops_assets.core.features import model_rows
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql, store
from mlops_assets.core.storage.days import days
from mlops_assets.core.storage.relations import table_exists, temporary_tables

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.vocabulary import Model, UseCase


@dataclass(frozen=True)
class OutcomeReport:
    """A day's captured predictions and how many of them have a label by now.

    ``join_rate`` is ``None`` where there are no predictions.
    """

    predictions: int
    outcomes: int
    join_rate: float | None


def outcomes_table(model: Model) -> str:
    """Return the dataset's name."""
    return f"capture.{model.name}__outcomes"


def refresh_start(use_case: UseCase, model: Model, start: date) -> date:
    """Return the first day that a daily run of ``start`` must look at again.

    Labels may arrive until ``matures_after`` past the end of a day, so the days since then
    can have new ones, and turn mature.
    """
    late = ceil(model.label.matures_after / timedelta(days=1))
    return max(use_case.start, start - timedelta(days=late))


def join_outcomes(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    run_id: str,
) -> dict[date, OutcomeReport]:
    """Join labels to the predictions of the days from ``start`` to before ``end``.

    The day is the prediction's. Call it in a transaction. See ``refresh_start`` for the
    days that need it.

    Raises
    ------
    NotComputedError
        If no predictions were ever captured or the label's source was never materialised.
    """
    predictions = predictions_table(model)
    if not table_exists(con, predictions):
        raise NotComputedError(
            f"Model {model.name!r} has no captured predictions to join outcomes to: "
            f"materialise {use_case.name}/{model.name}/predictions first."
        )
    wanted = days(start, end)
    bounds = {"start": start, "end": end}
    with temporary_tables(con) as temporary:
        labels = temporary("labels")
        _create_label_rows(con, use_case, model, start, end, labels)
        found = con.sql(
            "SELECT p.prediction_id, p.row_key, p.partition_date, p.model_version, "
            "l.label, l.label_known_at "
            f"FROM {sql.table(predictions)} p JOIN {labels} l "
            "ON l.partition_date = p.partition_date AND l.row_key = p.row_key "
            "WHERE p.partition_date >= $start AND p.partition_date < $end "
            "AND l.label IS NOT NULL ORDER BY p.partition_date, p.row_key",
            params=bounds,
        )
        written = store.replace_partitions(con, outcomes_table(model), found, wanted, run_id=run_id)
    counted = con.execute(
        f"SELECT partition_date, count(*) FROM {sql.table(predictions)} "
        "WHERE partition_date >= $start AND partition_date < $end GROUP BY partition_date",
        bounds,
    ).fetchall()
    predicted = dict(counted)
    return {
        day: OutcomeReport(
            predictions=predicted.get(day, 0),
            outcomes=written[day].rows,
            join_rate=written[day].rows / predicted[day] if predicted.get(day) else None,
        )
        for day in wanted
    }


def _create_label_rows(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    into: str,
) -> None:
    """Make the temporary table ``row_key, partition_date, label, label_known_at``.

    The same rows and labels as ``retrieval.feature_rows`` gives, without the features.
    """
    dataset = f"raw.{model.label.source}"
    if not table_exists(con, dataset):
        raise NotComputedError(
            f"Model {model.name!r} takes its labels from {model.label.source!r}, which has never "
            f"been written: materialise {use_case.name}/raw/{model.label.source} first."
        )
    with temporary_tables(con) as temporary:
        rows = temporary("rows")
        model_rows.create_requests(con, use_case, model, [], start, end, rows)
        labels = model_rows.create_labels(con, use_case, model, rows, None, temporary)
        con.execute(
            f"CREATE TEMP TABLE {into} AS "
            "SELECT r.row_key, r.partition_date, y.label, y.label_known_at "
            f"FROM {rows} r JOIN {labels} y ON y.row_ordinal = r.row_ordinal"
        )
