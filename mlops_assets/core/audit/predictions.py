"""Captured predictions, found by their ids, and the file of the version that made each.

What they should have been belongs in ``recompute``; capturing them in ``serving``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core import registry
from mlops_assets.core.monitoring.monitoring import columns_of
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.records import NotFound, fetch

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.artifacts.artifacts import ArtifactStore
    from mlops_assets.vocabulary import UseCase

#: Gives the estimator and signature of a model's version.
LoadVersion = Callable[[str, int], tuple[Any, Mapping[str, Any]]]


@dataclass(frozen=True)
class Prediction:
    """A captured prediction without its features; times are UTC.

    ``score`` is ``None`` for regression, ``scores`` unless there are more than two classes.
    """

    prediction_id: str
    model: str
    row_key: str
    as_of: datetime
    partition_date: date
    version: int
    prediction: Any
    score: float | None
    scores: Mapping[str, float] | None
    predicted_at: datetime
    run_id: str


def find(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, ids: Sequence[str]
) -> dict[str, Prediction]:
    """Return captured predictions by their ids, in the order of ``ids``.

    Raises
    ------
    NotFound
        If an id is no captured prediction's; the first few are named.
    """
    found: dict[str, Prediction] = {}
    for model in use_case.models:
        there = columns_of(con, predictions_table(model))
        if not there:
            continue
        scores = "scores" if "scores" in there else "NULL AS scores"
        rows = fetch(
            con,
            "SELECT prediction_id, $model AS model, row_key, as_of, partition_date, "
            f"model_version AS version, prediction, score, {scores}, predicted_at, run_id "
            f"FROM {sql.table(predictions_table(model))} "
            "WHERE prediction_id IN (SELECT unnest($ids::VARCHAR[]))",
            {"ids": list(ids), "model": model.name},
        )
        found |= {row["prediction_id"]: Prediction(**row) for row in rows}
    unknown = [one for one in ids if one not in found]
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise NotFound(
            f"No captured prediction of {use_case.name} has the id {', '.join(unknown[:3])}{more}. "
            "The ids are in capture.predictions; each has 32 hexadecimal digits."
        )
    return {one: found[one] for one in ids}


def stored_files(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, artifacts: ArtifactStore
) -> LoadVersion:
    """Return a function that loads a version's own file, checked as for scoring."""

    def load(name: str, version: int) -> tuple[Any, Mapping[str, Any]]:
        record = registry.loadable(con, name, version)
        return artifacts.load(record, use_case.model(name).trusted_types), record.signature

    return load
