"""Rows on their way into a table of predictions: which are new, what a version says of them.

Which version scores which day, and what is kept of it, belongs in ``capture`` and ``shadow``;
what an estimator is given and what it answers in ``scoring.scoring``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops_assets.core.features.retrieval import feature_columns
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.serving.predictions import COMMON
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.frames import exact_frame
from mlops_assets.core.storage.relations import column_types, table_exists

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from mlops_assets.vocabulary import Model, UseCase

#: Gives the estimator of a version and its signature.
Load: TypeAlias = Callable[[int], tuple[Any, Mapping[str, Any]]]

#: Columns of the captured rows that say when and by which run, not what.
NOT_CONTENT = ("predicted_at", "run_id")


def create_pending(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    served: Mapping[date, int | None],
    rows: str,
    pending: str,
    *,
    captured: str | None,
) -> None:
    """Make the table of the rows to score, each with its prediction's id.

    Parameters
    ----------
    served
        Version of each day; ``None`` where its rows are not scored.
    rows, pending
        Quoted names: the table that ``create_feature_rows`` made, and the one to be made.
    captured
        Dataset whose rows, by day and key, need not be scored again; ``None``: there is none.
    """
    versions = {day: version for day, version in served.items() if version is not None}
    condition = ""
    if captured is not None:
        condition = (
            f"WHERE NOT EXISTS (SELECT 1 FROM {sql.table(captured)} c "
            "WHERE c.partition_date = r.partition_date AND c.row_key = r.row_key "
            # Lets DuckDB skip what was captured on other days.
            "AND c.partition_date BETWEEN $first AND $last)"
        )
    bounds = {"first": min(served), "last": max(served)} if captured is not None else {}
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


def score_rows(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, pending: str, load: Load
) -> pa.Table:
    """Return ``ordinal, prediction, score, scores`` of the pending rows.

    ``load`` is called once for each version that is needed.

    Raises
    ------
    SignatureError
        If the features do not fit a version.
    ScoringError
        If the estimator gives no valid prediction for any row.
    """
    import pyarrow as pa

    from mlops_assets.core.scoring import scoring

    maps = pa.map_(pa.string(), pa.float64())
    parts = []
    found = con.execute(
        f"SELECT DISTINCT model_version FROM {pending} ORDER BY model_version"
    ).fetchall()
    for (version,) in found:
        estimator, signature = load(version)
        features = sql.identifiers(feature_columns(use_case, model))
        frame = exact_frame(
            con,
            f"SELECT ordinal, {features} FROM {pending} "
            "WHERE model_version = $version ORDER BY ordinal",
            {"version": version},
        )
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


def rows_query(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    pending: str,
    scored: str,
    there: Mapping[str, str],
    *,
    with_features: bool,
) -> str:
    """Return the query for the new rows of a table whose columns are ``there``, in their order.

    ``scored`` names what ``score_rows`` returned. The query's parameters are the time of the
    predictions and the run's id.
    """
    features = feature_columns(use_case, model) if with_features else []
    prediction = there.get("prediction") or _prediction_type(con, use_case, model)
    selected = [
        sql.identifiers(COMMON, "p."),
        *([sql.identifiers(features, "p.")] if features else []),
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
        f"JOIN {scored} s ON s.ordinal = p.ordinal ORDER BY p.ordinal"
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
