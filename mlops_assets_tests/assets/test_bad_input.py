"""Bad files stop at the door: a failed check that says why, and nothing behind it moves.

Each case has a day of its own on which good files have landed and been taken up. A bad one
takes the good one's place; then a good one comes again.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from mlops_assets_tests.assets.conftest import (
    CASE,
    Place,
    after,
    checks,
    error_text,
    materialized,
    place,
)
from mlops_assets_tests.support_tickets import START, generate, land

DOWNSTREAM = {"tickets": "team/predictions", "resolutions": "features/recent_resolutions"}
TABLES = {
    "tickets": ("raw.tickets", "capture.team__predictions"),
    "resolutions": ("raw.resolutions", "features.recent_resolutions"),
}
STEPS = [
    ("raw", "tickets"),
    ("raw", "resolutions"),
    ("features", "recent_resolutions"),
    ("team", "predictions"),
]


def edited(frame: pd.DataFrame, column: str, value, rows=1) -> pd.DataFrame:
    """The frame with another value in the first rows of a column."""
    frame = frame.astype({column: object})
    frame.iloc[:rows, frame.columns.get_loc(column)] = value
    return frame


def text(frame: pd.DataFrame, source: str) -> str:
    if source == "tickets":
        lines = frame.to_json(orient="records", lines=True, date_format="iso", date_unit="us")
        return lines or ""
    return frame.to_csv(index=False)


def infinite(frame: pd.DataFrame) -> str:
    """JSON has no infinity, but many writers write one."""
    return re.sub(r'"words":[^,}]*', '"words":Infinity', text(frame, "tickets"))


#: Source, what becomes of its file, and what must be said of it.
REFUSED = {
    "missing column": ("resolutions", lambda f: f.drop(columns="team"), ["team", "missing"]),
    "extra column": ("resolutions", lambda f: f.assign(mood="sour"), ["mood"]),
    "wrong type": (
        "resolutions",
        lambda f: f.assign(resolved_at="yesterday"),
        ["resolved_at", "yesterday"],
    ),
    "wrong type in one row": (
        "tickets",
        lambda f: edited(f, "ticket_id", "T-1", 4),
        ["ticket_id"],
    ),
    "equal rows": ("resolutions", lambda f: pd.concat([f, f[:3]]), ["ticket_id", "repeats"]),
    "duplicate keys": (
        "resolutions",
        lambda f: f.assign(ticket_id=[f["ticket_id"].iloc[0], *f["ticket_id"].iloc[:-1]]),
        ["ticket_id"],
    ),
    "missing value": ("resolutions", lambda f: edited(f, "region", None, 3), ["region", "missing"]),
    "infinite value": ("tickets", infinite, ["words", "infinite"]),
    "unknown category": ("resolutions", lambda f: edited(f, "team", "lunch", 3), ["team"]),
    "rows of another day": (
        "resolutions",
        lambda f: f.assign(resolved_at=f["resolved_at"] + pd.Timedelta(days=1)),
        ["is not of the day it landed for"],
    ),
    "empty file": ("resolutions", lambda f: "", ["part-0.csv", "is empty (0 bytes)"]),
    "no rows": ("resolutions", lambda f: f.iloc[:0], ["part-0.csv", "has no rows"]),
    "half-written CSV": (
        "resolutions",
        lambda f: text(f, "resolutions")[:-25],
        ["part-0.csv", "fields, the header"],
    ),
    "half-written JSON lines": (
        "tickets",
        lambda f: text(f, "tickets")[:-25],
        ["part-0.jsonl", "is no JSON"],
    ),
}
CASES = [*REFUSED, "few bad rows", "unfinished name", "unknown day", "locked"]
DAYS = {name: after(START, 1 + 2 * n) for n, name in enumerate(CASES)}  # never neighbours
LAST = max(DAYS.values())


class Door:
    """The place, its archive, and one day's files in the landing folder."""

    def __init__(self, world: Place) -> None:
        self.world = world
        self.frames = generate()

    def path(self, source: str, day: date):
        kind = {"tickets": "jsonl", "resolutions": "csv"}[source]
        return self.world.landing / source / f"date={day}" / f"part-0.{kind}"

    def good(self, source: str, day: date) -> pd.DataFrame:
        """The day's rows as they landed first."""
        if source == "resolutions":
            return pd.read_csv(self.path(source, day), parse_dates=["resolved_at"])
        return pd.read_json(self.path(source, day), lines=True)

    def put(self, source: str, day: date, content) -> None:
        if isinstance(content, pd.DataFrame):
            content = text(content, source)
        self.path(source, day).write_text(content)

    def run(self, day: date, end: date | None = None):
        return self.world.run("daily", day, end, assets=STEPS)

    def kept(self, source: str, day: date) -> list:
        """What the database holds of a day of a source and of what is made of it."""
        return self.world.rows(
            "SELECT dataset, rows, digest, run_id FROM ops.partitions WHERE partition_date = $1 "
            "AND list_contains($2, dataset) ORDER BY dataset",
            day,
            list(TABLES[source]),
        ) + self.world.rows(
            "FROM ops.landed_files WHERE partition_date = $1 AND source = $2", day, source
        )


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    # A tolerance for tickets, none to speak of for resolutions; no patience with a lock.
    case = replace(
        CASE,
        sources=[
            replace(source, quarantine_tolerance=0.05)
            if source.name == "tickets"
            else replace(source, quarantine_tolerance=0.01)
            for source in CASE.sources
        ],
    )
    folder = tmp_path_factory.mktemp("door")
    with place(folder, case=case, lock_timeout_seconds=0.1) as world:
        made = Door(world)
        land(world.landing, made.frames, LAST)
        for result in (world.run("refresh_static"), made.run(START, LAST)):
            assert result.success, error_text(result)
        yield made


class Range:
    """All bad files at once, in one run over their days; then good ones, in another.

    Of the sources alone: what depends on them is looked at file by file, and waits for a range.
    """

    def __init__(self, door: Door) -> None:
        self.good = {name: door.good(REFUSED[name][0], DAYS[name]) for name in REFUSED}
        self.before = self.kept(door)
        for name, (source, spoil, _) in REFUSED.items():
            door.put(source, DAYS[name], spoil(self.good[name]))
        self.refused = door.world.run("daily", START, LAST, assets=STEPS[:2])
        self.after = self.kept(door)
        for name, (source, _, _) in REFUSED.items():
            door.put(source, DAYS[name], self.good[name].iloc[:-1])
        self.taken = door.world.run("daily", START, LAST, assets=STEPS[:2])

    def kept(self, door: Door) -> dict[str, list]:
        return {name: door.kept(source, DAYS[name]) for name, (source, _, _) in REFUSED.items()}


@pytest.fixture(scope="module")
def range_(door) -> Range:
    return Range(door)


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_in_a_range_is_refused_and_the_next_good_one_taken(door, range_, case):
    source, _, said = REFUSED[case]
    day, result = DAYS[case], range_.refused
    assert not result.success
    (contract,) = checks(result, "contract", source)
    assert not contract.passed
    problems = contract.metadata["refused"].value.split("\n\n")
    of_day = "\n".join(text for text in problems if text.startswith(str(day)))
    for part in said:
        assert part in of_day
    bad = sum(source == of for of, _, _ in REFUSED.values())
    assert f"{source}: {bad} day(s) broke the contract" in error_text(result)
    assert f"raw/{source}" not in materialized(result)
    assert range_.after[case] == range_.before[case]

    assert range_.taken.success, error_text(range_.taken)
    assert all(check.passed for check in checks(range_.taken, "contract"))
    assert f"raw/{source}" in materialized(range_.taken)
    assert door.world.rows(f"SELECT count(*) FROM raw.{source} WHERE partition_date = $1", day) == [
        (len(range_.good[case]) - 1,)
    ]


@pytest.mark.parametrize("case", ["missing column", "infinite value"])
def test_a_bad_file_is_refused_and_the_next_good_one_taken(door, range_, case):
    source, spoil, said = REFUSED[case]
    day = DAYS[case]
    good, before = door.good(source, day), door.kept(source, day)
    door.put(source, day, spoil(good))

    result = door.run(day)
    assert not result.success
    (contract,) = checks(result, "contract", source)
    assert not contract.passed
    assert contract.severity.value == "ERROR"
    for part in (str(day), *said):
        assert part in contract.metadata["refused"].value
    assert f"{source}: 1 day(s) broke the contract" in error_text(result)
    assert "land a good file" in error_text(result)
    written = materialized(result)
    assert f"raw/{source}" not in written
    assert DOWNSTREAM[source] not in written
    assert door.kept(source, day) == before

    door.put(source, day, good.iloc[:-1])
    result = door.run(day)
    assert result.success, error_text(result)
    assert all(check.passed for check in checks(result, "contract"))
    assert {f"raw/{source}", DOWNSTREAM[source]} <= materialized(result)
    assert door.world.rows(f"SELECT count(*) FROM raw.{source} WHERE partition_date = $1", day) == [
        (len(good) - 1,)
    ]


def test_a_bad_day_in_a_range_does_not_keep_the_good_days_out(door):
    """The good days of the range are taken up; what depends on the range waits."""
    day, neighbour = DAYS["missing column"], after(DAYS["missing column"], 1)
    good, other = door.good("resolutions", day), door.good("resolutions", neighbour)
    before = door.kept("resolutions", day)
    door.put("resolutions", day, good.drop(columns="team"))
    door.put("resolutions", neighbour, other.iloc[1:])
    result = door.run(day, neighbour)
    assert not result.success
    assert door.kept("resolutions", day) == before
    count = "SELECT count(*) FROM raw.resolutions WHERE partition_date = $1"
    assert door.world.rows(count, neighbour) == [(len(other) - 1,)]
    assert "features/recent_resolutions" not in materialized(result)
    door.put("resolutions", day, good)
    assert door.run(day, neighbour).success


def test_a_few_bad_rows_are_set_aside_with_the_reason_and_the_rest_goes_on(door):
    day = DAYS["few bad rows"]
    good = door.good("tickets", day)
    door.put("tickets", day, edited(good, "region", "moon"))
    result = door.run(day)
    assert result.success, error_text(result)
    (contract,) = checks(result, "contract", "tickets")
    assert contract.passed
    assert contract.metadata["quarantined_rows"].value == 1
    assert "region" in contract.metadata["reasons"].value
    [(file, number, reason, record)] = door.world.rows(
        "SELECT file, row_number, reason, record->>'region' FROM quarantine.tickets "
        "WHERE partition_date = $1",
        day,
    )
    assert file == f"tickets/date={day}/part-0.jsonl"
    assert number == 1
    assert "region" in reason
    assert "moon" in reason
    assert record == "moon"
    count = "SELECT count(*) FROM raw.tickets WHERE partition_date = $1"
    assert door.world.rows(count, day) == [(len(good) - 1,)]
    # Mended, the row is no longer set aside.
    door.put("tickets", day, good)
    assert door.run(day).success
    left = "SELECT count(*) FROM quarantine.tickets WHERE partition_date = $1"
    assert door.world.rows(left, day) == [(0,)]
    assert door.world.rows(count, day) == [(len(good),)]


def test_a_file_that_is_still_being_written_is_not_read(door):
    day = DAYS["unfinished name"]
    good, before = door.good("resolutions", day), door.kept("resolutions", day)
    path = door.path("resolutions", day)
    unfinished = path.rename(path.with_name("part-0.csv.tmp"))
    unfinished.write_text(text(good, "resolutions")[:100])
    result = door.run(day)
    (files,) = checks(result, "files", "resolutions")
    assert not files.passed
    assert "part-0.csv.tmp" in files.metadata["unused_files"].value
    assert "rename it when it is complete" in files.metadata["unused_files"].value
    assert str(day) in files.metadata["missing_days"].value
    assert door.kept("resolutions", day) == before
    unfinished.write_text(text(good, "resolutions"))
    unfinished.rename(path)
    result = door.run(day)
    assert all(check.passed for check in checks(result, "files"))


@pytest.mark.parametrize("name", ["date=2024-02-30", "date=2019-01-01", "yesterday"])
def test_a_file_for_an_unknown_day_is_told_and_touches_nothing(door, name):
    day = DAYS["unknown day"]
    before = door.kept("resolutions", day)
    folder = door.world.landing / "resolutions" / name
    folder.mkdir()
    path = folder / "part-0.csv"
    path.write_text(text(door.good("resolutions", day), "resolutions"))
    try:
        result = door.run(day)
    finally:
        path.unlink()
        folder.rmdir()
    assert result.success, error_text(result)
    (files,) = checks(result, "files", "resolutions")
    assert not files.passed
    assert name in files.metadata["unused_files"].value
    assert door.kept("resolutions", day) == before
    assert door.world.rows(
        "SELECT count(*) FROM raw.resolutions WHERE partition_date < $1", START
    ) == [(0,)]


HOLD = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as con:
    print("holding", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_on_the_database_is_named_with_what_to_do(door):
    day = DAYS["locked"]
    before = door.kept("tickets", day)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(door.world.warehouse.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        result = door.world.run("daily", day, assets=[("raw", "tickets")])
    finally:
        holder.communicate("\n", timeout=10)
    assert not result.success
    said = error_text(result)
    assert f"PID {holder.pid}" in said
    assert str(door.world.warehouse.path) in said
    assert "Wait until it has finished, or end it" in said
    assert "MLOPS_ASSETS_LOCK_TIMEOUT_SECONDS" in said
    # As soon as it is gone, the day is done.
    assert door.run(day).success
    assert door.kept("tickets", day) == before
