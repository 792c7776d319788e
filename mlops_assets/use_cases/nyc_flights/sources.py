"""The landed tables of the New York flights and their contracts.

Bounds are wide enough for any year of such data and narrow enough to catch a broken file:
what breaks them is set aside with the reason. What the archive's own oddities are is told,
with counts, in the README beside the data. Features do not belong here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.use_cases.nyc_flights.columns import column, measure, time
from mlops_assets.vocabulary import Source

if TYPE_CHECKING:
    import pandera.pandas as pa

OWNER = "team:flight-data"
ORIGINS = ("EWR", "JFK", "LGA")


def _flight_id() -> pa.Column:
    import pandera.pandas as pa

    return column(
        str,
        "Local day, carrier, flight number and origin of a scheduled flight, which no two share",
        checks=pa.Check.str_matches(r"^\d{4}-\d{2}-\d{2}-[0-9A-Z]{2}-\d{1,4}-[A-Z]{3}$"),
    )


def flight_schedule_schema() -> pa.DataFrameSchema:
    """Contract of ``flight_schedule``."""
    import pandera.pandas as pa

    airport = pa.Check.str_matches(r"^[A-Z]{3}$")
    return pa.DataFrameSchema(
        {
            "flight_id": _flight_id(),
            "scheduled_departure": time("Scheduled departure from the gate"),
            "scheduled_arrival": time("Scheduled arrival at the gate"),
            "carrier": column(
                str, "Carrier, IATA code", checks=pa.Check.str_matches(r"^[0-9A-Z]{2}$")
            ),
            "flight_number": column("int32", "Flight number", checks=pa.Check.in_range(1, 9999)),
            "tail_number": column(
                str,
                "Registration of the aircraft; missing for some flights that were cancelled",
                nullable=True,
            ),
            "origin": column(str, "Airport of departure", checks=pa.Check.isin(ORIGINS)),
            "destination": column(str, "Airport of arrival", checks=airport),
            "distance_miles": column(
                "int32",
                "Distance between the airports",
                unit="mi",
                checks=pa.Check.in_range(1, 6000),
            ),
            "known_at": time("When the timetable is taken as published: the day before begins"),
        },
        checks=[
            pa.Check(
                lambda rows: (
                    (rows["scheduled_arrival"] > rows["scheduled_departure"])
                    & (rows["scheduled_arrival"] - rows["scheduled_departure"] < timedelta(days=1))
                ),
                name="arrives_within_a_day_of_departing",
            ),
            pa.Check(
                lambda rows: rows["known_at"] < rows["scheduled_departure"],
                name="published_before_departure",
            ),
        ],
        strict=True,
        coerce=True,
    )


def flight_departures_schema() -> pa.DataFrameSchema:
    """Contract of ``flight_departures``."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "flight_id": _flight_id(),
            "scheduled_departure": time("Scheduled departure from the gate"),
            "actual_departure": time("Actual departure from the gate"),
            "departure_delay": column(
                "int32",
                "Actual minus scheduled departure; negative when early",
                unit="min",
                checks=pa.Check.in_range(-120, 2880),
            ),
            "known_at": time("The actual departure"),
        },
        strict=True,
        coerce=True,
    )


def flight_outcomes_schema() -> pa.DataFrameSchema:
    """Contract of ``flight_outcomes``."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "flight_id": _flight_id(),
            "scheduled_departure": time("Scheduled departure from the gate"),
            "actual_arrival": time("Actual arrival at the gate", nullable=True),
            "arrival_delay": column(
                float,
                "Actual minus scheduled arrival; missing when cancelled or diverted",
                unit="min",
                nullable=True,
                checks=pa.Check.in_range(-180, 2880),
            ),
            "cancelled": column(bool, "No departure was recorded"),
            "diverted": column(bool, "Departed, but no arrival as scheduled was recorded"),
            "known_at": time(
                "The actual arrival; without one, the scheduled arrival, or the departure if later"
            ),
        },
        checks=[
            pa.Check(
                lambda rows: rows["arrival_delay"].isna() == (rows["cancelled"] | rows["diverted"]),
                name="arrival_unless_cancelled_or_diverted",
            ),
            pa.Check(
                lambda rows: ~(rows["cancelled"] & rows["diverted"]),
                name="cancelled_flights_are_not_diverted",
            ),
        ],
        strict=True,
        coerce=True,
    )


def weather_schema() -> pa.DataFrameSchema:
    """Contract of ``weather``."""
    import pandera.pandas as pa

    # Any instrument can fail for an hour; the origin and the hour are always there.
    return pa.DataFrameSchema(
        {
            "origin": column(str, "Airport of the station", checks=pa.Check.isin(ORIGINS)),
            "observed_at": time("Beginning of the hour that was observed"),
            "temperature": measure("Temperature", "°F", -40, 130),
            "dew_point": measure("Dew point", "°F", -60, 100),
            "humidity": measure("Relative humidity", "%", 0, 100),
            "wind_direction": measure("Direction the wind comes from", "°", 0, 360),
            # Hurricane gusts of 150 mph are the most seen at sea level near New York; one
            # row of the archive claims 1,048 mph and ends in quarantine.
            "wind_speed": measure("Wind speed", "mph", 0, 150),
            "wind_gust": measure("Speed of gusts; missing when there were none", "mph", 0, 200),
            "precipitation": measure("Precipitation in the hour", "in", 0, 10),
            "pressure": measure("Sea level pressure", "mbar", 900, 1080),
            "visibility": measure("Visibility, at most 10", "mi", 0, 10),
            "known_at": time("End of the observed hour; readings are made in its last minutes"),
        },
        strict=True,
        coerce=True,
    )


def aircraft_schema() -> pa.DataFrameSchema:
    """Contract of ``aircraft``."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "tail_number": column(str, "Registration"),
            "year": column(
                float, "Year of manufacture", nullable=True, checks=pa.Check.in_range(1900, 2100)
            ),
            "type": column(str, "Kind of aircraft"),
            "manufacturer": column(str, "Manufacturer"),
            "model": column(str, "Model"),
            "engines": column("int32", "Number of engines", checks=pa.Check.in_range(1, 8)),
            "seats": column("int32", "Number of seats", checks=pa.Check.in_range(1, 900)),
            "engine": column(str, "Kind of engine"),
        },
        strict=True,
        coerce=True,
    )


flight_schedule = Source(
    name="flight_schedule",
    schema=flight_schedule_schema,
    key=["flight_id"],
    event_time="scheduled_departure",
    known_at="known_at",
    expected_rows=(500, 1100),
    owner=OWNER,
    description="Scheduled departures from the three New York airports, known the day before.",
)

flight_departures = Source(
    name="flight_departures",
    schema=flight_departures_schema,
    key=["flight_id"],
    event_time="scheduled_departure",
    known_at="known_at",
    expected_rows=(200, 1100),
    owner=OWNER,
    description="When flights left the gate, known as they do; cancelled flights never appear.",
)

flight_outcomes = Source(
    name="flight_outcomes",
    schema=flight_outcomes_schema,
    key=["flight_id"],
    event_time="scheduled_departure",
    known_at="known_at",
    expected_rows=(500, 1100),
    owner=OWNER,
    description="How flights ended (arrival delay, cancelled, diverted), known once they have.",
)

weather = Source(
    name="weather",
    schema=weather_schema,
    key=["origin", "observed_at"],
    event_time="observed_at",
    known_at="known_at",
    # A day has 72 rows at most, so one bad reading is already 1.4 % of it.
    quarantine_tolerance=0.05,
    expected_rows=(54, 75),
    owner=OWNER,
    description="Hourly weather at the three airports.",
)

aircraft = Source(
    name="aircraft",
    schema=aircraft_schema,
    key=["tail_number"],
    partitioned=False,
    owner=OWNER,
    description="The register of aircraft: make, model, size and age.",
)

SOURCES = (flight_schedule, flight_departures, flight_outcomes, weather, aircraft)
