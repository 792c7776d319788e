"""Checks of a model's making: its file, and whether the challenger was promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.vocabulary import Model

if TYPE_CHECKING:
    from mlops_assets.core.promotion.gate import Verdict


def version_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Declare the check of a model version."""
    return [
        dg.AssetCheckSpec(
            "artifact_loads",
            asset=key,
            blocking=True,
            description=(
                "The stored model file loads through the safe path and predicts what the fitted "
                "model predicted. When it fails: the version is registered but must not serve; "
                "read the error, and if it names a type, use one of scikit-learn's own or declare "
                "it in the model's trusted_types."
            ),
        )
    ]


def artifact_loads(key: dg.AssetKey, rows: int, agrees: bool) -> dg.AssetCheckResult:
    """Evaluate ``artifact_loads``: does the loaded model predict what the fitted one did?"""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="artifact_loads",
        passed=agrees,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"the loaded model predicts {rows} held-out rows "
            f"{'exactly as' if agrees else 'otherwise than'} the fitted one"
        ),
        metadata={"rows": rows},
    )


def champion_specs(key: dg.AssetKey, model: Model) -> list[dg.AssetCheckSpec]:
    """Declare the check of a promotion decision."""
    return [
        dg.AssetCheckSpec(
            "gate",
            asset=key,
            description=(
                "The newest challenger passed the promotion gate. When it fails: nothing is "
                "broken, the champion goes on serving. Read which rule refused it; if refusals "
                "repeat while performance falls, the features or the estimator need work "
                f"(owner: {model.owner})."
            ),
        )
    ]


def gate(key: dg.AssetKey, verdict: Verdict, version: int) -> dg.AssetCheckResult:
    """Evaluate ``gate``."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="gate",
        passed=verdict.promoted,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"version {version} {'was promoted' if verdict.promoted else 'was refused'}: "
            + "; ".join(verdict.reasons)
        ),
    )
