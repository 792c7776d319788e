"""Versions, moves and decisions for the registry's tests, without training anything."""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sklearn.linear_model import LogisticRegression

from mlops_assets.core import registry
from mlops_assets.core.artifacts.artifacts import Artifact
from mlops_assets.core.models.snapshots import TrainingSet
from mlops_assets.core.models.training import Fitted
from mlops_assets.core.storage import records

MAY = date(2013, 5, 1)


def training_set(model: str = "m") -> TrainingSet:
    return TrainingSet(
        model=model,
        digest="d" * 64,
        path=Path("d.parquet"),
        cutoff=MAY,
        train_start=date(2013, 1, 1),
        train_end=date(2013, 4, 17),
        holdout_end=MAY,
        train_rows=1000,
        holdout_rows=200,
        view_versions={"weather": "abc"},
        holdout_digest="e" * 64,
    )


def fitted() -> Fitted:
    return Fitted(
        estimator=LogisticRegression(),
        metrics={"log_loss": 0.4, "roc_auc": math.nan},
        signature={"inputs": [], "output": {"problem": "binary", "classes": [False, True]}},
        reference={"columns": {}},
        importance={"a": 1.0},
        seconds=0.5,
        parameters={"C": 1.0},
        seed=7,
    )


def register(con: Any, model: str = "m", sha256: str = "a" * 64, **more: Any) -> int:
    return registry.register(
        con,
        model,
        fitted(),
        Artifact(sha256, 123),
        training_set(model),
        decision_id=None,
        run_id="r1",
        code={"commit": "unknown", "dirty": None},
        environment={"python": "3.11"},
        **more,
    )


def move(
    con: Any,
    to: int,
    expected: int | None,
    day: date = MAY,
    model: str = "m",
    alias: str = "champion",
    **more: Any,
) -> registry.AliasEvent:
    """Past the gate, unless a decision is named."""
    return registry.move_alias(
        con,
        model,
        alias,
        to,
        expected_from=expected,
        effective_from=day,
        **{"actor": "test", "reason": "because", "override": "promotion_id" not in more, **more},
    )


def rollback(con: Any, model: str = "m", **more: Any) -> registry.AliasEvent:
    return registry.rollback(con, model, **{"actor": "test", "reason": "worse", **more})


def decide(con: Any, version: int = 1, promoted: bool = True, model: str = "m") -> str:
    """Record a decision as the gate would, whatever it would have said."""
    found = records.identifier(model, version, promoted)
    records.insert(
        con,
        "registry.promotion_decisions",
        {
            "promotion_id": found,
            "model": model,
            "version": version,
            "champion_version": None,
            "evaluation_id": "e",
            "promoted": promoted,
            "reasons": "[]",
            "gate": "{}",
            "run_id": "r1",
            "decided_at": datetime(2013, 5, 1),
        },
    )
    return found
