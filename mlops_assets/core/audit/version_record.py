"""Everything that is recorded of one model version: what its card tells.

How it is told belongs in ``reports.model_card``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core import registry
from mlops_assets.core.audit.provenance import TrainingData, training_data
from mlops_assets.core.registry import AliasEvent, Evaluation, ModelVersion, Promotion

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class VersionRecord:
    """What is recorded of a version.

    Attributes
    ----------
    evaluation, promotion
        The last ones; ``None``: it was not evaluated, or not decided on, yet.
    served
        Moves of the alias ``champion`` to it, the first one first.
    serves
        Whether the alias points to it now.
    """

    version: ModelVersion
    training: TrainingData | None
    evaluation: Evaluation | None
    promotion: Promotion | None
    served: tuple[AliasEvent, ...]
    serves: bool


def version_record(con: duckdb.DuckDBPyConnection, model: str, version: int) -> VersionRecord:
    """Return what is recorded of a version.

    Raises
    ------
    NotFound
        If there is none of that number.
    """
    found = registry.get(con, model, version)
    decided = [p for p in registry.promotions(con, model) if p.version == version]
    events = registry.history(con, model)
    return VersionRecord(
        version=found,
        training=training_data(con, model, found.training_digest),
        evaluation=registry.latest_evaluation(con, model, version),
        promotion=decided[-1] if decided else None,
        served=tuple(event for event in events if event.to_version == version),
        serves=bool(events) and events[-1].to_version == version,
    )
