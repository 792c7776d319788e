"""What is unusual about a column of a day. Its rows as a whole belong in ``judging``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from mlops_assets.core.quality.findings import Finding, Measure, Status
from mlops_assets.core.quality.label_rates import flipped
from mlops_assets.core.quality.numbers_judging import judge_numbers
from mlops_assets.core.quality.profiles import (
    CATEGORY,
    FLAG,
    IDENTIFIER,
    LAST_HOUR,
    NUMBER,
    OTHER,
    TIME,
    ColumnProfile,
    DayProfile,
)
from mlops_assets.core.quality.usual import UsualColumn, hour_shares

if TYPE_CHECKING:
    from mlops_assets.core.quality.rules import Rules

Measured = dict[str, float]

#: Share of the usual days whose hours say how far hours vary: a storm is two days, or three.
_MOST_DAYS = 0.9


def judge_column(
    name: str, today: DayProfile, usual: UsualColumn, rules: Rules
) -> tuple[Status, Measured, list[Finding]]:
    """Return the column's status, figures that are relative to the usual days, and findings."""
    part = today.columns[name]
    measured: Measured = {}
    if len(usual.parts) < rules.least_days:
        return Status.TOO_FEW_DAYS, measured, []
    if today.rows < rules.least_rows:
        return Status.TOO_FEW_ROWS, measured, []
    found = [*_missing(name, part, today, usual, rules), *_not_finite(name, part, today, rules)]
    n = today.known(name)
    if usual.kind != part.kind or len(usual.filled) < rules.least_days or n < rules.least_rows:
        return (Status.JUDGED if found else Status.TOO_FEW_ROWS), measured, found
    if part.kind in (OTHER, IDENTIFIER):
        return Status.NOT_LOOKED_AT, measured, found
    found += _one_value(name, part, n, usual, rules)
    looks: dict[str, Callable[..., Iterator[Finding]]] = {
        CATEGORY: _categories,
        FLAG: _categories,
        NUMBER: judge_numbers,
        TIME: _times,
    }
    found += looks[part.kind](name, part, n, usual, rules, measured)
    if part.rates:
        found += flipped(name, part, usual, rules, measured)
    return Status.JUDGED, measured, found


def _missing(
    name: str, part: ColumnProfile, today: DayProfile, usual: UsualColumn, rules: Rules
) -> Iterator[Finding]:
    share = part.missing / today.rows
    rates = usual.missing_rates
    # Above the highest usual share by the declared step, or by more where days vary much.
    limit = max(rates) + max(rules.missing, 1.5 * _deviation(rates))
    if share >= limit and share - usual.expected_missing(today) >= rules.missing:
        yield Finding(name, Measure.MISSING, share, sum(rates) / len(rates), limit)


def _not_finite(
    name: str, part: ColumnProfile, today: DayProfile, rules: Rules
) -> Iterator[Finding]:
    share = part.not_finite / today.rows
    if share >= rules.not_finite:
        yield Finding(name, Measure.NOT_FINITE, share, 0, rules.not_finite)


def _one_value(
    name: str, part: ColumnProfile, n: int, usual: UsualColumn, rules: Rules
) -> Iterator[Finding]:
    if part.distinct != 1:
        return
    most = max(p.top_rows / m for p, m in usual.filled)
    if most < rules.one_value:
        details = {"value": part.values[0][0]}
        yield Finding(name, Measure.ONE_VALUE, 1, most, rules.one_value, details)


def _categories(
    name: str,
    part: ColumnProfile,
    n: int,
    usual: UsualColumn,
    rules: Rules,
    measured: Measured,
) -> Iterator[Finding]:
    known, counts = usual.values, dict(part.values)
    new = {value: rows / n for value, rows in counts.items() if value not in known}
    unseen = sum(new.values())
    measured["unseen"] = unseen
    # What was new on each of the usual days was so once: the last of them says how much is.
    usually = _newly(usual)
    if unseen >= max(rules.unseen, 3 * usually) and unseen * n >= 3:
        yield Finding(name, Measure.UNSEEN, unseen, usually, rules.unseen, {"new": new})
    total = sum(m for _, m in usual.filled)
    lost = {}
    for value, rows in known.items():
        share = rows / total
        if value in counts or share < rules.lost or share * n < 10:
            continue
        if all(value in dict(p.values) for p, _ in usual.filled):
            lost[value] = share
    if lost and part.distinct > 1:
        yield Finding(name, Measure.LOST, 0, sum(lost.values()), rules.lost, {"lost": lost})


def _newly(usual: UsualColumn) -> float:
    """Return the largest share of categories that were new on one of the last usual days."""
    seen: set[object] = set()
    shares: list[float] = []
    for part, n in usual.filled:
        shares.append(sum(rows for value, rows in part.values if value not in seen) / n)
        seen.update(value for value, _ in part.values)
    return max(shares[len(shares) // 2 :])


def _times(
    name: str,
    part: ColumnProfile,
    n: int,
    usual: UsualColumn,
    rules: Rules,
    measured: Measured,
) -> Iterator[Finding]:
    import numpy as np

    latest = max(p.maximum for p, _ in usual.filled if p.maximum is not None)
    bound = latest + rules.future_hours
    ahead = sum(rows for hour, rows in part.hours.items() if hour > min(bound, LAST_HOUR - 1))
    measured["future"] = ahead / n
    assert part.maximum is not None
    if ahead / n >= rules.future and part.maximum > bound:
        details = {"latest": part.maximum, "usually": latest}
        yield Finding(name, Measure.FUTURE, ahead / n, 0, rules.future, details)
    today, days = hour_shares(part), usual.shares_by_hour
    middle = days.mean(axis=0)
    off = float(np.abs(today - middle).sum() / 2)
    usually = np.abs(days - middle).sum(axis=1) / 2
    # Fewer rows than usual fill the hours less evenly, by chance alone.
    fewer = math.sqrt(max(sum(m for _, m in usual.filled) / len(usual.filled) / n, 1))
    varies = float(np.quantile(usually, _MOST_DAYS)) * fewer
    limit = max(rules.hours, 1.5 * varies)
    measured["hours"] = off
    if off >= limit:
        details = {"today": today, "usual": middle, "varies": varies}
        yield Finding(name, Measure.HOURS, off, float(np.median(usually)), limit, details)


def _deviation(numbers: Sequence[float]) -> float:
    mean = sum(numbers) / len(numbers)
    return math.sqrt(sum((x - mean) ** 2 for x in numbers) / max(len(numbers) - 1, 1))
