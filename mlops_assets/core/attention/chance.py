"""How bad the worst of many slices looks where none is bad: signs of whole blocks turned.

The evidence of a slice is the excess of its loss over that of the rest of the same days, so that
what a whole day has in common counts for nothing, divided by its standard error: how much its days
differ, by half; by half, and at least, what is usual among the slices by the same columns, which
in turn is at least what independent rows give. Seven days of one slice alone say little of that.
Where rows are independent, their error is known. The excess is corrected for the loss's skewness
(Wilson and Hilferty, 1931, for a Pearson III sum): losses have long tails, and the smaller slices
would look bad by a few rows.

What chance gives is the largest evidence in the whole lattice when the contributions of whole
blocks (days, or rows at random) change their sign at random (a wild bootstrap by cluster: Cameron,
Gelbach and Miller, 2008), so that p-values hold for all slices together (Westfall and Young,
1993): overlapping slices are not counted twice, rows of one day are not taken as independent, and
with ``b`` blocks nothing is surer than ``2 ** -b``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.attention.lattice import Lattice, Part

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
        Of a row's loss within its block.
    rows
        Of all.
    """

    variance: float
    skewness: float
    rows: int


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each block adds to the evidence of each slice.

    Attributes
    ----------
    by_block
        In units of the error of independent rows, shape ``(slices, blocks)``.
    shares
        Of a slice's comparisons with other rows, those in each block; of the same shape.
    n
        Rows of each slice, shape ``(slices,)``.
    dependent
        Whether rows of a block are: whether what blocks show says how sure a slice is.
    """

    by_block: np.ndarray
    shares: np.ndarray
    n: np.ndarray
    dependent: bool

    @classmethod
    def of(
        cls, lattice: Lattice, of_blocks: np.ndarray, noise: Noise, dependent: bool
    ) -> Contributions:
        """Take them from what was counted; ``of_blocks`` are the summed residuals of all rows."""
        import numpy as np

        possible = lattice.compared.sum(axis=1, dtype=float)[:, None]
        found = (lattice.sums - lattice.within * of_blocks) / np.sqrt(noise.variance * possible)
        shares = lattice.compared / possible.astype(np.float32)
        return cls(found.astype(np.float32), shares, lattice.n, dependent)

    def where(self, mask: np.ndarray) -> Contributions:
        """Return those of some slices."""
        return Contributions(self.by_block[mask], self.shares[mask], self.n[mask], self.dependent)

    @property
    def total(self) -> np.ndarray:
        """Evidence in units of the error of independent rows, ``(slices,)``."""
        return self.by_block.sum(axis=1, dtype=float)


def usual(found: Contributions, parts: Sequence[Part]) -> np.ndarray:
    """Return the variance between blocks that is usual for each slice, in units of the rows'.

    The median over the slices by the same columns, and at least 1. Where these are many, the mean
    is left in: turns of signs do not change that, and few of many slices can be bad.
    """
    import numpy as np

    usually = np.ones(len(found.n))
    if not found.dependent:
        return usually
    squares = _sums(found.by_block, found.by_block)
    between = _between(found.by_block, found.shares, found.total)
    for part in parts:
        own = slice(part.at, part.at + len(part.kept))
        if len(part.kept):
            shown = squares if len(part.kept) >= _MANY else between
            usually[own] = max(1.0, float(np.median(shown[own])))
    return usually


def evidence(found: Contributions, noise: Noise, variance: np.ndarray) -> np.ndarray:
    """Return how sure it is that a slice's loss is above the rest's, as a normal quantile.

    ``variance`` is what is ``usual``.
    """
    import numpy as np

    total = found.total
    sure = _unskewed(total, found.n, noise)
    if not found.dependent:
        return sure
    between = _between(found.by_block, found.shares, total)
    return sure / np.sqrt(np.maximum(variance, (variance + between) / 2))


def largest_by_chance(found: Contributions, variance: np.ndarray, seed: int) -> np.ndarray:
    """Return the largest evidence of any slice under each turn of signs, ascending.

    The turn that changes nothing is not among them.
    """
    import numpy as np

    signs = _signs(found.by_block.shape[1], seed)
    # In units of the least error: only what is larger before the division can be after it.
    scaled = (found.by_block / np.sqrt(variance)[:, None]).astype(np.float32)
    largest = np.zeros(signs.shape[1])

    def surest(rows: np.ndarray, turns: np.ndarray, total: np.ndarray) -> np.ndarray:
        between = _between(scaled[rows] * signs.T[turns], found.shares[rows], total)
        return total / np.sqrt(np.maximum(1.0, (1.0 + between) / 2))

    for at in range(0, len(scaled), _AT_ONCE):
        turned = scaled[at : at + _AT_ONCE] @ signs
        most = turned.max(axis=0)
        if not found.dependent:
            largest = np.maximum(largest, most)
            continue
        larger = np.flatnonzero(most > largest)
        if len(larger) == 0:
            continue
        turned = turned[:, larger]
        best = turned.argmax(axis=0)
        tried = surest(at + best, larger, most[larger].astype(float))
        largest[larger] = np.maximum(largest[larger], tried)
        rows, which = np.nonzero(turned > largest[larger])
        tried = surest(at + rows, larger[which], turned[rows, which].astype(float))
        np.maximum.at(largest, larger[which], tried)
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


def noise_of(loss: np.ndarray, block: np.ndarray) -> Noise:
    """Return the moments of a loss about the means of blocks."""
    import numpy as np

    means = np.bincount(block, weights=loss) / np.maximum(np.bincount(block), 1)
    apart = loss - means[block]
    variance = float(np.mean(apart**2))
    skewness = float(np.mean(apart**3)) / variance**1.5 if variance > 0 else 0.0
    return Noise(variance, skewness, len(loss))


def _sums(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.einsum("sb,sb->s", one, other).astype(np.float64)


def _between(by_block: np.ndarray, shares: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the variance that blocks show about the mean of their slice, in units of the rows'.

    Of as many blocks as its rows are worth if they were equally filled.
    """
    squares = _sums(by_block, by_block)
    cross, even = _sums(by_block, shares), _sums(shares, shares)
    return (squares - 2 * total * cross + total**2 * even) / (1 - even)


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
