"""States and ticks of sensors and schedules, stored where Dagster's daemon stores them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import serializable_error_info_from_exc_info

RUN_KEY = "dagster/run_key"


class Ticks:
    """Reads and writes them for one code location."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        repository: dg.RepositoryDefinition,
        origin: RemoteRepositoryOrigin,
    ) -> None:
        self._instance = instance
        self._repository = repository
        self._origin = origin

    def state(self, name: str, kind: InstigatorType) -> InstigatorState:
        """The stored state of a sensor or schedule; made when it has none."""
        origin = self._origin.get_instigator_origin(name)
        state = self._instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id())
        if state is not None:
            return state
        now = time.time()
        if kind == InstigatorType.SENSOR:
            data: Any = SensorInstigatorData(last_sensor_start_timestamp=now)
        else:
            data = ScheduleInstigatorData(
                self._repository.get_schedule_def(name).cron_schedule, start_timestamp=now
            )
        return self._instance.add_instigator_state(
            InstigatorState(origin, kind, InstigatorStatus.DECLARED_IN_CODE, data)
        )

    def begin(self, name: str, kind: InstigatorType, timestamp: float) -> Any:
        """Store a tick that has begun."""
        origin = self._origin.get_instigator_origin(name)
        return self._instance.create_tick(
            TickData(
                instigator_origin_id=origin.get_id(),
                instigator_name=name,
                instigator_type=kind,
                status=TickStatus.STARTED,
                timestamp=timestamp,
                selector_id=origin.get_selector().get_id(),
            )
        )

    def end(
        self, tick: Any, runs: Sequence[dg.DagsterRun], skipped: str | None, cursor: str | None
    ) -> None:
        """Store how a tick has ended."""
        for run in runs:
            tick = tick.with_run_info(run.run_id, run.tags.get(RUN_KEY))
        tick = tick.with_status(TickStatus.SUCCESS if runs else TickStatus.SKIPPED)
        if not runs and skipped:
            tick = tick.with_reason(skipped)
        if cursor:
            tick = tick.with_cursor(cursor)
        self._instance.update_tick(tick)

    def fail(self, tick: Any) -> None:
        """Store that a tick has failed with the exception being handled."""
        error = serializable_error_info_from_exc_info(sys.exc_info())
        self._instance.update_tick(tick.with_status(TickStatus.FAILURE, error=error))
