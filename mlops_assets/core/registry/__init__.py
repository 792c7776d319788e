"""The registry: versions, aliases, evaluations and promotion decisions, behind one door.

Every function works in the caller's transaction, but for those that also delete files, which
need one of their own. Nothing in the registry updates or deletes a row. What a version is made
of belongs in ``core.models``.
"""

from mlops_assets.core.registry.alias_moves import move_alias, remove_alias
from mlops_assets.core.registry.aliases import (
    CHAMPION,
    AliasEvent,
    aliases,
    champion,
    champion_at,
    champion_for,
    champions_at,
    history,
)
from mlops_assets.core.registry.collection import Garbage, collect, delete_bytes, find
from mlops_assets.core.registry.copies import copy_version, original
from mlops_assets.core.registry.decisions import (
    Evaluation,
    Promotion,
    Replay,
    latest_evaluation,
    promotions,
    record_evaluation,
    record_promotion,
    replay_decision,
)
from mlops_assets.core.registry.deletions import Deletion, deletions
from mlops_assets.core.registry.loads import load_events, record_loads
from mlops_assets.core.registry.references import references
from mlops_assets.core.registry.rollbacks import first_unscored_day, rollback
from mlops_assets.core.registry.signatures import sign_version
from mlops_assets.core.registry.versions import (
    ModelVersion,
    get,
    loadable,
    register,
    resolve,
    training_profile,
    versions,
)
from mlops_assets.core.storage.records import (
    BytesDeleted,
    Conflict,
    NotFound,
    Protected,
    RegistryError,
    StillReferred,
)

__all__ = [
    "CHAMPION",
    "AliasEvent",
    "BytesDeleted",
    "Conflict",
    "Deletion",
    "Evaluation",
    "Garbage",
    "ModelVersion",
    "NotFound",
    "Promotion",
    "Protected",
    "RegistryError",
    "Replay",
    "StillReferred",
    "aliases",
    "champion",
    "champion_at",
    "champion_for",
    "champions_at",
    "collect",
    "copy_version",
    "delete_bytes",
    "deletions",
    "find",
    "first_unscored_day",
    "get",
    "history",
    "latest_evaluation",
    "load_events",
    "loadable",
    "move_alias",
    "original",
    "promotions",
    "record_evaluation",
    "record_loads",
    "record_promotion",
    "references",
    "register",
    "remove_alias",
    "replay_decision",
    "resolve",
    "rollback",
    "sign_version",
    "training_profile",
    "versions",
]
