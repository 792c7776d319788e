"""The MLOps deployment checklist as one Dagster lineage graph on one DuckDB file.

Declare sources, features and models with the names below, and hand the ``UseCase`` to
``build_definitions``. Nothing else of the package needs to be known to use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_assets.vocabulary import (
    CostMatrix,
    DeclarationError,
    DriftPolicy,
    Entity,
    FeatureView,
    Label,
    Model,
    OnDemandFeatures,
    PromotionGate,
    RetrainPolicy,
    Rows,
    Source,
    UseCase,
)

if TYPE_CHECKING:
    from mlops_assets.build import build_definitions
    from mlops_assets.notebook import FeatureStore

__all__ = [
    "CostMatrix",
    "DeclarationError",
    "DriftPolicy",
    "Entity",
    "FeatureStore",
    "FeatureView",
    "Label",
    "Model",
    "OnDemandFeatures",
    "PromotionGate",
    "RetrainPolicy",
    "Rows",
    "Source",
    "UseCase",
    "build_definitions",
]


def __getattr__(name: str) -> Any:
    # Importing Dagster takes two seconds; declaring a use case should not.
    if name == "build_definitions":
        from mlops_assets.build import build_definitions

        return build_definitions
    if name == "FeatureStore":
        from mlops_assets.notebook import FeatureStore

        return FeatureStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
