"""Flights from New York's three airports in 2013: will they arrive late, and by how much?

The built-in use case. It holds declarations only; ``USE_CASE`` is all that others need.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from mlops_assets.use_cases.nyc_flights import delays, models, sources, views
from mlops_assets.vocabulary import UseCase

USE_CASE = UseCase(
    name="nyc_flights",
    timezone="America/New_York",
    start=date(2013, 1, 1),
    end=date(2014, 1, 1),
    sources=sources.SOURCES,
    views=[
        views.calendar,
        views.itinerary,
        views.weather_at_origin,
        delays.carrier_delays,
        delays.destination_delays,
        delays.origin_congestion,
        views.rotation,
        views.aircraft_profile,
    ],
    models=[models.late_arrival, models.arrival_delay],
    archive=Path(__file__).resolve().parents[3] / "data" / "nyc_flights_2013",
    description="All departures from New York's airports in 2013, with weather and aircraft.",
)
