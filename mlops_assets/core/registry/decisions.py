"""Records of evaluations and promotion decisions, so that both can be looked at and re-taken.

How contenders are compared belongs in ``evaluation``, the verdict in ``gate``, the alias that
follows from it in ``registry``. Rows are only ever added. Their ids are digests of their
content: recording the same thing again, in a re-run, adds nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models.evaluation import EvaluationReport
from mlops_assets.core.models.gate import Verdict
from mlops_assets.core.storage.records import (
    NotFound,
    exists,
    fetch,
    identifier,
    insert,
    to_json,
    utc_now,
)

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.models.snapshots import TrainingSet
    from mlops_assets.vocabulary import PromotionGate


@dataclass(frozen=True)
class Evaluation:
    """A row of ``registry.evaluations``."""

    evaluation_id: str
    model: str
    version: int
    champion_version: int | None
    training_digest: str
    holdout_start: date
    holdout_end: date
    rows: int
    report: EvaluationReport
    run_id: str
    created_at: datetime


@dataclass(frozen=True)
class Promotion:
    """A row of ``registry.promotion_decisions``."""

    promotion_id: str
    model: str
    version: int
    champion_version: int | None
    evaluation_id: str
    promoted: bool
    reasons: list[str]
    gate: dict[str, Any]
    run_id: str
    decided_at: datetime


def record_evaluation(
    con: duckdb.DuckDBPyConnection,
    training_set: TrainingSet,
    report: EvaluationReport,
    *,
    run_id: str,
    now: datetime | None = None,
) -> str:
    """Record what happened on the holdout of ``training_set``; return the evaluation's id."""
    if report.challenger_version is None:
        raise ValueError("The report's challenger has no version: register it before evaluating")
    document = to_json(report.to_dict())
    found = identifier(report.model, report.challenger_version, training_set.digest, document)
    if not exists(con, "registry.evaluations", "evaluation_id", found):
        insert(
            con,
            "registry.evaluations",
            {
                "evaluation_id": found,
                "model": report.model,
                "version": report.challenger_version,
                "champion_version": report.champion_version,
                "training_digest": training_set.digest,
                "holdout_start": training_set.train_end,
                "holdout_end": training_set.holdout_end,
                "rows": report.rows,
                "report": document,
                "run_id": run_id,
                "created_at": now or utc_now(),
            },
        )
    return found


def latest_evaluation(
    con: duckdb.DuckDBPyConnection, model: str, version: int | None = None
) -> Evaluation | None:
    """Return the evaluation recorded last of a model, or of one version of it."""
    rows = fetch(
        con,
        "SELECT * FROM registry.evaluations WHERE model = $model "
        "AND ($version::INTEGER IS NULL OR version = $version) "
        "ORDER BY created_at DESC, rowid DESC LIMIT 1",
        {"model": model, "version": version},
    )
    if not rows:
        return None
    row = rows[0]
    row["report"] = EvaluationReport.from_dict(json.loads(row["report"]))
    return Evaluation(**row)


def record_promotion(
    con: duckdb.DuckDBPyConnection,
    model: str,
    version: int,
    verdict: Verdict,
    *,
    champion_version: int | None,
    evaluation_id: str,
    gate: PromotionGate,
    run_id: str,
    now: datetime | None = None,
) -> str:
    """Record the gate's verdict on a version; return the decision's id.

    Raises
    ------
    NotFound
        If there is no such evaluation of that version.
    """
    evaluated = fetch(
        con,
        "SELECT 1 FROM registry.evaluations "
        "WHERE evaluation_id = $id AND model = $model AND version = $version",
        {"id": evaluation_id, "model": model, "version": version},
    )
    if not evaluated:
        raise NotFound(
            f"There is no evaluation {evaluation_id!r} of {model} version {version}; record the "
            "evaluation first"
        )
    declared = to_json(asdict(gate) | {"floors": dict(gate.floors)})
    found = identifier(evaluation_id, declared, verdict.promoted, *verdict.reasons)
    if not exists(con, "registry.promotion_decisions", "promotion_id", found):
        insert(
            con,
            "registry.promotion_decisions",
            {
                "promotion_id": found,
                "model": model,
                "version": version,
                "champion_version": champion_version,
                "evaluation_id": evaluation_id,
                "promoted": verdict.promoted,
                "reasons": to_json(verdict.reasons),
                "gate": declared,
                "run_id": run_id,
                "decided_at": now or utc_now(),
            },
        )
    return found


def promotions(con: duckdb.DuckDBPyConnection, model: str) -> list[Promotion]:
    """Return a model's promotion decisions, in the order in which they were taken."""
    rows = fetch(
        con,
        "SELECT * FROM registry.promotion_decisions WHERE model = $model "
        "ORDER BY decided_at, rowid",
        {"model": model},
    )
    return [
        Promotion(**row | {"reasons": json.loads(row["reasons"]), "gate": json.loads(row["gate"])})
        for row in rows
    ]
