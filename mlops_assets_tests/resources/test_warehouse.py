"""The warehouse: one door, always closed again, and clear about who stands in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from mlops_assets.core.storage import store
from mlops_assets.resources.warehouse import LockTimeout, Warehouse, WarehouseError

DAY = date(2013, 1, 1)
FRAME = pd.DataFrame({"partition_date": [pd.Timestamp(DAY)], "k": [1]})

# These processes do without Dagster, whose import takes seconds.
HOLD = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as con:
    con.execute("CREATE TABLE left_behind (k INTEGER)")
    print("holding", flush=True)
    sys.stdin.readline()
"""

DELETE_AND_DIE = """
import os, signal, sys
from datetime import date
import duckdb
from mlops_assets.core.storage import store

class DiesBeforeInsert:
    def __init__(self, con):
        self.con = con

    def __getattr__(self, name):
        return getattr(self.con, name)

    def execute(self, sql, *parameters):
        if sql.startswith("INSERT INTO \\"raw\\""):
            [(left,)] = self.con.execute("SELECT count(*) FROM raw.x").fetchall()
            print("rows left:", left, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return self.con.execute(sql, *parameters)

con = duckdb.connect(sys.argv[1])
con.execute("BEGIN TRANSACTION")
rows = con.sql("SELECT DATE '2013-01-01' AS partition_date, 2::BIGINT AS k")
store.replace_partitions(DiesBeforeInsert(con), "raw.x", rows, [date(2013, 1, 1)], run_id="r2")
"""


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    return Warehouse(
        database=str(tmp_path / "w.duckdb"), timezone="America/New_York", lock_timeout_seconds=0.2
    )


def write(warehouse: Warehouse) -> None:
    with warehouse.transaction() as con:
        store.replace_partitions(con, "raw.x", FRAME, [DAY], run_id="r1")


def rows(warehouse: Warehouse) -> list[tuple]:
    with warehouse.read() as con:
        return con.execute("SELECT k FROM raw.x ORDER BY k").fetchall()


def process(code: str, warehouse: Warehouse) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", code, warehouse.database],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_tables_are_there_from_the_first_opening_and_times_are_utc(warehouse):
    with warehouse.read() as con:
        assert con.execute("SELECT count(*) FROM ops.partitions").fetchall() == [(0,)]
        assert con.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]
        local = con.execute("SELECT local_time(TIMESTAMP '2013-07-01 04:00')::VARCHAR").fetchall()
        assert local == [("2013-07-01 00:00:00",)]


def test_a_missing_folder_is_made(tmp_path):
    warehouse = Warehouse(database=str(tmp_path / "a" / "b" / "w.duckdb"))
    write(warehouse)
    assert rows(warehouse) == [(1,)]


def test_a_file_deleted_in_between_gets_its_tables_again(warehouse):
    for _ in range(3):
        write(warehouse)
        warehouse.path.unlink()
    with warehouse.read() as con:
        assert con.execute("SELECT count(*) FROM ops.partitions").fetchall() == [(0,)]


def test_an_error_undoes_the_whole_transaction_and_lets_go_of_the_file(warehouse):
    write(warehouse)
    used = []

    def interrupted():
        with warehouse.transaction() as con:
            used.append(con)
            con.execute("DELETE FROM raw.x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(duckdb.ConnectionException, match="closed"):
        used[0].execute("SELECT 1")
    assert rows(warehouse) == [(1,)]
    # Another configuration is only accepted when no connection of this process is left.
    duckdb.connect(warehouse.database, read_only=True).close()


def test_an_error_in_sql_shows_itself_and_not_the_failed_rollback(warehouse):
    with pytest.raises(duckdb.CatalogException, match="nothing_here"), warehouse.transaction() as c:
        c.execute("FROM nothing_here")


def test_reading_cannot_write_and_may_make_temporary_tables(warehouse):
    write(warehouse)
    with warehouse.read() as con:
        con.execute("CREATE TEMP TABLE t AS FROM raw.x")
        with pytest.raises(duckdb.TransactionException, match="read-only"):
            con.execute("DELETE FROM raw.x")
    assert rows(warehouse) == [(1,)]


def test_readers_see_one_moment_while_another_thread_writes(warehouse):
    write(warehouse)
    with warehouse.read() as con:
        before = con.execute("SELECT count(*) FROM raw.x").fetchall()
        with warehouse.transaction() as writer:
            writer.execute("DELETE FROM raw.x")
        assert con.execute("SELECT count(*) FROM raw.x").fetchall() == before
    assert rows(warehouse) == []


def test_another_process_that_holds_the_file_is_named(warehouse):
    holder = process(HOLD, warehouse)
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(LockTimeout) as error, warehouse.read():
            pass
        message = str(error.value)
        assert f"(PID {holder.pid})" in message
        assert f"kill {holder.pid}" in message
        assert "python" in message
        assert "MLOPS_ASSETS_LOCK_TIMEOUT_SECONDS" in message
        assert "gave up after 0.2 s" in message
        holder.stdin.write("\n")
        holder.stdin.flush()
        # Waiting is enough: the holder finishes, and its work is there.
        patient = warehouse.model_copy(update={"lock_timeout_seconds": 60.0})
        with patient.read() as con:
            assert con.execute("FROM left_behind").fetchall() == []
        assert holder.wait(timeout=60) == 0
    finally:
        holder.kill()
        holder.wait()


def test_a_process_killed_between_delete_and_insert_leaves_the_partition_intact(warehouse):
    write(warehouse)
    victim = process(DELETE_AND_DIE, warehouse)
    output, _ = victim.communicate(timeout=120)
    assert output == "rows left: 0\n"
    assert victim.returncode == -signal.SIGKILL
    assert rows(warehouse) == [(1,)]
    with warehouse.read() as con:
        digest = store.content_digest(con, "FROM raw.x")
        assert store.partitions(con, "raw.x")[DAY].digest == digest


def test_a_corrupt_file_is_reported_at_once(tmp_path):
    path = tmp_path / "w.duckdb"
    path.write_bytes(b"no database" * 5000)
    # The test would take an hour if this counted as a lock.
    warehouse = Warehouse(database=str(path), lock_timeout_seconds=3600)
    with pytest.raises(WarehouseError, match="not a valid DuckDB database") as error:
        warehouse.read().__enter__()
    assert str(path) in str(error.value)
    assert "restore a backup" in str(error.value)
    assert not isinstance(error.value, LockTimeout)


def test_a_folder_in_place_of_the_file_is_reported(tmp_path):
    with pytest.raises(WarehouseError, match="It is a folder"):
        Warehouse(database=str(tmp_path)).read().__enter__()


def test_a_connection_from_elsewhere_in_the_process_is_explained(warehouse):
    with (
        duckdb.connect(warehouse.database),
        pytest.raises(WarehouseError, match="only through Warehouse"),
        warehouse.read(),
    ):
        pass


def test_a_database_in_memory_is_refused():
    with pytest.raises(WarehouseError, match="needs a file"):
        Warehouse(database=":memory:").read().__enter__()


def test_keeping_it_open_locks_others_out_and_lets_go_at_the_end(warehouse):
    with warehouse.keep_open():
        write(warehouse)
        assert rows(warehouse) == [(1,)]
        other = process(HOLD, warehouse)
        output, _ = other.communicate("\n", timeout=120)
        assert (output, other.returncode) == ("", 1)
    duckdb.connect(warehouse.database, read_only=True).close()


def test_it_is_configured_like_any_dagster_resource(warehouse):
    from dagster import asset, materialize

    @asset
    def one(warehouse: Warehouse) -> None:
        write(warehouse)

    assert materialize([one], resources={"warehouse": warehouse}).success
    assert rows(warehouse) == [(1,)]
