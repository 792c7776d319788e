"""Checks of feature views: contract, coverage, freshness of the data, and jumps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.vocabulary import FeatureView

if TYPE_CHECKING:
    from mlops_assets.core.features.feature_jumps import Jump
    from mlops_assets.core.features.feature_statistics import FeatureStatistics
    from mlops_assets.core.features.feature_views import ViewReport

#: Jumps and days that a description names; the report has them all.
_NAMED = 5


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
        *_of_days(key, view),
    ]


def _of_days(key: dg.AssetKey, view: FeatureView) -> Iterator[dg.AssetCheckSpec]:
    if not view.partitioned:
        return
    yield dg.AssetCheckSpec(
        "no_jumps",
        asset=key,
        description=(
            "No feature is missing far more often than in the two weeks before, and no mean lies "
            "far outside of theirs. When it fails: see in the statistics whether the world has "
            "changed (a storm, a holiday: nothing to do) or the sources "
            f"({', '.join(view.sources)}), a unit or a category; then mend the source and "
            "materialise its days again. Models go on being served."
        ),
    )
    if view.stale_after is not None:
        yield dg.AssetCheckSpec(
            "fresh",
            asset=key,
            description=(
                f"At the end of each day, the newest value is at most {view.stale_after} old. When "
                f"it fails: see whether {', '.join(view.sources)} landed in full for the day; "
                "until then the first predictions of the next day find no values, or old ones."
            ),
        )


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


def statistics_results(
    key: dg.AssetKey,
    view: FeatureView,
    days: Sequence[date],
    statistics: Sequence[FeatureStatistics],
    jumps: Sequence[Jump],
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate ``no_jumps`` and ``fresh`` on ``days``; a view without days has neither.

    Parameters
    ----------
    statistics
        Of these days, perhaps of others too.
    jumps
        What was found conspicuous about these days.
    """
    if not days:
        return
    said = [f"{jump.partition_date}: {jump.text}" for jump in jumps]
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="no_jumps",
        passed=not jumps,
        severity=dg.AssetCheckSeverity.WARN,
        description=_first(said) or "every feature is as in the days before",
        metadata={"jumps": len(jumps)},
    )
    if view.stale_after is None:
        return
    ages = {row.partition_date: row.age_seconds for row in statistics}
    limit = view.stale_after.total_seconds()
    stale = [
        f"{day}: the newest value is {_age(age)}"
        for day in days
        if (age := ages.get(day)) is None or age > limit
    ]
    oldest = max((age for day in days if (age := ages.get(day)) is not None), default=None)
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="fresh",
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{_first(stale)}; at most {view.stale_after} is declared"
            if stale
            else f"the newest value is at most {_age(oldest)} when a day ends"
        ),
        metadata={"stale_days": len(stale)},
    )


def _first(said: Sequence[str]) -> str:
    more = f"; and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
    return "; ".join(said[:_NAMED]) + more


def _age(seconds: float | None) -> str:
    return "none at all" if seconds is None else f"{timedelta(seconds=round(seconds))} old"
