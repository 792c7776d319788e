"""What the domain classifier sees of the rows: each column, and how each two go together.

Everything here is made from the joint rows without regard to which side they are on, so that an
arrangement by chance sees the same. Numbers become *normal scores* (the normal quantile of their
rank), of which the first three Hermite polynomials say whether they have moved, spread or leaned;
categories an indicator each; two columns their product. For normal columns these are the terms of
the likelihood ratio itself: a change of means, variances or correlations is what they can show,
and any change of one column or of a pair that a product sees. Three columns that are only odd
together are not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods.statuses import Kind

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.multivariate.canonical import Canonical

#: Categories with an indicator of their own, the most frequent of both sides; the rest share one.
INDICATORS = 12
#: Of those, how many are paired with other columns.
PAIRED = 3
#: Rows that a category needs for an indicator.
LEAST = 10
#: Products of two columns; beyond, those of the columns that go together most are taken.
PAIRS = 276


@dataclass(frozen=True)
class Design:
    """The classifier's view of the joint rows.

    Attributes
    ----------
    x
        Columns of mean 0 and variance 1, shape (n, width), float32: first those of single
        columns, then the products.
    singles
        How many of single columns there are.
    owners
        For each, the positions of its two columns; of a single one, twice the same. (width, 2)
    """

    x: np.ndarray
    singles: int
    owners: np.ndarray


def design(columns: Sequence[Canonical]) -> Design | None:
    """Return what the classifier sees, or ``None`` if nothing varies."""
    import numpy as np

    singles, owner = [], []
    paired, whose = [], []
    for at, column in enumerate(columns):
        own, basic = _of_column(column)
        singles += own
        owner += [at] * len(own)
        paired += basic
        whose += [at] * len(basic)
    if not singles:
        return None
    x, kept = _unit(np.stack(singles, axis=1))
    if not len(kept):
        return None
    owners = np.array(owner)[kept]
    parts, owned = [x], [np.stack([owners, owners], axis=1)]
    z, kept = _unit(np.stack(paired, axis=1))
    whose = np.array(whose)[kept]
    i, j = _pairs(z, whose)
    if len(i):
        products, kept = _unit(z[:, i] * z[:, j])
        parts.append(products)
        owned.append(np.stack([whose[i], whose[j]], axis=1)[kept])
    return Design(np.concatenate(parts, axis=1), x.shape[1], np.concatenate(owned))


def _of_column(column: Canonical) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what is seen of a column, and what of that is paired with other columns."""
    import numpy as np

    if column.kind is Kind.CATEGORICAL:
        # The last place is that of missing values.
        places = np.where(column.values < 0, len(column.names), column.values)
        counts = np.bincount(places, minlength=len(column.names) + 1)
        order = np.argsort(-counts, kind="stable")
        frequent = [int(place) for place in order[:INDICATORS] if counts[place] >= LEAST]
        indicators = [(places == place).astype(np.float32) for place in frequent]
        rest = 1 - sum(indicators, np.zeros(len(places), np.float32))
        return [*indicators, rest], indicators[: PAIRED if len(frequent) > 2 else 1]
    missing = np.isnan(column.values)
    extra = [missing.astype(np.float32)] if missing.any() else []
    if column.kind is Kind.BOOLEAN:
        known = column.values[~missing]
        filled = np.where(missing, known.mean() if len(known) else 0.0, column.values)
        return [filled.astype(np.float32), *extra], [filled.astype(np.float32)]
    z = normal_scores(column.values, missing)
    return [z, (z**2 - 1), (z**3 - 3 * z), *extra], [z]


def normal_scores(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the normal quantile of each value's mid-rank; 0 where missing. float32."""
    import numpy as np
    from scipy.special import ndtri

    order = np.argsort(values, kind="stable")  # missing last
    known = len(values) - int(missing.sum())
    ordered = values[order[:known]]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if known else np.empty(0, int)
    ends = np.r_[starts[1:], known]
    scores = np.zeros(len(values), np.float32)
    middle = ndtri((starts + ends) / 2 / max(known, 1)).astype(np.float32)
    scores[order[:known]] = np.repeat(middle, ends - starts)
    return scores


def _pairs(z: np.ndarray, whose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of different columns; of too many, those that go together most."""
    import numpy as np

    i, j = np.triu_indices(z.shape[1], 1)
    different = whose[i] != whose[j]
    i, j = i[different], j[different]
    if len(i) > PAIRS:
        together = np.abs(z.T @ z)[i, j]
        first = np.argsort(-together, kind="stable")[:PAIRS]
        i, j = i[first], j[first]
    return i, j


def _unit(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns that vary with mean 0 and variance 1, and which they are."""
    import numpy as np

    centred = values - values.mean(axis=0)
    spread = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(values))
    kept = np.flatnonzero(spread > 1e-3)
    if len(kept) < len(spread):
        centred, spread = centred[:, kept], spread[kept]
    centred /= spread
    return centred, kept
