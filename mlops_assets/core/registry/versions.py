"""Model versions: immutable rows that count 1, 2, ... for each model and are never reused.

What a version is made of belongs in ``models.training`` and ``models.artifacts``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.registry.aliases import champion
from mlops_assets.core.storage.records import Conflict, fetch, insert, no_version, to_json, utc_now

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.models.artifacts import Artifact
    from mlops_assets.core.models.snapshots import TrainingSet
    from mlops_assets.core.models.training import Fitted

_JSON_COLUMNS = (
    "view_versions",
    "parameters",
    "signature",
    "metrics",
    "reference",
    "importance",
    "code",
    "environment",
)


@dataclass(frozen=True)
class ModelVersion:
    """A row of ``registry.model_versions``. Metrics that are not defined are NaN."""

    model: str
    version: int
    artifact_sha256: str
    size_bytes: int
    training_digest: str
    train_start: date
    train_end: date
    train_rows: int
    view_versions: dict[str, str]
    estimator: str
    parameters: dict[str, Any]
    signature: dict[str, Any]
    metrics: dict[str, float]
    reference: dict[str, Any]
    importance: dict[str, float]
    code: dict[str, Any]
    environment: dict[str, Any]
    parent_version: int | None
    decision_id: str | None
    fit_seconds: float
    run_id: str
    created_at: datetime


def register(
    con: duckdb.DuckDBPyConnection,
    model: str,
    fitted: Fitted,
    artifact: Artifact,
    training_set: TrainingSet,
    *,
    decision_id: str | None,
    run_id: str,
    code: Mapping[str, Any],
    environment: Mapping[str, Any],
    now: datetime | None = None,
) -> int:
    """Add an immutable version and return its number.

    Raises
    ------
    Conflict
        If the training set is another model's.
    """
    if training_set.model != model:
        raise Conflict(
            f"The training set {training_set.digest[:12]} belongs to {training_set.model!r}, "
            f"not to {model!r}"
        )
    ((last,),) = con.execute(
        "SELECT coalesce(max(version), 0) FROM registry.model_versions WHERE model = $model",
        {"model": model},
    ).fetchall()
    estimator = type(fitted.estimator)
    insert(
        con,
        "registry.model_versions",
        {
            "model": model,
            "version": last + 1,
            "artifact_sha256": artifact.sha256,
            "size_bytes": artifact.size_bytes,
            "training_digest": training_set.digest,
            "train_start": training_set.train_start,
            "train_end": training_set.train_end,
            "train_rows": training_set.train_rows,
            "view_versions": to_json(training_set.view_versions),
            "estimator": f"{estimator.__module__}.{estimator.__qualname__}",
            "parameters": to_json(fitted.parameters),
            "signature": to_json(fitted.signature),
            "metrics": to_json(fitted.metrics),
            "reference": to_json(fitted.reference),
            "importance": to_json(fitted.importance),
            "code": to_json(code),
            "environment": to_json(environment),
            "parent_version": champion(con, model),
            "decision_id": decision_id,
            "fit_seconds": fitted.seconds,
            "run_id": run_id,
            "created_at": now or utc_now(),
        },
    )
    return last + 1


def get(con: duckdb.DuckDBPyConnection, model: str, version: int) -> ModelVersion:
    """Return one version.

    Raises
    ------
    NotFound
        If there is none of that number.
    """
    rows = fetch(
        con,
        "SELECT * FROM registry.model_versions WHERE model = $model AND version = $version",
        {"model": model, "version": version},
    )
    if not rows:
        raise no_version(con, model, version)
    return _model_version(rows[0])


def versions(con: duckdb.DuckDBPyConnection, model: str) -> list[ModelVersion]:
    """Return a model's versions, the first one first."""
    rows = fetch(
        con,
        "SELECT * FROM registry.model_versions WHERE model = $model ORDER BY version",
        {"model": model},
    )
    return [_model_version(row) for row in rows]


def _model_version(row: dict[str, Any]) -> ModelVersion:
    for name in _JSON_COLUMNS:
        row[name] = json.loads(row[name])
    row["metrics"] = {k: math.nan if v is None else v for k, v in row["metrics"].items()}
    return ModelVersion(**row)
