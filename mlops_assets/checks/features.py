"""Checks of feature views: contract and freshness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.vocabulary import FeatureView

if TYPE_CHECKING:
    from mlops_assets.core.feature_views import ViewReport


def specs(key: dg.AssetKey, view: FeatureView) -> list[dg.AssetCheckSpec]:
    """Declare the checks of a feature view."""
    return [
        dg.AssetCheckSpec(
            "contract",
            asset=key,
            blocking=True,
            description=(
                "The computed features keep the view's pandera contract and each (entity, event "
                "time, known time) occurs once. When it fails: nothing was written, and training "
                "and scoring wait. Look at the column and the count in the metadata, then at the "
                "sources of those days; mend the view's SQL, or its contract if the world changed."
            ),
        ),
        dg.AssetCheckSpec(
            "coverage",
            asset=key,
            description=(
                "Every day has feature values. When it fails: see whether the day's sources "
                f"({', '.join(view.sources)}) landed, and materialise the day again once they have."
            ),
        ),
    ]


def results(key: dg.AssetKey, report: ViewReport) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks."""
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="contract",
        passed=not report.problems,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(report.problems[:3]) or "every value keeps the contract",
        metadata={
            "problems": dg.MetadataValue.md("\n".join(f"- {p}" for p in report.problems) or "none")
        },
    )
    if report.problems:
        return
    empty = [str(day or "all") for day, written in report.partitions.items() if not written.rows]
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="coverage",
        passed=not empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"no values on {', '.join(empty)}" if empty else "every day has values",
        metadata={"days_without_values": len(empty)},
    )
