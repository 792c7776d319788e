"""The columns of both sides as one, or why a column cannot be compared.

Types may differ where the values can still be compared: whole numbers that have become floats,
a column that is missing altogether on one side. How a column is read is in ``canonical``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods.statuses import Kind
from mlops_assets.core.multivariate.canonical import Canonical, canonical

if TYPE_CHECKING:
    import pandas as pd


def joined_columns(
    names: list[str], reference: pd.DataFrame, current: pd.DataFrame
) -> tuple[dict[str, Canonical], dict[str, str]]:
    """Return the columns of both sides, the reference's rows first; and those that are not."""
    import numpy as np

    joined, skipped = {}, {}
    for name in names:
        if name not in reference.columns:
            skipped[name] = "not_in_reference"
            continue
        if name not in current.columns:
            skipped[name] = "not_in_current"
            continue
        found = _one(
            canonical(reference[name]), canonical(current[name]), len(reference), len(current)
        )
        if isinstance(found, str):
            skipped[name] = found
        elif len(np.unique(found.values)) < 2:
            skipped[name] = "constant"
        else:
            joined[name] = found
    return joined, skipped


def _one(before: Canonical, now: Canonical, n: int, m: int) -> Canonical | str:
    """Return both sides of a column as one, or why they are none."""
    import numpy as np

    kinds = {before.kind, now.kind}
    if Kind.UNSUPPORTED in kinds:
        return "unsupported"
    known = kinds - {Kind.UNKNOWN}
    if not known:
        return "constant"
    if Kind.CATEGORICAL in known:
        if len(known) > 1:
            return "kind_changed"
        names = sorted({*before.names, *now.names})
        place = {name: at for at, name in enumerate(names)}
        parts = []
        for side, size in ((before, n), (now, m)):
            places = np.array([*(place[name] for name in side.names), -1], dtype=np.int64)
            parts.append(places[side.values] if len(side.values) else np.full(size, -1))
        return Canonical(Kind.CATEGORICAL, np.concatenate(parts), tuple(names))
    parts = [
        side.values if len(side.values) else np.full(size, np.nan)
        for side, size in ((before, n), (now, m))
    ]
    kind = Kind.BOOLEAN if known == {Kind.BOOLEAN} else Kind.NUMERIC
    return Canonical(kind, np.concatenate(parts))
