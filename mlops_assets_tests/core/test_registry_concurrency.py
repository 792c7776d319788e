"""Many writers at once: no number twice, no number skipped, no move lost, no conflict silent.

Fifty writers in two processes. DuckDB lets one process at a time open the file, so one thread
here and two there first take it from each other for each transaction; the other 47, here, then
write through connections that are kept open, as a replay does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlops_assets.core import registry
from mlops_assets.core.registry import Conflict
from mlops_assets.resources.warehouse import LockTimeout, Warehouse
from mlops_assets_tests.core.registered import move, register
from mlops_assets_tests.proof import tries

EACH, MOVE_EVERY = tries(20, 6), 5
HERE = [f"here {n}" for n in range(47)]
SHARING = [f"sharing {n}" for n in range(1)]
THERE = [f"there {n}" for n in range(2)]

OTHER_PROCESS = """
import json, sys
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets_tests.core.test_registry_concurrency import THERE, write_all
warehouse = Warehouse(database=sys.argv[1], lock_timeout_seconds=120)
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(write_all(warehouse, THERE)))
"""


def write(warehouse: Warehouse, who: str) -> tuple[list[int], list[int], int]:
    """Register ``EACH`` versions, and move ``shadow`` to every fifth one.

    Each move is tried from where the alias was when the version was registered, so that it
    fails where another writer moved it since; then once more from where it is. Returns the
    versions, those moved to, and how many conflicts were reported.
    """
    numbers, moved, conflicts = [], [], 0
    for turn in range(EACH):
        with warehouse.transaction() as con:
            numbers.append(register(con))
            seen = registry.champion(con, "m", "shadow")
        if turn % MOVE_EVERY:
            continue
        try:
            with warehouse.transaction() as con:
                move(con, numbers[-1], seen, alias="shadow", actor=who)
        except Conflict:
            conflicts += 1
            with warehouse.transaction() as con:
                seen = registry.champion(con, "m", "shadow")
                move(con, numbers[-1], seen, alias="shadow", actor=who)
        moved.append(numbers[-1])
    return numbers, moved, conflicts


def write_all(warehouse: Warehouse, writers: list[str]) -> list[tuple]:
    with ThreadPoolExecutor(len(writers)) as pool:
        return list(pool.map(lambda who: write(warehouse, who), writers))


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    return Warehouse(database=str(tmp_path / "w.duckdb"), lock_timeout_seconds=120)


@pytest.mark.slow
def test_fifty_writers_register_versions_without_gaps_and_lose_no_alias_move(warehouse):
    """20 versions each, 1,000 in all, of which every fifth is moved to."""
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, warehouse.database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")  # type: ignore[union-attr]
        other.stdin.flush()  # type: ignore[union-attr]
        done = write_all(warehouse, SHARING)
        with warehouse.keep_open():
            done += write_all(warehouse, HERE)
        said, _ = other.communicate(timeout=120)
        assert other.returncode == 0
    finally:
        other.kill()
        other.wait()
    done += json.loads(said)
    numbers = sorted(number for of_one, _, _ in done for number in of_one)
    moved = sorted(number for _, of_one, _ in done for number in of_one)
    conflicts = sum(of_one for _, _, of_one in done)
    moves = 50 * len(range(0, EACH, MOVE_EVERY))
    assert (len(done), len(moved)) == (50, moves)
    assert numbers == list(range(1, 50 * EACH + 1))
    with warehouse.read() as con:
        assert [v.version for v in registry.versions(con, "m")] == numbers
        events = registry.history(con, "m", "shadow")
    # Each move went from where the one before it had gone, and none is missing.
    assert [e.from_version for e in events] == [None, *(e.to_version for e in events[:-1])]
    assert sorted(e.to_version for e in events if e.to_version) == moved
    assert [e.event_id for e in events] == list(range(1, moves + 1))
    assert {e.actor for e in events} == {*HERE, *SHARING, *THERE}
    assert conflicts > 0, "nobody was ever beaten to it: the writers did not overlap"


def test_a_thread_that_waits_for_another_ones_transaction_says_so(tmp_path):
    impatient = Warehouse(database=str(tmp_path / "w.duckdb"), lock_timeout_seconds=0.05)
    inside, leave = threading.Event(), threading.Event()

    def holding():
        with impatient.transaction():
            inside.set()
            leave.wait(60)

    holder = threading.Thread(target=holding)
    holder.start()
    try:
        assert inside.wait(60)
        with pytest.raises(LockTimeout, match="Another thread"), impatient.transaction():
            pass
        with impatient.read() as con:  # readers do not wait
            assert con.execute("SELECT count(*) FROM registry.aliases").fetchall() == [(0,)]
    finally:
        leave.set()
        holder.join()
    with impatient.transaction():
        pass
