"""A replay's event log holds what the stock storage would, and answers as it would.

The events are those of toy runs: materialised and failed, with checks, over ranges of days.
"""

import shutil
import sqlite3
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from mlops_assets.replay.daemon import Daemon
from mlops_assets.replay.event_log import OPEN_RUNS, EventLog
from mlops_assets.replay.instance import replay_instance
from mlops_assets.replay.sqlite_file import SqliteFile
from mlops_assets.settings import Settings
from mlops_assets_tests.automation import toy
from mlops_assets_tests.automation.conftest import Place, empty_home  # noqa: F401

MATERIALIZATION = dg.DagsterEventType.ASSET_MATERIALIZATION
VERSION = "dagster/data_version"
BATCHED = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    MATERIALIZATION,
}


class Stock(SqliteEventLogStorage):
    """The stock storage, but with connections kept open: it takes a minute otherwise."""

    def __init__(self, base_dir: str) -> None:
        self.files: dict[str, SqliteFile] = {}
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard):
        if shard not in self.files:
            with super()._connect(shard):
                pass
            self.files[shard] = SqliteFile(self.path_for_shard(shard))
        with self._db_lock, self.files[shard].begin() as connection:
            yield connection


@pytest.fixture
def logs(tmp_path, empty_home):  # noqa: F811
    """The stock storage and the replay's, each in an empty folder."""
    for name in ("stock", "replay"):
        shutil.copytree(empty_home / "history" / "runs", tmp_path / name)
    stock, ours = Stock(str(tmp_path / "stock")), EventLog(str(tmp_path / "replay"))
    yield stock, ours
    ours.dispose()
    for file in stock.files.values():
        file.close()


@pytest.fixture(scope="module")
def events(tmp_path_factory, empty_home):  # noqa: F811
    """What some days with a failing one, a warning and a retrain leave behind."""
    home, data = tmp_path_factory.mktemp("at") / "home", tmp_path_factory.mktemp("data")
    shutil.copytree(empty_home, home)
    settings, case, script = Settings(data_dir=data), toy.use_case(), toy.Script()
    script.decisions["2024-03-01"] = ("retrain", "d1")
    script.failing["2024-03-01"] = "WARN"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with replay_instance() as instance:
            daemon = Daemon(instance, toy.definitions(case, settings, script), case.name)
            place = Place(daemon, case, settings, script)
            place.schedule(2024, 3, 2)
            place.sensor("late_retrain")
            script.failing.clear()
            script.broken.add("2024-03-05")
            place.schedule(2024, 3, 6)
            instance.report_runless_asset_event(dg.AssetMaterialization("elsewhere"))
            instance.report_runless_asset_event(dg.AssetObservation("elsewhere"))
            runs = [run.run_id for run in reversed(instance.get_runs())]
            return [entry for run in [*runs, ""] for entry in instance.all_logs(run)]


def tables(folder: Path) -> dict:
    """Every row of every file, but for when the row was made."""
    found = {}
    for path in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(path)) as con:
            con.row_factory = sqlite3.Row
            names = con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                rows = [dict(row) for row in con.execute(f"SELECT * FROM {name}")]
                for row in rows:
                    row.pop("create_timestamp", None)
                found[path.name, name] = rows
    return found


def test_the_files_hold_row_for_row_what_the_stock_storage_writes(logs, events, tmp_path):
    stock, ours = logs
    for event in events:
        stock.store_event(event)
    for _, some in groupby(events, key=lambda e: (e.run_id, e.dagster_event_type)):
        batch = list(some)
        if batch[0].dagster_event_type in BATCHED:
            ours.store_event_batch(batch)
        else:
            for event in batch:
                ours.store_event(event)
    ours.dispose()
    stock_rows, our_rows = tables(tmp_path / "stock"), tables(tmp_path / "replay")
    assert our_rows.keys() == stock_rows.keys()
    for name, rows in stock_rows.items():
        assert our_rows[name] == rows, name
    index = {table: rows for (file, table), rows in stock_rows.items() if file == "index.db"}
    assert {row["execution_status"] for row in index["asset_check_executions"]} == {
        "PLANNED",
        "SUCCEEDED",
        "FAILED",
    }
    assert len(index["asset_keys"]) > 10
    assert len(index["asset_event_tags"]) > 30


def answers(log, keys) -> dict:
    """What a run asks about assets."""
    days = [f"2024-03-{day:02d}" for day in range(1, 10)]
    return {
        "records": log.get_asset_records(keys),
        "tags": {
            key: log.get_latest_tags_by_partition(
                key, MATERIALIZATION, [VERSION], asset_partitions=days
            )
            for key in keys
        },
        "all tags": {
            key: log.get_latest_tags_by_partition(key, MATERIALIZATION, [VERSION]) for key in keys
        },
        "days": {key: log.get_materialized_partitions(key) for key in keys},
    }


def test_what_is_kept_of_assets_is_what_the_files_say_after_every_event(logs, events, tmp_path):
    _, ours = logs
    keys = sorted({e.dagster_event.asset_key for e in events if e.is_dagster_event} - {None})[:6]
    reader = SqliteEventLogStorage(str(tmp_path / "replay"))
    answers(ours, keys)
    told = 0
    for event in events:
        ours.store_event(event)
        if event.is_dagster_event and event.dagster_event_type in BATCHED:
            told += 1
            # Every answer after every event would take a minute.
            if told % 10 == 0:
                assert answers(ours, keys) == answers(reader, keys)
    assert answers(ours, keys) == answers(reader, keys)
    assert any(answers(ours, keys)["days"].values())


def test_a_wiped_asset_is_forgotten_whoever_wiped_it(logs, events, tmp_path):
    _, ours = logs
    for event in events:
        ours.store_event(event)
    here, there = (
        dg.AssetKey(["toy", "late", "drift_report"]),
        dg.AssetKey(["toy", "raw", "orders"]),
    )
    other_process = SqliteEventLogStorage(str(tmp_path / "replay"))
    assert len(ours.get_asset_records([here, there])) == 2
    assert ours.get_materialized_partitions(there)
    ours.wipe_asset(here)
    assert [r.asset_entry.asset_key for r in ours.get_asset_records([here, there])] == [there]
    other_process.wipe_asset(there)
    assert ours.get_asset_records([here, there]) == []
    assert ours.get_materialized_partitions(there) == set()
    assert answers(ours, [here, there]) == answers(other_process, [here, there])


def test_an_event_that_cannot_be_stored_leaves_nothing_behind(logs, events, tmp_path):
    _, ours = logs
    planned = next(
        e for e in events if e.dagster_event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    ours.store_event(planned)
    before = tables(tmp_path / "replay")
    with ours.index_connection() as con:
        con.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON event_logs BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    with pytest.raises(sqlite3.Error, match="full"):
        ours.store_event(events[1])
    with pytest.raises(sqlite3.Error, match="full"):
        ours.store_event(planned)
    with ours.index_connection() as con:
        con.exec_driver_sql("DROP TRIGGER full")
    assert tables(tmp_path / "replay") == before


def test_more_runs_than_files_are_kept_open_can_be_written_and_read(logs, events):
    _, ours = logs
    (start,) = [e for e in events if e.dagster_event_type == dg.DagsterEventType.RUN_START][:1]
    names = [f"run-{n}" for n in range(OPEN_RUNS + 3)]
    for name in [*names, *names]:
        ours.store_event(start._replace(run_id=name))
    for name in names:
        assert len(ours.get_logs_for_run(name)) == 2


def slots(log) -> list:
    info = log.get_concurrency_info("duckdb")
    return [
        sorted((s.run_id, s.step_key) for s in info.claimed_slots),
        sorted((s.run_id, s.step_key, s.assigned_timestamp is None) for s in info.pending_steps),
    ]


@pytest.mark.parametrize("limit", [1, 2])
def test_slots_are_claimed_awaited_and_handed_on_as_the_stock_storage_does(logs, limit):
    states = []
    for log in logs:
        log.set_concurrency_slots("duckdb", limit)
        seen = []

        def claim(step, log=log, seen=seen):
            status = log.claim_concurrency_slot("duckdb", "run", step)
            seen.append((step, status.is_claimed, status.is_assigned, slots(log)))

        def free(step, log=log, seen=seen):
            log.free_concurrency_slot_for_step("run", step)
            seen.append((step, slots(log)))

        claim("first")
        claim("first")
        claim("second")
        claim("third")
        free("first")
        claim("second")
        claim("third")
        log.set_concurrency_slots("duckdb", 1)
        free("second")
        claim("third")
        free("third")
        free("third")
        states.append(seen)
    assert states[1] == states[0]
    assert states[1][-1][1] == [[], []]
