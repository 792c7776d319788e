"""Checks of what was served: predictions captured once and valid, outcomes joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.vocabulary import Model

if TYPE_CHECKING:
    from mlops_assets.core.serving.capture import CaptureReport, OutcomeReport

#: Below this share of labels on a mature day something is wrong with the labels' source.
LEAST_JOIN_RATE = 0.8


def prediction_specs(key: dg.AssetKey, model: Model) -> list[dg.AssetCheckSpec]:
    """Declare the checks of captured predictions."""
    return [
        dg.AssetCheckSpec(
            "every_row_once",
            asset=key,
            blocking=True,
            description=(
                f"Every row of {model.rows.source} that is known when its prediction is made has "
                "exactly one captured prediction, from the first champion on. When it fails: rows "
                "arrived after the day was scored, or were withdrawn; materialise the day again "
                "to score what is missing (what was captured stays as it was)."
            ),
        ),
    ]


def every_row_once(
    key: dg.AssetKey, reports: Mapping[date, CaptureReport], expected: Mapping[date, int]
) -> dg.AssetCheckResult:
    """Evaluate ``every_row_once``: captured rows against the rows to predict, by day."""
    wrong = {
        day: (report.rows, expected.get(day, 0))
        for day, report in reports.items()
        if report.version is not None and report.rows != expected.get(day, 0)
    }
    unserved = [day for day, report in reports.items() if report.version is None]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="every_row_once",
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            "; ".join(f"{d}: {got:,} captured of {want:,}" for d, (got, want) in wrong.items())
            if wrong
            else f"{sum(r.rows for r in reports.values()):,} rows captured"
            + (f"; {len(unserved)} day(s) before the first champion" if unserved else "")
        ),
        metadata={"days_wrong": len(wrong), "days_without_champion": len(unserved)},
    )


def outcome_specs(key: dg.AssetKey, model: Model) -> list[dg.AssetCheckSpec]:
    """Declare the checks of joined outcomes."""
    return [
        dg.AssetCheckSpec(
            "join_rate",
            asset=key,
            description=(
                f"At least {LEAST_JOIN_RATE:.0%} of a mature day's predictions have a label. When "
                f"it fails: look whether {model.label.source} is complete for those days and "
                f"whether {', '.join(model.label.join)} still means the same in both sources; "
                "until then the day's performance says little."
            ),
        )
    ]


def join_rate(
    key: dg.AssetKey, reports: Mapping[date, OutcomeReport], mature_until: date | None
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate ``join_rate`` on the days whose labels should have arrived."""
    low = {
        day: report.join_rate
        for day, report in reports.items()
        if report.predictions
        and mature_until is not None
        and day <= mature_until
        and (report.join_rate or 0.0) < LEAST_JOIN_RATE
    }
    predictions = sum(report.predictions for report in reports.values())
    outcomes = sum(report.outcomes for report in reports.values())
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="join_rate",
        passed=not low,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            "; ".join(f"{day}: {rate or 0.0:.1%}" for day, rate in low.items())
            or f"{outcomes:,} of {predictions:,} predictions have a label"
        ),
        metadata={"predictions": predictions, "outcomes": outcomes},
    )
