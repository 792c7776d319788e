"""The twelve faults on the flights of 2013: what breaks, where, and landing as it really is.

A case breaks one day of one table. Its rows are landed as a file and ingested; where landing
refuses them, the rows of the file are measured, as in the graph. ``bad_data`` has the faults.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from mlops_assets.core import quality
from mlops_assets.core.landing import landing
from mlops_assets.core.quality import Cause, MeasuredDay
from mlops_assets.core.storage import days as calendar
from mlops_assets.core.storage import sql, store
from mlops_assets.use_cases.nyc_flights import USE_CASE
from mlops_assets_tests.core import bad_data
from mlops_assets_tests.use_cases.flights import ARCHIVE

ZONE = USE_CASE.timezone
SOURCES = {source.name: source for source in USE_CASE.sources if source.partitioned}
FIRST, END = date(2013, 1, 1), date(2014, 1, 1)

#: What is monitored of a model: its label beside what it was predicted from.
LABELLED = quality.Table(
    dataset="capture.late_arrival__outcomes",
    timezone=ZONE,
    key=("flight_id",),
    labels=("late",),
)
_LABELLED = """
    SELECT flight_id, local_time(scheduled_departure)::DATE AS partition_date,
           arrival_delay > 15 AS late, carrier, origin, distance_miles,
           hour(local_time(scheduled_departure)) AS departure_hour
    FROM flight_outcomes JOIN flight_schedule USING (flight_id, scheduled_departure)
    WHERE arrival_delay IS NOT NULL
"""

Fault = Callable[[pd.DataFrame, date, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Case:
    """A fault, where it happens, and what is to be said of it."""

    cause: Cause
    table: str
    column: str | None
    fault: Fault
    name: str = ""


class Flights:
    """The flights of the year, measured and assessed once; any day of them can be broken."""

    def __init__(self, first: date = FIRST, end: date = END) -> None:
        self.con = duckdb.connect(":memory:")
        self.con.execute("SET threads = 2")
        sql.define_local_time(self.con, ZONE)
        store.initialise(self.con)
        self.days = calendar.days(first, end)
        for name in SOURCES:
            path = ARCHIVE / f"{name}.parquet"
            self.con.execute(f"CREATE VIEW {name} AS FROM read_parquet('{path}')")
        self.profiles: dict[str, dict[date, quality.DayProfile]] = {}
        self.history: dict[str, list[quality.AssessedDay]] = {}
        for name in [*SOURCES, "labelled"]:
            self.con.execute(f"CREATE TABLE {name}_days AS {self._rows(name)}")
            measured = quality.measure(self.con, f"{name}_days", self.table(name), self.days)
            self.profiles[name] = measured
            self.history[name] = quality.assess(MeasuredDay(d, p) for d, p in measured.items())

    def _rows(self, name: str) -> str:
        between = f"BETWEEN '{self.days[0]}' AND '{self.days[-1]}'"
        if name == "labelled":
            return f"FROM ({_LABELLED}) WHERE partition_date {between}"
        event = sql.identifier(SOURCES[name].event_time or "")
        # Landing sets the one row aside that has an impossible wind.
        good = "WHERE coalesce(wind_speed, 0) <= 150" if name == "weather" else ""
        return (
            f"FROM (SELECT *, local_time({event})::DATE AS partition_date FROM {name} {good}) "
            f"WHERE partition_date {between} ORDER BY {event}"
        )

    def table(self, name: str) -> quality.Table:
        """Return what is to be known of a table."""
        return LABELLED if name == "labelled" else quality.of_source(SOURCES[name], ZONE)

    def rows(self, name: str, day: date) -> pd.DataFrame:
        """Return a day's rows as they land."""
        found = self.con.execute(
            f"SELECT * EXCLUDE (partition_date) FROM {name}_days WHERE partition_date = ?", [day]
        ).df()
        if "late" in found:
            found["late"] = found["late"].astype(bool)
        return found

    def measured(self, name: str, day: date, rows: pd.DataFrame, revision: int = 0) -> MeasuredDay:
        """Land rows as the file of a day and measure what becomes of it."""
        if name == "labelled":
            frame = rows.assign(partition_date=day)
            profile = quality.measure(self.con, frame, LABELLED, [day])[day]
            return MeasuredDay(day, profile, revision)
        source = SOURCES[name]
        with tempfile.TemporaryDirectory() as folder:
            into = Path(folder) / name / f"date={day}"
            into.mkdir(parents=True)
            rows.to_parquet(into / "rows.parquet", index=False)
            files = landing.scan(Path(folder), source).files
            report = landing.ingest(
                self.con, source, ZONE, files, [day], Path(folder), "run", datetime(2014, 1, 1)
            )
            landed = quality.Landed.of(report.days[day])
            if landed.refused:
                given = quality.landed_rows(source, files)
                table = quality.of_source(source, ZONE, landed=True)
            else:
                given, table = f"raw.{name}", quality.of_source(source, ZONE)
            empty = quality.DayProfile(rows=0)
            told = empty if given is None else quality.measure(self.con, given, table, [day])[day]
            return MeasuredDay(day, told, revision, day, landed)

    def ordinary(self, name: str) -> list[date]:
        """Return the days with enough days before them and nothing wrong with them."""
        return [t.measured.day for t in self.history[name][21:] if not t.diagnoses and t.judged]

    def assessed(self, name: str, broken: MeasuredDay) -> quality.AssessedDay:
        """Assess a day by the untouched days before it."""
        before = [t for t in self.history[name] if t.measured.day < broken.day]
        return quality.assess([broken], before[-quality.Rules().window :])[0]


def _local(day: date, hour: float) -> pd.Timestamp:
    midnight = calendar.day_start(day, ZONE)
    return pd.Timestamp(midnight + timedelta(hours=hour)).as_unit("us")


def _at_station(rows: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    return rows["origin"] == rng.choice(["EWR", "JFK", "LGA"])


def _stuck(column: str) -> Fault:
    def fault(rows: pd.DataFrame, day: date, rng: np.random.Generator) -> pd.DataFrame:
        readings = int(rng.integers(14, 25))
        first = int(rng.integers(0, 25 - readings))
        return bad_data.stuck_sensor(rows, column, _at_station(rows, rng), first, readings)

    return fault


def _again(rows: pd.DataFrame) -> pd.DataFrame:
    """The same flights under other numbers in their ids."""
    ids = rows["flight_id"].str.split("-").str
    number = (pd.to_numeric(ids[4]) + 1) % 10_000
    day = rows["flight_id"].str[:10]
    return rows.assign(flight_id=day + "-" + ids[3] + "-" + number.astype(str) + "-ZZZ")


def cases() -> Iterator[Case]:
    """Yield every case: each of the twelve faults, in several columns and tables."""
    for table, column, factor, offset, decimals in (
        ("flight_schedule", "distance_miles", 1.609344, 0.0, 0),
        ("weather", "temperature", 5 / 9, -160 / 9, 1),
        ("weather", "dew_point", 5 / 9, -160 / 9, 2),
        ("weather", "wind_speed", 0.44704, 0.0, 2),
        ("weather", "pressure", 0.02952998, 0.0, 2),
        ("flight_outcomes", "arrival_delay", 1 / 60, 0.0, 4),
        ("flight_departures", "departure_delay", 60.0, 0.0, 0),
    ):
        yield Case(
            Cause.UNIT_CHANGE,
            table,
            column,
            lambda rows, day, rng, c=column, f=factor, o=offset, d=decimals: bad_data.unit_change(
                rows, c, f, o, d
            ),
        )
    for table, column in (
        ("flight_schedule", "tail_number"),
        ("flight_outcomes", "arrival_delay"),
        ("weather", "temperature"),
        ("weather", "wind_direction"),
    ):
        yield Case(
            Cause.NULL_BURST,
            table,
            column,
            lambda rows, day, rng, c=column: bad_data.null_burst(
                rows, c, rng.random(), rng.uniform(0.4, 1.0)
            ),
        )
    for column in ("temperature", "dew_point", "humidity", "wind_speed"):
        yield Case(Cause.STUCK_SENSOR, "weather", column, _stuck(column))
    for table, column, old, new in (
        ("flight_schedule", "carrier", "UA", "CO"),
        ("flight_schedule", "destination", "ATL", "ATX"),
        ("flight_schedule", "origin", "LGA", "LaGuardia"),
        ("weather", "origin", "JFK", "KJFK"),
    ):
        yield Case(
            Cause.CATEGORY_RENAME,
            table,
            column,
            lambda rows, day, rng, c=column, o=old, n=new: bad_data.category_rename(rows, c, o, n),
        )
    for table, again in (
        ("flight_schedule", None),
        ("flight_schedule", _again),
        ("flight_departures", None),
        ("weather", None),
    ):
        yield Case(
            Cause.DUPLICATE_LOAD,
            table,
            None,
            lambda rows, day, rng, a=again: bad_data.duplicate_load(rows, a),
            "other keys" if again else "",
        )
    both = ["scheduled_departure", "scheduled_arrival"]
    for table, columns, hours in (
        ("flight_schedule", both, -5),
        ("flight_schedule", both, 4),
        ("flight_outcomes", ["actual_arrival"], -4),
        ("weather", ["observed_at", "known_at"], 5),
    ):
        yield Case(
            Cause.TIMEZONE_SHIFT,
            table,
            columns[0],
            lambda rows, day, rng, c=columns, h=hours: bad_data.timezone_shift(rows, c, h),
            f"{hours:+d} h",
        )
    for table in ("flight_schedule", "flight_outcomes", "weather"):
        yield Case(
            Cause.HALF_VOLUME,
            table,
            None,
            lambda rows, day, rng: bad_data.half_volume(rows, rng),
        )
    yield Case(
        Cause.LABEL_FLIP,
        "labelled",
        "late",
        lambda rows, day, rng: bad_data.label_flip(rows, "late"),
    )
    for table, column in (
        ("flight_schedule", "scheduled_departure"),
        ("flight_outcomes", "scheduled_departure"),
        ("weather", "observed_at"),
    ):
        yield Case(
            Cause.TRUNCATED_FILE,
            table,
            column,
            lambda rows, day, rng, c=column: bad_data.truncated_file(
                rows, c, _local(day, int(rng.integers(9, 20)))
            ),
        )
    for table, column, ahead in (
        ("flight_outcomes", "known_at", 365),
        ("flight_schedule", "scheduled_departure", 31),
        ("flight_departures", "actual_departure", 3650),
    ):
        yield Case(
            Cause.FUTURE_TIMESTAMPS,
            table,
            column,
            lambda rows, day, rng, c=column, a=ahead: bad_data.future_timestamps(
                rows, c, rng.uniform(0.03, 0.5), a, rng
            ),
        )
    constants: tuple[tuple[str, str, Any], ...] = (
        ("flight_schedule", "carrier", "UA"),
        ("flight_schedule", "distance_miles", 1000),
        ("weather", "temperature", 32.0),
        ("flight_departures", "departure_delay", 0),
        ("flight_outcomes", "arrival_delay", -999.0),
    )
    for table, column, value in constants:
        yield Case(
            Cause.CONSTANT_COLUMN,
            table,
            column,
            lambda rows, day, rng, c=column, v=value: _constant(rows, c, v),
        )
    for table, column, how in (
        ("flight_schedule", "tail_number", "dropped"),
        ("weather", "humidity", "renamed"),
        ("flight_outcomes", "arrival_delay", "retyped"),
        ("flight_departures", "gate", "added"),
    ):
        yield Case(
            Cause.SCHEMA_CHANGE,
            table,
            column,
            lambda rows, day, rng, c=column, h=how: bad_data.schema_change(rows, c, h),
            how,
        )


def _constant(rows: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    """A default filled in where a value would be; what is missing stays so."""
    changed = bad_data.constant_column(rows, column, value)
    there = rows[column].notna()
    if bool(there.all()):
        return changed
    return changed.assign(**{column: changed[column].where(there)})


def some_days(rng: np.random.Generator, among: Sequence[date], n: int) -> list[date]:
    """Draw days without replacement, in order."""
    return sorted(among[i] for i in rng.choice(len(among), n, replace=False))
