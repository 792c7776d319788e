"""The replay: a use case's history, lived through again under a simulated clock.

Files land as days pass, the use case's own sensors and schedules decide, and what they ask
for is run, here and in order. The loop knows only the clock; what the daemon would do is in
``daemon``, the numbers are in ``summary``. Where the clock stands is kept in the Dagster
instance after every step, so that a replay that was interrupted goes on.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mlops_assets.replay import archive, summary
from mlops_assets.replay.progress import Progress, Silent
from mlops_assets.replay.standing import ReplayError, Standing, resume

if TYPE_CHECKING:
    import dagster as dg

    from mlops_assets.replay.daemon import Daemon, Finished
    from mlops_assets.settings import Settings
    from mlops_assets.vocabulary import UseCase

#: The hour at which the daily schedule ticks, see ``automation.schedules.CRON``.
MORNING = 6

#: Steps in a row without one good daily run after which a replay stops: something is broken
#: for good, and every further step would try all the days before it again.
MAX_BAD_STEPS = 2


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
        alerts go to the alert file only.

    Raises
    ------
    ArchiveError, ReplayError, ReplayInstanceError
        If there is nothing to replay, nowhere to keep it, or a history that does not fit.
    """
    from mlops_assets.build import build_definitions
    from mlops_assets.replay.daemon import Daemon
    from mlops_assets.replay.instance import replay_instance
    from mlops_assets.resources.notifier import Notifier

    began = time.monotonic()
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
        quiet = Notifier(
            settings.outbox(use_case.name), settings.alert_log(use_case.name), to_log=False
        )
        definitions = build_definitions(use_case, settings, resources={"notifier": quiet})
    with replay_instance() as instance:
        standing = resume(instance, use_case, settings, begin)
        daemon = Daemon(instance, definitions, use_case.name)
        engine = _Engine(use_case, settings, daemon, standing, progress or Silent(), began)
        try:
            with engine.warehouse.keep_open(), _seldom_collected():
                engine.run(stop, step_days)
                result = engine.summarise(stop)
            if json_path is not None:
                _write(json_path, result)
            engine.progress.end(result, standing.failures)
        finally:
            engine.progress.close()
    return Report(result, list(standing.failures))


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Collect garbage seldom, and never look at what is there already.

    The definitions and libraries are many objects that live to the end and need no looking
    through at every collection. What this saves has not been measured by itself.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class _Engine:
    def __init__(
        self,
        use_case: UseCase,
        settings: Settings,
        daemon: Daemon,
        standing: Standing,
        progress: Progress,
        began: float,
    ) -> None:
        from mlops_assets.core.artifacts.artifacts import ArtifactStore
        from mlops_assets.resources.warehouse import Warehouse

        self.use_case = use_case
        self.landing = settings.landing(use_case.name)
        self.daemon = daemon
        self.standing = standing
        self.progress = progress
        self.began = began
        self.frozen = summary.Frozen(ArtifactStore(settings.artifacts(use_case.name)))
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
        self.bad_steps = 0

    def run(self, stop: date, step_days: int) -> None:
        """Replay the days up to ``stop`` (exclusive)."""
        self.progress.begin(self.use_case, self.standing.start, stop, self.standing.next_day)
        self._recover()
        while self.standing.next_day < stop:
            since = self.standing.next_day
            until = min(since + timedelta(days=step_days), stop)
            self._step(until)
            self.standing.next_day = until
            self._save()
            for first, end in summary.weeks(self.standing.start, stop):
                if since < end <= until:
                    self.progress.week(self._week(first, end), self.standing.seconds)

    def summarise(self, stop: date) -> dict[str, Any]:
        """Weeks and totals of everything replayed so far."""
        with self.warehouse.read() as con:
            weeks = [
                summary.week(con, self.use_case, self.frozen, first, end)
                for first, end in summary.weeks(self.standing.start, stop)
            ]
            totals = summary.totals(con, self.use_case, weeks)
        self._save()
        return {
            "use_case": self.use_case.name,
            "weeks": weeks,
            "totals": totals,
            "runs": self.standing.runs,
            "failures": list(self.standing.failures),
            "seconds": round(self.standing.seconds, 1),
        }

    def _save(self) -> None:
        now = time.monotonic()
        self.standing.seconds += now - self.began
        self.began = now
        self.standing.save(self.daemon.instance, self.use_case)

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
        outcomes: list[bool] = []
        for name in self.schedules:
            outcomes += self._execute(self._tick_schedule(name, morning))
        for name in [*self.others, *self.alerts]:
            self._execute(self._tick_sensor(name))
        self.bad_steps = self.bad_steps + 1 if outcomes and not any(outcomes) else 0
        if self.bad_steps >= MAX_BAD_STEPS:
            self._save()
            raise ReplayError(
                f"No daily run has succeeded for {self.bad_steps} steps, the last one up to "
                f"{until}: {self.standing.failures[-1]}. Mend the cause and start the replay "
                "again; it goes on where it was."
            )

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

    def _execute(self, runs: list[dg.DagsterRun]) -> list[bool]:
        outcomes = []
        for run in runs:
            self.progress.doing(f"{run.job_name} up to {self.standing.next_day}")
            finished: Finished = self.daemon.execute(run)
            self.standing.runs += 1
            if finished.interrupted:
                raise KeyboardInterrupt
            if not finished.success:
                # The daemon would go on as well; what depends on the run waits for it.
                self._failed(f"run {finished.run_id} of {finished.job_name}: {finished.error}")
            outcomes.append(finished.success)
        return outcomes

    def _failed(self, what: str) -> None:
        self.standing.failures.append(what)
        self.progress.failed(what)

    def _week(self, first: date, end: date) -> dict[str, Any]:
        with self.warehouse.read() as con:
            return summary.week(con, self.use_case, self.frozen, first, end)


def _write(path: Path, result: dict[str, Any]) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    aside.replace(path)
