"""What is unusual about a day's numbers: values never seen, runs of one value, their level.

A level that moves is drift, and found here only if it moves as a whole, far beyond any usual
day; whether that comes from another unit is for ``units``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlops_assets.core.quality.findings import Finding, Measure
from mlops_assets.core.quality.profiles import ColumnProfile
from mlops_assets.core.quality.usual import UsualColumn, second

if TYPE_CHECKING:
    from mlops_assets.core.quality.rules import Rules

#: Share of numbers that may be new on a usual day, for new ones to mean anything.
_KNOWN = 0.3
#: Different numbers but zero that a day must have: two or three may be new by chance.
_SEVERAL = 5
#: Quantiles, of seven, that must lie outside of those of all usual days, and how far: in ranges
#: of these. Nearer is a storm or a season, and drift.
_OUTSIDE, _FAR = 5, 2.0


def judge_numbers(
    name: str,
    part: ColumnProfile,
    n: int,
    usual: UsualColumn,
    rules: Rules,
    measured: dict[str, float],
) -> Iterator[Finding]:
    """Find unusual numbers; sets ``novel`` and ``outside`` (of the usual range)."""
    yield from _runs(name, part, usual, rules)
    low = min(p.minimum for p, _ in usual.filled if p.minimum is not None)
    high = max(p.maximum for p, _ in usual.filled if p.maximum is not None)
    shown = sum(rows for _, rows in part.values)
    measured["outside"] = sum(r for v, r in part.values if not low <= v <= high) / shown
    usually = _usually_new(usual)
    new = _new(part, usual.values)
    measured["novel"] = new
    others = [rows for value, rows in part.values if value != 0]
    several = len(others) >= _SEVERAL and sum(others) >= rules.least_rows
    if usually <= _KNOWN and new >= rules.novel and several:
        yield Finding(name, Measure.NOVEL, new, usually, rules.novel)
    yield from _level(name, part, usual)


def _new(part: ColumnProfile, known: object) -> float:
    """Return the share of the numbers but zero that are not among ``known``.

    Zero is zero in most units.
    """
    assert isinstance(known, dict | set)
    rows = sum(r for value, r in part.values if value != 0)
    return sum(r for v, r in part.values if v != 0 and v not in known) / rows if rows else 0.0


def _usually_new(usual: UsualColumn) -> float:
    parts = [part for part, _ in usual.filled]
    # What is new on the last third of the days, but for the one day of a cold snap.
    first = len(parts) - len(parts) // 3
    seen: set[object] = {v for part in parts[:first] for v, _ in part.values}
    shares = []
    for part in parts[first:]:
        shares.append(_new(part, seen))
        seen.update(v for v, _ in part.values)
    return second(shares)


def _runs(name: str, part: ColumnProfile, usual: UsualColumn, rules: Rules) -> Iterator[Finding]:
    if not part.runs or part.runs[0].length < rules.run:
        return
    longest: dict[float, list[int]] = {}
    for p, _ in usual.filled:
        for run in p.runs:
            longest.setdefault(run.value, []).append(run.length)
    # Values that rest (no rain, good sight) run long on several days; others say what is usual.
    resting = {v for v, runs in longest.items() if sum(r >= rules.run for r in runs) >= 2}
    by_day = [max((r.length for r in p.runs if r.value not in resting), default=1)
              for p, _ in usual.filled]  # fmt: skip
    for run in part.runs:
        usually = max(longest[run.value]) if run.value in resting else second(by_day)
        limit = max(rules.run, rules.run_times * usually)
        if run.length >= limit:
            yield Finding(name, Measure.RUN, run.length, usually, limit, {"run": run})
            return


def _level(name: str, part: ColumnProfile, usual: UsualColumn) -> Iterator[Finding]:
    import numpy as np

    past = usual.quantiles
    today = np.array(part.quantiles)
    low, high = past.min(axis=0), past.max(axis=0)
    beyond = np.maximum(today - high, low - today) / np.maximum(high - low, 1e-300)
    if np.count_nonzero(beyond > _FAR) >= _OUTSIDE:
        middle = float(np.median(past[:, len(today) // 2]))
        at = float(today[len(today) // 2])
        limit = float((high if at > middle else low)[len(today) // 2])
        ranges = float(np.sort(beyond)[-_OUTSIDE])
        yield Finding(name, Measure.LEVEL, at, middle, limit, {"ranges": ranges})
