"""What a user declares: sources, features, models, and the use case that holds them.

This package holds declarations only: small frozen objects that validate themselves when
they are made, and name the object, the field and the remedy when something is wrong. How
a declaration is carried out belongs in ``mlops_assets.core``; how it becomes a Dagster
asset belongs in ``mlops_assets.assets``. It imports nothing else of this package and no
heavy library: schemas and estimators are given as functions that are called when needed,
so that declaring a use case costs no import of pandera or scikit-learn.

Times are UTC wherever they are stored; *days* are calendar days in the use case's
time zone. SQL in declarations is DuckDB's. Besides DuckDB's functions it may use
``local_time(ts)``: the wall-clock time, in the use case's time zone, of a UTC timestamp.
"""

from __future__ import annotations

from mlops_assets.vocabulary.costs import CostMatrix
from mlops_assets.vocabulary.data import Loader, SchemaFactory, Source
from mlops_assets.vocabulary.features import Entity, FeatureView, OnDemandFeatures
from mlops_assets.vocabulary.models import (
    HIGHER_IS_BETTER,
    METRICS,
    EstimatorFactory,
    Label,
    Model,
    Problem,
    Rows,
)
from mlops_assets.vocabulary.policies import DriftPolicy, Probation, PromotionGate, RetrainPolicy
from mlops_assets.vocabulary.use_case import UseCase
from mlops_assets.vocabulary.validation import DEFAULT_OWNER, DeclarationError

__all__ = [
    "DEFAULT_OWNER",
    "HIGHER_IS_BETTER",
    "METRICS",
    "CostMatrix",
    "DeclarationError",
    "DriftPolicy",
    "Entity",
    "EstimatorFactory",
    "FeatureView",
    "Label",
    "Loader",
    "Model",
    "OnDemandFeatures",
    "Probation",
    "Problem",
    "PromotionGate",
    "RetrainPolicy",
    "Rows",
    "SchemaFactory",
    "Source",
    "UseCase",
]
