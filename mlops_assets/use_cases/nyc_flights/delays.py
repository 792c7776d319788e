"""Feature views on the traffic of the last hours: what is late, where and how much.

All of them have a row for every half hour and count only what was known by then: a delay
from the minute the flight left or arrived, an overdue flight from a quarter of an hour after
its time. Windows reach back 24 hours, and a flight that took more than 36 hours from its
scheduled departure to be known is left out, so that a day's rows depend on that day and the
60 hours before it and on nothing else, whether one day is computed or a year.

Delays are cut off at three hours, lest one very late flight stand for a whole hour's traffic.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.use_cases.nyc_flights.columns import measure
from mlops_assets.use_cases.nyc_flights.entities import carrier_at_origin, destination, origin
from mlops_assets.vocabulary import FeatureView

if TYPE_CHECKING:
    import pandera.pandas as pa

OWNER = "team:flight-features"
LOOKBACK = timedelta(hours=60)
SOURCES = ["flight_schedule", "flight_departures", "flight_outcomes"]

# Each event is put on the half-hour grid, at the first grid time at which it is known;
# events are summed by key and grid time, laid on the full grid and summed over windows: a
# few passes over the rows, however many days are computed. All sums are of whole minutes,
# so that they are exact in whatever order they are made.
#
# An overdue flight should have left between 15 minutes and 3 hours ago and has not: it says
# that nothing moves before any delay is recorded, and it is all that is ever seen of a
# cancelled flight. A flight that leaves early counts from its scheduled time.
_TRAFFIC = """
WITH flights AS (
    SELECT
        {keys},
        schedule.scheduled_departure AS due_at,
        departures.known_at AS departed_at,
        departures.departure_delay,
        outcomes.known_at AS ended_at,
        outcomes.arrival_delay,
    FROM flight_schedule AS schedule
    LEFT JOIN flight_departures AS departures
        ON departures.flight_id = schedule.flight_id
        AND departures.known_at <= schedule.scheduled_departure + INTERVAL 36 HOUR
    LEFT JOIN flight_outcomes AS outcomes
        ON outcomes.flight_id = schedule.flight_id
        AND outcomes.known_at <= schedule.scheduled_departure + INTERVAL 36 HOUR
), events AS (
    SELECT
        {keys},
        'arrival' AS kind,
        ended_at AS known_at,
        -- Of flights with an arrival only: least() and greatest() pass NULL by.
        greatest(least(arrival_delay, 180), -60) AS minutes
    FROM flights WHERE arrival_delay IS NOT NULL
    UNION ALL
    SELECT
        {keys},
        'departure',
        greatest(departed_at, due_at),
        greatest(least(departure_delay, 180), -60)
    FROM flights WHERE departed_at IS NOT NULL
    UNION ALL
    SELECT
        {keys},
        'overdue',
        unnest(generate_series(
            time_bucket(
                INTERVAL 30 MINUTE, due_at + INTERVAL 45 MINUTE - INTERVAL 1 MICROSECOND
            ),
            least(departed_at, due_at + INTERVAL 3 HOUR) - INTERVAL 1 MICROSECOND,
            INTERVAL 30 MINUTE
        )),
        NULL
    FROM flights WHERE departed_at IS NULL OR departed_at > due_at + INTERVAL 15 MINUTE
), sums AS (
    SELECT
        {keys},
        time_bucket(INTERVAL 30 MINUTE, known_at - INTERVAL 1 MICROSECOND)
            + INTERVAL 30 MINUTE AS event_time,
        count(*) FILTER (kind = 'arrival') AS arrivals,
        sum(minutes) FILTER (kind = 'arrival')::BIGINT AS arrival_minutes,
        count(*) FILTER (kind = 'departure') AS departures,
        sum(minutes) FILTER (kind = 'departure')::BIGINT AS departure_minutes,
        count(*) FILTER (kind = 'overdue') AS overdue,
    FROM events
    GROUP BY ALL
), dense AS (
    SELECT
        {keys},
        event_time,
        coalesce(arrivals, 0) AS arrivals,
        coalesce(arrival_minutes, 0) AS arrival_minutes,
        coalesce(departures, 0) AS departures,
        coalesce(departure_minutes, 0) AS departure_minutes,
        coalesce(overdue, 0) AS overdue,
    FROM (SELECT DISTINCT {keys} FROM sums)
    CROSS JOIN (
        SELECT unnest(generate_series(
            $start::TIMESTAMP - INTERVAL 24 HOUR,
            $end::TIMESTAMP - INTERVAL 30 MINUTE,
            INTERVAL 30 MINUTE
        )) AS event_time
    )
    LEFT JOIN sums USING ({keys}, event_time)
), traffic AS (
    SELECT
        {keys},
        event_time,
        sum(arrivals) OVER hours AS arrivals_3h,
        sum(arrival_minutes) OVER hours AS arrival_minutes_3h,
        sum(departures) OVER hours AS departures_3h,
        sum(departure_minutes) OVER hours AS departure_minutes_3h,
        sum(arrivals) OVER day AS arrivals_24h,
        sum(arrival_minutes) OVER day AS arrival_minutes_24h,
        overdue,
        sum(departures) OVER day + sum(overdue) OVER day AS movements_24h,
    FROM dense
    WINDOW
        hours AS (
            PARTITION BY {keys} ORDER BY event_time ROWS BETWEEN 5 PRECEDING AND CURRENT ROW
        ),
        day AS (
            PARTITION BY {keys} ORDER BY event_time ROWS BETWEEN 47 PRECEDING AND CURRENT ROW
        )
)
"""

# Keys without a movement in a day have no row, so that which rows there are depends on the
# lookback only. nullif keeps "no flights" apart from "no delay".
_RECENT = """
SELECT
    {keys},
    event_time,
    (arrival_minutes_3h / nullif(arrivals_3h, 0))::DOUBLE AS {name}_arrival_delay_3h,
    (departure_minutes_3h / nullif(departures_3h, 0))::DOUBLE AS {name}_departure_delay_3h,
    (arrival_minutes_24h / nullif(arrivals_24h, 0))::DOUBLE AS {name}_arrival_delay_24h,
    overdue::DOUBLE AS {name}_overdue,
FROM traffic
WHERE movements_24h > 0 AND event_time >= $start
"""


def _recent_columns(name: str, whose: str) -> dict[str, pa.Column]:
    return {
        f"{name}_arrival_delay_3h": measure(
            f"Mean arrival delay of {whose}, arrivals of the last 3 h", "min", -60, 180
        ),
        f"{name}_departure_delay_3h": measure(
            f"Mean departure delay of {whose}, departures of the last 3 h", "min", -60, 180
        ),
        f"{name}_arrival_delay_24h": measure(
            f"Mean arrival delay of {whose}, arrivals of the last 24 h", "min", -60, 180
        ),
        f"{name}_overdue": measure(
            f"Of {whose}, those that should have left 15 min to 3 h ago and have not",
            "flights",
            0,
            2000,
        ),
    }


def carrier_delays_schema() -> pa.DataFrameSchema:
    """Contract of ``carrier_delays``."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(_recent_columns("carrier", "the carrier's flights from the airport"))


def destination_delays_schema() -> pa.DataFrameSchema:
    """Contract of ``destination_delays``."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(_recent_columns("destination", "flights to the destination"))


def origin_congestion_schema() -> pa.DataFrameSchema:
    """Contract of ``origin_congestion``."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            **_recent_columns("origin", "all flights from the airport"),
            "origin_scheduled_departures": measure(
                "Departures from the airport scheduled 2 to 3 hours ahead", "flights", 0, 2000
            ),
        }
    )


carrier_delays = FeatureView(
    name="carrier_delays",
    entity=carrier_at_origin,
    sources=SOURCES,
    sql=_TRAFFIC.format(keys="carrier, origin")
    + _RECENT.format(keys="carrier, origin", name="carrier"),
    schema=carrier_delays_schema,
    ttl=timedelta(hours=12),
    lookback=LOOKBACK,
    owner=OWNER,
    description="Recent delays of a carrier at one airport, as known.",
)

destination_delays = FeatureView(
    name="destination_delays",
    entity=destination,
    sources=SOURCES,
    sql=_TRAFFIC.format(keys="destination")
    + _RECENT.format(keys="destination", name="destination"),
    schema=destination_delays_schema,
    ttl=timedelta(hours=12),
    lookback=LOOKBACK,
    owner=OWNER,
    description="Recent delays of flights from New York to one destination, as known.",
)

# Predictions are made two hours ahead, so the hour that matters begins two hours after the
# event time. Looking ahead stops with the local day, whose timetable is all that a run for
# that day can count on; hardly anything is scheduled between midnight and five.
_CONGESTION = """
, ahead AS (
    SELECT
        origin,
        local_time(scheduled_departure)::DATE AS day,
        time_bucket(INTERVAL 30 MINUTE, scheduled_departure - INTERVAL 2 HOUR) AS latest,
        unnest([latest, latest - INTERVAL 30 MINUTE]) AS event_time,
    FROM flight_schedule
), busy AS (
    SELECT origin, event_time, count(*) AS flights
    FROM ahead
    WHERE local_time(event_time)::DATE = day
    GROUP BY ALL
), recent AS (
{recent}
)
SELECT recent.*, coalesce(flights, 0)::DOUBLE AS origin_scheduled_departures
FROM recent LEFT JOIN busy USING (origin, event_time)
"""

origin_congestion = FeatureView(
    name="origin_congestion",
    entity=origin,
    sources=SOURCES,
    sql=_TRAFFIC.format(keys="origin")
    + _CONGESTION.format(recent=_RECENT.format(keys="origin", name="origin")),
    schema=origin_congestion_schema,
    ttl=timedelta(hours=12),
    lookback=LOOKBACK,
    owner=OWNER,
    description="How busy and how late an airport is, as known.",
)
