"""The list of a use case's sensors; each is made in a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.automation.alerts import alert_sensor
from mlops_assets.automation.landing import landing_sensors
from mlops_assets.automation.retraining import retrain_sensor

if TYPE_CHECKING:
    import dagster as dg

    from mlops_assets.settings import Settings
    from mlops_assets.vocabulary import UseCase


def sensors(use_case: UseCase, settings: Settings) -> list[dg.SensorDefinition]:
    """Landing, one retrain sensor for each model, and alerts; all run by default."""
    return [
        *landing_sensors(use_case, settings),
        *(retrain_sensor(use_case, model) for model in use_case.models),
        alert_sensor(use_case),
    ]
