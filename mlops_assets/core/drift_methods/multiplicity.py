"""Many columns, one report: p-values adjusted for how many there are."""

from __future__ import annotations

from collections.abc import Sequence


def adjust(p: Sequence[float]) -> list[float]:
    """Adjust p-values so that those below alpha have a false discovery rate of alpha.

    Benjamini and Hochberg (1995). Where nothing has changed, a report names any column
    with probability at most alpha if columns are independent or positively dependent.
    """
    import numpy as np

    values = np.asarray(p, float)
    size = len(values)
    if size == 0:
        return []
    order = np.argsort(values, kind="stable")
    ranked = values[order] * size / np.arange(1, size + 1)
    adjusted = np.empty(size)
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return [float(v) for v in adjusted]
