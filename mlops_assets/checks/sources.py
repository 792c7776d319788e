"""Checks of raw sources: contract, files, volume, freshness."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.vocabulary import Source

if TYPE_CHECKING:
    from mlops_assets.core.landing.landing import IngestReport, Scan

#: Problems shown in a check's metadata; the count is always exact.
SHOWN = 20


def specs(key: dg.AssetKey, source: Source) -> list[dg.AssetCheckSpec]:
    """Declare the checks of a source."""
    checks = [
        dg.AssetCheckSpec(
            "contract",
            asset=key,
            blocking=True,
            description=(
                "Every landed file keeps the source's pandera contract, but for a tolerated "
                f"share of {source.quarantine_tolerance:.1%} of a day's rows. When it fails: the "
                "day keeps the rows it had and nothing downstream moves. Read the reasons in the "
                f"metadata and the rows in quarantine.{source.name}, have the file sent again, "
                "and put the good one in its place; it is taken up by itself."
            ),
        ),
        dg.AssetCheckSpec(
            "files",
            asset=key,
            description=(
                "Every day has a landed file, and every file in the landing folder can be used. "
                "When it fails: look whether the delivery is late, or whether a file has a wrong "
                "name, is still being written, or lies in a folder of no day; rename or remove it."
            ),
        ),
    ]
    if source.partitioned:
        checks.append(
            dg.AssetCheckSpec(
                "freshness",
                asset=key,
                description=(
                    f"The newest row of a day is at most {source.freshness} old when the day "
                    "ends. When it fails: the provider stopped in the middle of the day, or a "
                    "clock is wrong; ask for the rest of the day."
                ),
            )
        )
    if source.expected_rows is not None:
        low, high = source.expected_rows
        checks.append(
            dg.AssetCheckSpec(
                "volume",
                asset=key,
                description=(
                    f"A day has {low:,} to {high:,} rows. When it fails: compare the day with "
                    "its neighbours; a half-sent or twice-sent file is the usual cause. If the "
                    "world has changed, change expected_rows in the declaration."
                ),
            )
        )
    return checks


def results(
    key: dg.AssetKey, source: Source, report: IngestReport, scan: Scan, ages: dict[date, timedelta]
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks.

    Parameters
    ----------
    ages
        For each day with rows, how old its newest row was when the day ended.
    """
    refused = [
        f"{day or 'all'}: {p}" for day, d in report.days.items() if d.refused for p in d.problems
    ]
    quarantined = sum(d.quarantined for d in report.days.values())
    reasons: dict[str, int] = {}
    for day in report.days.values():
        for reason, count in day.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="contract",
        passed=not refused,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"{len(refused)} problem(s): {refused[0]}"
            if refused
            else f"{sum(d.rows for d in report.days.values()):,} rows kept, {quarantined} set aside"
        ),
        metadata={
            "refused": "\n\n".join(refused[:SHOWN]) or "none",
            "quarantined_rows": quarantined,
            "reasons": dg.MetadataValue.md(
                "\n".join(f"- {n} × {reason}" for reason, n in sorted(reasons.items())[:SHOWN])
                or "none"
            ),
        },
    )
    missing = [str(day) for day, d in report.days.items() if not d.files and not d.refused]
    ignored = [f"{path}: {reason}" for path, reason in scan.ignored]
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="files",
        passed=not missing and not ignored,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(
            part
            for part in (
                f"no file for {', '.join(missing[:SHOWN])}" if missing else "",
                f"{len(ignored)} file(s) not used: {ignored[0]}" if ignored else "",
            )
            if part
        )
        or "every day has its file",
        metadata={
            "missing_days": ", ".join(missing) or "none",
            "unused_files": "\n\n".join(ignored[:SHOWN]) or "none",
            "unused_files_count": len(ignored),
        },
    )
    if source.partitioned:
        stale = {day: age for day, age in ages.items() if age > source.freshness}
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name="freshness",
            passed=not stale,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"{len(stale)} day(s) end early: "
                + ", ".join(f"{day} {_hours(age)} h" for day, age in list(stale.items())[:SHOWN])
                if stale
                else "the newest row of every day is fresh"
            ),
            metadata={"oldest_age_hours": _hours(max(ages.values(), default=timedelta(0)))},
        )
    if source.expected_rows is not None:
        low, high = source.expected_rows
        odd = {day: d.rows for day, d in report.days.items() if not low <= d.rows <= high}
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name="volume",
            passed=not odd,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"expected {low:,} to {high:,} rows a day; "
                + ", ".join(f"{day or 'all'} has {n:,}" for day, n in list(odd.items())[:SHOWN])
                if odd
                else f"every day has {low:,} to {high:,} rows"
            ),
            metadata={"days_outside": len(odd)},
        )


def _hours(age: timedelta) -> float:
    return round(age / timedelta(hours=1), 2)
