"""Landing: bad files and rows are reported and set aside; what was there stays."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pandera.pandas as pa
import pytest

from mlops_assets.core.landing.landing import ingest, scan
from mlops_assets.core.storage import store
from mlops_assets.core.storage.days import day_start
from mlops_assets.vocabulary import DeclarationError, Source

ZONE = "America/New_York"
D1, D2, D3 = date(2013, 3, 9), date(2013, 3, 10), date(2013, 3, 11)  # D2 has 23 hours


def schema() -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        {
            "station": pa.Column(str, pa.Check.isin(["north", "south"])),
            "at": pa.Column("datetime64[us]"),
            "temp": pa.Column(float, pa.Check.in_range(-60, 60), nullable=True),
            "count": pa.Column(int),
        }
    )


def source(**changes) -> Source:
    given = {
        "name": "weather",
        "schema": schema,
        "key": ("station", "at"),
        "event_time": "at",
        "quarantine_tolerance": 0.5,
    }
    return Source(**(given | changes))


def rows(day: date = D1, n: int = 4, **changes) -> pd.DataFrame:
    """Hourly rows from noon UTC, which is the morning of the same day in New York."""
    at = pd.date_range(datetime(day.year, day.month, day.day, 12), periods=n, freq="h")
    data = pd.DataFrame({"station": "north", "at": at.astype("datetime64[us]")})
    return data.assign(temp=[float(i) for i in range(n)], count=range(n)).assign(**changes)


class World:
    """A landing folder and a database."""

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.landing = folder / "landing"
        self.con = duckdb.connect(str(folder / "w.duckdb"))
        store.initialise(self.con)

    def path(self, name: str = "a.parquet", day: date | None = D1) -> Path:
        folder = self.landing / "weather"
        path = (folder / f"date={day}" if day else folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def land(self, frame: pd.DataFrame, name: str = "a.parquet", day: date | None = D1) -> Path:
        path = self.path(name, day)
        if name.endswith(".csv"):
            frame.to_csv(path, index=False)
        elif name.endswith(".jsonl"):
            frame.to_json(path, orient="records", lines=True, date_format="iso")
        else:
            frame.to_parquet(path, index=False)
        return path

    def ingest(self, dates=(D1,), declared: Source | None = None, run_id: str = "run"):
        declared = declared or source()
        files = scan(self.landing, declared).files
        self.con.execute("BEGIN")
        report = ingest(
            self.con, declared, ZONE, files,
            list(dates) if declared.partitioned else None, self.landing, run_id,
        )  # fmt: skip
        self.con.execute("COMMIT")
        return report.days

    def all(self, sql: str) -> list[tuple]:
        return self.con.execute(sql).fetchall()

    def everything(self) -> dict[str, list[tuple]]:
        tables = self.all(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE schema_name IN ('raw', 'quarantine', 'ops') ORDER BY 1"
        )
        return {name: self.all(f"FROM {name} ORDER BY ALL") for (name,) in tables}


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.con.close()


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "A.PARQUET"])
def test_every_kind_of_file_gives_the_same_rows(world, name):
    world.land(rows(temp=[0.5, None, 2.0, 3.0]), name)
    report = world.ingest()[D1]
    assert (report.rows, report.quarantined, report.problems) == (4, 0, [])
    assert world.all('SELECT station, "at", temp, count, partition_date FROM raw.weather')[:2] == [
        ("north", datetime(2013, 3, 9, 12), 0.5, 0, D1),
        ("north", datetime(2013, 3, 9, 13), None, 1, D1),
    ]


def test_ingesting_unchanged_files_again_changes_nothing(world):
    world.land(rows(station=["north", "north", "south", "bad"]))
    world.land(rows(day=D2), day=D2)
    first = world.ingest([D1, D2, D3])
    before = world.everything()
    again = world.ingest([D1, D2, D3], run_id="another")
    assert world.everything() == before
    assert {d: r.digest for d, r in again.items()} == {d: r.digest for d, r in first.items()}
    assert not any(report.new for report in again.values())


def test_days_ingested_one_by_one_or_together_are_the_same(world, tmp_path):
    other = World(tmp_path / "other")
    for w in (world, other):
        for day in (D1, D2, D3):
            w.land(rows(day, temp=[1.0, 1.0, 99.0, 2.0]), day=day)
    world.ingest([D1, D2, D3])
    for day in (D3, D1, D2):
        other.ingest([day])
    assert {n: [r[:-1] for r in t] for n, t in world.everything().items()} == {
        n: [r[:-1] for r in t] for n, t in other.everything().items()
    }
    other.con.close()


def test_files_that_are_not_alike_are_read_together_as_they_are_alone(world, tmp_path):
    frames = {
        (D1, "a.parquet"): rows(D1, 2),
        (D1, "b.csv"): rows(D1, 4).iloc[2:],
        (D2, "a.parquet"): rows(D2, 3).astype({"count": "int32"}),
        (D3, "a.parquet"): rows(D3, 3).assign(temp=["cold", "colder", "coldest"]),
        (D3, "b.parquet"): rows(D3, 4).iloc[3:],
    }
    alone = World(tmp_path / "other")
    for where in (world, alone):
        for (day, name), frame in frames.items():
            where.land(frame, name, day)
    together = world.ingest([D1, D2, D3])
    assert together == {d: report for d in (D1, D2, D3) for report in [alone.ingest([d])[d]]}
    assert [together[d].rows for d in (D1, D2, D3)] == [4, 3, 0]
    assert together[D3].refused
    assert "a.parquet" in together[D3].problems[0]


@pytest.mark.parametrize("day", [date(2013, 3, 8), D1, D2, D3, date(2013, 11, 3)])
def test_midnight_is_that_of_the_local_day_also_where_clocks_change(world, day):
    start, end = day_start(day, ZONE), day_start(day + timedelta(days=1), ZONE)
    micro = timedelta(microseconds=1)
    at = pd.Series([start - micro, start, end - micro, end], dtype="datetime64[us]")
    world.land(rows(day, at=at), day=day)
    world.ingest([day])
    assert world.all('SELECT "at" FROM raw.weather ORDER BY 1') == [(start,), (end - micro,)]
    assert world.all("SELECT row_number FROM quarantine.weather ORDER BY 1") == [(1,), (4,)]


def test_a_corrected_file_replaces_the_day(world):
    world.land(rows())
    world.ingest()
    world.land(rows(n=2))
    assert world.ingest()[D1].rows == 2
    assert world.all("SELECT count(*) FROM raw.weather") == [(2,)]
    assert world.all("SELECT rows FROM ops.landed_files") == [(2,)]


def test_rows_that_break_the_contract_are_set_aside_with_the_reason(world):
    path = world.land(rows(temp=[0.0, 999.0, 1.0, float("inf")]))
    report = world.ingest()[D1]
    assert not report.refused
    assert (report.rows, report.quarantined) == (2, 2)
    assert report.reasons == {"temp: is not in range -60..60": 1, "temp: is infinite": 1}
    found = world.all("SELECT file, row_number, reason, record FROM quarantine.weather ORDER BY 2")
    assert [row[:3] for row in found] == [
        (path.relative_to(world.landing).as_posix(), 2, "temp: 999.0 is not in range -60..60"),
        (path.relative_to(world.landing).as_posix(), 4, "temp: is infinite"),
    ]
    record = json.loads(found[0][3])
    assert record == {"station": "north", "at": "2013-03-09 13:00:00", "temp": 999.0, "count": 1}
    assert world.all("SELECT rows, quarantined FROM ops.landed_files") == [(2, 2)]


def test_a_value_that_could_not_be_read_is_kept_as_it_was(world):
    world.land(rows().astype({"temp": object}).assign(temp=["1", "warm", "2", "3"]), "a.csv")
    world.ingest()
    [(reason, record)] = world.all("SELECT reason, record FROM quarantine.weather")
    assert reason == "temp: 'warm' is not a number"
    assert json.loads(record)["temp"] == "warm"


def test_rows_of_another_local_day_are_set_aside(world):
    # 03:00 UTC is the evening before in New York; the spring day has 23 hours.
    at = pd.to_datetime(
        ["2013-03-10 04:59", "2013-03-10 05:00", "2013-03-11 03:59", "2013-03-11 04:00"]
    )
    world.land(rows(at=at), day=D2)
    report = world.ingest([D2])[D2]
    assert (report.rows, report.quarantined) == (2, 2)
    reasons = world.all("SELECT reason FROM quarantine.weather ORDER BY row_number")
    assert "2013-03-09 23:59:00 in America/New_York is not of the day 2013-03-10" in reasons[0][0]
    assert "2013-03-11 00:00:00" in reasons[1][0]


def test_duplicates_across_the_files_of_a_day_do_not_multiply_rows(world):
    world.land(rows())
    world.land(rows().head(2).assign(temp=[0.0, 50.0]), "b.parquet")
    report = world.ingest()[D1]
    assert (report.rows, report.quarantined) == (3, 3)
    assert report.reasons == {
        "station, at: repeats an equal row": 1,
        "station, at: other rows with this key have other values": 2,
    }
    assert world.all("SELECT file, row_number FROM quarantine.weather ORDER BY ALL") == [
        ("weather/date=2013-03-09/a.parquet", 2),
        ("weather/date=2013-03-09/b.parquet", 1),
        ("weather/date=2013-03-09/b.parquet", 2),
    ]


def test_the_same_file_under_two_names_is_loaded_once(world):
    path = world.land(rows())
    world.path("b.parquet").write_bytes(path.read_bytes())
    report = world.ingest()[D1]
    assert (report.rows, report.quarantined, report.refused) == (4, 0, False)
    assert "b.parquet equals" in report.notes[0]
    assert world.all("SELECT path, rows FROM ops.landed_files ORDER BY 1") == [
        ("weather/date=2013-03-09/a.parquet", 4),
        ("weather/date=2013-03-09/b.parquet", 0),
    ]


def test_ingest_seq_follows_file_names_and_rows(world):
    world.land(rows().tail(2), "b.parquet")
    world.land(rows().head(2), "a.parquet")
    world.ingest()
    base = D1.toordinal() * 10**9
    assert world.all("SELECT ingest_seq, count FROM raw.weather ORDER BY 1") == [
        (base + i, i) for i in range(4)
    ]


def test_keys_of_different_days_are_no_duplicates_of_each_other(world):
    declared = source(key=("station",))
    for day in (D1, D2):
        world.land(rows(day, n=1), day=day)
    report = world.ingest([D1, D2], declared)
    assert [r.rows for r in report.values()] == [1, 1]


def bad_files(world: World) -> dict[str, tuple]:
    good = world.path("good.bin")
    rows().to_parquet(good)
    whole = good.read_bytes()
    good.unlink()
    return {
        "cut off": (whole[: len(whole) // 2], "a.parquet", "is no complete Parquet file"),
        "empty": (b"", "a.parquet", "is empty (0 bytes)"),
        "empty csv": (b"", "a.csv", "is empty (0 bytes)"),
        "cut off csv": (b"station,at,temp,count\nnorth,201", "a.csv", "line 2 has 2 fields"),
        "quotes": (b'station,at,temp,count\n"north', "a.csv", "is no CSV file"),
        "header only": (b"station,at,temp,count\n", "a.csv", "has no rows"),
        "no csv": (b"station,at\n1,2\n1,2,3\n", "a.csv", "line 3 has 3 fields, the header 2"),
        "not utf-8": (b"station,at,temp,count\n\xff,1,1,1\n", "a.csv", "is no CSV file"),
        "no json": (b'{"station": "north"}\n{"stati', "a.jsonl", "line 2 is no JSON"),
        "no object": (b"[1]\n", "a.jsonl", "line 1 is no JSON object"),
        "columns": (b"station,at,temp,size\nnorth,2013,1,1\n", "a.csv", "'count' is missing"),
        "types": (b"station,at,temp,count\nnorth,soon,x,1\n", "a.csv", "'temp' should be DOUBLE"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "cut off", "empty", "empty csv", "header only", "no csv", "not utf-8", "no json",
        "no object", "columns", "types", "cut off csv", "quotes",
    ],
)  # fmt: skip
def test_a_bad_file_leaves_the_day_intact_and_the_next_good_one_is_taken(world, kind):
    path = world.land(rows(n=3))
    world.land(rows(D2), day=D2)
    world.ingest([D1])
    before = world.all("FROM raw.weather ORDER BY ALL")
    files = world.all("FROM ops.landed_files")
    path.unlink()
    content, name, words = bad_files(world)[kind]
    bad = world.path(name)
    bad.write_bytes(content)
    report = world.ingest([D1, D2])
    assert report[D1].refused
    assert words in report[D1].problems[0]
    assert name in report[D1].problems[0]
    assert (report[D1].rows, report[D1].notes) == (3, ["keeps the 3 rows it had"])
    assert report[D2].rows == 4  # the other day is not held up
    assert world.all("FROM raw.weather WHERE partition_date = '2013-03-09' ORDER BY ALL") == before
    assert files[0] in world.all("FROM ops.landed_files")
    bad.unlink()
    world.land(rows(n=2))
    good = world.ingest([D1])[D1]
    assert (good.rows, good.refused, good.problems) == (2, False, [])


def test_too_many_bad_rows_refuse_the_day_and_show_which(world):
    world.land(rows(n=3))
    world.ingest()
    world.land(rows(temp=[99.0, 98.0, 97.0, 1.0]))
    report = world.ingest()[D1]
    assert report.refused
    assert "3 of 4 rows (75.0%) break the contract" in report.problems[0]
    assert "temp: is not in range -60..60 (3)" in report.problems[0]
    assert report.rows == 3
    assert world.all("SELECT count(*) FROM quarantine.weather") == [(3,)]
    world.land(rows())
    assert world.ingest()[D1].rows == 4
    assert world.all("SELECT count(*) FROM quarantine.weather") == [(0,)]


def test_a_refused_first_day_has_a_table_and_no_ledger_row(world):
    world.path().write_bytes(b"PAR1")
    report = world.ingest()[D1]
    assert report.refused
    assert world.all("FROM raw.weather") == []
    assert store.partitions(world.con, "raw.weather") == {}


def test_a_day_without_files_is_recorded_as_empty(world):
    report = world.ingest([D1, D2])
    assert [r.problems for r in report.values()] == [["no file landed"]] * 2
    assert not report[D1].refused
    assert [s.rows for s in store.partitions(world.con, "raw.weather").values()] == [0, 0]


def test_files_that_were_cleaned_up_after_ingestion_do_not_delete_their_rows(world):
    path = world.land(rows())
    world.ingest()
    path.unlink()
    report = world.ingest()[D1]
    assert (report.rows, report.problems) == (4, ["no file landed"])
    assert "keeps the 4 rows" in report.notes[0]


def test_a_file_that_is_still_growing_is_refused(world):
    path = world.land(rows(), "a.csv")
    files = scan(world.landing, source()).files
    with path.open("a") as file:
        file.write("north,2013-03-09 20:00:00,1.0,1\n")
    report = ingest(world.con, source(), ZONE, files, [D1], world.landing, "r").days[D1]
    assert report.refused
    assert "still being written" in report.problems[0]


def test_a_file_that_vanishes_after_the_scan_is_reported(world):
    path = world.land(rows())
    files = scan(world.landing, source()).files
    path.unlink()
    report = ingest(world.con, source(), ZONE, files, [D1], world.landing, "r").days[D1]
    assert report.refused
    assert "No such file" in report.problems[0]


def test_a_check_over_the_whole_file_judges_each_day_by_itself(world):
    def mean_below_ten():
        declared = schema()
        declared.columns["temp"].checks.append(
            pa.Check(lambda s: s.mean() < 10, error="the mean is too high")
        )
        return declared

    world.land(rows())
    world.land(rows(D2, temp=50.0), day=D2)
    report = world.ingest([D1, D2], source(schema=mean_below_ten))
    assert (report[D1].rows, report[D1].refused) == (4, False)
    assert report[D2].refused
    assert report[D2].problems == ["temp: the mean is too high"]


def test_a_static_source_is_replaced_as_a_whole(world):
    declared = source(partitioned=False, event_time=None)
    assert world.ingest(declared=declared)[None].problems == ["no file landed"]
    world.land(rows(), day=None)
    assert world.ingest(declared=declared)[None].rows == 4
    world.land(rows(n=2), day=None)
    assert world.ingest(declared=declared)[None].rows == 2
    columns = [row[0] for row in world.all("DESCRIBE raw.weather")]
    assert columns == ["station", "at", "temp", "count", "ingest_seq"]
    assert world.all("SELECT partition_date, rows FROM ops.landed_files") == [(None, 2)]


def test_a_loader_reads_what_it_likes_and_its_failure_is_reported(world):
    def load(path: Path) -> pd.DataFrame:
        return rows(n=int(path.read_text()))

    declared = source(loader=load)
    path = world.path("a.dat")
    path.write_text("3")
    assert world.ingest(declared=declared)[D1].rows == 3
    path.write_text("three")
    report = world.ingest(declared=declared)[D1]
    assert report.refused
    assert "loader cannot read it: ValueError" in report.problems[0]


def test_an_event_time_that_is_no_time_is_a_mistake_in_the_declaration(world):
    with pytest.raises(DeclarationError, match="event_time: 'count'"):
        world.ingest(declared=source(event_time="count"))


def test_only_complete_files_in_their_places_are_found(world, tmp_path):
    world.land(rows())
    world.land(rows(D2), day=D2)
    world.land(rows(), day=None)
    for name in (".hidden.parquet", "_SUCCESS", "b.parquet.tmp", "notes.txt"):
        world.path(name).write_text("x")
    world.path("x", None).with_name("date=2013-02-30").mkdir()
    world.path("x", None).with_name("day=2013-01-01").mkdir()
    world.path("deeper").mkdir()
    outside = tmp_path / "secret.parquet"
    rows().to_parquet(outside)
    world.path("link.parquet").symlink_to(outside)
    world.path("nowhere.parquet").symlink_to(tmp_path / "gone")
    world.path("inside.parquet").symlink_to(world.path())
    found = scan(world.landing, source(), end=D2)
    names = [f.path.name for f in found.files]
    assert names == ["a.parquet", "inside.parquet"]
    assert {path.name: reason.split(":")[0] for path, reason in found.ignored} == {
        ".hidden.parquet": "has a name that begins with a dot or underscore",
        "_SUCCESS": "has a name that begins with a dot or underscore",
        "b.parquet.tmp": "has the name of an unfinished file; rename it when it is complete",
        "notes.txt": "is of an unknown kind; there is .parquet, .csv, .jsonl",
        "date=2013-02-30": "2013-02-30 is no day of the calendar",
        "day=2013-01-01": "is not a folder date=YYYY-MM-DD",
        "deeper": "is a folder or device where files should be",
        "link.parquet": "is a link that leads out of the landing folder",
        "nowhere.parquet": "is a link to nothing",
        "a.parquet": "is not in a folder date=YYYY-MM-DD",
        "date=2013-03-10": "is not a day from None to before 2013-03-10",
    }


def test_a_missing_folder_holds_no_files_and_a_file_in_its_place_is_an_error(tmp_path):
    assert scan(tmp_path / "none", source()).files == []
    (tmp_path / "weather").write_text("x")
    with pytest.raises(NotADirectoryError, match="make it a folder"):
        scan(tmp_path, source())
