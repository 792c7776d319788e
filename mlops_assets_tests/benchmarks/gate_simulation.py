"""Gates over simulated holdouts: two models whose quality is known, judged by the real rules.

Nothing of the gate is simulated: the scores become an ``EvaluationReport`` by the function that
the evaluation asset calls, and ``decide`` judges it. What is made up is the world.

The world
---------
Days of unequal size with a weather of their own, part of which no model foresees; a row's chance
of the positive class depends on the day and the row. A model knows the rest of the log odds but
for two errors of its own: noise of each row, and a misjudgement of each day, common to the day's
rows. Two models whose errors are of the same size are equally good, whichever wins on a holdout.
One that misjudged a day in the direction in which it surprised wins all of that day: that is how
the rows of a day depend on each other. The sizes are such that, on 13,000 rows of 14 days, the
standard error of the difference is three times as large by day as by row, the median of the
nineteen comparisons of a year of the flights. A model is worse by a factor on the variance of
both its errors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from mlops_assets.core.models import training
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.promotion import gate as gates
from mlops_assets.core.promotion.evaluation import Contender, EvaluationReport, compare, evaluate
from mlops_assets.core.promotion.holdout import KEY, HoldoutEvidence, TrainedOn
from mlops_assets.vocabulary import Label, Model, PromotionGate, Rows

START = date(2024, 1, 1)
FORESEEN, SURPRISE = 0.5, 0.5
ROW_NOISE, DAY_NOISE = 0.3, 0.17


@dataclass(frozen=True)
class World:
    """How holdouts come about.

    Attributes
    ----------
    rows, days
        Of a holdout.
    dependent
        Whether days surprise, and models misjudge them, as a whole; without it rows are
        independent.
    carry
        How much of a day's misjudgement is the day before's: a correlation.
    """

    rows: int = 2_000
    days: int = 14
    dependent: bool = True
    carry: float = 0.0

    def draw(self, rng: np.random.Generator, worse: float = 0.0) -> Drawn:
        """Return a holdout and what challenger, champion and baseline say of it.

        ``worse``: by how much the variance of the champion's errors is larger than the
        challenger's, relatively; 0: they are equally good; below 0: the challenger's is larger.
        """
        sizes = rng.lognormal(0, 0.2, self.days)
        day = np.sort(rng.choice(self.days, self.rows, p=sizes / sizes.sum()))
        odds = -1.0 + rng.normal(0, FORESEEN, self.days)[day] + rng.normal(0, 1.2, self.rows)
        surprise = self._of_days(rng, SURPRISE) if self.dependent else np.zeros(self.days)
        label = rng.random(self.rows) < _chance(odds + surprise[day])
        scores = [_chance(odds + self._errors(rng, day, max(w, 0.0))) for w in (-worse, worse)]
        frame = pd.DataFrame(
            {
                "partition_date": pd.Timestamp(START) + pd.to_timedelta(day, unit="D"),
                "region": rng.choice(["north", "east", "south", "west"], self.rows),
            }
        )
        ours, theirs = (Scored(label, score >= 0.5, score) for score in scores)
        simple = np.full(self.rows, 0.32)
        return Drawn(frame, ours, theirs, Scored(label, simple >= 0.5, simple))

    def _errors(self, rng: np.random.Generator, day: np.ndarray, worse: float) -> np.ndarray:
        errors = rng.normal(0, ROW_NOISE, self.rows)
        if self.dependent:
            errors += self._of_days(rng, DAY_NOISE)[day]
        return math.sqrt(1 + worse) * errors

    def _of_days(self, rng: np.random.Generator, size: float) -> np.ndarray:
        """Return a number for each day, of variance ``size ** 2``, carried over in part."""
        out = rng.normal(0, size, self.days)
        for i in range(1, self.days):
            out[i] = self.carry * out[i - 1] + math.sqrt(1 - self.carry**2) * out[i]
        return out


@dataclass(frozen=True)
class Drawn:
    """A holdout and what was said of it."""

    frame: pd.DataFrame
    ours: Scored
    theirs: Scored
    simple: Scored

    def report(self, model: Model) -> EvaluationReport:
        """Measure as the evaluation asset does; nothing is wrong with the holdout."""
        found = compare(model, self.frame, self.ours, self.simple, self.theirs)
        evidence = _clean(self.frame["partition_date"].max().date() + timedelta(days=1), found.rows)
        return replace(found, challenger_version=2, champion_version=1, holdout=evidence)


def _clean(end: date, rows: int) -> HoldoutEvidence:
    return HoldoutEvidence(
        "0" * 32, START, end, rows, KEY, 0, None, 0, 0, 0,
        TrainedOn(2, "2" * 32, START, 0), TrainedOn(1, "1" * 32, START, 0),
    )  # fmt: skip


def _estimator() -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


@functools.lru_cache(maxsize=1)
def _signature() -> dict[str, Any]:
    """Return that of a model of three numbers; made once, for profiling takes its time."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
    return training.fit_frame(declared(), frame.assign(label=frame["a"] > 0)).signature


def declared(**gate: object) -> Model:
    """A model with that gate and a slice column."""
    return Model(
        name="simulated",
        problem="binary",
        rows=Rows(source="orders", as_of="ordered_at"),
        features=["view"],
        label=Label(name="late", source="orders", expression="late", join=["order_id"]),
        estimator=_estimator,
        slices=["region"],
        gate=PromotionGate(**{"min_rows": 100, **gate}),  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class Outcome:
    """One gate: its verdict, and whether it beat the champion, whatever the other rules say."""

    promoted: bool
    beat_champion: bool
    relative_difference: float
    relative_error: float


def simulate(
    world: World, gate_count: int, seed: int, worse: float = 0.0, **gate: object
) -> Iterator[Outcome]:
    """Yield the outcomes of that many gates; a gate's holdout depends on its number and seed."""
    model = declared(**gate)
    for number in range(gate_count):
        drawn = world.draw(np.random.default_rng([seed, number]), worse)
        report = drawn.report(model)
        verdict = gates.decide(model.gate, report, problem="binary", metric=model.metric)
        versus, champion = report.versus_champion, report.champion
        assert versus is not None
        assert champion is not None
        rule = next(rule for rule in verdict.rules if rule.name == "champion")
        value = abs(champion[model.metric].value)
        yield Outcome(
            verdict.promoted, rule.passed is True, versus.value / value,
            versus.standard_error / value,
        )  # fmt: skip


def learnt(
    number: int, *, shuffled: bool, champion: bool, rows: int = 100, **gate: object
) -> gates.Verdict:
    """Judge a challenger that really learnt, from labels in order or shuffled.

    Parameters
    ----------
    champion
        Whether there is one, that learnt from as many rows with their own labels; otherwise
        there is only the baseline to beat.
    rows
        Of each of the 20 days of training.
    """
    rng = np.random.default_rng([7, number])
    model = declared(**gate)

    def frame(first: int, days: int, per_day: int) -> pd.DataFrame:
        rows = days * per_day
        at = np.repeat(np.arange(days), per_day) + first
        out = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "c"])
        odds = out["a"] - 0.5 * out["b"] + rng.normal(0, SURPRISE, days)[at - first] - 1
        out["label"] = rng.random(rows) < _chance(odds.to_numpy())
        out["region"] = rng.choice(["north", "east", "south", "west"], rows)
        out["partition_date"] = pd.Timestamp(START) + pd.to_timedelta(at, unit="D")
        return out

    def contender(version: int, data: pd.DataFrame) -> Contender:
        label, rate = data["label"].to_numpy(), float(data["label"].mean())
        signature = _signature()
        output = {**signature["output"], "prior": {"rates": [1 - rate, rate]}}
        fitted = _estimator().fit(data[["a", "b", "c"]], label)
        return Contender(version, fitted, {**signature, "output": output})

    before, train, held_out = frame(0, 20, rows), frame(20, 20, rows), frame(40, 14, 100)
    if shuffled:
        train["label"] = rng.permutation(train["label"])
    report = evaluate(
        model, held_out, contender(2, train), contender(1, before) if champion else None,
        evidence=_clean(START + timedelta(days=54), len(held_out)),
    )  # fmt: skip
    return gates.decide(model.gate, report, problem="binary", metric=model.metric)


def interval(count: int, of: int) -> tuple[float, float]:
    """Return Clopper's and Pearson's exact 95 % interval of a share."""
    low = float(beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return low, high


def _chance(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))
