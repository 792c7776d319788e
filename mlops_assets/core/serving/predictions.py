"""Captured predictions: their table, their ids, and the view over all models.

How they are made belongs in ``capture``; reading them with their labels in ``captured``.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.storage import sql
from mlops_assets.core.storage.relations import missing_tables

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.vocabulary import Model, UseCase

#: Columns that the predictions of every model begin with.
COMMON = ("prediction_id", "row_key", "as_of", "partition_date", "model_version")


def predictions_table(model: Model) -> str:
    """Return the dataset's name."""
    return f"capture.{model.name}__predictions"


def prediction_id(use_case: str, model: str, version: int, row_key: str, as_of: datetime) -> str:
    """Return the id of a prediction: 32 hexadecimal digits, the same wherever it is made.

    Parameters
    ----------
    as_of
        Naive UTC.
    """
    since_epoch = as_of - datetime(1970, 1, 1)
    micros = since_epoch // timedelta(microseconds=1)
    # The key comes last: nothing that it may hold can be taken for another part.
    text = "\x1f".join([use_case, model, str(version), str(micros), row_key])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def examples(
    con: duckdb.DuckDBPyConnection, model: Model, start: date, end: date
) -> dict[date, str]:
    """Return the id of one prediction of each day from ``start`` to before ``end`` with any."""
    return dict(
        con.execute(
            f"SELECT partition_date, min(prediction_id) FROM {sql.table(predictions_table(model))} "
            "WHERE partition_date >= $start AND partition_date < $end GROUP BY partition_date",
            {"start": start, "end": end},
        ).fetchall()
    )


def unite_view(con: duckdb.DuckDBPyConnection, use_case: UseCase) -> None:
    """Define ``capture.predictions``: the common columns of all models' predictions.

    Predictions and scores of different problems share a column: a prediction is text there,
    and ``score`` is NULL for regression.
    """
    missing = missing_tables(con, [predictions_table(m) for m in use_case.models])
    tables = [m for m in use_case.models if predictions_table(m) not in missing]
    if not tables:
        return
    parts = [
        f"SELECT '{m.name}' AS model, {sql.identifiers(COMMON)}, "
        "CAST(prediction AS VARCHAR) AS prediction, score, predicted_at, run_id "
        f"FROM {sql.table(predictions_table(m))}"
        for m in tables
    ]
    known = con.execute(
        "SELECT comment FROM duckdb_views() WHERE schema_name = 'capture' "
        "AND view_name = 'predictions' AND database_name = current_database()"
    ).fetchall()
    made_of = "models: " + ", ".join(m.name for m in tables)
    if known == [(made_of,)]:
        return  # it is as it should be; every run would change the catalog otherwise
    con.execute(f"CREATE OR REPLACE VIEW capture.predictions AS {' UNION ALL '.join(parts)}")
    con.execute(f"COMMENT ON VIEW capture.predictions IS '{made_of}'")
