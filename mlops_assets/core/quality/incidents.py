"""``incidents``: assessed days told as incidents, each with its beginning and its end.

A pure function of what was assessed: told anew from the stored measures, it says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mlops_assets.core.quality.assessing import AssessedDay
from mlops_assets.core.quality.causes import WHOLE_DAY, Cause, Diagnosis
from mlops_assets.core.quality.findings import Status

Key = tuple[Cause, str | None]


class State(StrEnum):
    """What has become of an incident."""

    OPEN = "open"
    RECOVERED = "recovered"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class Incident:
    """Broken data of one cause in one column, over days in a row.

    Attributes
    ----------
    column
        ``None``: the rows as a whole.
    opened, last_day
        The first and the last day that are, or were, broken.
    days
        How many of these days were.
    state
        ``open``; ``recovered``; ``accepted``: it has gone on for so long that it is the usual.
    closed_on
        The day of data on which it ended.
    recovery
        In words: what made it end.
    still_bad
        Days whose data are broken to this day: they were not replaced.
    size, factor, evidence, advice
        Of the first day's diagnosis.
    """

    dataset: str
    cause: Cause
    column: str | None
    opened: date
    last_day: date
    days: int
    state: State
    closed_on: date | None
    recovery: str
    still_bad: tuple[date, ...]
    size: str
    factor: float | None
    evidence: str
    advice: str

    @property
    def text(self) -> str:
        """Return it in two sentences: what is the matter since when, and what to do."""
        where = f"{self.dataset}.{self.column}" if self.column else self.dataset
        until = f" to {self.last_day}" if self.last_day != self.opened else ""
        ended = f" {self.recovery}." if self.recovery else ""
        return (
            f"{where}: {self.cause.replace('_', ' ')} on {self.opened}{until}, {self.state}: "
            f"{self.size}. {self.evidence}.{ended} What to do: {self.advice}."
        )


def incidents(dataset: str, history: Sequence[AssessedDay]) -> list[Incident]:
    """Return the incidents of a table, by their first day.

    Parameters
    ----------
    history
        Assessed days in any order, with all their revisions.
    """
    revisions: dict[date, list[AssessedDay]] = {}
    for told in sorted(history, key=lambda t: (t.measured.day, t.measured.revision)):
        revisions.setdefault(told.measured.day, []).append(told)
    days = sorted(revisions)
    keys = {d.key for told in history for d in told.diagnoses}
    spells = {key: _spells(key, days, revisions) for key in keys}
    found = [
        _incident(dataset, key, spell, days, revisions)
        for key, runs in spells.items()
        for spell in runs
    ]
    return sorted(found, key=lambda i: (i.opened, str(i.cause), i.column or ""))


def _spells(
    key: Key, days: Sequence[date], revisions: Mapping[date, Sequence[AssessedDay]]
) -> list[list[date]]:
    """Return the days with a diagnosis, together where no day between them is known as good."""
    runs: list[list[date]] = []
    going_on = False
    for day in days:
        if any(_diagnosed(told, key) for told in revisions[day]):
            if going_on:
                runs[-1].append(day)
            else:
                runs.append([day])
            going_on = True
        elif _can_tell(revisions[day][-1], key[1]):
            going_on = False
    return runs


def _can_tell(told: AssessedDay, column: str | None) -> bool:
    """Whether a day without a diagnosis is good: it may be broken otherwise, or not be judged."""
    if told.measured.landed.refused or any(d.cause in WHOLE_DAY for d in told.diagnoses):
        return False
    return told.status(column) not in (None, Status.TOO_FEW_ROWS)


def _incident(
    dataset: str,
    key: Key,
    spell: Sequence[date],
    days: Sequence[date],
    revisions: Mapping[date, Sequence[AssessedDay]],
) -> Incident:
    first = next(d for told in revisions[spell[0]] for d in told.diagnoses if d.key == key)
    still = tuple(d for d in spell if _diagnosed(revisions[d][-1], key) is not None)
    after = next((d for d in days if d > spell[-1] and _can_tell(revisions[d][-1], key[1])), None)
    state, closed, words = _end(key, spell, still, after, revisions)
    return Incident(
        dataset=dataset,
        cause=key[0],
        column=key[1],
        opened=spell[0],
        last_day=spell[-1],
        days=len(spell),
        state=state,
        closed_on=closed,
        recovery=words,
        still_bad=still,
        size=first.size,
        factor=first.factor,
        evidence=first.evidence,
        advice=first.advice,
    )


def _diagnosed(told: AssessedDay, key: Key) -> Diagnosis | None:
    return next((d for d in told.diagnoses if d.key == key), None)


def _end(
    key: Key,
    spell: Sequence[date],
    still: Sequence[date],
    after: date | None,
    revisions: Mapping[date, Sequence[AssessedDay]],
) -> tuple[State, date | None, str]:
    if not still:
        last = max(
            (told.measured.measured_on or told.measured.day)
            for told in (revisions[day][-1] for day in spell)
        )
        return State.RECOVERED, last, f"Good data replaced {_several(spell)}"
    if after is None:
        return State.OPEN, None, ""
    told = revisions[after][-1]
    if told.status(key[1]) == Status.TOO_FEW_DAYS:
        gone_on = f"It has gone on for {len(spell)} days and is taken as the new usual"
        return State.ACCEPTED, after, gone_on
    return (
        State.RECOVERED,
        after,
        f"The data of {after} are good; {_several(still)} are as they were",
    )


def _several(days: Sequence[date]) -> str:
    if len(days) == 1:
        return f"those of {days[0]}"
    return f"those of {len(days)} days from {days[0]} to {days[-1]}"
