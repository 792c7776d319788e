"""A column's two distributions in the same few bins, to be drawn.

Drawing belongs in ``reports``; what is measured is not measured in these bins.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Histogram:
    """Shares of rows by bin, the missing among them as a bin of their own.

    Attributes
    ----------
    labels
        Of the bins: ``"< 3"``, ``"≥ 3"``, a category's name.
    reference, current
        Of each bin; they sum to 1, or are all 0 where a side has no rows.
    """

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


def histogram(reference: Side, current: pd.Series) -> Histogram | None:
    """Count both sides in the reference's bins; ``None`` where there are none in common."""
    now = from_series(current)
    if isinstance(reference, Numbers | Sketch) and isinstance(now, Numbers | Sketch):
        if not reference.n:
            return None
        edges = histogram_edges(reference)
        counted = [_between(side, edges) for side in (reference, now)]
        named = [f"{edge:.3g}" for edge in edges]
        labels = [f"< {named[0]}", *(f"≥ {name}" for name in named)] if named else ["all"]
    elif isinstance(reference, Categories) and isinstance(now, Categories):
        joint = {n: reference.counts.get(n, 0) + now.counts.get(n, 0)
                 for n in {*reference.counts, *now.counts}}  # fmt: skip
        labels = sorted(joint, key=lambda name: (-joint[name], name))[:NAMED]
        counted = [_of_names(side, labels) for side in (reference, now)]
        labels = [*labels, "others"]
    else:
        return None
    labels = [*labels, "missing"]
    absent = [side.missing + side.infinite for side in (reference, now)]
    counts = [[*some, gone] for some, gone in zip(counted, absent, strict=True)]
    kept = [i for i in range(len(labels)) if counts[0][i] or counts[1][i]]
    shares = [tuple(some[i] / (sum(some) or 1) for i in kept) for some in counts]
    return Histogram(tuple(labels[i] for i in kept), *shares)


def _between(side: Numbers | Sketch, edges: np.ndarray) -> list[float]:
    import numpy as np

    if not side.n:
        return [0.0] * (len(edges) + 1)
    return np.diff(np.concatenate([[0.0], side.below(edges), [side.n]])).tolist()


def _of_names(side: Categories, names: list[str]) -> list[float]:
    found = [float(side.counts.get(name, 0)) for name in names]
    return [*found, side.n - sum(found)]
