"""What detectors come to in a year in which nothing changes, by simulation.

Years are drawn as the reference says they might be (``days``): the memory and the spread of the
days' level by their likelihood, the mean by how well the reference knows it. Each is watched as the
real one will be, by what was estimated, and the limit is a quantile of what the years come to. So
what a short reference does not know is in the limit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlops_assets.core.concept_drift.adwin import Adwin
from mlops_assets.core.concept_drift.days import MEMORIES, SHARES, Days

if TYPE_CHECKING:
    import numpy as np

#: What a day may exceed its mean by, in standard deviations of what is new in a day.
ALLOWANCE = 0.5
#: Days further off count as this far: one bad day is no change of concept.
FURTHEST = 3.0
YEARS = 1_000
#: The same reference gives the same limit.
SEED = 20130101


def held(new: float) -> float:
    """Return what is new in a day, at most ``FURTHEST`` from 0."""
    return min(max(new, -FURTHEST), FURTHEST)


def page_hinkley_threshold(days: Days, horizon: int, alpha: float) -> float:
    """Return what the larger of both sums exceeds with probability ``alpha`` within ``horizon``.

    Parameters
    ----------
    horizon
        Days that are watched, such as 365.
    """
    import numpy as np

    new = simulated(days, horizon)
    highest = np.zeros(YEARS)
    # The running mean of Page-Hinkley, which the reference's days have begun.
    total = np.cumsum(new, axis=0)
    off = new - total / (days.units + np.arange(1, horizon + 1))[:, None]
    for way in (1, -1):
        sums, least = np.zeros(YEARS), np.full(YEARS, np.inf)
        for day in way * off - ALLOWANCE:
            sums += day
            np.minimum(least, sums, out=least)
            np.maximum(highest, sums - least, out=highest)
    return float(np.quantile(highest, 1 - alpha))


def adwin_delta(days: Days, horizon: int, alpha: float) -> float:
    """Return the ``delta`` with which ADWIN cuts with probability ``alpha`` within ``horizon``.

    Of a window that begins with the reference's days, and without the bound's second part.
    """
    import numpy as np

    new = simulated(days, horizon)
    random = np.random.default_rng(SEED + 1)
    past = random.standard_normal((days.units, YEARS))
    past = (past - past.mean(axis=0)) / past.std(axis=0)
    values = np.concatenate([past, new])
    first = np.zeros((1, YEARS))
    sums = np.concatenate([first, np.cumsum(values, axis=0)])
    squares = np.concatenate([first, np.cumsum(values**2, axis=0)])
    like = Adwin(delta=1e-300)  # of which only the sizes of buckets are used
    highest = np.full(YEARS, -np.inf)
    for n in range(1, len(values) + 1):
        like.update(0.0)
        if n <= days.units:
            continue
        n0 = np.cumsum(like.bucket_sizes)[:-1, None]
        apart = sums[n0[:, 0]] / n0 - (sums[n] - sums[n0[:, 0]]) / (n - n0)
        variance = squares[n] / n - (sums[n] / n) ** 2
        furthest = (apart**2 / (1 / n0 + 1 / (n - n0))).max(axis=0) / variance
        # The bound, solved for ln(1 / delta).
        np.maximum(highest, furthest / 2 - math.log(2 * math.log(n)), out=highest)
    return min(math.exp(-float(np.quantile(highest, 1 - alpha))), 0.5)


def simulated(days: Days, horizon: int) -> np.ndarray:
    """Return what would be new in the days of unchanged years, (horizon, YEARS)."""
    import numpy as np

    random = np.random.default_rng(SEED)
    weights = np.array(days.likely).ravel()
    which = random.choice(len(weights), YEARS, p=weights / weights.sum())
    memory = np.repeat(MEMORIES, len(SHARES))[which]
    between = np.tile(SHARES, len(MEMORIES))[which] * days.spread
    noise = days.within / days.rows
    # Of the mean of the reference's days, whose neighbours are alike.
    lasting = (1 + memory) / (1 - memory)
    unknown = np.sqrt((between * lasting + noise) / days.units)
    mean = unknown * random.standard_normal(YEARS)
    level = np.sqrt(between) * random.standard_normal(YEARS)
    change = np.sqrt((1 - memory**2) * between)
    new = np.empty((horizon, YEARS))
    known, variance = np.zeros(YEARS), days.between
    for day in range(horizon):
        off = mean + level + np.sqrt(noise) * random.standard_normal(YEARS)
        whole = variance + noise
        gain = variance / whole
        new[day] = (off - known) / np.sqrt(whole)
        known = days.memory * (known + gain * (off - known))
        variance = days.memory**2 * variance * (1 - gain) + (1 - days.memory**2) * days.between
        level = memory * level + change * random.standard_normal(YEARS)
    return np.clip(new, -FURTHEST, FURTHEST)
