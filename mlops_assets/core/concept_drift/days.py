"""How days vary where nothing changes, learnt from a reference, and what is new in a day.

The mean of a day is that of its rows, which scatters, about a level that days share with their
neighbours, as weather lasts:

    mean_d = mean + level_d + noise_d / sqrt(rows_d),    level_d = memory * level_(d-1) + change_d

The noise is known from the rows. Spread and memory of the level are not, from a few weeks; their
likelihood is kept on a grid, and ``limits`` takes what they might be into account.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.concept_drift.units import Unit

if TYPE_CHECKING:
    import numpy as np

#: Days that a reference needs.
LEAST = 14
#: What is tried: memories, and variances of the level as shares of the variance of days.
MEMORIES = tuple(at / 10 for at in range(10))
SHARES = (0.0, 0.03, 0.06, 0.12, 0.25, 0.5, 0.75, 1.0, 1.4, 2.0, 3.0)

#: How much more is thought of long memory and of large levels before anything is known: powers of
#: ``1 / (1 - memory)`` and of the share. Without, 28 to 60 days with a memory of 0.7 gave an alarm
#: in 15 % of unchanged years where 5 % were asked for.
CAUTION_MEMORY, CAUTION_LEVEL = 1.5, 0.3


@dataclass(frozen=True)
class Level:
    """What is known of a day's level before its rows: mean, and variance about it."""

    mean: float
    variance: float


@dataclass(frozen=True)
class Days:
    """The reference's days.

    Attributes
    ----------
    mean
        Of a row.
    within
        Variance of the rows of a day about its mean.
    between
        Variance of the level.
    memory
        Correlation of neighbouring levels.
    units
        How many days there were.
    rows
        Rows of a typical day.
    likely
        Weights of ``MEMORIES`` x ``SHARES``, of sum 1; ``spread`` is what the shares are of.
    """

    mean: float
    within: float
    between: float
    memory: float
    units: int
    rows: float
    spread: float
    likely: tuple[tuple[float, ...], ...]

    def start(self) -> Level:
        """Return what is known of a level when nothing is known of the days before."""
        return Level(0.0, self.between)

    def new(self, off: float, rows: float, level: Level) -> tuple[float, Level]:
        """Return what is new in a day, of variance 1 where nothing changes, and the next level.

        By Kalman's filter (1960).

        Parameters
        ----------
        off
            How far the day's mean is off ``mean``.
        """
        variance = level.variance + self.within / rows
        if not variance > 0:
            return 0.0 if off == level.mean else math.copysign(math.inf, off - level.mean), level
        gain = level.variance / variance
        after = level.mean + gain * (off - level.mean)
        left = level.variance * (1 - gain)
        square = self.memory**2
        ahead = Level(self.memory * after, square * left + (1 - square) * self.between)
        return (off - level.mean) / math.sqrt(variance), ahead

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "likely": [list(row) for row in self.likely]}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Days:
        """Return what ``to_dict`` has described."""
        return cls(**{**kept, "likely": tuple(tuple(row) for row in kept["likely"])})


def learn(units: Sequence[Unit]) -> Days | None:
    """Learn from the reference's days, in order of time.

    Returns ``None`` if there are too few of them, or their losses do not vary.
    """
    import numpy as np

    there = [unit for unit in units if unit.n > 0]
    if len(there) < LEAST:
        return None
    rows = np.array([unit.n for unit in there], dtype=float)
    means = np.array([unit.mean for unit in there])
    inside = sum(unit.aggregate.squares for unit in there)
    within = inside / max(float(rows.sum()) - len(there), 1.0)
    if not (within > 1e-18 * float(np.mean(means)) ** 2 and np.ptp(means) > 0):
        return None
    spread = float(means.var(ddof=1))
    memory, share = (grid.ravel() for grid in np.meshgrid(MEMORIES, SHARES, indexing="ij"))
    between = share * spread
    mean = _mean(rows, means, within, spread)
    log_likely = _log_likelihood(means - mean, within / rows, memory, between)
    # What few days can tell apart least costs most: a memory, or a level, taken for too small.
    log_likely += CAUTION_MEMORY * -np.log(1 - memory) + CAUTION_LEVEL * np.log(share + 0.1)
    weights = np.exp(log_likely - log_likely.max())
    weights /= weights.sum()
    grid = weights.reshape(len(MEMORIES), len(SHARES))
    return Days(
        mean=mean,
        within=float(within),
        between=float(weights @ between),
        # Of a level that does not vary there is no memory to speak of.
        memory=float((weights * between) @ memory / max(weights @ between, 1e-300)),
        units=len(there),
        rows=float(np.median(rows)),
        spread=spread,
        likely=tuple(tuple(row) for row in grid.tolist()),
    )


def _mean(rows: np.ndarray, means: np.ndarray, within: float, spread: float) -> float:
    """Return the mean, days weighted by how much each says."""
    import numpy as np

    between = max(spread - within * float(np.mean(1 / rows)), 0.0)
    weights = 1 / (between + within / rows)
    return float(np.sum(weights * means) / weights.sum())


def _log_likelihood(
    off: np.ndarray, noise: np.ndarray, memory: np.ndarray, between: np.ndarray
) -> np.ndarray:
    """Return the log likelihood of the days under each memory and variance of the level."""
    import numpy as np

    mean, variance = np.zeros(len(memory)), between.copy()
    total = np.zeros(len(memory))
    for value, own in zip(off, noise, strict=True):
        whole = variance + own
        total -= 0.5 * (np.log(whole) + (value - mean) ** 2 / whole)
        gain = variance / whole
        mean = memory * (mean + gain * (value - mean))
        variance = memory**2 * variance * (1 - gain) + (1 - memory**2) * between
    return total
