"""``assess``: measured days in order, each judged by the good days before it.

What a day's incident does to the days after it is decided here: a bad day, or a bad column of it,
does not say what is usual. One that stays bad until too few good days are left in the window
is the new usual: it is not judged any more, and then judged by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from mlops_assets.core.quality.causes import WHOLE_DAY, Diagnosis
from mlops_assets.core.quality.diagnosing import diagnose
from mlops_assets.core.quality.findings import Judgement, Status
from mlops_assets.core.quality.judging import judge
from mlops_assets.core.quality.landed import Landed
from mlops_assets.core.quality.profiles import DayProfile
from mlops_assets.core.quality.rules import Rules
from mlops_assets.core.quality.usual import Usual, Where


@dataclass(frozen=True)
class MeasuredDay:
    """A day as it was measured: once when it landed, and once more for each time it was replaced.

    Attributes
    ----------
    revision
        0, 1, ...: the last one is what the day is now.
    measured_on
        The last day that had landed then: data time.
    landed
        What landing said of it; if it refused the day, ``profile`` is of the refused rows.
    """

    day: date
    profile: DayProfile
    revision: int = 0
    measured_on: date | None = None
    landed: Landed = field(default_factory=Landed)


@dataclass(frozen=True)
class AssessedDay:
    """A measured day with what is unusual about it and what it comes from."""

    measured: MeasuredDay
    judgement: Judgement
    diagnoses: Sequence[Diagnosis]

    @property
    def judged(self) -> bool:
        """Whether there were enough good days to judge it by."""
        return self.judgement.statuses.get(None) != Status.TOO_FEW_DAYS

    def status(self, column: Where) -> Status | None:
        """Return whether a column could be judged; ``None``: the day does not have it."""
        return self.judgement.statuses.get(column)


def assess(
    days: Iterable[MeasuredDay],
    before: Sequence[AssessedDay] = (),
    rules: Rules | None = None,
    reference: Usual | None = None,
) -> list[AssessedDay]:
    """Judge and diagnose measured days.

    Parameters
    ----------
    days
        In any order.
    before
        What was assessed already, as far back as the window: the daily step gives these and
        one new day.
    reference
        What is usual, where it is not the days before each: a training set's days.

    Returns
    -------
    list of AssessedDay
        The new ones, in order of days and revisions.
    """
    rules = rules or Rules()
    good: dict[date, DayProfile] = {}
    bad: dict[date, set[tuple[date, Where]]] = {}
    for told in sorted(before, key=_place):
        _take(told, good, bad)
    found = []
    for measured in sorted(days, key=_measured_place):
        usual = reference or _usual(measured.day, good, bad, rules)
        judgement = judge(measured.day, measured.profile, usual, rules)
        diagnoses = diagnose(
            measured.day, measured.profile, usual, judgement, measured.landed, rules
        )
        told = AssessedDay(measured, judgement, diagnoses)
        _take(told, good, bad)
        found.append(told)
    return found


def _measured_place(measured: MeasuredDay) -> tuple[date, int]:
    return measured.day, measured.revision


def _place(told: AssessedDay) -> tuple[date, int]:
    return _measured_place(told.measured)


def _usual(
    day: date,
    good: Mapping[date, DayProfile],
    bad: Mapping[date, set[tuple[date, Where]]],
    rules: Rules,
) -> Usual:
    near = (bad.get(day - timedelta(days=n), set()) for n in range(1, rules.window + 1))
    return Usual.before(good, day, rules.window, set().union(*near))


def _take(
    told: AssessedDay,
    good: dict[date, DayProfile],
    bad: dict[date, set[tuple[date, Where]]],
) -> None:
    """Let a day say what is usual, as far as it is good; its last revision counts."""
    day = told.measured.day
    good[day] = told.measured.profile
    bad[day] = {
        (day, None if d.cause in WHOLE_DAY else d.column)
        for d in told.diagnoses
    }  # fmt: skip
    if told.measured.landed.refused:
        bad[day].add((day, None))
