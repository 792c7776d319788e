"""Whether the label still depends on the features as it did: a watch over days of excess loss.

What is new in each day's excess, given the days before, goes into Page-Hinkley's sum or ADWIN's
window, in standard deviations of it. The limit is one that a year without a change exceeds with a
stated probability (``limits``). An alarm also takes a change that matters: a share of the
reference's mean loss. A watch belongs to one model version; with another, another one begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from mlops_assets.core.concept_drift.adwin import DELTA, Adwin
from mlops_assets.core.concept_drift.aggregates import Aggregate, parameters
from mlops_assets.core.concept_drift.days import Days, Level, learn
from mlops_assets.core.concept_drift.limits import (
    ALLOWANCE,
    adwin_delta,
    held,
    page_hinkley_threshold,
)
from mlops_assets.core.concept_drift.page_hinkley import PageHinkley
from mlops_assets.core.concept_drift.units import Unit

Detector = Literal["page_hinkley", "adwin"]
#: Of the reference's mean loss: a change below is none that matters.
THRESHOLD = 0.05
#: Standard errors of a day's expectation that are taken off its excess.
UNCERTAIN = 2.0
#: Days that are remembered to say how large a change is.
REMEMBERED = 731


class Status(StrEnum):
    """Whether a day was judged, and if not, why."""

    OK = "ok"
    #: The reference has too few days, or all its losses are one number.
    NO_REFERENCE = "no_reference"
    NO_ROWS = "no_rows"
    #: More than half of the day's rows are like none of the reference.
    FOREIGN = "foreign"
    #: Not after the last day: left out. With labels that come late, ``begin`` anew.
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True)
class Verdict:
    """What is known after a day.

    Attributes
    ----------
    drifted
        Whether the relation of label and features has changed, and has not changed back.
    worse
        Whether losses are higher than expected. This and the next three are ``None`` where no
        change was found.
    since
        The first day after the last change, by the detector's estimate.
    excess
        Mean excess loss since then.
    relative
        The same as a share of the reference's mean loss.
    evidence
        What the detector compares with its limit, as a multiple of it: a change is above 1.
    """

    when: str
    status: Status
    drifted: bool = False
    worse: bool | None = None
    since: str | None = None
    excess: float | None = None
    relative: float | None = None
    evidence: float | None = None
    n: int = 0
    foreign: int = 0


class Watch:
    """The watch of one model version; ``begin`` it with its reference, ``update`` it day by day."""

    def __init__(
        self,
        days: Days | None,
        mean_loss: float,
        threshold: float,
        detector: PageHinkley | Adwin,
    ) -> None:
        self.days, self.mean_loss, self.threshold = days, mean_loss, threshold
        self._detector = detector
        #: Days since the last change, that of the change included.
        self._lasting: int | None = None
        self._level: Level | None = None if days is None else days.start()
        #: Of each day since: when, rows, total.
        self._past: list[list[Any]] = []

    @classmethod
    def begin(
        cls,
        reference: Sequence[Unit],
        mean_loss: float,
        *,
        alarms_per_year: float = 0.05,
        units_per_year: int = 365,
        threshold: float = THRESHOLD,
        detector: Detector = "page_hinkley",
    ) -> Watch:
        """Begin after a reference.

        Parameters
        ----------
        reference
            Days of rows that the model was not trained on, as ``expected.fit`` returns them.
        mean_loss
            What sizes are shares of: ``ExpectedLoss.mean_loss``.
        alarms_per_year
            Probability of any alarm in a year in which nothing changes.
        units_per_year
            365 for days, 52 for weeks.
        threshold
            Share of the mean loss that matters.
        """
        days = learn(reference)
        made: PageHinkley | Adwin
        if detector == "adwin":
            delta = adwin_delta(days, units_per_year, alarms_per_year) if days else DELTA
            made = Adwin(delta, span=0.0)
        else:
            at = page_hinkley_threshold(days, units_per_year, alarms_per_year) if days else 1.0
            made = PageHinkley(at, ALLOWANCE)
        watch = cls(days, mean_loss, threshold, made)
        known = [watch._new(unit) for unit in reference if unit.n] if days is not None else []
        if isinstance(made, Adwin):
            for new in known:
                made.update(new)
        elif known:
            made.begin(Aggregate.of(len(known), sum(known), sum(new * new for new in known)))
        return watch

    def _new(self, unit: Unit) -> float:
        """Return what is new in a day, and remember the day."""
        assert self.days is not None
        assert self._level is not None
        off = unit.mean - self.days.mean
        doubt = UNCERTAIN * unit.uncertain
        off = max(off - doubt, 0.0) + min(off + doubt, 0.0)
        new, self._level = self.days.new(off, unit.n, self._level)
        return held(new)

    def update(self, unit: Unit) -> Verdict:
        """Take the next day, and say what is known after it."""
        # What JSON keeps as it is, and can still be ordered.
        when = unit.when if isinstance(unit.when, int | float | str) else str(unit.when)
        status = Status.OK
        if self.days is None:
            status = Status.NO_REFERENCE
        elif self._past and when <= self._past[-1][0]:
            status = Status.OUT_OF_ORDER
        elif unit.foreign > unit.n:
            status = Status.FOREIGN
        elif not unit.n:
            status = Status.NO_ROWS
        if status is not Status.OK:
            return Verdict(str(when), status, n=unit.n, foreign=unit.foreign)
        change = self._detector.update(self._new(unit))
        self._past = [*self._past[1 - REMEMBERED :], [when, unit.n, unit.total]]
        if self._lasting is not None:
            self._lasting += 1
        if change is not None:  # not before the first day that is watched
            self._lasting = min(change.at - change.since + 1, len(self._past))
        return self._verdict(unit)

    def run(self, units: Iterable[Unit]) -> list[Verdict]:
        """Take days in order of time."""
        return [self.update(unit) for unit in units]

    def _verdict(self, unit: Unit) -> Verdict:
        assert self.days is not None
        told: dict[str, Any] = {}
        if self._lasting is not None:
            after = self._past[-self._lasting :]
            excess = sum(day[2] for day in after) / sum(day[1] for day in after) - self.days.mean
            relative = excess / self.mean_loss if self.mean_loss > 0 else None
            told = {
                "drifted": relative is None or abs(relative) >= self.threshold,
                "worse": excess > 0,
                "since": str(after[0][0]),
                "excess": excess,
                "relative": relative,
            }
        return Verdict(
            str(unit.when),
            Status.OK,
            evidence=self._detector.evidence,
            n=unit.n,
            foreign=unit.foreign,
            **told,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, to be stored and continued from."""
        return {
            "days": None if self.days is None else self.days.to_dict(),
            "mean_loss": self.mean_loss,
            "threshold": self.threshold,
            "kind": "adwin" if isinstance(self._detector, Adwin) else "page_hinkley",
            "detector": self._detector.to_dict(),
            "lasting": self._lasting,
            "level": None if self._level is None else [self._level.mean, self._level.variance],
            "past": [list(day) for day in self._past],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Watch:
        """Return the watch that ``to_dict`` has described.

        Raises
        ------
        ValueError
            If this is the state of something else.
        """
        kept = parameters(
            state, "days", "mean_loss", "threshold", "kind", "detector", "lasting",
            "level", "past",
        )  # fmt: skip
        kind = Adwin if kept["kind"] == "adwin" else PageHinkley
        days = None if kept["days"] is None else Days.from_dict(kept["days"])
        made = cls(days, kept["mean_loss"], kept["threshold"], kind.from_dict(kept["detector"]))
        made._lasting = kept["lasting"]
        made._level = None if kept["level"] is None else Level(*kept["level"])
        made._past = [list(day) for day in kept["past"]]
        return made
