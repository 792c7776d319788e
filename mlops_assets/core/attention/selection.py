"""Few slices of many: the surest, and what is left when its excess is taken away.

What is counted of slices is in ``lattice``, how sure they are in ``chance``; what is told of those
that are chosen, in ``slices``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.attention import chance

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.attention.lattice import Lattice

_SEED = 20130102


@dataclass(frozen=True)
class _Families:
    """Slices by one column and by two, each with half of ``alpha``: pairs are far more."""

    by_chance: Mapping[int, np.ndarray]
    alpha: float

    @classmethod
    def of(
        cls, found: chance.Contributions, variance: np.ndarray, width: np.ndarray, alpha: float
    ) -> _Families:
        import numpy as np

        return cls(
            {
                int(of): chance.largest_by_chance(
                    found.where(width == of), variance[width == of], _SEED
                )
                for of in np.unique(width)
            },
            alpha,
        )

    def bound(self, width: np.ndarray) -> np.ndarray:
        """Return, for each slice, the evidence that it must exceed."""
        import numpy as np

        bounds = np.full(3, math.inf)
        for of, found in self.by_chance.items():
            bounds[of] = chance.critical(found, self.alpha / len(self.by_chance))
        return bounds[width]

    def p(self, sure: float, width: int) -> float:
        """Return the p-value of a slice, adjusted over those of both families."""
        return min(1.0, len(self.by_chance) * chance.adjusted_p(sure, self.by_chance[width]))


def chosen_slices(
    lattice: Lattice,
    residual: np.ndarray,
    block: np.ndarray,
    noise: chance.Noise,
    dependent: bool,
    k: int,
    alpha: float,
) -> list[tuple[int, float]]:
    """Return the numbers of up to ``k`` slices that say different things, and their p-values.

    ``dependent`` says whether rows of a block are.
    """
    import numpy as np

    if len(lattice) == 0:
        return []
    left = residual.copy()
    chosen: list[tuple[int, float]] = []
    taken: list[np.ndarray] = []
    for _ in range(2 * k):
        of_blocks = np.bincount(block, weights=left, minlength=lattice.blocks)
        found = chance.Contributions.of(lattice, of_blocks, noise, dependent)
        variance = chance.usual(found, lattice.parts)
        # Anew each time: what was found no longer hides what chance gives to the others.
        families = _Families.of(found, variance, lattice.width, alpha)
        sure = chance.evidence(found, noise, variance)
        above = sure - families.bound(lattice.width)
        best = int(np.where(above > 0, sure, -math.inf).argmax())
        if not above[best] > 0:
            break
        best = _simplest(lattice, best, above, left, block, alpha)
        mask = np.logical_and.reduce(lattice.masks(best))
        if not any(_alike(mask, other) for other in taken):
            chosen.append((best, families.p(float(sure[best]), int(lattice.width[best]))))
        if len(chosen) == k:
            break
        taken.append(mask)
        excess, _ = excess_within(left, mask, block)
        left[mask] -= excess
        lattice.level(mask, excess)
    return chosen


def _simplest(
    lattice: Lattice,
    number: int,
    above: np.ndarray,
    residual: np.ndarray,
    block: np.ndarray,
    alpha: float,
) -> int:
    """Return the slice by one column in place of one by two, if the other adds nothing to it."""
    from scipy.special import ndtri

    columns = lattice.columns_of(number)
    if len(columns) == 1:
        return number
    masks = lattice.masks(number)
    simpler = []
    for column, kept in zip(columns, masks, strict=True):
        alone = lattice.of_column(column)
        if alone.start == alone.stop:
            continue
        best = alone.start + int(above[alone].argmax())
        if not above[best] > 0:
            continue
        other = masks[1] if kept is masks[0] else masks[0]
        # One of so many ways to narrow it would look better than the rest of it by chance.
        needed = float(-ndtri(alpha / lattice.refinements(column)))
        if _within(residual, kept, other, block) < needed:
            simpler.append(best)
    return max(simpler, key=lambda found: above[found]) if simpler else number


def _within(
    residual: np.ndarray, kept: np.ndarray, narrowed: np.ndarray, block: np.ndarray
) -> float:
    """Return how many standard errors the narrowed part of a slice is above the rest of it."""
    import numpy as np

    loss, inside, within = residual[kept], narrowed[kept], block[kept]
    apart, by_block = excess_within(loss, inside, within)
    if math.isnan(apart):
        return 0.0
    by_row = math.sqrt(chance.noise_of(loss, within).variance / float(by_block[1].sum()))
    error = float(np.fmax(by_row, jackknife(*by_block)[0]))
    return apart / error if error > 0 else 0.0


def excess_within(
    loss: np.ndarray, inside: np.ndarray, block: np.ndarray
) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """Return the mean difference of rows inside to those outside, of the same blocks.

    And what it is made of, by block: summed differences, and what they are worth in rows. NaN
    where no block has both.
    """
    import numpy as np

    rows = np.bincount(block)
    sizes = np.maximum(rows, 1)
    mine = np.bincount(block[inside], minlength=len(rows))
    means = np.bincount(block, weights=loss) / sizes
    above = np.bincount(block[inside], weights=loss[inside], minlength=len(rows)) - mine * means
    worth = mine * (1 - mine / sizes)
    total = float(worth.sum())
    return float(above.sum()) / total if total > 0 else math.nan, (above, worth)


def jackknife(above: np.ndarray, worth: np.ndarray) -> tuple[float, int]:
    """Return the standard error of a difference within blocks, leaving out one at a time.

    And the number of blocks that it is of; NaN of fewer than two.
    """
    import numpy as np

    there = worth > 0
    units = int(there.sum())
    if units < 2:
        return math.nan, units
    mine, rows = above[there], worth[there]
    without = (mine.sum() - mine) / (rows.sum() - rows)
    apart = without - mine.sum() / rows.sum()
    return math.sqrt((units - 1) / units * float(np.sum(apart**2))), units


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two slices share half of the rows of either."""
    import numpy as np

    both = int(np.count_nonzero(one & other))
    return both > 0.5 * (int(one.sum()) + int(other.sum()) - both)
