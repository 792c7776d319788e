"""Domain classifier: can rows be told apart by the side they come from?

A ridge regression of the side on what ``features`` sees, fitted on four fifths of the rows,
scores the fifth left out; the value is the mean over the folds of the area under the ROC curve
(Lopez-Paz and Oquab, 2017, and Rabanser, Günnemann and Lipton, 2019, on classifiers as two-sample
tests). A linear classifier is taken because its matrix of products does not depend on the sides:
what chance gives is found by solving for a hundred arrangements at once, for little more than the
cost of one. The areas of folds are not independent (of two folds they are the same number twice,
nearly), so that the Mann-Whitney law of all rows, which takes them to be, is too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.multivariate.arrangement import Arrangement
from mlops_assets.core.multivariate.features import Design

if TYPE_CHECKING:
    import numpy as np

#: Of the ridge, in rows: on single columns, and on products, of which there are many.
PENALTY, PENALTY_OF_PAIRS = 50.0, 200.0
#: Cells into which scores are sorted to be ranked, over 8 standard deviations; rows of one cell
#: count as tied.
CELLS = 512


@dataclass(frozen=True)
class Told:
    """How well the sides are told apart.

    Attributes
    ----------
    areas
        Out of fold, of the observed arrangement first; (1 + draws,).
    gaps
        What each column of the design adds to the distance between the sides' mean scores, out
        of fold; (width,).
    """

    areas: np.ndarray
    gaps: np.ndarray


def tell_apart(seen: Design, arranged: Arrangement) -> Told:
    """Fit and score every arrangement out of fold; the design's rows are in the order of folds."""
    import numpy as np
    from scipy.linalg import solve
    from threadpoolctl import threadpool_limits

    x = seen.x
    side = arranged.current - arranged.current[:, 0].mean()
    ridge = np.full(x.shape[1], PENALTY_OF_PAIRS, np.float32)
    ridge[: seen.singles] = PENALTY
    areas, gaps = np.zeros(arranged.current.shape[1]), np.zeros(x.shape[1])
    # With one thread: two of a busy host wait for each other at every product.
    with threadpool_limits(1, user_api="blas"):
        products = [x[rows].T @ x[rows] for rows in arranged.folds]
        towards = [x[rows].T @ side[rows] for rows in arranged.folds]
        all_products, all_towards = sum(products), sum(towards)
        for rows, own, own_towards in zip(arranged.folds, products, towards, strict=True):
            left = all_products - own
            left[np.diag_indices_from(left)] += ridge
            slopes = solve(left, all_towards - own_towards, assume_a="pos", check_finite=False)
            areas += _areas(x[rows] @ slopes, arranged.current[rows] > 0.5)
            now = arranged.current[rows, 0] > 0.5
            gap = x[rows][now].mean(axis=0) - x[rows][~now].mean(axis=0)
            gaps += slopes[:, 0] * gap
    folds = len(arranged.folds)
    return Told(areas / folds, gaps / folds)


def _areas(scores: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the area under each column's ROC curve, ranks taken from cells."""
    import numpy as np

    width = scores.shape[1]
    middle = scores.mean(axis=0)
    scale = CELLS / 8 / np.maximum(scores.std(axis=0), 1e-12)
    cells = ((scores - middle) * scale + CELLS / 2).clip(0, CELLS - 1).astype(np.int32)
    cells += np.arange(width, dtype=np.int32) * CELLS
    size = CELLS * width
    both = np.bincount(cells.ravel(), minlength=size).reshape(width, CELLS)
    later = np.bincount(cells[current], minlength=size).reshape(width, CELLS)
    earlier = (both - later).astype(float)
    below = np.cumsum(earlier, axis=1) - earlier / 2
    return (later * below).sum(axis=1) / (later.sum(axis=1) * earlier.sum(axis=1))
