"""The jobs: what runs together.

Nothing here decides *when*; that is ``schedules``, ``landing``, ``retraining``.
"""

from __future__ import annotations

import dagster as dg

from mlops_assets.assets.common import asset_key
from mlops_assets.vocabulary import Model, UseCase

#: What a retrain runs, in order.
RETRAIN_STEPS = ("training_set", "model_version", "evaluation", "champion")
#: What is computed for each model and day.
DAILY_STEPS = (
    *("predictions", "feature_consistency", "outcomes", "probation", "performance"),
    *("drift_report", "monitoring_report", "retrain_decision"),
)

DAILY = "daily"
REFRESH_STATIC = "refresh_static"


def retrain_job_name(model: Model) -> str:
    """Name of the job that trains, evaluates and perhaps promotes a new version."""
    return f"retrain_{model.name}"


def daily_keys(use_case: UseCase) -> list[dg.AssetKey]:
    """Every asset with days."""
    return [
        *(asset_key(use_case, "raw", s.name) for s in use_case.sources if s.partitioned),
        *(asset_key(use_case, "features", v.name) for v in use_case.feature_views if v.partitioned),
        *(asset_key(use_case, m.name, step) for m in use_case.models for step in DAILY_STEPS),
    ]


def static_keys(use_case: UseCase) -> list[dg.AssetKey]:
    """Sources and feature views without days."""
    return [
        *(asset_key(use_case, "raw", s.name) for s in use_case.sources if not s.partitioned),
        *(
            asset_key(use_case, "features", v.name)
            for v in use_case.feature_views
            if not v.partitioned
        ),
    ]


def retrain_keys(use_case: UseCase, model: Model) -> list[dg.AssetKey]:
    """Assets of a retrain."""
    return [asset_key(use_case, model.name, step) for step in RETRAIN_STEPS]


def jobs(use_case: UseCase) -> list:
    """The use case's jobs.

    ``daily`` covers every asset with days, ``refresh_static`` (where there is one) those
    without, ``retrain_<model>`` the way from training set to champion.
    """
    made = [
        dg.define_asset_job(
            DAILY,
            selection=dg.AssetSelection.assets(*daily_keys(use_case)),
            description=(
                "Everything that has days: land, compute features, predict, join outcomes, "
                "measure, decide. Runs over any range of days in one run."
            ),
        )
    ]
    if static_keys(use_case):
        made.append(
            dg.define_asset_job(
                REFRESH_STATIC,
                selection=dg.AssetSelection.assets(*static_keys(use_case)),
                description="Sources without days, and the features made of them.",
            )
        )
    for model in use_case.models:
        made.append(
            dg.define_asset_job(
                retrain_job_name(model),
                selection=dg.AssetSelection.assets(*retrain_keys(use_case, model)),
                description=(
                    f"Trains a challenger for {model.name}, evaluates it on unseen rows and "
                    "promotes it if the gate passes."
                ),
            )
        )
    return made
