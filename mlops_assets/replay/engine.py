"""The replay: a use case's history, lived through again under a simulated clock.

Files land as days pass, the use case's own sensors and schedules decide, and what they ask
for is run, here and in order. The loop knows only the clock; what the daemon would do is in
``daemon``, the numbers are in ``summary``. Where the clock stands is kept in the Dagster
instance after every step, so that a replay that was interrupted goes on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mlops_assets.replay import archive, summary
from mlops_assets.replay.progress import Progress, Silent

if TYPE_CHECKING:
    import dagster as dg

    from mlops_assets.replay.daemon import Daemon, Finished
    from mlops_assets.settings import Settings
    from mlops_assets.vocabulary import UseCase

#: The hour at which the daily schedule ticks, see ``automation.schedules.CRON``.
MORNING = 6


class ReplayError(RuntimeError):
    """The replay cannot begin or go on. The message says what to do."""


@dataclass
class Report:
    """What a replay did.

    Attributes
    ----------
    summary
        Weeks and totals, as written to the JSON file.
    failures
        Runs, sensors and schedules that failed, in words.
    """

    summary: dict[str, Any]
    failures: list[str]

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, otherwise 1."""
        return 1 if self.failures else 0


@dataclass
class Standing:
    """Where a replay stands; kept in the instance.

    Attributes
    ----------
    start
        First day that is replayed.
    next_day
        First day that has not landed yet; before it everything is done.
    seconds
        Time that the replay has taken so far.
    runs
        Runs executed so far.
    failures
        What failed so far.
    """

    start: date
    next_day: date
    seconds: float = 0.0
    runs: int = 0
    failures: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, instance: dg.DagsterInstance, use_case: UseCase) -> Standing | None:
        """Read it; ``None`` if there was no replay yet."""
        key = _key(use_case)
        text = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
        if not text:
            return None
        values = json.loads(text)
        days = {name: date.fromisoformat(values.pop(name)) for name in ("start", "next_day")}
        return cls(**days, **values)

    def save(self, instance: dg.DagsterInstance, use_case: UseCase) -> None:
        """Keep it."""
        text = json.dumps(
            {
                "start": self.start.isoformat(),
                "next_day": self.next_day.isoformat(),
                "seconds": self.seconds,
                "runs": self.runs,
                "failures": self.failures,
            }
        )
        instance.daemon_cursor_storage.set_cursor_values({_key(use_case): text})


def _key(use_case: UseCase) -> str:
    return f"mlops_assets/replay/{use_case.name}"


def replay(
    use_case: UseCase,
    settings: Settings,
    *,
    start: date | None = None,
    end: date | None = None,
    step_days: int = 7,
    json_path: Path | None = None,
    progress: Progress | None = None,
    definitions: dg.Definitions | None = None,
) -> Report:
    """Replay a use case from its archive.

    Parameters
    ----------
    start, end
        First day and the day after the last; by default the use case's.
    step_days
        Days that land between two ticks of the daily schedule.
    json_path
        Where to write the summary.
    progress
        Told of every step.
    definitions
        The code location; by default what ``build_definitions`` makes, except that its
        alerts go to the log and the alert file only.

    Raises
    ------
    ArchiveError, ReplayError, ReplayInstanceError
        If there is nothing to replay, nowhere to keep it, or a history that does not fit.
    """
    from mlops_assets.build import build_definitions
    from mlops_assets.replay.daemon import Daemon
    from mlops_assets.replay.instance import replay_instance
    from mlops_assets.resources.notifier import Notifier

    archive.check_archive(use_case)
    begin, stop = start or use_case.start, end or use_case.end
    if stop is None:
        raise ReplayError(
            f"Use case {use_case.name!r} is open-ended; say where the replay ends (--to)."
        )
    if not use_case.start <= begin < stop or step_days < 1:
        raise ReplayError(
            f"A replay needs days: from {begin} to before {stop} by {step_days} are none of use "
            f"case {use_case.name!r}, which begins on {use_case.start}."
        )
    if definitions is None:
        # A year of alerts is kept; nobody is called for what happened long ago.
        quiet = Notifier(settings.outbox(use_case.name), settings.alert_log(use_case.name))
        definitions = build_definitions(use_case, settings, resources={"notifier": quiet})
    with replay_instance() as instance:
        standing = _resume(instance, use_case, settings, begin)
        daemon = Daemon(instance, definitions, use_case.name)
        engine = _Engine(use_case, settings, daemon, standing, progress or Silent())
        with engine.warehouse.keep_open():
            engine.run(stop, step_days)
            result = engine.summarise(stop)
    if json_path is not None:
        _write(json_path, result)
    engine.progress.end(result, standing.failures)
    return Report(result, list(standing.failures))


def _resume(
    instance: dg.DagsterInstance, use_case: UseCase, settings: Settings, begin: date
) -> Standing:
    standing = Standing.load(instance, use_case)
    database = settings.database(use_case.name)
    if standing is None:
        if database.exists():
            raise ReplayError(
                f"{database} exists, but the Dagster instance in {os.environ['DAGSTER_HOME']} "
                "knows of no replay: the two would not fit together. Move the file and "
                f"{settings.landing(use_case.name)} away, or set DAGSTER_HOME to the folder that "
                "belongs to them."
            )
        standing = Standing(begin, begin)
        standing.save(instance, use_case)
        return standing
    if standing.start != begin:
        raise ReplayError(
            f"The replay in {os.environ['DAGSTER_HOME']} began on {standing.start}, not on "
            f"{begin}. Go on with it (--from {standing.start}), or begin with an empty "
            "MLOPS_ASSETS_DATA_DIR and DAGSTER_HOME."
        )
    if standing.next_day > begin and not database.exists():
        raise ReplayError(
            f"The replay has come to {standing.next_day}, but {database} is gone. Empty "
            f"{os.environ['DAGSTER_HOME']} and {settings.landing(use_case.name)} to begin anew."
        )
    return standing


class _Engine:
    def __init__(
        self,
        use_case: UseCase,
        settings: Settings,
        daemon: Daemon,
        standing: Standing,
        progress: Progress,
    ) -> None:
        from mlops_assets.core.artifacts import ArtifactStore
        from mlops_assets.resources.warehouse import Warehouse

        self.use_case = use_case
        self.landing = settings.landing(use_case.name)
        self.daemon = daemon
        self.standing = standing
        self.progress = progress
        self.store = ArtifactStore(settings.artifacts(use_case.name))
        self.warehouse = Warehouse(
            database=str(settings.database(use_case.name)),
            timezone=use_case.timezone,
            lock_timeout_seconds=settings.lock_timeout_seconds,
        )
        sensors = daemon.repository.sensor_defs
        # In the order in which one causes the other; the alerts see all that happened.
        self.alerts = [s.name for s in sensors if s.name.endswith("_alerts")]
        self.landings = [s.name for s in sensors if s.name.endswith("_landing")]
        self.others = [s.name for s in sensors if s.name not in {*self.alerts, *self.landings}]
        self.schedules = [s.name for s in daemon.repository.schedule_defs]

    def run(self, stop: date, step_days: int) -> None:
        """Replay the days up to ``stop`` (exclusive)."""
        self.progress.begin(self.use_case, self.standing.start, stop, self.standing.next_day)
        self._timed(self._recover)
        while self.standing.next_day < stop:
            since = self.standing.next_day
            until = min(since + timedelta(days=step_days), stop)
            self._timed(lambda until=until: self._step(until))
            self.standing.next_day = until
            self.standing.save(self.daemon.instance, self.use_case)
            for first, end in summary.weeks(self.standing.start, stop):
                if since < end <= until:
                    self.progress.week(self._week(first, end), self.standing.seconds)

    def summarise(self, stop: date) -> dict[str, Any]:
        """Weeks and totals of everything replayed so far."""
        began = time.monotonic()
        with self.warehouse.read() as con:
            weeks = [
                summary.week(con, self.use_case, self.store, first, end)
                for first, end in summary.weeks(self.standing.start, stop)
            ]
            totals = summary.totals(con, self.use_case, weeks)
        return {
            "use_case": self.use_case.name,
            "weeks": weeks,
            "totals": totals,
            "runs": self.standing.runs,
            "failures": list(self.standing.failures),
            "seconds": round(self.standing.seconds + time.monotonic() - began, 1),
        }

    def _timed(self, work: Any) -> None:
        began = time.monotonic()
        try:
            work()
        finally:
            self.standing.seconds += time.monotonic() - began

    def _recover(self) -> None:
        """Do what an interrupted replay left undone, and let the alerts take up their place."""
        self._execute(self.daemon.unfinished())
        for name in self.alerts:
            self._tick_sensor(name)

    def _step(self, until: date) -> None:
        """Let the days up to ``until`` (exclusive) pass, and the next morning come."""
        self.progress.doing(f"{self.standing.next_day} to {until - timedelta(days=1)}")
        archive.land(self.use_case, self.landing, self.standing.next_day, until)
        for name in self.landings:
            self._execute(self._tick_sensor(name))
        morning = datetime(
            until.year, until.month, until.day, MORNING, tzinfo=ZoneInfo(self.use_case.timezone)
        )
        for name in self.schedules:
            self._execute(self._tick_schedule(name, morning))
        for name in [*self.others, *self.alerts]:
            self._execute(self._tick_sensor(name))

    def _tick_sensor(self, name: str) -> list[dg.DagsterRun]:
        with self._reported(f"sensor {name}"):
            return self.daemon.tick_sensor(name)
        return []

    def _tick_schedule(self, name: str, at: datetime) -> list[dg.DagsterRun]:
        with self._reported(f"schedule {name} at {at}"):
            return self.daemon.tick_schedule(name, at)
        return []

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        try:
            yield
        # As with the daemon, a tick that fails is a failed tick and the clock goes on.
        except Exception as error:
            self._failed(f"{what}: {type(error).__name__}: {error}")

    def _execute(self, runs: list[dg.DagsterRun]) -> None:
        for run in runs:
            self.progress.doing(f"{run.job_name} up to {self.standing.next_day}")
            finished: Finished = self.daemon.execute(run)
            self.standing.runs += 1
            if not finished.success:
                # The daemon would go on as well; what depends on the run waits for it.
                self._failed(f"run {finished.run_id} of {finished.job_name}: {finished.error}")

    def _failed(self, what: str) -> None:
        self.standing.failures.append(what)
        self.progress.failed(what)

    def _week(self, first: date, end: date) -> dict[str, Any]:
        with self.warehouse.read() as con:
            return summary.week(con, self.use_case, self.store, first, end)


def _write(path: Path, result: dict[str, Any]) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    aside.replace(path)
