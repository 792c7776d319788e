"""The daily schedule: which days the morning's run covers.

The schedule asks the Dagster instance what has been materialised and what it asked for
before; it never opens the DuckDB file. It knows the time only from the tick, so that a
simulated clock drives it as well as the real one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from mlops_assets.assets.common import asset_key
from mlops_assets.automation.jobs import DAILY, daily_keys
from mlops_assets.vocabulary import UseCase

CRON = "0 6 * * *"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
SCHEDULED_TIME = ".dagster/scheduled_execution_time"

RUNNING = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)

#: Days left over from failed runs that one tick asks for again, each in a run of its own.
MAX_RETRIED_DAYS = 14


def schedule_name(use_case: UseCase) -> str:
    """Name of the daily schedule; unique among the use cases of one instance."""
    return f"{use_case.name}_daily"


def refresh_days(use_case: UseCase) -> int:
    """Days before the new ones whose labels may have arrived since they were last run."""
    waits = [m.label.matures_after / timedelta(days=1) for m in use_case.models]
    return math.ceil(max(waits, default=0))


def range_tags(start: date, end: date) -> dict[str, str]:
    """Tags that make a run cover the days from ``start`` to ``end``, both inclusive."""
    return {RANGE_START: start.isoformat(), RANGE_END: end.isoformat()}


def finished_days(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey], among: Sequence[date]
) -> set[date]:
    """Those of the days ``among`` on which every one of the assets has been materialised."""
    finished = {day.isoformat() for day in among}
    for key in keys:
        if not finished:
            break
        finished &= instance.get_materialized_partitions(key)
    return {date.fromisoformat(day) for day in finished}


def last_complete_day(use_case: UseCase, at: datetime) -> date:
    """The last day of the use case that has ended by ``at`` (aware)."""
    day = at.astimezone(ZoneInfo(use_case.timezone)).date() - timedelta(days=1)
    return day if use_case.end is None else min(day, use_case.end - timedelta(days=1))


@dataclass(frozen=True)
class Plan:
    """What a tick asks for: ranges of days (both ends inclusive), oldest first."""

    ranges: Sequence[tuple[date, date]]
    waiting: int
    reason: str


def plan(
    *,
    start: date,
    last: date,
    finished: set[date],
    asked_until: date | None,
    refresh: int,
) -> Plan:
    """Decide which days to run.

    Days that no run was asked for yet are one range, with the ``refresh`` days before it.
    Days that were asked for and are not finished belong to failed runs: they are asked for
    again one by one, newest first, so that one bad day holds back neither its neighbours
    nor the new days.

    Parameters
    ----------
    start, last
        First day of the use case and last complete day.
    finished
        Days on which nothing is missing, or that are being run.
    asked_until
        Last day of any earlier run of the schedule.
    refresh
        How many days before the new ones to run again.
    """
    if last < start:
        return Plan((), 0, f"No day is complete yet; the first is {start}.")
    first_new = start if asked_until is None else max(start, asked_until + timedelta(days=1))
    new = [d for d in _days(first_new, last) if d not in finished]
    left = [d for d in _days(start, min(first_new - timedelta(days=1), last)) if d not in finished]
    again = sorted(left[-MAX_RETRIED_DAYS:])
    ranges = [(day, day) for day in again]
    if new:
        ranges.append((max(start, new[0] - timedelta(days=refresh)), new[-1]))
    waiting = len(left) - len(again)
    if not ranges:
        return Plan((), 0, f"Every day up to {last} has been materialised or is being run.")
    return Plan(tuple(ranges), waiting, "")


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


@dataclass(frozen=True)
class Asked:
    """What earlier ticks have asked for: up to which day, and the days being run now."""

    until: date | None
    running: set[date]


def asked(instance: dg.DagsterInstance, use_case: UseCase, tick: datetime | None = None) -> Asked:
    """Read what the schedule has asked for, but for the runs of ``tick`` itself.

    A tick that was cut short is evaluated again and must then ask for the same, so that
    the daemon finds the runs it has already made.
    """
    runs = instance.get_runs(
        filters=dg.RunsFilter(
            job_name=DAILY, tags={"dagster/schedule_name": schedule_name(use_case)}
        ),
        # A tick makes at most MAX_RETRIED_DAYS + 1 runs, the newest days among them.
        limit=3 * MAX_RETRIED_DAYS,
    )
    until, running = None, set()
    moment = tick.astimezone(UTC).isoformat() if tick else None
    for run in runs:
        if RANGE_END not in run.tags or run.tags.get(SCHEDULED_TIME) == moment:
            continue
        first, last = (date.fromisoformat(run.tags[tag]) for tag in (RANGE_START, RANGE_END))
        until = last if until is None else max(until, last)
        if run.status in RUNNING:
            running.update(_days(first, last))
    return Asked(until, running)


def still_to_run(
    instance: dg.DagsterInstance, use_case: UseCase, first: date, last: date
) -> list[dg.AssetKey]:
    """Assets of a run over these days: all but the sources that have landed on each of them.

    A landed source is materialised only if it kept its contract, and files that come later
    are the landing sensor's affair, so that reading the same files again would find the same.
    """
    wanted = list(_days(first, last))
    raw = [asset_key(use_case, "raw", s.name) for s in use_case.sources if s.partitioned]
    landed = {key for key in raw if len(finished_days(instance, [key], wanted)) == len(wanted)}
    return [key for key in daily_keys(use_case) if key not in landed]


def schedules(use_case: UseCase) -> list[dg.ScheduleDefinition]:
    """The daily schedule, at 06:00 in the use case's time zone, running by default."""

    @dg.schedule(
        name=schedule_name(use_case),
        job_name=DAILY,
        cron_schedule=CRON,
        execution_timezone=use_case.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Each morning: the complete days that are not materialised yet, in one run, with "
            f"the {refresh_days(use_case)} days before them, whose labels may have arrived. "
            "Days of failed runs are tried again one by one."
        ),
    )
    def daily(context: dg.ScheduleEvaluationContext):
        last = last_complete_day(use_case, context.scheduled_execution_time)
        before = asked(context.instance, use_case, context.scheduled_execution_time)
        finished = finished_days(
            context.instance, daily_keys(use_case), list(_days(use_case.start, last))
        )
        made = plan(
            start=use_case.start,
            last=last,
            finished=finished | before.running,
            asked_until=before.until,
            refresh=refresh_days(use_case),
        )
        if not made.ranges:
            yield dg.SkipReason(made.reason)
            return
        if made.waiting:
            context.log.warning(
                f"{made.waiting} more unfinished days before {made.ranges[0][0]} wait: this tick "
                f"tries the newest {MAX_RETRIED_DAYS}. Backfill them from the UI once their "
                "cause is mended."
            )
        for first, end in made.ranges:
            yield dg.RunRequest(
                run_key=f"{first}/{end}",
                tags=range_tags(first, end),
                asset_selection=still_to_run(context.instance, use_case, first, end),
            )

    return [daily]
