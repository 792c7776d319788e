"""Where a version comes from and why it served: training set, alias move, decision, label."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core import registry
from mlops_assets.core.registry import AliasEvent
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.records import fetch
from mlops_assets.core.storage.relations import missing_tables

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.audit.predictions import Prediction

#: How a version came to serve.
GATE, OVERRIDE, ROLLBACK, NONE = "gate", "override", "rollback", "none"


@dataclass(frozen=True)
class TrainingData:
    """A training set, as ``registry.training_sets`` has it."""

    digest: str
    path: str
    cutoff: date
    train_start: date
    train_end: date
    holdout_end: date
    train_rows: int
    holdout_rows: int
    reason: str
    decision_id: str | None
    run_id: str


@dataclass(frozen=True)
class Decision:
    """A promotion decision with the evaluation that it rests on."""

    promotion_id: str
    promoted: bool
    reasons: tuple[str, ...]
    decided_at: datetime
    run_id: str
    evaluation_id: str
    holdout_start: date
    holdout_end: date
    rows: int


@dataclass(frozen=True)
class Placement:
    """How a version came to serve a day.

    Attributes
    ----------
    how
        ``gate``: by a decision that passed; ``override``: past the gate; ``rollback``: back
        to what had served before; ``none``: no move is recorded.
    event
        The move of the alias ``champion`` that was in force.
    decision
        On this version: the one that allowed the move, that was overridden, or, after a
        rollback, that had let it serve at first; ``None``: there is none.
    serves_now
        Version that the day would be served by as of now; another one where the alias was
        moved since, for that day.
    """

    how: str
    event: AliasEvent | None
    decision: Decision | None
    serves_now: int | None


@dataclass(frozen=True)
class Label:
    """What came true; times are UTC. ``value`` is ``None`` while nothing is known."""

    value: Any
    known_at: datetime | None


def training_data(con: duckdb.DuckDBPyConnection, model: str, digest: str) -> TrainingData | None:
    """Return the record of a training set; ``None``: there is none."""
    names = TrainingData.__dataclass_fields__
    rows = fetch(
        con,
        f"SELECT {sql.identifiers(names)} FROM registry.training_sets "
        "WHERE model = $model AND digest = $digest ORDER BY created_at LIMIT 1",
        {"model": model, "digest": digest},
    )
    return TrainingData(**rows[0]) if rows else None


def placement(con: duckdb.DuckDBPyConnection, prediction: Prediction) -> Placement:
    """Return how the version of a prediction came to serve its day."""
    day, version = prediction.partition_date, prediction.version
    moves = [e for e in registry.history(con, prediction.model) if e.effective_from <= day]
    in_force = [e for e in moves if e.to_version == version]
    # What was recorded after the prediction did not put its version in place.
    before = [e for e in in_force if e.recorded_at <= prediction.predicted_at]
    event = (before or in_force or [None])[-1]
    if event is None:
        how = NONE
    elif event.rollback_of is not None:
        how = ROLLBACK
    else:
        how = OVERRIDE if event.override else GATE
    decided = [e.promotion_id for e in in_force if e.promotion_id is not None]
    if event is not None and event.promotion_id is not None:
        decided.append(event.promotion_id)
    decision = _decision(con, decided[-1]) if decided else None
    return Placement(how, event, decision, moves[-1].to_version if moves else None)


def _decision(con: duckdb.DuckDBPyConnection, promotion_id: str) -> Decision | None:
    rows = fetch(
        con,
        "SELECT p.promotion_id, p.promoted, p.reasons, p.decided_at, p.run_id, p.evaluation_id, "
        "e.holdout_start, e.holdout_end, e.rows FROM registry.promotion_decisions p "
        "JOIN registry.evaluations e USING (evaluation_id) WHERE p.promotion_id = $id",
        {"id": promotion_id},
    )
    if not rows:
        return None
    row: Mapping[str, Any] = rows[0] | {"reasons": tuple(json.loads(rows[0]["reasons"]))}
    return Decision(**row)


def label_of(con: duckdb.DuckDBPyConnection, prediction: Prediction) -> Label:
    """Return what is known to have come true of a prediction."""
    outcomes = f"capture.{prediction.model}__outcomes"
    if missing_tables(con, [outcomes]):
        return Label(None, None)
    rows = con.execute(
        f"SELECT label, label_known_at FROM {sql.table(outcomes)} "
        "WHERE prediction_id = $id AND partition_date = $day",
        {"id": prediction.prediction_id, "day": prediction.partition_date},
    ).fetchall()
    return Label(*rows[0]) if rows else Label(None, None)
