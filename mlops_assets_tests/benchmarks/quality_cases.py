"""The twelve faults on the flights of 2013: which cause, table and column, and what breaks.

A case breaks one day of one table. ``bad_data`` has the faults, ``quality_flights`` the days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from mlops_assets.core.quality import Cause
from mlops_assets.core.storage import days as calendar
from mlops_assets_tests.benchmarks.quality_flights import ZONE
from mlops_assets_tests.core import bad_data

Fault = Callable[[pd.DataFrame, date, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Case:
    """A fault, where it happens, and what is to be said of it."""

    cause: Cause
    table: str
    column: str | None
    fault: Fault
    name: str = ""


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
