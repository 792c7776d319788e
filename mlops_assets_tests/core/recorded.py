"""A registry's record of a model file that was just saved, without a registry."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from mlops_assets.core.artifacts.artifacts import Artifact
from mlops_assets.core.models import identity
from mlops_assets.core.registry import ModelVersion


def recorded(artifact: Artifact, **other: Any) -> ModelVersion:
    """Return the first version of ``m``, with ``artifact``."""
    row: dict[str, Any] = {
        "model": "m",
        "version": 1,
        "artifact_sha256": artifact.sha256,
        "size_bytes": artifact.size_bytes,
        "training_digest": "d" * 64,
        "train_start": date(2024, 1, 1),
        "train_end": date(2024, 2, 1),
        "train_rows": 100,
        "view_versions": {},
        "estimator": "sklearn.pipeline.Pipeline",
        "parameters": {},
        "signature": {},
        "metrics": {},
        "importance": {},
        "code": {"commit": "c" * 40},
        "environment": identity.environment_identity(Path(__file__).parent),
        "parent_version": None,
        "decision_id": None,
        "fit_seconds": 0.1,
        "run_id": "r",
        "created_at": datetime(2024, 2, 1),
        "model_digest": artifact.model_digest,
        "golden": dict(artifact.golden),
    }
    return ModelVersion(**(row | other))
