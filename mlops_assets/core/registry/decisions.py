"""Records of evaluations and promotion decisions, so that both can be looked at and re-taken.

How contenders are compared belongs in ``evaluation``, the verdict in ``gate``, the alias that
follows from it in ``registry``. Rows are only ever added. Their ids are digests of their
content: recording the same thing again, in a re-run, adds nothing.

A decision's row has the gate as it was declared, every rule's outcome with its numbers and
p-value, the edition of the rules, and by its evaluation the whole report. That is all that the
verdict depends on: ``replay_decision`` takes it again. Rows from before rules and edition were
kept have NULL there and are taken again by edition 1.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.promotion.evaluation import EvaluationReport
from mlops_assets.core.promotion.gate import EDITION, Rule, Verdict, decide
from mlops_assets.core.storage.records import (
    Conflict,
    NotFound,
    exists,
    fetch,
    identifier,
    insert,
    to_json,
    utc_now,
)
from mlops_assets.vocabulary import METRICS, PromotionGate

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.models.snapshots import TrainingSet

#: What a gate asked for before it could be declared, by edition of the rules.
_BEFORE: dict[int, dict[str, Any]] = {
    1: {"block": "row", "baseline_margin": 0.0, "max_holdout_uses": None}
}


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
    holdout_digest: str | None = None


@dataclass(frozen=True)
class Promotion:
    """A row of ``registry.promotion_decisions``.

    ``edition`` of the gate's rules, ``rules`` with their outcomes: ``None`` and empty in rows
    from before they were kept.
    """

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
    edition: int | None = None
    rules: list[Rule] = field(default_factory=list)


@dataclass(frozen=True)
class Replay:
    """A decision taken again from its record.

    Attributes
    ----------
    same
        Whether the verdict and every rule's outcome are what they were.
    differences
        What is not, a sentence each. Numbers and wording are compared too, but only outcomes
        make a verdict another one.
    """

    promotion: Promotion
    verdict: Verdict
    same: bool
    differences: list[str]


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
                "holdout_digest": None if report.holdout is None else report.holdout.digest,
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
    return _evaluation(rows[0]) if rows else None


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
                "edition": EDITION,
                "rules": to_json([asdict(rule) for rule in verdict.rules]),
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
    return [_promotion(row) for row in rows]


def replay_decision(con: duckdb.DuckDBPyConnection, promotion_id: str) -> Replay:
    """Take a promotion decision again, from nothing but what was recorded of it.

    Raises
    ------
    NotFound
        If there is no such decision, or its evaluation is gone.
    Conflict
        If a later release decided, by rules that are not known here.
    """
    rows = fetch(
        con,
        "SELECT * FROM registry.promotion_decisions WHERE promotion_id = $id",
        {"id": promotion_id},
    )
    if not rows:
        raise NotFound(f"There is no promotion decision {promotion_id!r}")
    promotion = _promotion(rows[0])
    evaluations = fetch(
        con,
        "SELECT * FROM registry.evaluations WHERE evaluation_id = $id",
        {"id": promotion.evaluation_id},
    )
    if not evaluations:
        raise NotFound(
            f"The evaluation {promotion.evaluation_id!r} of promotion decision {promotion_id!r} is "
            "gone; restore registry.evaluations from a backup"
        )
    report, edition = _evaluation(evaluations[0]).report, promotion.edition or 1
    try:
        gate = PromotionGate(**{**_BEFORE.get(edition, {}), **promotion.gate})
        verdict = decide(
            gate,
            report,
            problem=report.problem,
            metric=gate.metric or METRICS[report.problem][0],  # type: ignore[index]
            edition=edition,
        )
    except (TypeError, ValueError) as error:
        raise Conflict(
            f"Promotion decision {promotion_id!r} cannot be taken again by this release: {error}"
        ) from error
    return _compared(promotion, verdict)


def _compared(promotion: Promotion, verdict: Verdict) -> Replay:
    differences, same = [], verdict.promoted == promotion.promoted
    if not same:
        words = {True: "promoted", False: "refused"}
        differences.append(
            f"It was {words[promotion.promoted]}, and is {words[verdict.promoted]} now."
        )
    before = {rule.name: rule for rule in promotion.rules}
    now = {rule.name: rule for rule in verdict.rules}
    for name in dict.fromkeys([*before, *now]) if before else ():
        was, found = before.get(name), now.get(name)
        if was is None or found is None or was.passed != found.passed:
            same = False
        if was != found:
            differences.append(
                f"{name}: was {'no rule' if was is None else was.sentence!r}, is "
                f"{'no rule' if found is None else found.sentence!r}."
            )
    if not before and promotion.reasons != verdict.reasons:
        differences.append("The sentences of its reasons are others now.")
    return Replay(promotion, verdict, same, differences)


def _evaluation(row: dict[str, Any]) -> Evaluation:
    return Evaluation(**row | {"report": EvaluationReport.from_dict(json.loads(row["report"]))})


def _promotion(row: dict[str, Any]) -> Promotion:
    rules = json.loads(row.get("rules") or "[]")
    return Promotion(
        **row
        | {
            "reasons": json.loads(row["reasons"]),
            "gate": json.loads(row["gate"]),
            "rules": [Rule(**rule) for rule in rules],
        }
    )
