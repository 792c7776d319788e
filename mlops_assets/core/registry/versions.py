"""Model versions: immutable rows that count 1, 2, ... for each model and are never reused.

What a version is made of belongs in ``models.training`` and ``artifacts.artifacts``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.registry.aliases import CHAMPION, aliases, champion
from mlops_assets.core.registry.deletions import require_bytes
from mlops_assets.core.storage.records import (
    Conflict,
    NotFound,
    fetch,
    insert,
    no_version,
    to_json,
    utc_now,
)

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.artifacts.artifacts import Artifact
    from mlops_assets.core.models.snapshots import TrainingSet
    from mlops_assets.core.models.training import Fitted

#: Columns kept as JSON.
_JSON_COLUMNS = (
    "view_versions",
    "parameters",
    "signature",
    "metrics",
    "importance",
    "code",
    "environment",
    "golden",
)

# All but the training profile, which is large and which only drift reports read.
_SELECT = "SELECT * EXCLUDE (reference) FROM registry.model_versions WHERE model = $model"
# By themselves, and the last one of a version is found here: as a subquery of the above, or with
# an aggregate, which DuckDB shares among its threads, the two take up to three times as long.
_SIGNATURES = (
    "SELECT version, signed_at, hmac FROM registry.version_signatures WHERE model = $model"
)


@dataclass(frozen=True)
class ModelVersion:
    """A row of ``registry.model_versions``. Metrics that are not defined are NaN.

    Attributes
    ----------
    holdout_digest, holdout_end, holdout_rows
        The rows held out from ``train_end`` on, which no part of training saw.
    seed
        Of everything random that the declaration left open.
    fit_seconds, total_seconds
        Duration of the estimator's ``fit``, and of all that made the version; ``None``
        where that was not measured.
    source_model, source_version
        What this version is a copy of, see ``copies``.
    model_digest, golden
        Of the model file, see ``artifacts.artifacts``.
    hmac
        The signature that counts, see ``artifacts.signing``.
    """

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
    importance: dict[str, float]
    code: dict[str, Any]
    environment: dict[str, Any]
    parent_version: int | None
    decision_id: str | None
    fit_seconds: float
    run_id: str
    created_at: datetime
    holdout_digest: str | None = None
    holdout_end: date | None = None
    holdout_rows: int | None = None
    seed: int | None = None
    total_seconds: float | None = None
    source_model: str | None = None
    source_version: int | None = None
    model_digest: str | None = None
    golden: dict[str, Any] | None = None
    hmac: str | None = None


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
    total_seconds: float | None = None,
    now: datetime | None = None,
) -> int:
    """Add an immutable version and return its number: the highest of the model and one.

    Parameters
    ----------
    total_seconds
        How long all that made the version took, up to now.

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
    number = next_number(con, model)
    estimator = type(fitted.estimator)
    insert(
        con,
        "registry.model_versions",
        {
            "model": model,
            "version": number,
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
            "holdout_digest": training_set.holdout_digest,
            "holdout_end": training_set.holdout_end,
            "holdout_rows": training_set.holdout_rows,
            "seed": fitted.seed,
            "total_seconds": total_seconds,
            "model_digest": artifact.model_digest,
            "golden": to_json(artifact.golden) if artifact.golden else None,
        },
    )
    return number


def next_number(con: duckdb.DuckDBPyConnection, model: str) -> int:
    """Return the number that the model's next version gets. Rows are never deleted."""
    ((last,),) = con.execute(
        "SELECT coalesce(max(version), 0) FROM registry.model_versions WHERE model = $model",
        {"model": model},
    ).fetchall()
    return last + 1


def get(con: duckdb.DuckDBPyConnection, model: str, version: int) -> ModelVersion:
    """Return one version.

    Raises
    ------
    NotFound
        If there is none of that number.
    """
    which = {"model": model, "version": version}
    rows = fetch(con, f"{_SELECT} AND version = $version", which)
    if not rows:
        raise no_version(con, model, version)
    signed = con.execute(f"{_SIGNATURES} AND version = $version", which).fetchall()
    return _model_version(rows[0], _last(signed).get(version))


def training_profile(con: duckdb.DuckDBPyConnection, model: str, version: int) -> dict[str, Any]:
    """Return the profile of a version's training data, see ``monitoring.training_profile``.

    Raises
    ------
    NotFound
        If there is no such version.
    """
    rows = con.execute(
        "SELECT reference FROM registry.model_versions WHERE model = $model AND version = $version",
        {"model": model, "version": version},
    ).fetchall()
    if not rows:
        raise no_version(con, model, version)
    return json.loads(rows[0][0])


def loadable(con: duckdb.DuckDBPyConnection, model: str, version: int) -> ModelVersion:
    """Return one version whose model file is there; call it before loading one.

    Raises
    ------
    NotFound
        If there is none of that number.
    BytesDeleted
        If its file was deleted; says when, by whom and why.
    """
    found = get(con, model, version)
    require_bytes(con, model, version)
    return found


def resolve(con: duckdb.DuckDBPyConnection, model: str, alias: str = CHAMPION) -> ModelVersion:
    """Return the version that an alias points to now.

    Raises
    ------
    NotFound
        If there is no such alias; names those that there are.
    ValueError
        If the alias is no alias.
    """
    version = champion(con, model, alias)
    if version is None:
        there = ", ".join(repr(name) for name in aliases(con, model)) or "none"
        raise NotFound(f"Model {model!r} has no alias {alias!r}; it has {there}")
    return get(con, model, version)


def versions(con: duckdb.DuckDBPyConnection, model: str) -> list[ModelVersion]:
    """Return a model's versions, the first one first."""
    rows = fetch(con, f"{_SELECT} ORDER BY version", {"model": model})
    signed = _last(con.execute(_SIGNATURES, {"model": model}).fetchall())
    return [_model_version(row, signed.get(row["version"])) for row in rows]


def _last(signed: list[tuple[int, datetime, str]]) -> dict[int, str]:
    """Return the signature of each version that counts: the one made last."""
    return {version: hmac for version, _, hmac in sorted(signed)}


def _model_version(row: dict[str, Any], hmac: str | None) -> ModelVersion:
    for name in _JSON_COLUMNS:
        row[name] = None if row[name] is None else json.loads(row[name])
    row["metrics"] = {k: math.nan if v is None else v for k, v in row["metrics"].items()}
    return ModelVersion(**row, hmac=hmac)
