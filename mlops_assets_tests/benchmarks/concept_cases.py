"""Streams of matured losses: unchanged, with other rows, with another relation to the label.

Days share an effect that lasts (an autoregression of order one). The model is a linear one, fitted
on rows of its own; the truth is not linear, so that the model is off in ways that depend on the
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from mlops_assets.core.concept_drift import Losses, Unit, under_score

SHARES = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
OF_CATEGORY = np.array([0.0, 0.4, -0.4, 0.8, -0.8, 0.6])
NUMBERS = 5


@dataclass(frozen=True)
class Stream:
    """What happens in a stream.

    Attributes
    ----------
    effect, memory
        Standard deviation of the days' shared effect (binary: on the log odds), and the
        correlation of neighbouring days.
    moved_at
        The day from which on the rows are others, and harder: two numbers have moved by 0.7
        standard deviations, the one that says most is spread half as far, rare categories are
        frequent.
    changed_at, over, size
        The day from which on the label depends on the features in another way, over how many
        days that comes about, and how far it goes: the share of the first number's slope that
        goes over to another number.
    """

    problem: str = "binary"
    days: int = 180
    rows: int = 500
    effect: float = 0.1
    memory: float = 0.5
    moved_at: int | None = None
    changed_at: int | None = None
    over: int = 1
    size: float = 0.0


def losses(stream: Stream, seed: int) -> Losses:
    """Return the matured rows of a stream."""
    r = np.random.default_rng([seed, 5])
    shared = lasting(r, stream.days, stream.memory) * stream.effect
    day = np.repeat(np.arange(stream.days), stream.rows)
    features = _features(r, len(day))
    if stream.moved_at is not None:
        after = day >= stream.moved_at
        features[after] = _moved(r, features[after])
    changed = np.zeros(len(day))
    if stream.changed_at is not None:
        changed = np.clip((day - stream.changed_at + 1) / stream.over, 0, 1) * stream.size
    signal = _signal(features, changed) + shared[day]
    label = _label(r, stream.problem, signal, features)
    said = _model(stream.problem).predict(features)
    frame = features.copy()
    if stream.problem == "regression":
        return Losses(day, np.abs(label - said), said, frame)
    return Losses(day, (label - said) ** 2, said, frame, under_score("brier", said))


def lasting(r: np.random.Generator, days: int, memory: float) -> np.ndarray:
    """Return values of variance 1 that remember the day before, (days,)."""
    values = r.normal(size=days)
    for day in range(1, days):
        values[day] = memory * values[day - 1] + np.sqrt(1 - memory**2) * values[day]
    return values


def errors(
    seed: int,
    *,
    days: int,
    rows: int,
    effect: float,
    memory: float,
    rate: float = 0.2,
    changed_at: int | None = None,
    rise: float = 0.0,
) -> list[Unit]:
    """Return days of wrong and right predictions, without features: many years cost little."""
    r = np.random.default_rng([seed, days, rows, round(100 * memory), 6])
    odds = np.log(rate / (1 - rate)) + effect * lasting(r, days, memory)
    share = 1 / (1 + np.exp(-odds))
    if changed_at is not None:
        share[changed_at:] *= 1 + rise
    wrong = r.binomial(rows, share)
    return [Unit(day, rows, float(w), float(w)) for day, w in enumerate(wrong)]


def _features(r: np.random.Generator, n: int) -> pd.DataFrame:
    frame = pd.DataFrame(r.normal(size=(n, NUMBERS)), columns=[f"x{i}" for i in range(NUMBERS)])
    frame["kind"] = pd.Series(r.choice(len(SHARES), n, p=SHARES)).map("k{}".format)
    return frame


def _moved(r: np.random.Generator, features: pd.DataFrame) -> pd.DataFrame:
    moved = features.copy()
    for name in ("x2", "x4"):
        moved[name] += 0.7
    moved["x0"] *= 0.5
    kinds = pd.Series(r.choice(len(SHARES), len(moved), p=SHARES[::-1])).map("k{}".format)
    moved["kind"] = kinds.to_numpy()
    return moved


def _signal(features: pd.DataFrame, changed: np.ndarray) -> np.ndarray:
    x = {name: features[name].to_numpy() for name in features.columns if name != "kind"}
    kind = features["kind"].str[1:].astype(int).to_numpy()
    slope = (1 - changed) * x["x0"] + changed * x["x3"]
    bent = 0.2 * (x["x2"] ** 2 - 1) + 0.15 * x["x0"] * x["x1"]
    return -0.8 + slope - 0.6 * x["x1"] + bent + OF_CATEGORY[kind]


def _label(
    r: np.random.Generator, problem: str, signal: np.ndarray, features: pd.DataFrame
) -> np.ndarray:
    if problem == "regression":
        return signal + np.exp(0.3 * features["x4"].to_numpy()) * r.normal(size=len(signal))
    return (r.random(len(signal)) < 1 / (1 + np.exp(-signal))).astype(float)


class _Linear:
    """A linear model on numbers and categories."""

    def __init__(self, problem: str) -> None:
        from sklearn.linear_model import LinearRegression, LogisticRegression

        r = np.random.default_rng(7)
        features = _features(r, 20_000)
        label = _label(r, problem, _signal(features, np.zeros(len(features))), features)
        self._made: Any = LinearRegression() if problem == "regression" else LogisticRegression()
        self._made.fit(_encoded(features), label)
        self._binary = problem == "binary"

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Return numbers, or probabilities."""
        x = _encoded(features)
        return self._made.predict_proba(x)[:, 1] if self._binary else self._made.predict(x)


@lru_cache
def _model(problem: str) -> _Linear:
    return _Linear(problem)


def _encoded(features: pd.DataFrame) -> np.ndarray:
    kind = features["kind"].str[1:].astype(int).to_numpy()
    numbers = features[[f"x{i}" for i in range(NUMBERS)]].to_numpy()
    return np.concatenate([numbers, np.eye(len(SHARES))[kind]], axis=1)
