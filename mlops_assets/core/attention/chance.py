"""How bad the worst of many slices looks where none is bad: signs of whole blocks turned.

The evidence of a slice is the excess of its loss over that of the rest, divided by its standard
error: how much its blocks (days) differ, by half; by half, and at least, what is usual among the
slices by the same columns, which in turn is at least what independent rows give. Seven days of
one slice alone say little of that. The excess is corrected for the loss's skewness (Wilson and
Hilferty, 1931, for a Pearson III sum): losses have long tails, and the smaller slices would look
bad by a few rows.

What chance gives is the largest evidence in the whole lattice when the contributions of whole
blocks change their sign at random (a wild bootstrap by cluster: Cameron, Gelbach and Miller,
2008), so that p-values hold for all slices together (Westfall and Young, 1993): overlapping
slices are not counted twice, rows of one day are not taken as independent, and with ``b`` blocks
nothing is surer than ``2 ** -b``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.attention.lattice import Part

#: Turns of signs where there are too many to try all.
TURNS = 199
#: Blocks up to which all turns are tried.
ALL_OF = 7
#: Slices by the same columns of which few can be bad.
_MANY = 30
#: Slices that are looked at together: what fits a processor's cache.
_AT_ONCE = 2048


@dataclass(frozen=True)
class Noise:
    """What is the same for all slices.

    Attributes
    ----------
    variance, skewness
        Of a row's loss.
    rows
        Of all.
    """

    variance: float
    skewness: float
    rows: int


def contributions(
    sums: np.ndarray, n: np.ndarray, of_blocks: np.ndarray, noise: Noise
) -> np.ndarray:
    """Return what each block adds to the evidence of each slice, in units of the rows' error.

    Parameters
    ----------
    sums, n
        Of each slice: summed residuals by block, ``(slices, blocks)``, and rows ``(slices,)``.
    of_blocks
        Summed residuals of all rows by block, ``(blocks,)``.
    """
    import numpy as np

    share = n / noise.rows
    scale = 1 / np.sqrt(noise.variance * n * (1 - share))
    return ((sums - share[:, None] * of_blocks) * scale[:, None]).astype(np.float32)


def usual(by_block: np.ndarray, parts: Sequence[Part]) -> np.ndarray:
    """Return the variance between blocks that is usual for each slice, in units of the rows'.

    The median over the slices by the same columns, and at least 1. Where these are many, the mean
    is left in: turns of signs do not change that, and few of many slices can be bad.
    """
    import numpy as np

    squares = _squares(by_block)
    between = _between(by_block.sum(axis=1, dtype=float), squares, by_block.shape[1])
    found = np.ones(len(by_block))
    for part in parts:
        own = slice(part.at, part.at + len(part.kept))
        if len(part.kept):
            shown = squares if len(part.kept) >= _MANY else between
            found[own] = max(1.0, float(np.median(shown[own])))
    return found


def evidence(by_block: np.ndarray, n: np.ndarray, noise: Noise, variance: np.ndarray) -> np.ndarray:
    """Return how sure it is that a slice's loss is above the rest's, as a normal quantile.

    ``variance`` is what is ``usual``.
    """
    import numpy as np

    total = by_block.sum(axis=1, dtype=np.float64)
    spread = _spread(total, _squares(by_block), by_block.shape[1], variance)
    return _unskewed(total, n, noise) / spread


def largest_by_chance(by_block: np.ndarray, variance: np.ndarray, seed: int) -> np.ndarray:
    """Return the largest evidence of any slice under each turn of signs, ascending.

    The turn that changes nothing is not among them.
    """
    import numpy as np

    signs = _signs(by_block.shape[1], seed)
    # In units of the least spread: only what is larger before the division can be after it.
    scaled = (by_block / np.sqrt(variance)[:, None]).astype(np.float32)
    squares, blocks, one = _squares(scaled), by_block.shape[1], np.float64(1.0)
    largest = np.zeros(signs.shape[1])
    for at in range(0, len(scaled), _AT_ONCE):
        part = slice(at, at + _AT_ONCE)
        turned = scaled[part] @ signs
        if at == 0:
            rows, turns = turned.argmax(axis=0), np.arange(len(largest))
            first = turned[rows, turns].astype(np.float64)
            largest = np.maximum(first / _spread(first, squares[rows], blocks, one), 0.0)
        candidates = np.flatnonzero(turned.max(axis=0) > largest)
        rows, which = np.nonzero(turned[:, candidates] > largest[candidates])
        turns = candidates[which]
        found = turned[rows, turns].astype(np.float64)
        found /= _spread(found, squares[part][rows], blocks, one)
        np.maximum.at(largest, turns, found)
    return np.sort(largest)


def adjusted_p(found: float, by_chance: np.ndarray) -> float:
    """Return the share of turns, what was observed among them, with such evidence or more."""
    import numpy as np

    beyond = len(by_chance) - int(np.searchsorted(by_chance, found, side="left"))
    return (1 + beyond) / (1 + len(by_chance))


def critical(by_chance: np.ndarray, alpha: float) -> float:
    """Return the evidence above which ``adjusted_p`` is at most ``alpha``; inf: there is none."""
    beyond = math.floor(alpha * (1 + len(by_chance)) + 1e-9) - 1
    return math.inf if beyond < 0 else float(by_chance[len(by_chance) - 1 - beyond])


def noise_of(loss: np.ndarray) -> Noise:
    """Return the moments of a loss."""
    import numpy as np

    apart = loss - loss.mean()
    variance = float(np.mean(apart**2))
    skewness = float(np.mean(apart**3)) / variance**1.5 if variance > 0 else 0.0
    return Noise(variance, skewness, len(loss))


def _squares(by_block: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.einsum("sb,sb->s", by_block, by_block).astype(np.float64)


def _between(total: np.ndarray, squares: np.ndarray, blocks: int) -> np.ndarray:
    """Return the variance that blocks show, in units of that of independent rows."""
    return blocks / (blocks - 1) * (squares - total**2 / blocks)


def _spread(
    total: np.ndarray, squares: np.ndarray, blocks: int, variance: np.ndarray | np.float64
) -> np.ndarray:
    """Return the standard error, in units of the rows' own, that evidence is divided by."""
    import numpy as np

    mixed = (variance + _between(total, squares, blocks)) / 2
    return np.sqrt(np.maximum(variance, mixed))


def _unskewed(total: np.ndarray, n: np.ndarray, noise: Noise) -> np.ndarray:
    import numpy as np

    share = n / noise.rows
    # Of a sum of n of the rows, drawn without replacement.
    skew = noise.skewness * (1 - 2 * share) / np.sqrt(n * (1 - share))
    skew = np.where(np.abs(skew) < 1e-6, 1e-6, skew)
    return 6 / skew * (np.cbrt(1 + skew * total / 2) - 1) + skew / 6


def _signs(blocks: int, seed: int) -> np.ndarray:
    """Return signs, shape (blocks, turns), without the turn that changes nothing."""
    import numpy as np

    if blocks <= ALL_OF:
        every = np.arange(1, 2**blocks)
        return (1 - 2 * ((every[None, :] >> np.arange(blocks)[:, None]) & 1)).astype(np.float32)
    drawn = np.random.default_rng(seed).integers(0, 2, (blocks, TURNS))
    return (2 * drawn - 1).astype(np.float32)
