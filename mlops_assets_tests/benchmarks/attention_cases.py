"""Windows of predictions with and without a bad slice, for ``bench_attention`` and the tests.

Sixteen columns of all kinds, losses of several shapes; days with weather that rows share. Which
slice is bad is drawn: a range of numbers, a category, a flag, missing values, or two of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

_LETTERS = np.array(list("abcdef"), dtype=object)
_MANY = np.array([f"k{i:02d}" for i in range(30)], dtype=object)
_SKEWED = np.array([0.38, 0.24, 0.16, 0.09, 0.07, 0.06])
#: Shapes of losses, each with mean and standard deviation about 1.
LOSSES = ("exponential", "lognormal", "log_loss", "absolute", "zero_one")
#: Of the columns that a bad slice can be by, alone.
NUMBERS = ("normal_0", "normal_1", "lognormal", "uniform", "heavy_tails", "holes", "tide")


def columns(rng: np.random.Generator, n: int, days: int = 7) -> pd.DataFrame:
    """Return a window in the order of its days, ``day`` included."""
    day = np.sort(rng.integers(0, days, n))
    uniform = rng.random(n)
    return pd.DataFrame(
        {
            "normal_0": rng.normal(size=n),
            "normal_1": rng.normal(size=n),
            "lognormal": 200 * rng.lognormal(size=n),
            "uniform": uniform,
            "like_uniform": uniform + rng.normal(0, 0.1, n),
            "heavy_tails": rng.standard_t(3, n),
            "hour": rng.integers(5, 24, n),
            "count": rng.poisson(1.5, n),
            "weather": rng.normal(size=days)[day] + 0.1 * rng.normal(size=n),
            "tide": rng.normal(size=days)[day] + rng.normal(size=n),
            "holes": np.where(rng.random(n) < 0.08, np.nan, rng.exponential(size=n)),
            "few": _LETTERS[rng.choice(6, n, p=_SKEWED)],
            "five": _LETTERS[rng.integers(0, 5, n)],
            "many": _MANY[np.minimum(rng.geometric(0.08, n) - 1, 29)],
            "flag": rng.random(n) < 0.3,
            "rare_flag": rng.random(n) < 0.07,
            "day": day,
        }
    )


def losses(rng: np.random.Generator, shape: str, n: int) -> np.ndarray:
    """Return losses that depend on no column, brought to standard deviation 1."""
    if shape == "exponential":
        return rng.exponential(size=n)
    if shape == "lognormal":
        drawn = rng.lognormal(0, 0.8, n)
    elif shape == "absolute":
        drawn = np.abs(rng.standard_t(4, n))
    else:
        p = rng.beta(1.5, 4, n)
        label = rng.random(n) < p
        if shape == "zero_one":
            drawn = (label != (p > 0.5)).astype(float)
        else:
            drawn = -np.log(np.where(label, p, 1 - p))
    return drawn / drawn.std()


def by_day(rng: np.random.Generator, window: pd.DataFrame, loss: np.ndarray) -> np.ndarray:
    """Return losses that rows of a day share in part, those of a day and category more so."""
    days = int(window["day"].max()) + 1
    day, letter = window["day"].to_numpy(), np.searchsorted(_LETTERS, window["few"].to_numpy())
    shared = rng.normal(0, 0.15, days)[day] + rng.normal(0, 0.15, (days, 6))[day, letter]
    return loss + shared


@dataclass(frozen=True)
class Bad:
    """A slice that was made bad."""

    columns: frozenset[str]
    mask: np.ndarray
    kind: str


def bad_slice(rng: np.random.Generator, window: pd.DataFrame, pair: bool) -> Bad:
    """Draw a slice of 5 to 10 % of the rows."""
    while True:
        if pair:
            first, second = (_condition(rng, window, 0.22, 0.34) for _ in range(2))
            found = Bad(first.columns | second.columns, first.mask & second.mask,
                        f"{first.kind} and {second.kind}")  # fmt: skip
        else:
            found = _condition(rng, window, 0.05, 0.10)
        if len(found.columns) == 1 + pair and 0.05 <= found.mask.mean() <= 0.10:
            return found


def _condition(rng: np.random.Generator, window: pd.DataFrame, least: float, most: float) -> Bad:
    """Draw a condition that keeps between ``least`` and ``most`` of the rows."""
    while True:
        kind = str(rng.choice(["range", "range", "category", "flag", "missing", "hours"]))
        if kind == "range":
            name = str(rng.choice(NUMBERS))
            share = rng.uniform(least, most)
            opens = rng.uniform(0, 1 - share)
            if rng.random() < 0.4:
                opens = float(rng.choice([0, 1 - share]))
            low, high = window[name].quantile([opens, opens + share])
            mask = window[name].between(low, high).to_numpy()
        elif kind == "category":
            name = str(rng.choice(["few", "five", "many"]))
            mask = (window[name] == rng.choice(window[name].unique())).to_numpy()
        elif kind == "flag":
            name = str(rng.choice(["flag", "rare_flag"]))
            mask = window[name].to_numpy()
        elif kind == "missing":
            name, mask = "holes", window["holes"].isna().to_numpy()
        else:
            name = "hour"
            opens = int(rng.integers(5, 24))
            mask = window["hour"].between(opens, opens + int(rng.integers(0, 7))).to_numpy()
        if least <= mask.mean() <= most:
            return Bad(frozenset({name}), mask, kind)


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of rows in both, of those in either."""
    either = np.count_nonzero(one | other)
    return float(np.count_nonzero(one & other) / either) if either else 0.0
