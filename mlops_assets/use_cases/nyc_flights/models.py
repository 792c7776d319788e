"""The two models: is a flight late, and by how many minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.vocabulary import (
    DriftPolicy,
    Label,
    Model,
    PromotionGate,
    RetrainPolicy,
    Rows,
)

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.compose import ColumnTransformer

OWNER = "team:flight-models"

# Two hours before the scheduled departure a passenger can still act on it. Cancellations are
# not known then, so every scheduled flight is predicted.
SCHEDULED_FLIGHTS = Rows(source="flight_schedule", as_of="scheduled_departure - INTERVAL 2 HOUR")

FEATURES = [
    "calendar",
    "itinerary",
    "weather_at_origin",
    "carrier_delays",
    "destination_delays",
    "origin_congestion",
    "rotation",
    "aircraft_profile",
]

CATEGORIES = ["carrier", "origin", "destination"]


def _codes() -> ColumnTransformer:
    """Categories as codes, unknown ones as missing; all else passes through, missing or not."""
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return ColumnTransformer(
        [("codes", encoder, CATEGORIES)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )


def late_arrival_estimator() -> BaseEstimator:
    """Boosted trees on the probability of a late arrival."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        _codes(),
        HistGradientBoostingClassifier(
            categorical_features=[0, 1, 2],
            max_iter=40,
            learning_rate=0.2,
            max_leaf_nodes=15,
            min_samples_leaf=100,
            l2_regularization=5.0,
            early_stopping=False,
            random_state=0,
        ),
    )


def arrival_delay_estimator() -> BaseEstimator:
    """Boosted trees on the median arrival delay."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        _codes(),
        HistGradientBoostingRegressor(
            loss="absolute_error",
            categorical_features=[0, 1, 2],
            max_iter=40,
            learning_rate=0.2,
            max_leaf_nodes=15,
            min_samples_leaf=100,
            early_stopping=False,
            random_state=0,
        ),
    )


late_arrival = Model(
    name="late_arrival",
    problem="binary",
    rows=SCHEDULED_FLIGHTS,
    features=FEATURES,
    # The US Department of Transportation's measure. A flight without an arrival as scheduled
    # (cancelled, diverted) has no label: it neither was on time nor late.
    label=Label(
        name="late",
        source="flight_outcomes",
        expression="arrival_delay > 15",
        join=["flight_id"],
        # The longest delay on record ended 33 hours after its scheduled departure.
        matures_after=timedelta(days=1),
        description="Arrived more than 15 minutes late",
    ),
    estimator=late_arrival_estimator,
    training_window=timedelta(days=365),
    min_training=timedelta(days=42),
    holdout=timedelta(days=14),
    slices=["carrier", "origin"],
    gate=PromotionGate(metric="log_loss", margin=0.01),
    drift=DriftPolicy(),
    retrain=RetrainPolicy(max_age=timedelta(days=35), cool_down=timedelta(days=21)),
    owner=OWNER,
    description="Will the flight arrive more than 15 minutes late?",
)

arrival_delay = Model(
    name="arrival_delay",
    problem="regression",
    rows=SCHEDULED_FLIGHTS,
    features=FEATURES,
    label=Label(
        name="arrival_delay",
        source="flight_outcomes",
        expression="arrival_delay",
        join=["flight_id"],
        matures_after=timedelta(days=1),
        description="Arrival delay in minutes; negative when early",
    ),
    estimator=arrival_delay_estimator,
    training_window=timedelta(days=365),
    min_training=timedelta(days=42),
    holdout=timedelta(days=14),
    slices=["carrier", "origin"],
    gate=PromotionGate(metric="mae", margin=0.01),
    drift=DriftPolicy(),
    retrain=RetrainPolicy(max_age=timedelta(days=35), cool_down=timedelta(days=21)),
    owner=OWNER,
    description="By how many minutes will the flight arrive late?",
)
