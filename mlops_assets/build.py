"""``build_definitions``: a use case becomes a Dagster code location.

Assembly only. What an asset does is in ``assets``, what starts it in ``automation``, what
it needs in ``resources``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from mlops_assets import automation
from mlops_assets.assets.consistency import consistency_asset
from mlops_assets.assets.features import feature_asset
from mlops_assets.assets.monitoring import monitoring_assets
from mlops_assets.assets.probation import probation_asset
from mlops_assets.assets.promotion import promotion_assets
from mlops_assets.assets.raw import raw_asset
from mlops_assets.assets.serving import serving_assets
from mlops_assets.assets.training import training_assets
from mlops_assets.automation.explaining import explain_job
from mlops_assets.resources.files import Files
from mlops_assets.resources.notifier import Notifier
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.settings import Settings, load_settings
from mlops_assets.vocabulary import UseCase


def build_definitions(
    use_case: UseCase,
    settings: Settings | None = None,
    *,
    resources: Mapping[str, Any] | None = None,
    executor: dg.ExecutorDefinition | None = None,
) -> dg.Definitions:
    """Turn a use case into the graph of assets, checks, jobs, schedules and sensors.

    Parameters
    ----------
    use_case
        What is declared.
    settings
        Where things are kept; by default read from the environment.
    resources
        Resources that replace the ones made from the settings, by name: ``warehouse``,
        ``files``, ``notifier``.
    executor
        By default all steps of a run share one process: on one DuckDB file that is ten
        times faster than a process for each step.

    Returns
    -------
    dagster.Definitions
        A complete code location.

    Raises
    ------
    SettingsError
        If the environment does not fit.
    """
    settings = settings or load_settings()
    assets = [
        *(raw_asset(use_case, source) for source in use_case.sources),
        *(feature_asset(use_case, view) for view in use_case.feature_views),
    ]
    for model in use_case.models:
        assets += training_assets(use_case, model)
        assets += promotion_assets(use_case, model)
        assets += serving_assets(use_case, model)
        assets.append(consistency_asset(use_case, model))
        assets.append(probation_asset(use_case, model))
        assets += monitoring_assets(use_case, model)
    return dg.Definitions(
        assets=assets,
        jobs=[*automation.jobs(use_case), explain_job(use_case)],
        schedules=automation.schedules(use_case),
        sensors=automation.sensors(use_case, settings),
        resources={**default_resources(use_case, settings), **(resources or {})},
        executor=executor or dg.in_process_executor,
    )


def default_resources(use_case: UseCase, settings: Settings) -> dict[str, Any]:
    """The resources that the assets of a use case ask for."""
    return {
        "warehouse": Warehouse(
            database=str(settings.database(use_case.name)),
            timezone=use_case.timezone,
            lock_timeout_seconds=settings.lock_timeout_seconds,
        ),
        "files": Files(
            landing=str(settings.landing(use_case.name)),
            artifacts=str(settings.artifacts(use_case.name)),
            snapshots=str(settings.snapshots(use_case.name)),
            reports=str(settings.reports(use_case.name)),
        ),
        "notifier": Notifier.from_settings(use_case, settings),
    }
