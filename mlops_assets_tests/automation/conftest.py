"""A real instance on SQLite in a folder of its own, and the toy code location on it."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mlops_assets.replay.daemon import Daemon
from mlops_assets.replay.instance import replay_instance
from mlops_assets.settings import Settings
from mlops_assets.vocabulary import UseCase
from mlops_assets_tests.automation import toy


class Place:
    """The toy use case in operation."""

    def __init__(self, daemon: Daemon, case: UseCase, settings: Settings, script: toy.Script):
        self.daemon = daemon
        self.instance = daemon.instance
        self.case = case
        self.settings = settings
        self.script = script

    def morning(self, year: int, month: int, day: int) -> datetime:
        """Six o'clock there."""
        return datetime(year, month, day, 6, tzinfo=ZoneInfo(self.case.timezone))

    def schedule(self, *day: int) -> list[tuple[str, str]]:
        """Tick the schedule on that morning and execute; return the ranges asked for."""
        runs = self.daemon.tick_schedule("toy_daily", self.morning(*day))
        for run in runs:
            self.daemon.execute(run)
        return [
            (
                run.tags["dagster/asset_partition_range_start"],
                run.tags["dagster/asset_partition_range_end"],
            )
            for run in runs
        ]

    def sensor(self, name: str) -> list:
        """Tick a sensor and execute; return the runs asked for."""
        runs = self.daemon.tick_sensor(f"toy_{name}")
        for run in runs:
            self.daemon.execute(run)
        return runs

    def skip_reason(self, name: str) -> str:
        """Why the newest tick asked for nothing."""
        return self.ticks(name)[0].skip_reason or ""

    def ticks(self, name: str) -> list:
        """Stored ticks, newest first."""
        (state,) = (s for s in self.instance.all_instigator_state() if s.name == f"toy_{name}")
        return list(self.instance.get_ticks(state.instigator_origin_id, state.selector_id))

    def land(self, source: str, day: str | None, content: str = "x") -> Path:
        """Land a file of a source, complete at once."""
        folder = self.settings.landing("toy") / source
        if day is not None:
            folder /= f"date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / ".writing"
        aside.write_text(content)
        return aside.rename(folder / f"{source}.csv")


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance's folder with its tables made, which takes a second."""
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with replay_instance():
            pass
    return home


@pytest.fixture
def place(tmp_path: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    home, data = tmp_path / "home", tmp_path / "data"
    shutil.copytree(empty_home, home)
    data.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    settings, case, script = Settings(data_dir=data), toy.use_case(), toy.Script()
    with replay_instance() as instance:
        daemon = Daemon(instance, toy.definitions(case, settings, script), case.name)
        yield Place(daemon, case, settings, script)
