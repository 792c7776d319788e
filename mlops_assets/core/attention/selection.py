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
from mlops_assets.core.models.metrics import standard_error
from mlops_assets.core.promotion.differences import block_contributions

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
        cls, by_block: np.ndarray, variance: np.ndarray, width: np.ndarray, alpha: float
    ) -> _Families:
        import numpy as np

        return cls(
            {
                int(of): chance.largest_by_chance(
                    by_block[width == of], variance[width == of], _SEED
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
    k: int,
    alpha: float,
) -> list[tuple[int, float]]:
    """Return the numbers of up to ``k`` slices that say different things, and their p-values."""
    import numpy as np

    if len(lattice) == 0:
        return []
    left = residual.copy()
    chosen: list[tuple[int, float]] = []
    taken: list[np.ndarray] = []
    families = variance = None
    for _ in range(2 * k):
        of_blocks = np.bincount(block, weights=left, minlength=lattice.blocks)
        by_block = chance.contributions(lattice.sums, lattice.n, of_blocks, noise)
        if families is None or variance is None:
            variance = chance.usual(by_block, lattice.parts)
            families = _Families.of(by_block, variance, lattice.width, alpha)
        sure = chance.evidence(by_block, lattice.n, noise, variance)
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
        excess = float(left[mask].mean() - left[~mask].mean())
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

    loss, inside = residual[kept], narrowed[kept]
    if not inside.any() or inside.all():
        return 0.0
    apart, parts = difference(loss, inside)
    error = max(standard_error(parts), standard_error(block_contributions(parts, block[kept])))
    return apart / error if np.isfinite(error) and error > 0 else 0.0


def difference(loss: np.ndarray, inside: np.ndarray) -> tuple[float, np.ndarray]:
    """Return mean inside minus mean outside, and what each row contributes to its variance."""
    import numpy as np

    n = int(inside.sum())
    mean, rest = float(loss[inside].mean()), float(loss[~inside].mean())
    parts = np.where(inside, (loss - mean) / n, (rest - loss) / (len(loss) - n))
    return mean - rest, parts


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two slices share half of the rows of either."""
    import numpy as np

    both = int(np.count_nonzero(one & other))
    return both > 0.5 * (int(one.sum()) + int(other.sum()) - both)
