"""Whether a label's two values have been swapped: its rate, and its rates in groups.

A bad day can have as high a rate as a swapped good one; what it does not have is the relation to
everything else turned around.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mlops_assets.core.quality.findings import Finding, Measure
from mlops_assets.core.quality.profiles import ColumnProfile
from mlops_assets.core.quality.usual import UsualColumn

if TYPE_CHECKING:
    from mlops_assets.core.quality.rules import Rules

#: Slope up to which there is no relation to the usual rates any more.
_GONE = 0.1
#: Slope of a usual day against the others from which there is a relation at all.
_RELATED = 0.5
#: Rates up to which one value is rare.
_RARE = 0.2

Rates = Mapping[str, Mapping[str, tuple[int, int]]]


def flipped(
    name: str, part: ColumnProfile, usual: UsualColumn, rules: Rules, measured: dict[str, float]
) -> Iterator[Finding]:
    """Find a label whose values were swapped.

    The rates of groups are set against the usual ones by a regression through the means: its
    slope is 1 where all is as ever and -1 where the values were swapped. The slopes of the
    usual days themselves, each against the others, say how far it varies.
    """
    days = [p.rates for p, _ in usual.filled if p.rates]
    if len(days) < rules.least_days:
        return
    together = _summed(days)
    columns = [by for by in together if by]
    slope, rate = _slope(part.rates, together, columns), _rate(part.rates)
    if slope is None or rate is None:
        return
    measured["slope"] = slope
    known = [p for p in map(_rate, days) if p is not None]
    swapped = sorted(1 - p for p in known)
    # As far from the swapped rates as half of what those differ among themselves.
    margin = 0.5 * (swapped[-1] - swapped[0])
    if not swapped[0] - margin <= rate <= swapped[-1] + margin:
        return
    usually = [s for s in (_slope(d, _less(together, d), columns) for d in days) if s is not None]
    if not usually:
        return
    middle = sorted(usually)[len(usually) // 2]
    spread = max(middle - min(usually), 0.2)
    limit = min(rules.flipped, middle - 1.25 * spread)
    if not min(known) <= rate <= max(known):
        # No usual day has such a rate: then it is enough that the relation is gone. Days that
        # are merely bad keep it (docs/quality.md has figures).
        limit = max(limit, _GONE)
    related = middle >= _RELATED and slope <= limit
    # Where there is no relation, only a rate from near one end to near the other will do.
    rare = swapped[0] >= 1 - _RARE or swapped[-1] <= _RARE
    if related or (rare and swapped[0] <= rate <= swapped[-1]):
        details = {"rate": rate, "usual_rate": sum(known) / len(known)}
        yield Finding(name, Measure.RATE, slope, middle, limit, details)


def _rate(rates: Rates) -> float | None:
    rows, high = rates.get("", {}).get("", (0, 0))
    return high / rows if rows else None


def _summed(days: Sequence[Rates]) -> dict[str, dict[str, tuple[int, int]]]:
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for day in days:
        for by, groups in day.items():
            into = found.setdefault(by, {})
            for group, (rows, high) in groups.items():
                before = into.get(group, (0, 0))
                into[group] = (before[0] + rows, before[1] + high)
    return found


def _less(total: Rates, day: Rates) -> Rates:
    return {
        by: {
            group: (rows - day.get(by, {}).get(group, (0, 0))[0],
                    high - day.get(by, {}).get(group, (0, 0))[1])
            for group, (rows, high) in groups.items()
        }
        for by, groups in total.items()
    }  # fmt: skip


def _slope(today: Rates, usual: Rates, columns: Sequence[str]) -> float | None:
    """Return how today's rates go with the usual ones, in units of what is usual.

    Both are centred by column and divided by the deviation of a single row, so that a day with
    a higher rate is not one with a stronger relation. ``None``: nothing to compare.
    """
    above = below = 0.0
    rate, base = _rate(today), _rate(usual)
    if not rate or not base or rate in (0, 1) or base in (0, 1):
        return None
    scale, usual_scale = math.sqrt(rate * (1 - rate)), math.sqrt(base * (1 - base))
    for by in columns:
        shared = [
            (n, high / n, usual_high / m)
            for group, (n, high) in today.get(by, {}).items()
            for m, usual_high in [usual[by].get(group, (0, 0))]
            if n and m
        ]
        rows = sum(n for n, _, _ in shared)
        if rows == 0 or len(shared) < 2:
            continue
        mean = sum(n * r for n, r, _ in shared) / rows
        usual_mean = sum(n * u for n, _, u in shared) / rows
        for n, r, u in shared:
            above += n * (r - mean) * (u - usual_mean) / (scale * usual_scale)
            below += n * (u - usual_mean) ** 2 / usual_scale**2
    return above / below if below else None
