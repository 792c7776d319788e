"""The flights of 2013, measured and assessed once, any day of which can be broken and landed.

The rows of a broken day are landed as a file and ingested; where landing refuses them, the rows
of the file are measured, as in the graph. What breaks belongs in ``quality_cases``.
"""

from __future__ import annotations

import tempfile
from datetime import date, datetime
from pathlib import Path

import duckdb
import pandas as pd

from mlops_assets.core import quality
from mlops_assets.core.landing import landing
from mlops_assets.core.quality import MeasuredDay
from mlops_assets.core.storage import days as calendar
from mlops_assets.core.storage import sql, store
from mlops_assets.use_cases.nyc_flights import USE_CASE
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
