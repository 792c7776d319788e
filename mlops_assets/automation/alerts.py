"""The alert sensor: failed and recovered checks, and failed runs, go to the outbox.

Dagster's open-source edition tells nobody of a failed check, and a failed check that does
not block leaves its run a success. So this sensor reads the check evaluations of finished
and of running runs. It is a plain sensor, because a run-failure sensor whose body fails is
not run again for the same event: here the cursor moves on only after the outbox has what
was found, and delivery is the outbox's own affair.

What counts as an alert is decided in ``core.alerts.alerting``, where it goes in
``resources.notifier``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.event_api import EventLogCursor

from mlops_assets.automation.schedules import RANGE_END, RANGE_START
from mlops_assets.core.alerts.alerting import Observation
from mlops_assets.core.alerts.delivery import deliver
from mlops_assets.resources.notifier import Notifier
from mlops_assets.vocabulary import UseCase

if TYPE_CHECKING:
    from dagster import EventLogRecord

#: How runs end, each in its own stream of events. A canceled run was ended by somebody who
#: knows; it is read for its checks only.
ENDINGS = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
)

#: Finished runs of each kind read in one tick; at 10 ms a run well within SECONDS.
BATCH = 50

#: Time for reading and, again, for delivering. Dagster ends a tick after 60 seconds.
SECONDS = 20.0

RUN_REMEDY = (
    "Open the run in the Dagster UI, read the error of the failed step, mend its cause and "
    "re-execute the run from failure: everything can be run again safely."
)


@dataclass
class Cursor:
    """Where reading goes on: the last event of each ending, and the runs still running."""

    endings: dict[str, int]
    running: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """Read a cursor; ``None`` for the very first tick."""
        return cls(**json.loads(text)) if text else None

    def dump(self) -> str:
        """The cursor as text."""
        return json.dumps({"endings": self.endings, "running": self.running})


def first_cursor(instance: dg.DagsterInstance) -> Cursor:
    """A cursor at the end of what has happened, so that installing alerts raises none."""
    endings = {}
    for ending in ENDINGS:
        newest = instance.fetch_run_status_changes(ending, limit=1).records
        endings[ending.value] = newest[0].storage_id if newest else 0
    cursor = Cursor(endings)
    for run in _running(instance):
        cursor.running[run.run_id] = instance.get_records_for_run(run.run_id).cursor
    return cursor


def collect(
    instance: dg.DagsterInstance,
    use_case: UseCase,
    cursor: Cursor,
    remedies: Mapping[dg.AssetCheckKey, str],
) -> tuple[list[Observation], Cursor]:
    """Read what has happened since ``cursor``.

    Parameters
    ----------
    remedies
        Description of each check: what to do when it fails.

    Returns
    -------
    tuple
        Observations of this use case's checks and runs, and the cursor after them.
    """
    deadline = time.monotonic() + SECONDS
    after = Cursor(dict(cursor.endings), dict(cursor.running))
    found: list[Observation] = []
    for record in _endings(instance, cursor):
        if time.monotonic() > deadline:
            break
        entry = record.event_log_entry
        event = entry.get_dagster_event()
        found += _of_run(instance, use_case, entry.run_id, after, remedies, ended=record)
        after.running.pop(entry.run_id, None)
        after.endings[event.event_type_value] = record.storage_id
    for run in _running(instance):
        if time.monotonic() > deadline:
            break
        found += _of_run(instance, use_case, run.run_id, after, remedies, ended=None)
    return found, after


def _running(instance: dg.DagsterInstance) -> Sequence[dg.DagsterRun]:
    return instance.get_runs(
        filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    )


def _endings(instance: dg.DagsterInstance, cursor: Cursor) -> list[EventLogRecord]:
    """Ends of runs since the cursor, in the order of time.

    Where there are more of one kind than a batch, nothing later than the last of them is
    taken yet: a success must not be seen before the failure that it ends.
    """
    found: list[EventLogRecord] = []
    until = float("inf")
    for ending in ENDINGS:
        position = EventLogCursor.from_storage_id(cursor.endings[ending.value]).to_string()
        result = instance.fetch_run_status_changes(
            ending, limit=BATCH, cursor=position, ascending=True
        )
        found += result.records
        if result.has_more:
            until = min(until, result.records[-1].timestamp)
    return sorted((r for r in found if r.timestamp <= until), key=lambda r: r.timestamp)


def _of_run(
    instance: dg.DagsterInstance,
    use_case: UseCase,
    run_id: str,
    cursor: Cursor,
    remedies: Mapping[dg.AssetCheckKey, str],
    ended: EventLogRecord | None,
) -> list[Observation]:
    run = instance.get_run_by_id(run_id)
    if run is None:  # deleted since
        return []
    page = instance.get_records_for_run(
        run_id,
        cursor=cursor.running.get(run_id),
        of_type={dg.DagsterEventType.ASSET_CHECK_EVALUATION},
    )
    cursor.running[run_id] = page.cursor
    found = []
    for record in page.records:
        event = record.event_log_entry.get_dagster_event()
        evaluation = event.asset_check_evaluation_data
        if evaluation.asset_key.path[0] == use_case.name:
            found.append(_of_check(evaluation, run, record.timestamp, remedies))
    if ended is not None:
        found += _of_ending(instance, use_case, run, ended)
    return found


def _of_check(
    evaluation: dg.AssetCheckEvaluation,
    run: dg.DagsterRun,
    at: float,
    remedies: Mapping[dg.AssetCheckKey, str],
) -> Observation:
    asset = evaluation.asset_key.to_user_string()
    key = f"check:{asset}:{evaluation.check_name}"
    if evaluation.partition:
        key += f":{evaluation.partition}"
    values = [
        f"{name}: {value.value}"
        for name, value in evaluation.metadata.items()
        if isinstance(value.value, (str, int, float, bool)) and len(str(value.value)) <= 300
    ]
    return Observation(
        key=key,
        passed=evaluation.passed,
        severity="ERROR" if evaluation.severity == dg.AssetCheckSeverity.ERROR else "WARN",
        at=at,
        title=f"check {evaluation.check_name}",
        place=f"{asset}{_days(run, evaluation.partition)}",
        # Three values say what was wrong; the UI has the rest.
        detail=evaluation.description or "; ".join(values[:3]),
        remedy=remedies.get(evaluation.asset_check_key, ""),
        run_id=run.run_id,
    )


def _days(run: dg.DagsterRun, partition: str | None) -> str:
    first, last = run.tags.get(RANGE_START), run.tags.get(RANGE_END)
    partition = partition or run.tags.get("dagster/partition")
    if partition or first == last:
        day = partition or first
        return f" on {day}" if day else ""
    return f" on {first} to {last}"


def _of_ending(
    instance: dg.DagsterInstance, use_case: UseCase, run: dg.DagsterRun, ended: EventLogRecord
) -> list[Observation]:
    kind = ended.event_log_entry.get_dagster_event().event_type
    if kind == dg.DagsterEventType.RUN_CANCELED:
        return []
    planned = instance.get_asset_keys_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    )
    if not any(key.path[0] == use_case.name for key in planned):
        return []
    failed = kind == dg.DagsterEventType.RUN_FAILURE
    detail = _why(instance, run.run_id) if failed else ""
    if detail is None:
        return []
    return [
        Observation(
            key=f"run:{run.job_name}",
            passed=not failed,
            severity="ERROR",
            at=ended.timestamp,
            title=f"job {run.job_name}",
            place=f"{use_case.name}{_days(run, None)}",
            detail=detail,
            remedy=RUN_REMEDY,
            run_id=run.run_id,
        )
    ]


def _why(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Why a run failed; ``None`` where failed checks, which are told anyway, say it all."""
    records = instance.get_records_for_run(
        run_id,
        of_type={
            dg.DagsterEventType.STEP_FAILURE,
            dg.DagsterEventType.RUN_FAILURE,
            dg.DagsterEventType.ASSET_CHECK_EVALUATION,
        },
    ).records
    steps: dict[str, str] = {}
    blocked = set()
    message = "The run failed."
    for record in records:
        event = record.event_log_entry.get_dagster_event()
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            steps[event.step_key or ""] = error.message.strip() if error else "failed"
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
            message = event.message or message
        elif not event.asset_check_evaluation_data.passed:
            blocked.add(event.step_key)
    told = {step: text for step, text in steps.items() if step not in blocked}
    if steps and not told:
        return None
    if told:
        message = "; ".join(f"{step}: {text}" for step, text in told.items())
    return message[:1000]


def alert_sensor(use_case: UseCase) -> dg.SensorDefinition:
    """The sensor that finds alerts and sends them until they have arrived."""

    @dg.sensor(
        name=f"{use_case.name}_alerts",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells of checks that fail and recover, in whatever runs, and of runs that fail: "
            "to the log, the alert file and the alert URLs, until each has it."
        ),
    )
    def alerts(context: dg.SensorEvaluationContext, notifier: dg.ResourceParam[Notifier]):
        cursor = Cursor.parse(context.cursor)
        if cursor is None:
            return dg.SensorResult(
                skip_reason="First tick: alerts are told from now on.",
                cursor=first_cursor(context.instance).dump(),
            )
        observations, after = collect(
            context.instance, use_case, cursor, _remedies(context.repository_def)
        )
        sinks = notifier.sinks
        made = notifier.outbox.record(observations, sinks)
        report = deliver(notifier.outbox, sinks, now=time.time, seconds=SECONDS)
        told = (
            f"{len(observations)} outcomes, {len(made)} alerts; {report.sent} deliveries made, "
            f"{report.pending} pending."
        )
        if report.errors:
            told += f" {'; '.join(report.errors)}"
        return dg.SensorResult(skip_reason=told, cursor=after.dump())

    return alerts


def _remedies(repository: dg.RepositoryDefinition | None) -> dict[dg.AssetCheckKey, str]:
    if repository is None:
        return {}
    graph = repository.asset_graph
    return {key: graph.get(key).description or "" for key in graph.asset_check_keys}
