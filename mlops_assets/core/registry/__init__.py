"""The registry: versions, aliases, evaluations and promotion decisions, behind one door.

Every function works in the caller's transaction. Nothing in the registry updates or deletes
a row. What a version is made of belongs in ``core.models``.
"""

from mlops_assets.core.registry.aliases import (
    CHAMPION,
    AliasEvent,
    champion,
    champion_for,
    history,
    move_alias,
)
from mlops_assets.core.registry.decisions import (
    Evaluation,
    Promotion,
    latest_evaluation,
    promotions,
    record_evaluation,
    record_promotion,
)
from mlops_assets.core.registry.versions import ModelVersion, get, register, versions
from mlops_assets.core.storage.records import Conflict, NotFound, RegistryError

__all__ = [
    "CHAMPION",
    "AliasEvent",
    "Conflict",
    "Evaluation",
    "ModelVersion",
    "NotFound",
    "Promotion",
    "RegistryError",
    "champion",
    "champion_for",
    "get",
    "history",
    "latest_evaluation",
    "move_alias",
    "promotions",
    "record_evaluation",
    "record_promotion",
    "register",
    "versions",
]
