"""Distances between two sets of counts in the same cells.

Each takes shares of shape (..., cells), so that one formula serves what was observed and the
thousands of draws of ``null_laws``. Distances between distribution functions belong in
``ecdf``, the definitions of other libraries in ``peers``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: Added to each count by ``psi`` before shares are taken (Krichevsky and Trofimov, 1981): an
#: empty cell gives a large and finite index.
SMOOTHING = 0.5
#: No share of a row is as small: what has no share adds nothing to a sum over ``p log p``.
_NEXT_TO_NOTHING = 1e-300


@dataclass(frozen=True)
class Shares:
    """Two sets of counts in the same cells, none of which is empty on both sides.

    Attributes
    ----------
    p, q
        The shares of reference and current, shape (..., cells).
    n, m
        The rows they are shares of, shape (..., 1).
    """

    p: np.ndarray
    q: np.ndarray
    n: np.ndarray
    m: np.ndarray

    @classmethod
    def of(cls, reference: np.ndarray, current: np.ndarray) -> Shares:
        """Take the shares of counts, shape (..., cells)."""
        n = reference.sum(axis=-1, keepdims=True)
        m = current.sum(axis=-1, keepdims=True)
        return cls(reference / n, current / m, n, m)

    @cached_property
    def apart(self) -> np.ndarray:
        """The difference of shares."""
        return self.q - self.p

    @cached_property
    def absolute(self) -> np.ndarray:
        """The absolute difference of shares."""
        import numpy as np

        return np.abs(self.apart)


def psi(shares: Shares) -> np.ndarray:
    """Return the population stability index, ``sum((q - p) ln(q / p))``, of smoothed shares."""
    import numpy as np

    cells = shares.p.shape[-1]
    p, q = (
        (side * rows + SMOOTHING) / (rows + SMOOTHING * cells)
        for side, rows in ((shares.p, shares.n), (shares.q, shares.m))
    )
    return np.sum((q - p) * np.log(q / p), axis=-1)


def jensen_shannon(shares: Shares) -> np.ndarray:
    """Return the Jensen-Shannon distance to base 2, in [0, 1] (Endres and Schindelin, 2003)."""
    import numpy as np

    middle = (shares.p + shares.q) / 2

    def relative(of: np.ndarray) -> np.ndarray:
        return np.sum(of * np.log2(np.maximum(of, _NEXT_TO_NOTHING) / middle), axis=-1)

    return np.sqrt(np.maximum(relative(shares.p) + relative(shares.q), 0) / 2)


def hellinger(shares: Shares) -> np.ndarray:
    """Return the Hellinger distance, ``||sqrt(p) - sqrt(q)|| / sqrt(2)``, in [0, 1]."""
    import numpy as np

    roots = np.sqrt(shares.p) - np.sqrt(shares.q)
    return np.sqrt(np.sum(roots * roots, axis=-1) / 2)


def chi_square(shares: Shares) -> np.ndarray:
    """Return Pearson's statistic of homogeneity of the 2 x cells table."""
    import numpy as np

    n, m = shares.n, shares.m
    pooled = (shares.p * n + shares.q * m) / (n + m)
    terms = shares.apart * shares.apart / pooled
    return np.sum(terms, axis=-1) / (1 / n + 1 / m)[..., 0]


def l_infinity(shares: Shares) -> np.ndarray:
    """Return the largest difference of a share, in [0, 1]."""
    import numpy as np

    return np.max(shares.absolute, axis=-1)


def total_variation(shares: Shares) -> np.ndarray:
    """Return half the sum of the differences of shares, in [0, 1]: the share of rows moved."""
    import numpy as np

    return np.sum(shares.absolute, axis=-1) / 2


#: By name: what is measured on counts.
ON_COUNTS: dict[str, Callable[[Shares], np.ndarray]] = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "hellinger": hellinger,
    "chi_square": chi_square,
    "l_infinity": l_infinity,
    "total_variation": total_variation,
}
