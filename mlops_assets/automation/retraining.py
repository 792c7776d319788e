"""The retrain sensor: a decision to retrain becomes exactly one run.

Decisions are made, with their reasons, by the ``retrain_decision`` asset; this sensor only
carries them out. It reads them from the materialisations' metadata in the Dagster
instance: opening the DuckDB file would make it wait for whatever writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import dagster as dg

from mlops_assets.assets.common import asset_key
from mlops_assets.automation.jobs import retrain_job_name
from mlops_assets.vocabulary import Model, UseCase

#: Materialisations read in one tick; a year of days is two ticks.
BATCH = 200


@dataclass(frozen=True)
class Decision:
    """A decision to retrain, as its materialisation tells it."""

    decision_id: str
    reason: str
    day: str


def sensor_name(use_case: UseCase, model: Model) -> str:
    """Name of the model's retrain sensor. Run keys are kept under it: do not rename it."""
    return f"{use_case.name}_{model.name}_retrain"


def read_decisions(
    instance: dg.DagsterInstance, key: dg.AssetKey, cursor: str | None
) -> tuple[list[Decision], int, str | None]:
    """Read the decisions since ``cursor``, oldest first.

    Returns
    -------
    tuple
        The decisions to retrain; how many decisions of any kind were read; the next cursor.
    """
    result = instance.fetch_materializations(key, limit=BATCH, cursor=cursor, ascending=True)
    decisions = []
    for record in result.records:
        materialization = record.asset_materialization
        if materialization is None:
            continue
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        if metadata.get("decision") == "retrain":
            decisions.append(
                Decision(
                    decision_id=_text(metadata, "decision_id", key),
                    reason=_text(metadata, "reason", key),
                    day=materialization.partition or "",
                )
            )
    return decisions, len(result.records), result.cursor


def _text(metadata: dict[str, Any], name: str, key: dg.AssetKey) -> str:
    value = metadata.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(
            f"{key.to_user_string()}: a materialisation says 'retrain' without {name!r} in its "
            "metadata. The asset must attach 'decision', 'decision_id' and 'reason' to each day."
        )
    return value


def retrain_sensor(use_case: UseCase, model: Model) -> dg.SensorDefinition:
    """The sensor that runs ``retrain_<model>`` once for each decision.

    Several decisions in one tick are one retrain: each would train on the same data, all
    that has landed, so the newest is carried out and the others are superseded.
    """
    key = asset_key(use_case, model.name, "retrain_decision")
    step = "__".join(asset_key(use_case, model.name, "training_set").path)

    @dg.sensor(
        name=sensor_name(use_case, model),
        job_name=retrain_job_name(model),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Trains {model.name} anew, once for each decision to retrain it.",
    )
    def retrain(context: dg.SensorEvaluationContext):
        decisions, read, cursor = read_decisions(context.instance, key, context.cursor)
        if not decisions:
            return dg.SensorResult(
                skip_reason=f"{read} new decisions, none of them to retrain.",
                cursor=cursor,
            )
        *superseded, decision = list({d.decision_id: d for d in decisions}.values())
        for other in superseded:
            context.log.info(
                f"Decision {other.decision_id} of {other.day} is superseded by "
                f"{decision.decision_id} of {decision.day}, made before it could be carried out."
            )
        config = {"reason": decision.reason, "decision_id": decision.decision_id}
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"retrain:{decision.decision_id}",
                    run_config={"ops": {step: {"config": config}}},
                    tags={
                        "mlops/retrain": model.name,
                        "mlops/decision_id": decision.decision_id,
                        "mlops/superseded": json.dumps([d.decision_id for d in superseded]),
                    },
                )
            ],
            cursor=cursor,
        )

    return retrain
