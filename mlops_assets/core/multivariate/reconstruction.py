"""PCA reconstruction error: do rows still lie near the plane on which the reference lies?

As NannyML defines it: numbers scaled by the reference's mean and standard deviation, categories
replaced by how frequent they are in the reference and scaled, as many components as explain 65 %
of the variance, and the distance of each row from its projection; the value is the mean. Different
here, so that the reference's own rows can be compared with: components are fitted on two fifths of
the reference, and the rest of it and of the current rows is measured with them (rows that were
fitted on lie nearer than new ones); booleans are 0 and 1; a number counts as at most ``FURTHEST``
standard deviations away; at least one component is left out, for an error to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods.statuses import Kind
from mlops_assets.core.multivariate.arrangement import FOLDS, Arrangement

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.multivariate.canonical import Canonical

#: Variance explained by the components that are kept.
EXPLAINED = 0.65
#: Standard deviations from the reference's mean beyond which a number counts as this far.
FURTHEST = 10.0
#: Folds, of five, whose reference rows are learnt from; the rest is measured. Were each fold
#: measured by what the others have taught, as the classifier's are, more rows would be measured,
#: but the folds would depend on each other: of 50 rows against 1,000, where nothing had changed, p
#: was at most 0.05 in 15 % of reports.
LEARNT_FROM = 2


@dataclass(frozen=True)
class Plane:
    """What reference rows lie near.

    Attributes
    ----------
    middle, scale
        Of each column, (width,).
    directions
        Orthonormal, (width, components).
    """

    middle: np.ndarray
    scale: np.ndarray
    directions: np.ndarray

    def errors(self, encoded: np.ndarray) -> np.ndarray:
        """Return the distance of each row from its projection, (n,)."""
        import numpy as np

        z = np.clip((encoded - self.middle) / self.scale, -FURTHEST, FURTHEST)
        off = z - (z @ self.directions) @ self.directions.T
        return np.sqrt(np.einsum("ij,ij->i", off, off))


@dataclass(frozen=True)
class Moved:
    """Mean errors, and how far they are apart.

    Attributes
    ----------
    shifts
        Absolute difference of the mean errors in standard deviations of the reference's row
        errors, of the observed arrangement first; (1 + draws,).
    components
        Directions that were kept.
    """

    shifts: np.ndarray
    current_error: float
    reference_error: float
    components: int


def measure(columns: Sequence[Canonical], arranged: Arrangement) -> Moved | None:
    """Measure both sides' rows of some folds with what is fitted on the reference's of the others.

    Columns are in the order of folds. Returns ``None`` where fewer than two of them vary in the
    reference.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    reference = arranged.current[:, 0] < 0.5
    fold = np.repeat(np.arange(len(arranged.folds)), np.diff(arranged.ends))
    measured = fold >= max(len(arranged.folds) * LEARNT_FROM // FOLDS, 1)
    learnt = reference & ~measured
    encoded = np.stack([_encoded(column, learnt) for column in columns], axis=1)
    with threadpool_limits(1, user_api="blas"):
        plane = fit(encoded[learnt])
        if plane is None:
            return None
        errors = plane.errors(encoded)
    spread = float(errors[reference & measured].std())
    shifts, current_errors, reference_errors = [], [], []
    for rows in arranged.folds:
        if not measured[rows.start]:
            continue
        side = arranged.current[rows]
        total, later = errors[rows].sum(), errors[rows] @ side.astype(float)
        count = side.sum(axis=0, dtype=float)
        now, before = later / count, (total - later) / (len(side) - count)
        shifts.append(now - before)
        current_errors.append(now[0])
        reference_errors.append(before[0])
    return Moved(
        # Of columns that were exact functions of others, each error is 0 but for rounding.
        np.abs(np.mean(shifts, axis=0)) / max(spread, 1e-6),
        float(np.mean(current_errors)),
        float(np.mean(reference_errors)),
        plane.directions.shape[1],
    )


def fit(encoded: np.ndarray) -> Plane | None:
    """Fit the plane, or return ``None`` where fewer than two columns vary."""
    import numpy as np

    middle, scale = encoded.mean(axis=0), encoded.std(axis=0)
    varies = scale > 1e-9 * np.maximum(np.abs(middle), 1e-300)
    width = int(varies.sum())
    if width < 2:
        return None
    # A column that is constant in the reference has no unit: it counts as lying where it lay.
    scale = np.where(varies, scale, np.inf)
    z = np.clip((encoded - middle) / scale, -FURTHEST, FURTHEST)
    z -= z.mean(axis=0)
    variances, directions = np.linalg.eigh(z.T @ z)
    variances, directions = variances[::-1], directions[:, ::-1]
    share = np.cumsum(variances) / variances.sum()
    count = min(int(np.searchsorted(share, EXPLAINED, side="right")) + 1, width - 1)
    return Plane(middle, scale, np.ascontiguousarray(directions[:, :count]))


def _encoded(column: Canonical, learnt: np.ndarray) -> np.ndarray:
    """Return a column as numbers: what is missing as the mean or the most frequent category."""
    import numpy as np

    values = column.values
    if column.kind is Kind.CATEGORICAL:
        known = values[learnt & (values >= 0)]
        counts = np.bincount(known, minlength=max(len(column.names), 1))
        share = counts / max(len(known), 1)
        return np.where(values < 0, share.max(initial=0.0), share[values])
    finite = np.isfinite(values)
    known = values[learnt & finite]
    middle = float(known.mean()) if len(known) else 0.0
    return np.where(finite, values, middle)
