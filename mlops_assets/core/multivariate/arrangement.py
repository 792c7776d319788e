"""Which row is in which fold, and the sides as chance would deal them.

Where nothing has changed, which rows of a fold are the reference's is as good as dealt at random:
the observed sides are one arrangement among many equally likely ones, and a method's value beside
its values in those has the stated probability, whatever the method (Pitman, 1937; Phipson and
Smyth, 2010, on drawn arrangements). Sides are dealt anew within folds, so that each fold keeps as
many rows of each side. Where rows of a day share weather and the like, days are dealt, not rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5
#: Arrangements drawn, by how many rows there are at most: what is near the limit is few rows.
DRAWS = ((2_000, 399), (5_000, 199))
DRAWS_BEYOND = 99
#: The same rows give the same answer.
SEED = 20130101


@dataclass(frozen=True)
class Arrangement:
    """Rows in the order of their folds.

    Attributes
    ----------
    order
        Positions of the joint rows (the reference's first), fold by fold, shape (n,).
    ends
        Where each fold ends in that order, with 0 first, shape (folds + 1,).
    current
        1.0 where a row in that order is a current one: observed in the first column, dealt by
        chance in the others; shape (n, 1 + draws), float32.
    """

    order: np.ndarray
    ends: np.ndarray
    current: np.ndarray

    @property
    def folds(self) -> list[slice]:
        """The rows of each fold."""
        return [slice(int(a), int(b)) for a, b in zip(self.ends[:-1], self.ends[1:], strict=True)]


def of_rows(numbers: tuple[np.ndarray, np.ndarray]) -> Arrangement:
    """Arrange independent rows.

    Parameters
    ----------
    numbers
        Of the rows of reference and current: what decides on their folds.
    """
    import numpy as np

    fold = np.concatenate([_ranks(side) % FOLDS for side in numbers])
    order = np.lexsort((np.concatenate(numbers), fold))
    ends = np.searchsorted(fold[order], np.arange(FOLDS + 1))
    side = np.repeat([0.0, 1.0], [len(numbers[0]), len(numbers[1])]).astype(np.float32)[order]
    random = np.random.default_rng(SEED)
    current = np.empty((len(order), 1 + _draws(len(order))), np.float32)
    current[:, 0] = side
    for rows in _slices(ends):
        current[rows, 1:] = side[rows, None]
        random.permuted(current[rows, 1:], axis=0, out=current[rows, 1:])
    return Arrangement(order, ends, current)


def of_blocks(blocks: tuple[np.ndarray, np.ndarray], alpha: float) -> Arrangement | None:
    """Arrange rows by day.

    Parameters
    ----------
    blocks
        The day of each row of reference and current, as a number from 0 in order of time.
    alpha
        ``None`` is returned where so few days could be dealt in so few ways that not even the
        rarest would be told from chance at half of it.
    """
    import numpy as np

    counts = [len(np.unique(side)) for side in blocks]
    folds = min(FOLDS, *counts)
    if folds < 2:
        return None
    days = [np.unique(side, return_inverse=True)[1] for side in blocks]
    # Days of both sides, each a number of its own: first the reference's.
    own = np.concatenate([days[0], days[1] + counts[0]])
    fold_of_day = np.concatenate([np.arange(count) % folds for count in counts])
    side_of_day = np.repeat([0.0, 1.0], counts)
    ways = 1.0
    for fold in range(folds):
        within = side_of_day[fold_of_day == fold]
        ways *= math.comb(len(within), int(within.sum()))
    if ways < 2 / alpha:
        return None
    order = np.lexsort((own, fold_of_day[own]))
    ends = np.searchsorted(fold_of_day[own][order], np.arange(folds + 1))
    random = np.random.default_rng(SEED)
    dealt = np.repeat(side_of_day[:, None], 1 + _draws(len(order)), axis=1)
    for fold in range(folds):
        within = np.flatnonzero(fold_of_day == fold)
        dealt[within, 1:] = random.permuted(dealt[within, 1:], axis=0)
    return Arrangement(order, ends, dealt[own[order]].astype(np.float32))


def by_chance(value: float, drawn: np.ndarray, alpha: float) -> tuple[float, float]:
    """Return p of a value among those of drawn arrangements, and their null quantile.

    The observed arrangement counts as one of them, so that p is never 0 and no smaller than it
    should be; the quantile is the value above which p is at most ``alpha``.
    """
    import numpy as np

    size = len(drawn)
    # The same sum in another order is no larger value.
    p = (1 + int(np.count_nonzero(drawn >= value - 1e-9 * abs(value)))) / (1 + size)
    beyond = max(math.floor(alpha * (1 + size) + 1e-9) - 1, 0)
    return p, float(np.sort(drawn)[size - 1 - beyond])


def _slices(ends: np.ndarray) -> list[slice]:
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def _ranks(numbers: np.ndarray) -> np.ndarray:
    import numpy as np

    ranks = np.empty(len(numbers), np.int64)
    ranks[np.argsort(numbers, kind="stable")] = np.arange(len(numbers))
    return ranks


def _draws(rows: int) -> int:
    return next((draws for most, draws in DRAWS if rows <= most), DRAWS_BEYOND)
