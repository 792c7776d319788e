"""A column's two distributions in the same few bins, to be drawn.

Drawing belongs in ``reports``; what is measured is not measured in these bins.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods.columns import Categories, Numbers, from_series
from mlops_assets.core.drift_methods.sketches import Sketch, histogram_edges

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.core.drift_methods.sketches import Side

#: Categories that are drawn by name; the rest is drawn together.
NAMED = 12
OTHERS = "(others)"


@dataclass(frozen=True)
class Histogram:
    """Shares of rows by bin.

    Attributes
    ----------
    bins
        Inner edges in ascending order, the outer bins being open; or names of categories.
    reference, current
        Of each bin. With ``missing`` they sum to 1, or are all 0 where a side has no rows.
    missing
        Share of rows without a value, of both sides.
    """

    bins: tuple[float, ...] | tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    missing: tuple[float, float]


def histogram(reference: Side, current: pd.Series) -> Histogram | None:
    """Count both sides in the reference's bins; ``None`` where there are none in common."""
    now = from_series(current)
    bins: tuple[float, ...] | tuple[str, ...]
    if isinstance(reference, Numbers | Sketch) and isinstance(now, Numbers | Sketch):
        if not reference.n:
            return None
        edges = histogram_edges(reference)
        bins = tuple(edges.tolist())
        counts = [_between(side, edges) for side in (reference, now)]
    elif isinstance(reference, Categories) and isinstance(now, Categories):
        joint = Counter(reference.counts) + Counter(now.counts)
        names = sorted(joint, key=lambda name: (-joint[name], name))[:NAMED]
        counts = [_of_names(side, names) for side in (reference, now)]
        bins = tuple(names)
        if any(side[-1] for side in counts):
            bins = (*names, OTHERS)
        else:
            counts = [side[:-1] for side in counts]
    else:
        return None
    rows = [side.rows or 1 for side in (reference, now)]
    shares = [tuple(n / total for n in side) for side, total in zip(counts, rows, strict=True)]
    absent = [
        (side.missing + side.infinite) / total
        for side, total in zip((reference, now), rows, strict=True)
    ]
    return Histogram(bins, shares[0], shares[1], (absent[0], absent[1]))


def _between(side: Numbers | Sketch, edges: np.ndarray) -> list[float]:
    import numpy as np

    if not side.n:
        return [0.0] * (len(edges) + 1)
    return np.diff(np.concatenate([[0.0], side.below(edges), [side.n]])).tolist()


def _of_names(side: Categories, names: list[str]) -> list[float]:
    found = [float(side.counts.get(name, 0)) for name in names]
    return [*found, side.n - sum(found)]
