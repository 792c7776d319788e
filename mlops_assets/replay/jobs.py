"""The jobs of a code location, with the selections of assets that runs are made of, and runs.

Dagster makes the job of a selection anew where a run is made and again where it is
executed: a graph, a configuration schema and a snapshot of it all. A replay asks for a few
selections all year. Which runs are made, and when, is in ``daemon``.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, TypeAlias

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.snap import snapshot_from_execution_plan

_Selection: TypeAlias = "frozenset[dg.AssetKey] | None"


class Jobs:
    """Jobs by name and selection, made once each."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        repository: dg.RepositoryDefinition,
        origin: RemoteRepositoryOrigin,
    ) -> None:
        self._instance = instance
        self._repository = repository
        self._origin = origin
        self._made: dict[tuple[str, _Selection], dg.JobDefinition] = {}

    def get(self, name: str, selection: Set[dg.AssetKey] | None) -> dg.JobDefinition:
        """The job, of the selected assets only where there is a selection."""
        key = (name, frozenset(selection) if selection else None)
        if key not in self._made:
            job = self._repository.get_job(name)
            self._made[key] = job.get_subset(asset_selection=selection) if selection else job
        return self._made[key]

    def for_run(self, run: dg.DagsterRun) -> InMemoryJob:
        """The job of a run as ``execute_run`` takes it: without the run's selection."""
        return _Job(self, run.job_name)

    def create_run(
        self,
        job_name: str,
        run_config: Any,
        tags: dict[str, str],
        selection: Set[dg.AssetKey] | None,
        root_run_id: str | None = None,
        parent_run_id: str | None = None,
    ) -> dg.DagsterRun:
        """Make a run, as ``DagsterInstance.create_run_for_job`` does, and do not start it."""
        job = self.get(job_name, selection)
        tags = {**self._repository.get_job(job_name).run_tags, **tags}
        plan = create_execution_plan(
            job, run_config=run_config, instance_ref=self._instance.get_ref(), tags=tags
        )
        return self._instance.create_run(
            job_name=job.name,
            run_id=None,
            run_config=run_config,
            status=dg.DagsterRunStatus.NOT_STARTED,
            tags=tags,
            root_run_id=root_run_id,
            parent_run_id=parent_run_id,
            step_keys_to_execute=plan.step_keys_to_execute,
            execution_plan_snapshot=snapshot_from_execution_plan(plan, job.get_job_snapshot_id()),
            job_snapshot=job.get_job_snapshot(),
            parent_job_snapshot=job.get_parent_job_snapshot(),
            asset_selection=selection,
            asset_check_selection=None,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=self._origin.get_job_origin(job_name),
            job_code_origin=None,
            asset_graph=job.asset_layer.asset_graph,
        )


class _Job(InMemoryJob):
    """A job whose selections are made once."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        super().__init__(jobs.get(name, None))
        self._jobs = jobs
        self._name = name

    def get_subset(self, **selected: Any) -> InMemoryJob:
        assets = selected.pop("asset_selection", None)
        if any(value is not None for value in selected.values()):
            return super().get_subset(asset_selection=assets, **selected)
        return InMemoryJob(self._jobs.get(self._name, assets))
