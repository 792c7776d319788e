"""What the features describe."""

from __future__ import annotations

from mlops_assets.vocabulary import Entity

origin = Entity(name="origin", keys=["origin"], description="Airport of departure")
destination = Entity(name="destination", keys=["destination"], description="Airport of arrival")
carrier_at_origin = Entity(
    name="carrier_at_origin",
    keys=["carrier", "origin"],
    description="A carrier's operation at one airport",
)
airframe = Entity(
    name="airframe", keys=["tail_number"], description="One aircraft, by registration"
)
flight = Entity(name="flight", keys=["flight_id"], description="One scheduled flight")
