"""The check of training/serving consistency: captured features are what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from mlops_assets.core.features.consistency import ConsistencyReport
    from mlops_assets.vocabulary import Model

#: Largest share of a day's sample in which a feature may differ.
MOST_MISMATCHES = 0.001
_NAMED = 5


def specs(key: dg.AssetKey, model: Model) -> list[dg.AssetCheckSpec]:
    """Declare the check of captured features."""
    return [
        dg.AssetCheckSpec(
            "features_match",
            asset=key,
            description=(
                f"On no day does any feature differ in more than {MOST_MISMATCHES:.1%} of the "
                "sampled predictions from what a training set would have for the same row and "
                f"moment; otherwise {model.name} is served something else than it learns from. "
                "When it fails: take the example in the report and look at its row in "
                f"capture.{model.name}__predictions. Usual causes: the view's day was computed "
                "after the predictions were made, so look at the order of the runs; or facts "
                "have a known_at from before they came. What was captured stays as it is; where "
                "features have been wrong for long, retrain once they are right."
            ),
        )
    ]


def features_match(key: dg.AssetKey, report: ConsistencyReport) -> dg.AssetCheckResult:
    """Evaluate ``features_match`` on the days of the run.

    Features that cannot be computed again are a warning: nothing is known about them.
    """
    wrong = [row for row in report.rows if row.rate is not None and row.rate > MOST_MISMATCHES]
    wrong.sort(key=lambda row: -(row.rate or 0.0))
    compared = {(row.partition_date, row.version): row.compared for row in report.rows}
    if wrong:
        description = "; ".join(
            f"{row.partition_date}: {row.feature} differs in {row.mismatches} of {row.compared}, "
            f"as in {row.prediction_id}: captured {row.captured}, computed again {row.recomputed}"
            for row in wrong[:_NAMED]
        ) + (f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else "")
    elif report.reasons:
        description = "; ".join(
            f"the features of version {version} cannot be computed again: {reason}"
            for version, reason in report.reasons.items()
        )
    elif not sum(compared.values()):
        description = (
            "Nothing to compare: there are no captured predictions, or their rows are gone."
        )
    else:
        features = len({row.feature for row in report.rows})
        description = (
            f"{features} features of {sum(compared.values()):,} sampled predictions are what they "
            "should be"
        )
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="features_match",
        passed=not wrong and not report.reasons,
        severity=dg.AssetCheckSeverity.ERROR if wrong else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "compared": sum(compared.values()),
            "features_that_differ": len({row.feature for row in wrong}),
            "highest_rate": wrong[0].rate if wrong and wrong[0].rate is not None else 0.0,
        },
    )
