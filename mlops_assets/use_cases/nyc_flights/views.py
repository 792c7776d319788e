"""Feature views on what surrounds a flight: weather, aircraft, its previous leg, the calendar.

Views on recent delays are in ``delays``. Bounds are as wide as the sources' contracts make
them: one odd reading that these let pass must not stop a whole day's features.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.use_cases.nyc_flights.columns import measure
from mlops_assets.use_cases.nyc_flights.entities import airframe, flight, origin
from mlops_assets.vocabulary import FeatureView, OnDemandFeatures

if TYPE_CHECKING:
    import pandera.pandas as pa

OWNER = "team:flight-features"


def weather_at_origin_schema() -> pa.DataFrameSchema:
    """Contract of ``weather_at_origin``."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "temperature": measure("Temperature", "°F", -40, 130),
            "dew_point_spread": measure(
                "Temperature minus dew point; fog forms as it nears 0", "°F", -140, 190
            ),
            "wind_speed": measure("Wind speed", "mph", 0, 150),
            "wind_northerly": measure(
                "Wind from the north (negative: south); it decides which runways are used",
                "mph",
                -150,
                150,
            ),
            "wind_westerly": measure(
                "Wind from the west (negative: east)",
                "mph",
                -150,
                150,
            ),
            "precipitation_3h": measure("Precipitation in 3 hours", "in", 0, 30),
            "pressure": measure("Sea level pressure", "mbar", 900, 1080),
            "visibility": measure("Visibility, at most 10", "mi", 0, 10),
        }
    )


weather_at_origin = FeatureView(
    name="weather_at_origin",
    entity=origin,
    sources=["weather"],
    # Sums are of decimals, so that they are exact in whatever order they are made.
    sql="""
    SELECT
        origin,
        observed_at AS event_time,
        known_at,
        temperature,
        temperature - dew_point AS dew_point_spread,
        wind_speed,
        wind_speed * cos(radians(wind_direction)) AS wind_northerly,
        -wind_speed * sin(radians(wind_direction)) AS wind_westerly,
        (sum(precipitation::DECIMAL(9, 2)) OVER hours)::DOUBLE AS precipitation_3h,
        pressure,
        visibility,
    FROM weather
    WINDOW hours AS (
        PARTITION BY origin ORDER BY observed_at
        RANGE BETWEEN INTERVAL 2 HOUR PRECEDING AND CURRENT ROW
    )
    """,
    schema=weather_at_origin_schema,
    known_at="known_at",
    # Stations were silent for up to 6 hours; older weather says nothing about a departure.
    ttl=timedelta(hours=6),
    lookback=timedelta(hours=2),
    owner=OWNER,
    description="The last weather observed at the airport of departure.",
)


def aircraft_profile_schema() -> pa.DataFrameSchema:
    """Contract of ``aircraft_profile``."""
    return _schema(
        {
            "aircraft_year": measure("Year of manufacture", "year", 1900, 2100),
            "aircraft_seats": measure("Seats", "seats", 1, 900),
        }
    )


aircraft_profile = FeatureView(
    name="aircraft_profile",
    entity=airframe,
    sources=["aircraft"],
    sql="""
    SELECT tail_number, year AS aircraft_year, seats::DOUBLE AS aircraft_seats
    FROM aircraft
    """,
    schema=aircraft_profile_schema,
    event_time=None,
    owner=OWNER,
    description="Age and size of the aircraft, where the register has it.",
)


def rotation_schema() -> pa.DataFrameSchema:
    """Contract of ``rotation``."""
    return _schema(
        {
            "rotation_delay": measure(
                "Delay of the aircraft's previous leg from New York: at arrival, else at "
                "departure, else the time it is overdue",
                "min",
                -60,
                180,
            ),
            "rotation_slack": measure(
                "Scheduled time between that leg's arrival and this departure, less its flight "
                "back",
                "min",
                -2880,
                2880,
            ),
            "rotation_stage": measure(
                "That leg 0: is not due, 1: is due, 2: has departed, 3: has arrived", "stage", 0, 3
            ),
        }
    )


rotation = FeatureView(
    name="rotation",
    entity=flight,
    sources=["flight_schedule", "flight_departures", "flight_outcomes"],
    # The archive has no flights to New York, so how late the aircraft will be back is judged
    # by its last flight from there. A row is made for the moment of its flight's prediction;
    # where that lies in the day before (departures before two), for midnight, so that a
    # day's rows need no later day's timetable. Legs are materialised, lest local times be
    # worked out for those that are left out, which takes as long as all the rest.
    sql="""
    WITH legs AS MATERIALIZED (
        SELECT
            flight_id,
            scheduled_departure,
            lag(flight_id) OVER tail AS previous_id,
            lag(scheduled_departure) OVER tail AS previous_departure,
            lag(scheduled_arrival) OVER tail AS previous_arrival,
        FROM flight_schedule
        WHERE tail_number IS NOT NULL
        WINDOW tail AS (PARTITION BY tail_number ORDER BY scheduled_departure, flight_id)
        QUALIFY previous_departure >= scheduled_departure - INTERVAL 18 HOUR
    ), turns AS (
        SELECT
            legs.*,
            greatest(
                scheduled_departure - INTERVAL 2 HOUR,
                timezone('UTC', timezone(
                    'America/New_York', date_trunc('day', local_time(scheduled_departure))
                ))
            ) AS event_time,
        FROM legs
    ), known AS (
        SELECT
            turns.*,
            departures.departure_delay,
            outcomes.arrival_delay,
            CASE
                WHEN outcomes.arrival_delay IS NOT NULL THEN 3
                WHEN departures.departure_delay IS NOT NULL THEN 2
                WHEN previous_departure <= event_time THEN 1
                ELSE 0
            END AS stage,
        FROM turns
        LEFT JOIN flight_departures AS departures
            ON departures.flight_id = previous_id AND departures.known_at <= event_time
        LEFT JOIN flight_outcomes AS outcomes
            ON outcomes.flight_id = previous_id AND outcomes.known_at <= event_time
    )
    SELECT
        flight_id,
        event_time,
        CASE stage
            WHEN 3 THEN greatest(-60, least(180, arrival_delay))
            WHEN 2 THEN greatest(-60, least(180, departure_delay))
            WHEN 1 THEN least(180, date_diff('minute', previous_departure, event_time))
        END::DOUBLE AS rotation_delay,
        (
            date_diff('minute', previous_arrival, scheduled_departure)
            - date_diff('minute', previous_departure, previous_arrival)
        )::DOUBLE AS rotation_slack,
        stage::DOUBLE AS rotation_stage,
    FROM known
    """,
    schema=rotation_schema,
    ttl=timedelta(hours=2),
    # A day's last row is made two hours before its last departure, at 22:45 at the earliest.
    freshness=timedelta(hours=4),
    lookback=timedelta(hours=24),
    owner=OWNER,
    description="What is known of the aircraft's previous leg two hours before its departure.",
)


def _schema(columns: dict[str, pa.Column]) -> pa.DataFrameSchema:
    import pandera.pandas as pa

    return pa.DataFrameSchema(columns)


calendar = OnDemandFeatures(
    name="calendar",
    features={
        "departure_hour": (
            "hour(local_time(scheduled_departure)) + minute(local_time(scheduled_departure)) / 60"
        ),
        "weekday": "isodow(local_time(scheduled_departure))::DOUBLE",
    },
    descriptions={
        "departure_hour": "Local hour of the scheduled departure, with its fraction",
        "weekday": "Local day of the week, Monday is 1",
    },
    owner=OWNER,
    description="When the flight is scheduled, in New York's time.",
)

itinerary = OnDemandFeatures(
    name="itinerary",
    features={
        "carrier": "carrier",
        "origin": "origin",
        "destination": "destination",
        "scheduled_minutes": (
            "date_diff('minute', scheduled_departure, scheduled_arrival)::DOUBLE"
        ),
    },
    descriptions={
        "carrier": "Carrier",
        "origin": "Airport of departure",
        "destination": "Airport of arrival",
        "scheduled_minutes": "Scheduled minutes from gate to gate",
    },
    owner=OWNER,
    description="Which flight it is, from the timetable.",
)
