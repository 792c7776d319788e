"""``judge``: what is unusual about a day's rows and columns, against the usual days.

Every limit is a practical one (``Rules``) *and* beyond what the usual days do among themselves.
No test on rows: those of a day share their weather and their deliveries, so that shares vary far
more between days than a binomial law has it. What a finding comes from is for ``diagnosing``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date

from mlops_assets.core.quality.column_judging import judge_column
from mlops_assets.core.quality.findings import Finding, Judgement, Measure, Status
from mlops_assets.core.quality.profiles import DayProfile
from mlops_assets.core.quality.rules import Rules
from mlops_assets.core.quality.usual import Usual

#: How far beyond the most unusual of the usual days a number of rows must be.
_BEYOND = 1.25


def judge(day: date, today: DayProfile, usual: Usual, rules: Rules | None = None) -> Judgement:
    """Return what is unusual about ``today``.

    Parameters
    ----------
    day
        Decides the weekday whose number of rows is usual.
    usual
        The good days before it (``Usual.before``), or those of a training set (``profile``).

    Returns
    -------
    Judgement
        With a status for all that could not be judged: with fewer than ``least_days`` usual
        days nothing is found.
    """
    rules = rules or Rules()
    if len(usual.days) < rules.least_days:
        names = [None, *today.columns]
        return Judgement([], dict.fromkeys(names, Status.TOO_FEW_DAYS), {})
    statuses: dict[str | None, Status] = {None: Status.JUDGED}
    measures: dict[str | None, dict[str, float]] = {None: _row_measures(day, today, usual)}
    findings = list(_rows(day, today, usual, rules, measures[None]))
    if not today.rows:
        return Judgement(findings, statuses, measures)
    findings += _schema(today, usual)
    for name in today.columns:
        own = usual.column(name)
        statuses[name], measures[name], found = judge_column(name, today, own, rules)
        findings += found
    return Judgement(findings, statuses, measures)


def _row_measures(day: date, today: DayProfile, usual: Usual) -> dict[str, float]:
    event = today.event
    newest = event.maximum if event is not None and event.maximum is not None else math.nan
    return {
        "usual_rows": usual.rows_on(day),
        "tail": _tail(today, usual),
        "age_hours": 24 - newest,
    }


def _rows(
    day: date, today: DayProfile, usual: Usual, rules: Rules, measured: dict[str, float]
) -> Iterator[Finding]:
    expected = measured["usual_rows"]
    if not today.rows:
        yield Finding(None, Measure.NO_ROWS, 0, expected, 1)
        return
    ratio = today.rows / expected
    varies = _BEYOND * usual.rows_vary
    low, high = min(rules.few, math.exp(-varies)), max(rules.many, math.exp(varies))
    if expected >= rules.least_rows and not low <= ratio <= high:
        yield Finding(None, Measure.ROWS, ratio, 1, low if ratio < 1 else high)
    repeats = today.key_repeats / today.rows
    if repeats >= rules.repeats:
        yield Finding(None, Measure.KEY_REPEATS, repeats, 0, rules.repeats)
    copies = today.content_repeats / today.rows
    most = max(d.content_repeats / d.rows for d in usual.all_days)
    if copies >= most + rules.copies and today.rows >= rules.least_rows:
        yield Finding(None, Measure.CONTENT_REPEATS, copies, most, most + rules.copies)
    tail = measured["tail"]
    if tail >= rules.tail:
        details = {"last_hour": 24 - measured["age_hours"]}
        yield Finding(today.event_time, Measure.TAIL, 0, tail, rules.tail, details)


def _tail(today: DayProfile, usual: Usual) -> float:
    """Return the least share of a usual day's rows that comes after today's last hour."""
    if today.event is None or today.event.maximum is None or today.event_time is None:
        return 0.0
    last = math.floor(today.event.maximum)
    shares = []
    for day in usual.all_days:
        hours = day.columns[today.event_time].hours if today.event_time in day.columns else {}
        shares.append(sum(rows for hour, rows in hours.items() if hour > last) / day.rows)
    return min(shares, default=0.0)


def _schema(today: DayProfile, usual: Usual) -> Iterator[Finding]:
    last = usual.all_days[-1]
    for name in dict.fromkeys([*last.columns, *today.columns]):
        before, now = last.columns.get(name), today.columns.get(name)
        if before is None or now is None:
            said = "is new" if before is None else "is missing"
        elif before.type != now.type:
            said = f"is {now.type} and was {before.type}"
        else:
            continue
        yield Finding(name, Measure.SCHEMA, 1, 0, 0, {"said": said})
