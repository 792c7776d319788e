"""Thousands of ways to share out the joint rows at random between reference and current.

Where nothing has changed each of them is as likely as the one observed, so that the counts of
the current rows, given the joint counts of the cells, are multivariate hypergeometric. They are
drawn here, in one of three ways:

* *Few rows* on both sides together are shuffled, once for all columns of that size.
* *Few rows* on one side, or few for so many cells, are picked at random, once as well.
* Else each cell's count has its exact law where few rows are expected in it, and the normal law
  with its mean, variance and skewness where more are; the cells depend on each other as the
  normal law with the same covariances says (a Gaussian copula). Beside 200,000 exact draws:
  ``make bench-drift-false-alarms``.

What distances make of the draws belongs in ``null_laws``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

DRAWS = 4_000
#: Joint rows up to which the rows themselves are shuffled.
SHUFFLED = 4_000
#: Rows of the smaller side, and how many of them are expected in a cell on average, below which
#: rows are picked.
PICKED, CROWDED = 200.0, 8.0
#: Expected rows of the smaller side below which a count has its exact law, and up to which its
#: skewness is seen.
EXACT_BELOW, SKEWED_BELOW = 10.0, 50.0
#: The same rows give the same report.
SEED = 20130101


def in_cells(joint: np.ndarray, m: float) -> np.ndarray:
    """Draw how many of the ``m`` current rows fall in each cell.

    Parameters
    ----------
    joint
        Rows of both sides in each cell, none of them 0, shape (cells,).

    Returns
    -------
    array
        Shape (DRAWS, cells). Laid out by cell.
    """
    import numpy as np

    if len(joint) == 1:  # there is one way to share out a single cell
        return np.full((DRAWS, 1), float(m))
    total = float(joint.sum())
    if total <= SHUFFLED:
        return np.diff(_shuffled_upto(joint, m), axis=0).T.astype(float)
    smaller = min(m, total - m)
    if _few_rows(smaller, len(joint)):
        return _picked(joint, m)
    share = joint / total
    expected = share * smaller
    scores = _scores(share)
    drawn = np.sqrt(expected * (1 - share) * (total - smaller) / (total - 1))[:, None] * scores
    # Of two cells few values are possible, in which ties with what was observed count.
    for cell in np.flatnonzero((expected < SKEWED_BELOW) | (len(joint) == 2)):
        drawn[cell] = _few(scores[cell], float(joint[cell]), total, smaller)
    drawn += expected[:, None]
    largest = int(np.argmax(joint))
    if expected[largest] >= SKEWED_BELOW:  # takes what is left, so that all rows are shared out
        drawn[largest] = 0
        drawn[largest] = smaller - drawn.sum(axis=0)
    np.clip(drawn, 0, joint[:, None], out=drawn)
    return (drawn if smaller == m else joint[:, None] - drawn).T


def apart_at_ends(joint: np.ndarray, m: float) -> np.ndarray:
    """Draw ``|F - G|``, how far the distribution functions are apart, at the ends of cells.

    ``joint`` as in ``in_cells``, its cells in order. Shape (cells - 1, DRAWS): but the last.
    """
    return _apart_at_ends(joint.tobytes(), float(m))


@lru_cache(maxsize=8)
def _apart_at_ends(joint_bytes: bytes, m: float) -> np.ndarray:
    """Draw the steps, and remember them: columns of one size without ties share them."""
    import numpy as np

    joint = np.frombuffer(joint_bytes)
    upto = np.cumsum(joint)[:-1]
    total = float(joint.sum())
    smaller = min(m, total - m)
    if total <= SHUFFLED or _few_rows(smaller, len(joint)):
        if total <= SHUFFLED:
            current = _shuffled_upto(joint, m)[1:-1]
        else:
            current = np.cumsum(_picked(joint, m).T, axis=0)[:-1]
        return np.abs(current * (1 / m + 1 / (total - m)) - (upto / (total - m))[:, None])
    share = upto / total
    # A bridge: the sums of independent steps, less what they do not return to.
    bridge = _noise(len(joint)) * np.sqrt(joint / total, dtype=np.float32)[:, None]
    for before, after in pairwise(bridge):
        after += before
    bridge, last = bridge[:-1], bridge[-1].copy()
    bridge -= share.astype(np.float32)[:, None] * last
    bridge *= math.sqrt(smaller * (total - smaller) / (total - 1))
    # From either end.
    near = np.minimum(upto, total - upto)
    for end in np.flatnonzero(near * smaller / total < SKEWED_BELOW):
        sign = 1.0 if upto[end] == near[end] else -1.0
        spread = math.sqrt(
            smaller * share[end] * (1 - share[end]) * (total - smaller) / (total - 1)
        )
        bridge[end] = _few(sign * bridge[end] / spread, float(near[end]), total, smaller)
    np.abs(bridge, out=bridge)
    bridge *= 1 / m + 1 / (total - m)
    return bridge


def _few_rows(smaller: float, cells: int) -> bool:
    return smaller < max(PICKED, CROWDED * cells) or cells == 1


def _few(scores: np.ndarray, joint: float, total: float, sample: float) -> np.ndarray:
    """Return a count less what is expected, from standard normal numbers.

    Of ``total`` rows ``joint`` are in the cell and ``sample`` are drawn: by the hypergeometric
    law or, where more are expected, by its first three moments.
    """
    import numpy as np

    expected = joint * sample / total
    if expected >= EXACT_BELOW:
        variance = expected * (1 - joint / total) * (total - sample) / (total - 1)
        skewness = (1 - 2 * joint / total) * (1 - 2 * sample / total) / math.sqrt(variance)
        # Cornish and Fisher (1938), rounded to a count.
        at = expected + math.sqrt(variance) * (scores + skewness / 6 * (scores * scores - 1))
        return np.rint(at) - expected
    from scipy.special import ndtri

    least = max(0.0, sample + joint - total)
    most = min(joint, sample, expected + 10 * math.sqrt(expected) + 30)
    x = np.arange(least, most)
    odds = np.log((joint - x) * (sample - x) / ((x + 1) * (total - joint - sample + x + 1)))
    weights = np.append(0.0, np.cumsum(odds))
    below = np.cumsum(np.exp(weights - weights.max()))
    return least + np.searchsorted(ndtri(below[:-1] / below[-1]), scores) - expected


def _scores(share: np.ndarray) -> np.ndarray:
    """Return standard normal numbers that are correlated as the counts of cells are.

    Their lengths as vectors have exactly the law of that (chi, cells - 1): by luck the longest of
    some thousands would be too long or too short, in each report.
    """
    import numpy as np

    root = np.sqrt(share, dtype=np.float32)
    noise = _noise(len(share)).copy()
    noise -= root[:, None] * np.einsum("c,cd->d", root, noise)
    squares = np.einsum("cd,cd->d", noise, noise)
    lengths = np.empty_like(squares)
    lengths[np.argsort(squares)] = _lengths(len(share) - 1)
    noise *= lengths / np.sqrt(squares)
    noise /= np.sqrt(1 - share, dtype=np.float32)[:, None]
    return noise


@lru_cache(maxsize=128)
def _lengths(degrees: int) -> np.ndarray:
    """Return evenly spaced quantiles of the chi distribution, ascending, shape (DRAWS,)."""
    import numpy as np
    from scipy.special import chdtri

    beyond = 1 - (np.arange(DRAWS) + 0.5) / DRAWS
    return np.sqrt(chdtri(degrees, beyond)).astype(np.float32)


def _noise(cells: int) -> np.ndarray:
    """Return independent standard normal numbers, shape (cells, DRAWS), not to be changed."""
    return _all_noise(-(-cells // 128) * 128)[:cells]


@lru_cache(maxsize=1)
def _all_noise(cells: int) -> np.ndarray:
    import numpy as np

    return np.random.default_rng(SEED + 1).standard_normal((cells, DRAWS), np.float32)


def _picked(joint: np.ndarray, m: float) -> np.ndarray:
    """Draw exactly, by picking rows; (DRAWS, cells)."""
    import numpy as np

    total, cells = int(joint.sum()), len(joint)
    smaller = int(min(m, total - m))
    ends = np.cumsum(joint)
    picks = _picks(total, smaller)
    if total <= picks.size:
        cell = np.repeat(np.arange(cells), joint.astype(np.int64))[picks]
    else:
        cell = ends.searchsorted(picks, side="right")
    each = (cell + np.arange(DRAWS)[:, None] * cells).ravel()
    drawn = np.bincount(each, minlength=DRAWS * cells).reshape(DRAWS, cells).astype(float)
    return drawn if smaller == m else joint - drawn


@lru_cache(maxsize=2)
def _picks(total: int, size: int) -> np.ndarray:
    """Pick different rows at random, (DRAWS, size). Remembered: columns of a size share them."""
    import numpy as np

    random = np.random.default_rng(SEED)
    kind = np.int32 if total < 2**31 else np.int64
    picks = random.integers(total, size=(DRAWS, size), dtype=kind)
    again = np.arange(DRAWS)
    while len(again):
        # A row that has been picked already is picked anew.
        rows = np.sort(picks[again], axis=1)
        twice = rows[:, 1:] == rows[:, :-1]
        rows[:, 1:][twice] = random.integers(total, size=int(twice.sum()), dtype=kind)
        picks[again] = rows
        again = again[twice.any(axis=1)]
    return picks


def _shuffled_upto(joint: np.ndarray, m: float) -> np.ndarray:
    """Return the current rows before the first cell and up to the end of each, by shuffling."""
    import numpy as np

    ends = np.append(0, np.cumsum(joint)).astype(np.int64)
    return _shuffles(int(ends[-1]), int(m))[ends]


@lru_cache(maxsize=2)
def _shuffles(size: int, m: int) -> np.ndarray:
    """Share out rows at random, and count those of the current side among the first k.

    Shape (size + 1, DRAWS). Remembered: whatever the cells of a column, they are read off it.
    """
    import numpy as np

    random = np.random.default_rng(SEED)
    counted = np.zeros((size + 1, DRAWS), np.int16)
    left = np.full(DRAWS, m, np.int16)
    for row in range(size):
        left -= random.random(DRAWS, np.float32) * np.float32(size - row) < left
        np.subtract(m, left, out=counted[row + 1])
    return counted
