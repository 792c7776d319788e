"""In which cells two columns are counted, to measure them and to draw what chance gives.

Cells for the null law depend on the two sides together and not on which row is of which side
(the smallest categories by joint count are pooled, numeric cells end at joint quantiles): that
is what makes a permutation of the rows an exact test. The histogram for the methods on counts
is the reference's, so that its values can be compared from window to window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods.columns import Categories, Numbers
from mlops_assets.core.drift_methods.sketches import Sketch, histogram_edges

if TYPE_CHECKING:
    import numpy as np

#: Most cells of a categorical column; the rest is pooled into one of them.
MAX_CATEGORIES = 100
#: Equally filled cells of a numeric column, apart from the tails.
EQUAL = 32
#: Rows of the smaller side that are expected in the cells of the tails, of which there are as
#: many as that allows.
IN_TAILS = 10
#: Values of a side that are candidates for the end of a cell.
CANDIDATES = 1_024
#: Joint rows up to which all values are candidates.
SORTED_TOGETHER = 1 << 18


@dataclass(frozen=True)
class Counts:
    """Both sides counted in the same cells, shape (cells,), none of which is empty.

    ``gaps``, shape (cells - 1,), is how far apart neighbouring cells are, where they have an
    order; ``pooled`` says that one of the cells stands for several rare categories.
    """

    reference: np.ndarray
    current: np.ndarray
    gaps: np.ndarray | None = None
    pooled: bool = False


def of_categories(reference: Categories, current: Categories) -> Counts:
    """Count the union of categories, the rarest of them together."""
    import numpy as np

    names = set(reference.counts) | set(current.counts)
    ours, theirs = reference.counts, current.counts
    # What a profile does not name can be counted only together, on both sides.
    if not reference.complete:
        names &= set(ours)
    if not current.complete:
        names &= set(theirs)
    joint = {name: ours.get(name, 0) + theirs.get(name, 0) for name in names}
    ranked = sorted(names, key=lambda name: (-joint[name], name))
    rest = reference.n + current.n > sum(joint.values())
    kept = ranked if len(ranked) + rest <= MAX_CATEGORIES else ranked[: MAX_CATEGORIES - 1]
    a = [ours.get(name, 0) for name in kept]
    b = [theirs.get(name, 0) for name in kept]
    pooled = rest or len(kept) < len(ranked)
    if pooled:
        a.append(reference.n - sum(a))
        b.append(current.n - sum(b))
    return Counts(np.array(a, float), np.array(b, float), pooled=pooled)


def of_histogram(reference: Numbers | Sketch, current: Numbers | Sketch) -> Counts:
    """Count both sides in the bins of the reference."""
    import numpy as np

    edges = histogram_edges(reference)
    counted = [
        np.diff(np.concatenate([[0.0], np.rint(side.below(edges)), [side.n]]))
        for side in (reference, current)
    ]
    filled = counted[0] + counted[1] > 0
    return Counts(counted[0][filled], counted[1][filled])


def of_quantiles(reference: Numbers | Sketch, current: Numbers | Sketch) -> Counts:
    """Count both sides between joint quantiles, in finer cells towards the tails.

    The gaps are between the cells' joint medians, so that the Wasserstein distance of the cells
    is nearly that of the rows. A value that fills a cell is its median.
    """
    import numpy as np

    values, joint = _joint(reference, current)
    size = joint[-1]
    grid = _grid(min(reference.n, current.n))
    ends = np.unique(joint.searchsorted(grid * size - 1e-9, side="left"))
    ends = values[np.unique(np.append(ends[ends < len(values)], len(values) - 1))]
    ends = np.unique(ends)
    # Ranks between the knots of a sketch are no whole numbers.
    upto = np.stack([np.rint(side.upto(ends)) for side in (reference, current)])
    counted = np.diff(upto, prepend=0.0, axis=1)
    filled = counted.sum(axis=0) > 0
    counted = counted[:, filled]
    joint_counts = counted.sum(axis=0)
    middle = np.cumsum(joint_counts) - joint_counts / 2
    at = np.minimum(joint.searchsorted(middle - 1e-9, side="left"), len(values) - 1)
    return Counts(counted[0], counted[1], gaps=np.diff(values[at]))


def _joint(reference: Numbers | Sketch, current: Numbers | Sketch) -> tuple[np.ndarray, np.ndarray]:
    """Return values, ascending, and how many of both sides' rows are at most each.

    All of them, where they are few enough: then cells end at the exact joint quantiles, and
    columns without ties have the same joint counts, and so the same draws.
    """
    import numpy as np

    if (
        isinstance(reference, Numbers)
        and isinstance(current, Numbers)
        and reference.n + current.n <= SORTED_TOGETHER
    ):
        values = np.concatenate([reference.values, current.values])
        values.sort()
        return values, np.arange(1, len(values) + 1, dtype=float)
    values = _candidates(reference, current)
    return values, (reference.upto(values) + current.upto(values)).astype(float)


def _candidates(reference: Numbers | Sketch, current: Numbers | Sketch) -> np.ndarray:
    """Return the values at which a cell may end: where both sides' ranks are exact."""
    import numpy as np

    sides = (reference, current)
    sparse = [side for side in sides if not side.complete]
    found = [side.thinned(CANDIDATES) for side in sparse or sides]
    for side in sparse:
        # Outside of a sketch its ranks are known: 0 and n.
        for other in sides:
            if other is not side:
                points = other.thinned(CANDIDATES)
                found.append(points[(points < side.least) | (points > side.greatest)])
    return np.unique(np.concatenate(found))


def _grid(smaller: int) -> np.ndarray:
    """Return the joint shares of rows at which cells end, ascending."""
    import numpy as np

    tails = np.array([1 / 1024, 1 / 512, 1 / 256, 1 / 128, 1 / 64])
    tails = tails[tails * smaller >= IN_TAILS]
    return np.sort(np.concatenate([tails, np.arange(1, EQUAL + 1) / EQUAL, 1 - tails]))
