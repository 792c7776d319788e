"""Checks of what monitoring found: performance and drift, with warn and error levels.

Neither blocks anything downstream: a model that has become worse goes on serving until a
better one passes the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.vocabulary import HIGHER_IS_BETTER, Model

if TYPE_CHECKING:
    from mlops_assets.core.monitoring.drift import DriftRow
    from mlops_assets.core.monitoring.performance import PerformanceRow

#: A drop this many times the declared one is an error, not a warning.
SEVERE = 3.0


def performance_specs(key: dg.AssetKey, model: Model) -> list[dg.AssetCheckSpec]:
    """Declare the check of realised performance."""
    return [
        dg.AssetCheckSpec(
            "performance",
            asset=key,
            description=(
                f"Over {model.retrain.window} days, the champion's {model.metric} is at most "
                f"{model.retrain.performance_drop:.0%} worse than on the holdout it was promoted "
                "on. Worse is a warning, three times as much an error. When it fails: read the "
                "report's slices to see where, and the drift report to see what changed; the "
                "retrain decision of the same day says whether a new version is on its way."
            ),
        )
    ]


def performance(
    key: dg.AssetKey, model: Model, rolling: PerformanceRow | None, reference: float | None
) -> dg.AssetCheckResult:
    """Evaluate ``performance``.

    Parameters
    ----------
    rolling
        Realised performance over the policy's window up to the newest day.
    reference
        The champion's value of the metric on its holdout.
    """
    if rolling is None or rolling.value is None or not reference:
        status = "no champion yet" if rolling is None else rolling.status
        return dg.AssetCheckResult(
            asset_key=key,
            check_name="performance",
            passed=True,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"Nothing to judge yet: {status}.",
            metadata={"status": status},
        )
    sign = -1.0 if model.metric in HIGHER_IS_BETTER else 1.0
    worse = sign * (rolling.value - reference) / abs(reference)
    drop = model.retrain.performance_drop
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="performance",
        passed=worse <= drop,
        severity=(
            dg.AssetCheckSeverity.ERROR if worse > SEVERE * drop else dg.AssetCheckSeverity.WARN
        ),
        description=(
            f"{model.metric} {rolling.value:.4f} from {rolling.window_start} to "
            f"{rolling.window_end}, {abs(worse):.1%} {'worse' if worse > 0 else 'better'} than "
            f"the {reference:.4f} of version {rolling.version} on its holdout"
        ),
        metadata={"relative_worsening": float(worse), "rows": rolling.n},
    )


def drift_specs(key: dg.AssetKey, model: Model) -> list[dg.AssetCheckSpec]:
    """Declare the check of drift."""
    policy = model.drift
    return [
        dg.AssetCheckSpec(
            "drift",
            asset=key,
            description=(
                "No column has drifted from the champion's training data for "
                f"{policy.consecutive} day(s) in a row: its shift stayed too small to matter, "
                "within chance, or within what the training data's own weeks show. Drifted "
                "columns are a warning; drift of the predictions themselves or of half the "
                "features by importance is an error. When it fails: "
                "first rule out broken data (the sources' checks), then see whether performance "
                "suffers; drift alone harms nobody."
            ),
        )
    ]


def drift(
    key: dg.AssetKey, model: Model, lasting: Sequence[DriftRow], importance: float
) -> dg.AssetCheckResult:
    """Evaluate ``drift``.

    Parameters
    ----------
    lasting
        Columns that drifted on each of the last ``policy.consecutive`` days.
    importance
        Their features' share of the importance for the model.
    """
    predictions = any(row.role == "prediction" for row in lasting)
    severe = predictions or importance >= model.retrain.drift_share
    ranked = sorted(lasting, key=lambda row: -((row.value or 0.0) * (row.importance or 1.0)))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="drift",
        passed=not lasting,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=(
            f"{len(lasting)} column(s) drifted: "
            + ", ".join(f"{row.column_name} ({row.value:.2f})" for row in ranked[:5])
            if lasting
            else "no column has drifted"
        ),
        metadata={"drifted_columns": len(lasting), "importance_share": round(importance, 4)},
    )
