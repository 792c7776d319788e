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

# Each event is put on the half-hour grid, at the first grid time at which it is known, and
# events are summed by key and grid time. Each sum then counts at the six grid times of its
# three hours, and each sum of three hours at eight times three hours apart, which makes a
# day: half the work of window functions over the full grid. All sums are of whole minutes,
# so that they are exact in whatever order they are made; sums of DOUBLE are faster than
# those of BIGINT, which are HUGEINT.
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
        ended_at AS known_at,
        1 AS arrivals,
        -- Of flights with an arrival only: least() and greatest() pass NULL by.
        greatest(least(arrival_delay, 180), -60) AS arrival_minutes,
    FROM flights WHERE arrival_delay IS NOT NULL
    UNION ALL BY NAME
    SELECT
        {keys},
        greatest(departed_at, due_at) AS known_at,
        1 AS departures,
        greatest(least(departure_delay, 180), -60) AS departure_minutes,
    FROM flights WHERE departed_at IS NOT NULL
    UNION ALL BY NAME
    SELECT
        {keys},
        unnest(generate_series(
            time_bucket(
                INTERVAL 30 MINUTE, due_at + INTERVAL 45 MINUTE - INTERVAL 1 MICROSECOND
            ),
            least(departed_at, due_at + INTERVAL 3 HOUR) - INTERVAL 1 MICROSECOND,
            INTERVAL 30 MINUTE
        )) AS known_at,
        1 AS overdue,
    FROM flights WHERE departed_at IS NULL OR departed_at > due_at + INTERVAL 15 MINUTE
), sums AS (
    SELECT
        {keys},
        time_bucket(INTERVAL 30 MINUTE, known_at - INTERVAL 1 MICROSECOND)
            + INTERVAL 30 MINUTE AS event_time,
        count(arrivals)::DOUBLE AS arrivals,
        sum(arrival_minutes)::DOUBLE AS arrival_minutes,
        count(departures)::DOUBLE AS departures,
        sum(departure_minutes)::DOUBLE AS departure_minutes,
        count(overdue)::DOUBLE AS overdue,
    FROM events
    WHERE known_at > $start::TIMESTAMP - INTERVAL 24 HOUR AND known_at < $end
    GROUP BY ALL
), hours AS (
    SELECT
        {keys},
        event_time + since AS event_time,
        sum(arrivals) AS arrivals,
        sum(arrival_minutes) AS arrival_minutes,
        sum(departures) AS departures,
        sum(departure_minutes) AS departure_minutes,
        sum(overdue) AS overdue,
    FROM sums, (SELECT n * INTERVAL 30 MINUTE AS since FROM range(6) AS halves(n))
    GROUP BY ALL
), day AS (
    SELECT
        {keys},
        event_time + since AS event_time,
        sum(arrivals) AS arrivals,
        sum(arrival_minutes) AS arrival_minutes,
        sum(departures + overdue) AS movements,
    FROM hours, (SELECT n * INTERVAL 3 HOUR AS since FROM range(8) AS blocks(n))
    GROUP BY ALL
), traffic AS (
    SELECT
        {keys},
        event_time,
        hours.arrivals AS arrivals_3h,
        hours.arrival_minutes AS arrival_minutes_3h,
        hours.departures AS departures_3h,
        hours.departure_minutes AS departure_minutes_3h,
        day.arrivals AS arrivals_24h,
        day.arrival_minutes AS arrival_minutes_24h,
        coalesce(sums.overdue, 0) AS overdue,
    FROM day
    LEFT JOIN hours USING ({keys}, event_time)
    LEFT JOIN sums USING ({keys}, event_time)
    WHERE movements > 0 AND event_time >= $start AND event_time < $end
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
    overdue AS {name}_overdue,
FROM traffic
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
, due AS (
    SELECT
        origin,
        time_bucket(INTERVAL 30 MINUTE, scheduled_departure) AS due_at,
        count(*) AS flights,
    FROM flight_schedule
    GROUP BY ALL
), ahead AS (
    SELECT
        origin,
        due_at,
        flights,
        unnest([due_at - INTERVAL 2 HOUR, due_at - INTERVAL 150 MINUTE]) AS event_time,
    FROM due
), busy AS (
    SELECT origin, event_time, sum(flights) AS flights
    FROM ahead
    WHERE local_time(event_time)::DATE = local_time(due_at)::DATE
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
