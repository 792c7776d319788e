"""Causes that show in single columns: units, names, times, sensors, missing values, labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_assets.core.quality.causes import Cause, Diagnosis
from mlops_assets.core.quality.findings import Finding, Judgement, Measure
from mlops_assets.core.quality.profiles import DayProfile
from mlops_assets.core.quality.rules import Rules
from mlops_assets.core.quality.units import conversion_of, credible
from mlops_assets.core.quality.usual import Usual

#: Hours that a time zone or a summer time can be off by.
_MOST_HOURS = 14


def column_causes(
    today: DayProfile, usual: Usual, judgement: Judgement, rules: Rules
) -> list[Diagnosis]:
    """Return the diagnoses of columns, one of each cause and column."""
    found: list[Diagnosis] = []
    times = _times(today, judgement)
    if times is not None:
        found.append(times)
    by_column: dict[str | None, list[Finding]] = {}
    for finding in judgement.findings:
        by_column.setdefault(finding.column, []).append(finding)
    for column, own in by_column.items():
        if column is None:
            continue
        cause = next(_causes(column, {f.measure: f for f in own}, today, usual, judgement), None)
        if cause is not None:
            found.append(cause)
    return found


def _times(today: DayProfile, judgement: Judgement) -> Diagnosis | None:
    """Return the shift of the columns with times: those that shift together are one incident."""
    shifts: dict[int, list[tuple[str, Finding]]] = {}
    for finding in judgement.findings:
        if finding.measure == Measure.HOURS and finding.column is not None:
            by = shifted(finding)
            if by:
                shifts.setdefault(by, []).append((finding.column, finding))
    if not shifts:
        return None
    hours, columns = max(shifts.items(), key=lambda item: len(item[1]))
    names = [name for name, _ in columns]
    first = today.event_time if today.event_time in names else names[0]
    finding = dict(columns)[first]
    others = [name for name in names if name != first]
    told = (
        f"{finding.value:.0%} of the rows are at another hour than usually (usually "
        f"{finding.usual:.0%}); moved back by {hours:+d} h, the day is as usual"
    )
    if others:
        told += f"; {', '.join(others)} moved with it"
    return Diagnosis(Cause.TIMEZONE_SHIFT, first, f"times are {hours:+d} h off", told, hours)


def shifted(finding: Finding) -> int:
    """Return by how many whole hours a day's times are off; 0: it is not that."""
    import numpy as np

    today, usual = finding.details["today"], finding.details["usual"]
    varies = float(finding.details["varies"])
    offs = {
        hours: float(np.abs(today - np.roll(usual, hours)).sum() / 2)
        for hours in range(-_MOST_HOURS, _MOST_HOURS + 1)
        if hours
    }
    best = min(offs, key=lambda hours: offs[hours])
    # Undone, the day is a usual one, and far nearer to it than as it is.
    good = offs[best] <= max(2 * varies, 0.02) and offs[best] <= 0.5 * finding.value
    return best if good else 0


def _causes(
    column: str,
    own: Mapping[Measure, Finding],
    today: DayProfile,
    usual: Usual,
    judgement: Judgement,
) -> Iterator[Diagnosis]:
    """Yield what a column's findings may come from, the most specific first."""
    if future := own.get(Measure.FUTURE):
        ahead = (future.details["latest"] - future.details["usually"]) / 24
        told = (
            f"{future.value:.1%} of the times lie more than a day beyond the latest usual one; "
            f"the latest by {ahead:,.1f} days"
        )
        size = f"{future.value:.1%} of the times are in the future"
        yield Diagnosis(Cause.FUTURE_TIMESTAMPS, column, size, told, future.value)
    if rate := own.get(Measure.RATE):
        now, before = rate.details["rate"], rate.details["usual_rate"]
        told = (
            f"the rate is {now:.1%} and usually {before:.1%}; in groups of the other columns it "
            f"goes against the usual rates (slope {rate.value:.2f}, usually {rate.usual:.2f})"
        )
        size = f"the rate is {now:.1%}, 1 minus the usual {before:.1%}"
        yield Diagnosis(Cause.LABEL_FLIP, column, size, told, now)
    if one := own.get(Measure.ONE_VALUE):
        told = (
            f"all {today.known(column):,} values are {_shown(one.details['value'])}; on a usual "
            f"day the most frequent one has at most {one.usual:.0%} of the rows"
        )
        yield Diagnosis(Cause.CONSTANT_COLUMN, column, "one value in all rows", told, 1.0)
    if run := own.get(Measure.RUN):
        yield _stuck(column, run)
    novel = own.get(Measure.NOVEL)
    if novel or Measure.LEVEL in own:
        yield from _unit(column, today, usual, novel, own.get(Measure.LEVEL))
    if own.get(Measure.UNSEEN):
        yield from _names(column, own)
    elif lost := own.get(Measure.LOST):
        names = ", ".join(f"{_shown(v)} ({s:.0%})" for v, s in lost.details["lost"].items())
        told = f"no rows of {names}, which is there on every usual day"
        yield Diagnosis(
            Cause.LOST_CATEGORIES, column, f"{lost.usual:.0%} of a usual day", told, lost.usual
        )
    if finite := own.get(Measure.NOT_FINITE):
        size = f"{finite.value:.1%} of the rows"
        yield Diagnosis(Cause.NOT_FINITE, column, size, "infinite numbers", finite.value)
    if gone := own.get(Measure.MISSING):
        told = (
            f"{gone.value:.1%} of the rows have no value, usually {gone.usual:.1%}; more than "
            f"{gone.limit:.1%} is unusual"
        )
        size = f"{gone.value:.0%} missing, usually {gone.usual:.0%}"
        yield Diagnosis(Cause.NULL_BURST, column, size, told, gone.value)


def _stuck(column: str, finding: Finding) -> Diagnosis:
    run = finding.details["run"]
    where = f" at {run.group}" if run.group else ""
    told = (
        f"{run.length} readings in a row are {_shown(run.value)}{where}, usually at most "
        f"{finding.usual:.0f}"
    )
    if run.first_hour is not None and run.last_hour is not None:
        told += f"; from hour {run.first_hour:g} to {run.last_hour:g} of the day"
    size = f"{run.length} equal readings{where}"
    return Diagnosis(Cause.STUCK_SENSOR, column, size, told, float(run.length))


def _unit(
    column: str, today: DayProfile, usual: Usual, novel: Finding | None, level: Finding | None
) -> Iterator[Diagnosis]:
    part, own = today.columns[column], usual.column(column)
    conversion = conversion_of(part, own, novel=True) if novel is not None else None
    if novel is not None and conversion is not None:
        told = (
            f"{novel.value:.0%} of the values were never seen (usually at most "
            f"{novel.usual:.0%}); they are the known ones, converted"
        )
    else:
        conversion = conversion_of(part, own, novel=False) if level is not None else None
        if conversion is None or level is None:
            return
        if not credible(conversion, level.details["ranges"]):
            return
        told = "all quantiles lie outside those of the usual days; converted back, they do not"
    size = f"values are {conversion.text}"
    yield Diagnosis(Cause.UNIT_CHANGE, column, size, told, conversion.factor)


def _names(column: str, own: Mapping[Measure, Finding]) -> Iterator[Diagnosis]:
    new: Mapping[Any, float] = own[Measure.UNSEEN].details["new"]
    lost: Mapping[Any, float] = own[Measure.LOST].details["lost"] if Measure.LOST in own else {}
    pairs = _pairs(new, lost)
    if pairs:
        named = ", ".join(f"{_shown(old)} → {_shown(now)}" for old, now in pairs[:5])
        told = (
            f"{', '.join(_shown(o) for o, _ in pairs[:5])} is gone (usually "
            f"{sum(lost[o] for o, _ in pairs):.1%} of the rows) and "
            f"{', '.join(_shown(n) for _, n in pairs[:5])} is new "
            f"({sum(new[n] for _, n in pairs):.1%})"
        )
        yield Diagnosis(Cause.CATEGORY_RENAME, column, named, told, float(len(pairs)))
    names = ", ".join(f"{_shown(v)} ({s:.1%})" for v, s in list(new.items())[:5])
    told = f"not seen in the window: {names}"
    share = own[Measure.UNSEEN].value
    yield Diagnosis(Cause.NEW_CATEGORIES, column, f"{share:.1%} of the rows", told, share)


def _pairs(new: Mapping[Any, float], lost: Mapping[Any, float]) -> list[tuple[Any, Any]]:
    """Match each lost category with the new one that has its share, or whose name is alike."""
    pairs = []
    free = dict(new)
    for old, share in sorted(lost.items(), key=lambda item: -item[1]):
        alike = [n for n in free if _bare(n) == _bare(old)]
        near = [n for n, s in free.items() if 0.5 <= s / share <= 2.0]
        best = min(alike or near, key=lambda n: abs(free[n] - share), default=None)
        if best is not None:
            pairs.append((old, best))
            free.pop(best)
    return pairs


def _bare(name: Any) -> str:
    return "".join(c for c in str(name).casefold() if c.isalnum())


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
