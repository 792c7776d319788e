"""Distances between two sets of counts in the same cells.

Each takes counts of shape (..., cells), so that one formula serves what was observed and the
thousands of draws of ``null_laws``. Distances between distribution functions belong in
``ecdf``, the definitions of other libraries in ``peers``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: Added to each count by ``psi`` before shares are taken (Krichevsky and Trofimov, 1981): an
#: empty cell gives a large and finite index.
SMOOTHING = 0.5


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=-1, keepdims=True)


def psi(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the population stability index, ``sum((q - p) ln(q / p))``, of smoothed shares."""
    import numpy as np

    p, q = _shares(reference + SMOOTHING), _shares(current + SMOOTHING)
    return np.sum((q - p) * np.log(q / p), axis=-1)


def jensen_shannon(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon distance to base 2, in [0, 1] (Endres and Schindelin, 2003)."""
    import numpy as np

    p, q = _shares(reference), _shares(current)
    middle = (p + q) / 2

    def relative(of: np.ndarray) -> np.ndarray:
        # What has no share adds nothing, and is not to be divided.
        logs = np.log2(np.where(of > 0, of, 1) / np.where(of > 0, middle, 1))
        return np.sum(of * logs, axis=-1)

    return np.sqrt(np.maximum(relative(p) + relative(q), 0) / 2)


def hellinger(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the Hellinger distance, ``||sqrt(p) - sqrt(q)|| / sqrt(2)``, in [0, 1]."""
    import numpy as np

    roots = np.sqrt(_shares(reference)) - np.sqrt(_shares(current))
    return np.sqrt(np.sum(roots * roots, axis=-1) / 2)


def chi_square(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return Pearson's statistic of homogeneity of the 2 x cells table."""
    import numpy as np

    n = reference.sum(axis=-1, keepdims=True)
    m = current.sum(axis=-1, keepdims=True)
    pooled = (reference + current) / (n + m)
    difference = current / m - reference / n
    terms = difference * difference / np.where(pooled > 0, pooled, 1)
    return np.sum(terms, axis=-1) / (1 / n + 1 / m)[..., 0]


def l_infinity(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the largest difference of a share, in [0, 1]."""
    import numpy as np

    return np.max(np.abs(_shares(current) - _shares(reference)), axis=-1)


def total_variation(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return half the sum of the differences of shares, in [0, 1]: the share of rows moved."""
    import numpy as np

    return np.sum(np.abs(_shares(current) - _shares(reference)), axis=-1) / 2


#: By name: what is measured on counts.
ON_COUNTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "hellinger": hellinger,
    "chi_square": chi_square,
    "l_infinity": l_infinity,
    "total_variation": total_variation,
}
