"""A replay lives through the days once, goes on after an interruption, and says what failed.

The assets are the toy ones; that the real graph comes out right is for the end-to-end test.
"""

import json
import shutil
from dataclasses import replace
from datetime import date

import dagster as dg
import pandas as pd
import pytest

from mlops_assets.replay import ReplayError, replay
from mlops_assets.replay.instance import ReplayInstanceError
from mlops_assets.settings import Settings
from mlops_assets_tests.automation import toy
from mlops_assets_tests.automation.conftest import empty_home  # noqa: F401

END = date(2024, 3, 15)  # two weeks


class Replayed:
    """A toy replay that can be run again and again."""

    def __init__(self, folder) -> None:
        self.case = replace(toy.use_case(), archive=folder / "archive", end=END)
        self.settings = Settings(data_dir=folder / "data")
        self.script = toy.Script()
        self.json = folder / "out" / "replay.json"
        self.folder = folder

    def __call__(self, **options):
        """Replay; by default two weeks."""
        made = toy.definitions(self.case, self.settings, self.script)
        return replay(self.case, self.settings, json_path=self.json, definitions=made, **options)

    def runs(self, **filters):
        with dg.DagsterInstance.get() as instance:
            return list(reversed(instance.get_runs(filters=dg.RunsFilter(**filters))))


@pytest.fixture
def replayed(tmp_path, empty_home, monkeypatch):  # noqa: F811
    shutil.copytree(empty_home, tmp_path / "home")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "data").mkdir()
    (tmp_path / "archive").mkdir()
    hours = pd.date_range("2024-03-01 05:00", "2024-03-15 03:00", freq="6h")
    orders = pd.DataFrame({"order_id": range(len(hours)), "ordered_at": hours})
    orders.to_parquet(tmp_path / "archive" / "orders.parquet")
    orders.rename(columns={"ordered_at": "sent_at"}).to_parquet(
        tmp_path / "archive" / "parcels.parquet"
    )
    pd.DataFrame({"shop": ["a"]}).to_parquet(tmp_path / "archive" / "shops.parquet")
    return Replayed(tmp_path)


def kinds(replayed):
    return [
        (
            run.job_name,
            run.tags.get("dagster/sensor_name") or run.tags.get("dagster/schedule_name"),
            run.tags.get("dagster/asset_partition_range_end"),
        )
        for run in replayed.runs()
    ]


def test_landing_schedule_and_decisions_run_in_the_order_of_their_days(replayed):
    replayed.script.decisions["2024-03-10"] = ("retrain", "d10")
    report = replayed()
    assert report.exit_code == 0
    assert kinds(replayed) == [
        ("daily", "toy_landing", "2024-03-07"),
        ("refresh_static", "toy_static_landing", None),
        ("daily", "toy_daily", "2024-03-07"),
        ("daily", "toy_landing", "2024-03-14"),
        ("daily", "toy_daily", "2024-03-14"),
        ("retrain_late", "toy_late_retrain", None),
    ]
    written = json.loads(replayed.json.read_text())
    assert [w["week_start"] for w in written["weeks"]] == ["2024-03-01", "2024-03-08"]
    assert written["weeks"][0]["models"]["late"]["champion_value"] is None
    assert written["totals"]["late"]["predictions"] == 0
    assert written["seconds"] > 0


def test_the_history_belongs_to_the_code_location_as_the_ui_sees_it(replayed):
    replayed()
    for run in replayed.runs():
        assert run.remote_job_origin.repository_origin.get_label() == "__repository__@toy"
        assert run.job_snapshot_id
        assert run.execution_plan_snapshot_id
    # This is how the UI asks for the runs of a code location.
    assert len(replayed.runs(tags={".dagster/repository": "__repository__@toy"})) == 5


def test_a_finished_replay_does_nothing_when_started_again(replayed):
    replayed(end=date(2024, 3, 3))
    before = kinds(replayed)
    replayed(end=date(2024, 3, 3))
    assert kinds(replayed) == before


@pytest.mark.parametrize("after", [1, 6, 15])
def test_interrupted_anywhere_it_goes_on_and_every_day_is_done(replayed, after):
    """The process is stopped at the n-th step of an asset, then started again."""
    replayed.script.decisions["2024-03-10"] = ("retrain", "d10")

    class Stop(list):
        def append(self, item) -> None:
            super().append(item)
            if len(self) == after:
                raise KeyboardInterrupt

    replayed.script.ran = Stop()
    with pytest.raises(KeyboardInterrupt):
        replayed()
    report = replayed()
    assert report.exit_code == 0
    with dg.DagsterInstance.get() as instance:
        for key in [k for k in instance.get_asset_keys() if k.path[1] == "late"]:
            if key.path[2] in toy.DAILY_STEPS:
                assert len(instance.get_materialized_partitions(key)) == 14
        # The decision was carried out, and only once to its end.
        done = dg.RunsFilter(job_name="retrain_late", statuses=[dg.DagsterRunStatus.SUCCESS])
        assert len(instance.get_runs(filters=done)) == 1
        assert not instance.get_runs(
            filters=dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED]
            )
        )


def test_a_run_that_fails_is_reported_and_the_days_after_it_are_still_done(replayed):
    replayed.script.broken.add("2024-03-05")
    report = replayed(step_days=5)
    assert report.exit_code == 1
    assert "performance cannot be told" in report.failures[0]
    with dg.DagsterInstance.get() as instance:
        done = instance.get_materialized_partitions(dg.AssetKey(["toy", "late", "performance"]))
    assert len(done) == 13
    assert "2024-03-05" not in done


def test_a_replay_in_which_everything_fails_stops_and_says_why(replayed):
    replayed.script.broken.update(f"2024-03-{day:02d}" for day in range(1, 32))
    with pytest.raises(ReplayError, match="performance cannot be told"):
        replayed(step_days=1)


def test_a_replay_needs_a_place_for_its_history(replayed, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME")
    with pytest.raises(ReplayInstanceError, match="DAGSTER_HOME"):
        replayed()


def test_a_database_without_its_history_is_not_written_to(replayed):
    replayed.settings.database("toy").write_bytes(b"")
    with pytest.raises(ReplayError, match="knows of no replay"):
        replayed()


def test_a_history_without_its_database_is_not_gone_on_with(replayed):
    replayed(end=date(2024, 3, 3))
    replayed.settings.database("toy").unlink()
    with pytest.raises(ReplayError, match="is gone"):
        replayed()


def test_days_that_are_none_are_an_error(replayed):
    with pytest.raises(ReplayError, match="none of use case"):
        replayed(start=END, end=END)


def test_steps_of_another_length_cover_the_same_days(replayed):
    assert replayed(step_days=5, end=date(2024, 3, 8)).exit_code == 0
    ends = [end for job, name, end in kinds(replayed) if name == "toy_daily"]
    assert ends == ["2024-03-05", "2024-03-07"]


def test_the_origin_is_the_one_that_workspace_yaml_makes(tmp_path, replayed):
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    (tmp_path / "workspace.yaml").write_text(
        "load_from:\n"
        "  - python_module: {module_name: mlops_assets.definitions, location_name: toy}\n"
    )
    (origin,) = WorkspaceFileTarget([str(tmp_path / "workspace.yaml")]).create_origins()
    replayed(end=date(2024, 3, 3))
    with dg.DagsterInstance.get() as instance:
        states = instance.all_instigator_state()
    assert len(states) == 5
    assert {state.origin.repository_origin.code_location_origin for state in states} == {origin}
