"""The check that tells of a champion that was rolled back on probation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.vocabulary import Model

if TYPE_CHECKING:
    from mlops_assets.core.serving.probation import Judged


def specs(key: dg.AssetKey, model: Model) -> list[dg.AssetCheckSpec]:
    """Declare the check of probations."""
    return [
        dg.AssetCheckSpec(
            "champion_holds",
            asset=key,
            description=(
                "No new champion turned out worse in service than the one it replaced. When it "
                "fails: the champion before already serves again, nothing needs doing at once. "
                f"See the report for {model.metric} of both, and {model.name}/evaluation for what "
                "the holdout had promised; where they disagree, the holdout is not like what is "
                "served. That the champion before could not be compared is a warning."
            ),
        )
    ]


def probation(key: dg.AssetKey, judged: Sequence[Judged]) -> dg.AssetCheckResult:
    """Evaluate ``champion_holds`` on the verdicts of the days that were run."""
    worse = [row for row in judged if row.verdict == "worse"]
    unknown = [row for row in judged if row.verdict == "not_comparable"]
    told = worse or unknown or judged
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="champion_holds",
        passed=not (worse or unknown),
        severity=dg.AssetCheckSeverity.ERROR if worse else dg.AssetCheckSeverity.WARN,
        description="; ".join(row.reason for row in told) if told else "no window was due",
        metadata={"judged": len(judged), "worse": len(worse)},
    )
