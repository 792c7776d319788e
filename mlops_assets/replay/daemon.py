"""What the Dagster daemon does, in this process and on a clock that the caller sets.

Sensors and schedules are the code location's own. Their cursors, ticks and runs are kept
in the Dagster instance exactly where the daemon keeps them, under the same identities: the
UI shows them, and a daemon started afterwards goes on from them. Runs are executed here,
one after the other, instead of in processes of their own.

The daemon itself is not used: it follows the real clock and talks to a code server. What
is repeated of it here is small: a tick stores its runs before its cursor, and a run key
makes a run once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.api import execute_run
from dagster._core.execution.plan.objects import ErrorSource
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import ScheduleInstigatorData, SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from mlops_assets.replay.jobs import Jobs
from mlops_assets.replay.ticks import RUN_KEY, Ticks

SENSOR_NAME = "dagster/sensor_name"
SCHEDULE_NAME = "dagster/schedule_name"
SCHEDULED_TIME = ".dagster/scheduled_execution_time"
TICK = "dagster/tick"
PARENT_RUN = "dagster/parent_run_id"
ROOT_RUN = "dagster/root_run_id"

#: Marks the runs of a replay, so that one that is started again finds those it left open.
REPLAY = "mlops/replay"
INTERRUPTED = "mlops/interrupted"

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.CANCELED,
]


@dataclass(frozen=True)
class Finished:
    """A run that was executed."""

    run_id: str
    job_name: str
    success: bool
    error: str
    interrupted: bool = False


def _is_interruption(event: dg.DagsterEvent) -> bool:
    if event.is_step_failure:
        return event.step_failure_data.error_source == ErrorSource.INTERRUPT
    if event.event_type != dg.DagsterEventType.RUN_FAILURE:
        return False
    error = event.job_failure_data.error
    return error is not None and error.cls_name in {
        KeyboardInterrupt.__name__,
        dg.DagsterExecutionInterruptedError.__name__,
    }


class Daemon:
    """Evaluates a code location's sensors and schedules and executes what they ask for.

    Parameters
    ----------
    instance
        A persistent instance.
    definitions
        The code location.
    location_name
        Its name in ``workspace.yaml``.
    module_name
        Its module there.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        definitions: dg.Definitions,
        location_name: str,
        module_name: str = "mlops_assets.definitions",
    ) -> None:
        self.instance = instance
        self.repository = definitions.get_repository_def()
        self.location_name = location_name
        # As Dagster makes it of an entry ``python_module`` in workspace.yaml: the UI finds
        # ticks by a hash of all of it.
        self._origin = RemoteRepositoryOrigin(
            code_location_origin=ManagedGrpcPythonEnvCodeLocationOrigin(
                LoadableTargetOrigin(module_name=module_name),
                location_name,
            ),
            repository_name=self.repository.name,
        )
        self.ticks = Ticks(instance, self.repository, self._origin)
        self.jobs = Jobs(instance, self.repository, self._origin)

    def tick_sensor(self, name: str) -> list[dg.DagsterRun]:
        """Evaluate a sensor once; return the runs it asks for, made and not yet executed.

        Raises
        ------
        Exception
            Whatever the sensor raises, once the tick has been stored as failed. As with
            the daemon, its cursor stays where it was.
        """
        sensor = self.repository.get_sensor_def(name)
        state = self.ticks.state(name, InstigatorType.SENSOR)
        data = cast(SensorInstigatorData, state.instigator_data)
        tick = self.ticks.begin(name, InstigatorType.SENSOR, time.time())
        try:
            with dg.build_sensor_context(
                instance=self.instance,
                cursor=data.cursor,
                repository_def=self.repository,
                sensor_name=name,
                resources=self._resources(sensor.required_resource_keys),
            ) as context:
                result = sensor.evaluate_tick(context)
            runs = [
                run
                for request in result.run_requests or ()
                if (run := self._sensor_run(sensor, request, tick.tick_id)) is not None
            ]
        except Exception:
            self.ticks.fail(tick)
            raise
        self.ticks.end(tick, runs, result.skip_message, cursor=result.cursor)
        keys = [run.tags[RUN_KEY] for run in runs if RUN_KEY in run.tags]
        now = time.time()
        self.instance.update_instigator_state(
            state.with_data(
                data._replace(
                    last_tick_timestamp=now,
                    last_tick_start_timestamp=tick.timestamp,
                    last_tick_success_timestamp=now,
                    last_run_key=keys[-1] if keys else data.last_run_key,
                    min_interval=sensor.minimum_interval_seconds,
                    sensor_type=sensor.sensor_type,
                    cursor=result.cursor,
                )
            )
        )
        return runs

    def tick_schedule(self, name: str, at: datetime) -> list[dg.DagsterRun]:
        """Evaluate a schedule as of ``at`` (aware); return the runs it asks for.

        Raises
        ------
        Exception
            Whatever the schedule raises, once the tick has been stored as failed.
        """
        schedule = self.repository.get_schedule_def(name)
        state = self.ticks.state(name, InstigatorType.SCHEDULE)
        tick = self.ticks.begin(name, InstigatorType.SCHEDULE, at.timestamp())
        try:
            with dg.build_schedule_context(
                instance=self.instance,
                scheduled_execution_time=at,
                repository_def=self.repository,
            ) as context:
                # Otherwise the context opens the instance again, half a second each time.
                if hasattr(context, "_instance"):
                    context._instance = self.instance
                result = schedule.evaluate_tick(context)
            runs = [
                run
                for request in result.run_requests or ()
                if (run := self._schedule_run(schedule, request, at, tick.tick_id)) is not None
            ]
        except Exception:
            self.ticks.fail(tick)
            raise
        self.ticks.end(tick, runs, result.skip_message, cursor=None)
        # A daemon looks for missed ticks from here on, and the real time is now.
        data = cast(ScheduleInstigatorData, state.instigator_data)
        self.instance.update_instigator_state(
            state.with_data(data._replace(last_iteration_timestamp=time.time()))
        )
        return runs

    def execute(self, run: dg.DagsterRun) -> Finished:
        """Execute a run here; a failure or an interruption is returned, not raised."""
        result = execute_run(self.jobs.for_run(run), run, self.instance, raise_on_error=False)
        error = ""
        if not result.success:
            failed = [e for e in result.all_events if e.is_step_failure]
            for event in failed[:1]:
                info = event.step_failure_data.error
                while info is not None and info.cause is not None:
                    info = info.cause
                error = f"{event.step_key}: {info.message.strip() if info else 'failed'}"
        # Dagster takes an interruption (Ctrl-C) for a failure of the step at hand.
        interrupted = not result.success and any(map(_is_interruption, result.all_events))
        if interrupted:
            self.leave_open(run.run_id)
        return Finished(run.run_id, run.job_name, result.success, error, interrupted)

    def leave_open(self, run_id: str) -> None:
        """Mark a run as cut short, to be done again by a replay that goes on."""
        self.instance.add_run_tags(run_id, {INTERRUPTED: "true"})

    def unfinished(self) -> list[dg.DagsterRun]:
        """Runs that an interrupted replay left, oldest first, ready to be executed.

        A run that had begun is closed and made anew, as run retries do after a crash.
        """
        ours = {REPLAY: self.location_name}
        runs = [
            *self.instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED, tags=ours)),
            *self.instance.get_runs(
                filters=dg.RunsFilter(
                    statuses=[dg.DagsterRunStatus.FAILURE], tags={**ours, INTERRUPTED: "true"}
                )
            ),
        ]
        ready = []
        for run in sorted(runs, key=lambda r: self._created(r.run_id)):
            if run.status == dg.DagsterRunStatus.NOT_STARTED:
                ready.append(run)
                continue
            if self.instance.get_runs(
                filters=dg.RunsFilter(tags={PARENT_RUN: run.run_id}), limit=1
            ):
                continue
            if not run.is_finished:
                self.instance.report_run_canceled(run, "The replay was interrupted.")
            # A killed process has not given back the pool's slot.
            self.instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            root = run.root_run_id or run.run_id
            kept = {name: value for name, value in run.tags.items() if name != INTERRUPTED}
            tags = {**kept, PARENT_RUN: run.run_id, ROOT_RUN: root}
            ready.append(
                self.jobs.create_run(
                    run.job_name,
                    run.run_config,
                    tags,
                    run.asset_selection,
                    root_run_id=root,
                    parent_run_id=run.run_id,
                )
            )
        return ready

    def _resources(self, keys: set[str]) -> dict[str, Any]:
        resources = self.repository.get_top_level_resources()
        return {key: resources[key] for key in keys}

    def _created(self, run_id: str) -> datetime:
        record = self.instance.get_run_record_by_id(run_id)
        return record.create_timestamp if record else datetime.max.replace(tzinfo=UTC)

    def _sensor_run(
        self, sensor: dg.SensorDefinition, request: dg.RunRequest, tick_id: int
    ) -> dg.DagsterRun | None:
        tags = dict(request.tags)
        if request.run_key:
            tags[RUN_KEY] = request.run_key
            if self._exists({RUN_KEY: request.run_key, SENSOR_NAME: sensor.name}):
                return None
        return self._requested(request, str(request.job_name or sensor.job_name), tags, tick_id)

    def _schedule_run(
        self, schedule: dg.ScheduleDefinition, request: dg.RunRequest, at: datetime, tick_id: int
    ) -> dg.DagsterRun | None:
        moment = at.astimezone(UTC).isoformat()
        identity = {SCHEDULE_NAME: schedule.name, SCHEDULED_TIME: moment}
        if request.run_key:
            identity[RUN_KEY] = request.run_key
        if self._exists(identity):
            return None
        return self._requested(request, schedule.job_name, {**request.tags, **identity}, tick_id)

    def _exists(self, tags: dict[str, str]) -> bool:
        runs = self.instance.get_runs(filters=dg.RunsFilter(tags=tags))
        return any(
            run.remote_job_origin is None
            or run.remote_job_origin.repository_origin.get_selector() == self._origin.get_selector()
            for run in runs
        )

    def _requested(
        self, request: dg.RunRequest, job_name: str, tags: dict[str, str], tick_id: int
    ) -> dg.DagsterRun:
        selection = frozenset(request.asset_selection) if request.asset_selection else None
        tags = {**tags, TICK: str(tick_id), REPLAY: self.location_name}
        return self.jobs.create_run(job_name, request.run_config, tags, selection)
