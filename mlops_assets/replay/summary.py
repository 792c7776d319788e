"""What a replay shows, in numbers: by week and model, and in total.

Everything is read from the tables that the graph has written. Only the frozen model is
computed here: the first champion, scored on the captured features of the very rows that
the champion was judged on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops_assets.core.models import metrics
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.scoring import scoring
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.relations import table_exists
from mlops_assets.vocabulary import Model, UseCase

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd

    from mlops_assets.core.artifacts.artifacts import ArtifactStore
    from mlops_assets.core.registry import ModelVersion

WEEK = timedelta(days=7)

#: The champion's value of a model's primary metric, and the frozen first champion's.
_Values: TypeAlias = "tuple[float | None, float | None]"


def weeks(start: date, end: date) -> list[tuple[date, date]]:
    """Weeks from ``start``, each with its end (exclusive); the last may be shorter."""
    found = []
    while start < end:
        found.append((start, min(start + WEEK, end)))
        start += WEEK
    return found


class Frozen:
    """What the first champion of each model would have said, scored once for each week.

    Keeps the week's values until its captured rows or labels change, and the estimators: a
    replay asks for every week twice, when it has passed and at the end.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store
        self._estimators: dict[str, Any] = {}
        self._values: dict[tuple[str, date, date], tuple[Any, _Values]] = {}

    def estimator(self, model: Model, version: ModelVersion) -> Any:
        """Return a version's estimator, loaded once."""
        sha256 = version.artifact_sha256
        if sha256 not in self._estimators:
            self._estimators[sha256] = self.store.load(version, model.trusted_types)
        return self._estimators[sha256]

    def values(
        self, con: duckdb.DuckDBPyConnection, model: Model, start: date, end: date
    ) -> _Values:
        """Return the champion's and the frozen model's value on the days up to ``end``."""
        captured = con.execute(
            "SELECT dataset, partition_date, digest FROM ops.partitions WHERE dataset IN "
            "($predictions, $outcomes) AND partition_date >= $start AND partition_date < $end "
            "ORDER BY ALL",
            {
                "predictions": f"capture.{model.name}__predictions",
                "outcomes": f"capture.{model.name}__outcomes",
                "start": start,
                "end": end,
            },
        ).fetchall()
        key = (model.name, start, end)
        if key not in self._values or self._values[key][0] != captured:
            self._values[key] = (captured, _values(con, model, self, start, end))
        return self._values[key][1]


def week(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, frozen: Frozen, start: date, end: date
) -> dict[str, Any]:
    """Return what happened in the days from ``start`` to before ``end``, by model.

    ``champion_value`` and ``frozen_value`` are the model's primary metric on the week's
    labelled predictions; ``None`` where there are none. ``decision`` is ``retrain`` if any
    day's was, otherwise the last day's.
    """
    return {
        "week_start": start.isoformat(),
        "models": {m.name: _model_week(con, m, frozen, start, end) for m in use_case.models},
    }


def totals(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, found: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return the totals by model of weeks made by ``week``.

    The means are over the weeks that have both values, so that champion and frozen model
    are compared on the same rows.
    """
    result = {}
    for model in use_case.models:
        rows = [w["models"][model.name] for w in found]
        both = [
            (r["champion_value"], r["frozen_value"])
            for r in rows
            if r["champion_value"] is not None and r["frozen_value"] is not None
        ]
        ((trained,),) = con.execute(
            "SELECT count(*) FROM registry.model_versions WHERE model = $model",
            {"model": model.name},
        ).fetchall()
        ((promoted,),) = con.execute(
            "SELECT count(*) FROM registry.promotion_decisions WHERE model = $model AND promoted",
            {"model": model.name},
        ).fetchall()
        result[model.name] = {
            "metric": model.metric,
            "mean_champion": _mean([champion for champion, _ in both]),
            "mean_frozen": _mean([frozen for _, frozen in both]),
            # The first version is trained, not retrained.
            "retrains": max(trained - 1, 0),
            "promotions": promoted,
            "predictions": _count(con, f"capture.{model.name}__predictions"),
            "outcomes_joined": _count(con, f"capture.{model.name}__outcomes"),
        }
    return result


def _model_week(
    con: duckdb.DuckDBPyConnection, model: Model, frozen: Frozen, start: date, end: date
) -> dict[str, Any]:
    last = end - timedelta(days=1)
    days = {"model": model.name, "start": start, "end": end}
    decisions = con.execute(
        "SELECT decision, reason FROM monitoring.retrain_decisions WHERE model = $model "
        "AND partition_date >= $start AND partition_date < $end "
        "ORDER BY decision = 'retrain', partition_date",
        days,
    ).fetchall()
    drifted = con.execute(
        "SELECT DISTINCT column_name FROM monitoring.drift WHERE model = $model "
        "AND window_end = $last AND drifted AND slice = 'all' AND reference = 'training' "
        "ORDER BY column_name",
        {"model": model.name, "last": last},
    ).fetchall()
    # A version promoted after the week's last day serves from the day after it.
    ((promoted,),) = con.execute(
        "SELECT count(*) FROM registry.alias_events WHERE model = $model AND alias = 'champion' "
        "AND promotion_id IS NOT NULL AND effective_from > $start AND effective_from <= $end",
        days,
    ).fetchall()
    champion_value, frozen_value = frozen.values(con, model, start, end)
    return {
        "champion_version": _version_on(con, model, last),
        "metric": model.metric,
        "champion_value": champion_value,
        "frozen_value": frozen_value,
        "drifted": [name for (name,) in drifted],
        "decision": decisions[-1][0] if decisions else None,
        "reason": decisions[-1][1] if decisions else None,
        "promoted": promoted > 0,
    }


def _version_on(con: duckdb.DuckDBPyConnection, model: Model, day: date) -> int | None:
    from mlops_assets.core import registry

    return registry.champion_for(con, model.name, day)


def _values(
    con: duckdb.DuckDBPyConnection, model: Model, frozen: Frozen, start: date, end: date
) -> _Values:
    from mlops_assets.core import registry

    events = registry.history(con, model.name)
    predictions, outcomes = (f"capture.{model.name}__{t}" for t in ("predictions", "outcomes"))
    if not events or not table_exists(con, predictions) or not table_exists(con, outcomes):
        return None, None
    first = registry.get(con, model.name, events[0].to_version)
    wanted = ["prediction", "score", *(["scores"] if model.problem == "multiclass" else [])]
    wanted += [column["name"] for column in first.signature["inputs"]]
    rows = con.execute(
        f"SELECT {sql.identifiers(wanted, 'p.')}, o.label AS mlops_assets_label "
        f"FROM {sql.table(predictions)} p JOIN {sql.table(outcomes)} o USING (prediction_id) "
        "WHERE p.partition_date >= $start AND p.partition_date < $end AND o.label IS NOT NULL "
        "ORDER BY p.partition_date, p.row_key",
        {"start": start, "end": end},
    ).df()
    if rows.empty:
        return None, None
    label = rows["mlops_assets_label"].to_numpy()
    classes = first.signature["output"]["classes"]
    captured = _captured(model, rows, label, classes)
    estimator = frozen.estimator(model, first)
    said = replace(
        scoring.outputs(model.problem, estimator, scoring.prepare(rows, first.signature), classes),
        label=label,
    )
    champion_value, frozen_value = (
        _number(metrics.value(model.problem, model.metric, scored)) for scored in (captured, said)
    )
    return champion_value, frozen_value


def _captured(
    model: Model, rows: pd.DataFrame, label: np.ndarray, classes: Sequence[Any] | None
) -> Scored:
    import numpy as np

    prediction = rows["prediction"].to_numpy()
    if model.problem == "regression":
        return Scored(label, prediction)
    if model.problem == "binary":
        return Scored(label, prediction, score=rows["score"].to_numpy(float), classes=classes)
    # A version may know other classes than the first: the union, in a fixed order.
    found = [dict(scores) for scores in rows["scores"]]
    names = list(dict.fromkeys(name for scores in found for name in scores))
    by_name = {str(c): c for c in [*(classes or ()), *label]}
    matrix = np.array([[scores.get(name, 0.0) for name in names] for scores in found])
    known = [by_name.get(name, name) for name in names]
    return Scored(label, prediction, scores=matrix, classes=known)


def _count(con: duckdb.DuckDBPyConnection, dataset: str) -> int:
    if not table_exists(con, dataset):
        return 0
    return con.execute(f"SELECT count(*) FROM {sql.table(dataset)}").fetchall()[0][0]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
