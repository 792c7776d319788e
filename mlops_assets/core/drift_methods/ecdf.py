"""Distances between two empirical distribution functions: Kolmogorov-Smirnov, Wasserstein.

Exact where both sides have all their values, in order; then neither costs more than reading
them. Where a side is a stored sketch, exact at its knots and linear between them. What the
distances are where nothing has changed belongs in ``null_laws``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods.columns import Numbers

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.drift_methods.sketches import Sketch

#: Every how many values the coarse pass of the exact Kolmogorov-Smirnov statistic looks.
STRIDE = 64
#: Values of a side with all its values at which its function is read beside a sketch.
POINTS = 2_048
#: Most pieces of the exact Wasserstein distance that are in memory at once.
PIECES = 1 << 18


def kolmogorov_smirnov(reference: Numbers | Sketch, current: Numbers | Sketch) -> float:
    """Return ``max |F - G|``.

    With a sketch on a side that has left values out, the maximum over its knots: too small by
    at most the share of rows between two of them (``sketches.POINTS``).
    """
    import numpy as np

    if isinstance(reference, Numbers) and isinstance(current, Numbers):
        few, many = sorted((reference, current), key=lambda side: side.n)
        return _exact_ks(few.values, many.values)
    sparse = [side for side in (reference, current) if not side.complete]
    at = np.unique(np.concatenate([side.knots() for side in sparse or (reference, current)]))
    upto = np.abs(reference.upto(at) / reference.n - current.upto(at) / current.n)
    below = np.abs(reference.below(at) / reference.n - current.below(at) / current.n)
    return float(max(upto.max(), below.max()))


def _exact_ks(few: np.ndarray, many: np.ndarray) -> float:
    """Return the statistic of two ascending arrays.

    ``F - G`` is largest where F jumps and smallest just before: the values of one side are
    enough. Those of them that a bound from their neighbours rules out are not looked up.
    """
    import numpy as np

    n, m = len(few), len(many)

    def differences(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        values = few[at]
        upto = many.searchsorted(values, side="right") / m
        below = many.searchsorted(values, side="left") / m
        return upto, below, float(max(((at + 1) / n - upto).max(), (below - at / n).max()))

    if n <= 4 * STRIDE:
        return differences(np.arange(n))[2]
    coarse = np.append(np.arange(0, n - 1, STRIDE), n - 1)
    upto, below, best = differences(coarse)
    # Between two that were looked at, both functions lie between their values there.
    highest = coarse[1:] / n - upto[:-1]
    lowest = below[1:] - (coarse[:-1] + 1) / n
    open_ = np.flatnonzero(np.maximum(highest, lowest) > best)
    if len(open_) == 0:
        return best
    at = (coarse[open_][:, None] + np.arange(1, STRIDE)).ravel()
    return max(best, differences(at[at < n])[2])


def wasserstein(reference: Numbers | Sketch, current: Numbers | Sketch) -> float:
    """Return the first Wasserstein distance, ``integral of |F - G|``, in the column's units."""
    import numpy as np

    if isinstance(reference, Numbers) and isinstance(current, Numbers):
        if reference.n == current.n:
            return float(np.abs(reference.values - current.values).mean())
        return _exact_wasserstein(reference.values, current.values)
    # Of a side with all its values, so many that what is linear between them is no step.
    at = np.unique(np.concatenate([side.thinned(POINTS) for side in (reference, current)]))
    if len(at) < 2:
        return 0.0
    # Each function is linear between two neighbours, so their difference is, too.
    left = reference.upto(at[:-1]) / reference.n - current.upto(at[:-1]) / current.n
    right = reference.below(at[1:]) / reference.n - current.below(at[1:]) / current.n
    size = np.abs(left) + np.abs(right)
    crosses = left * right < 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(crosses, (left * left + right * right) / size, size) / 2
    return float(np.sum(np.where(size > 0, mean, 0.0) * np.diff(at)))


def _exact_wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Return ``integral of |Q_a(u) - Q_b(u)| du`` over the pieces on which both are constant.

    The quantile functions jump at the multiples of 1/n and of 1/m. In units of 1/(n m) these
    are whole numbers, known without looking at a value.
    """
    import numpy as np

    n, m = len(a), len(b)
    total = 0.0
    step = max(PIECES // (1 + max(n, m) // min(n, m)) // 2, 1)
    shorter, longer = min(n, m), max(n, m)
    for first in range(0, shorter, step):
        # From the jump ``first`` of the shorter side to its jump ``last``.
        last = min(first + step, shorter)
        start, end = first * longer, last * longer
        own = np.arange(first, last + 1) * longer
        other = np.arange(-(-start // shorter), end // shorter + 1) * shorter
        jumps = np.concatenate([own, other])
        jumps.sort()
        length = np.diff(jumps) / (n * m)
        at = jumps[:-1]
        distance = np.abs(a[np.minimum(at // m, n - 1)] - b[np.minimum(at // n, m - 1)])
        total += float(distance @ length)
    return total
