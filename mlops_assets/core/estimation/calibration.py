"""From scores to probabilities: isotonic regression on labelled rows, weighted or not.

An isotonic fit is a list of *blocks* of scores with one level each (pool adjacent violators;
Ayer and others, Annals of Mathematical Statistics 26, 1955), between which probabilities are
interpolated and beyond which they stay. What is read off it is the same as scikit-learn's
``IsotonicRegression(out_of_bounds="clip")`` gives, but the blocks are kept: through them each
labelled row's part in an estimate is known (``Isotonic.contributions``), which is where the
calibration's share of an interval comes from. Weights are made in ``density``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.estimation import expected

if TYPE_CHECKING:
    import numpy as np

#: A block of few rows explains its own labels too well; its residuals are enlarged by at most so
#: much.
_MOST_ENLARGED = 2.0


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing step function with linear pieces between its steps.

    Attributes
    ----------
    low, high, level
        Of each block, in ascending order: least and greatest score, and the probability, ``(b,)``.
    mass
        Sum of the weights of the block's rows, shape ``(b,)``.
    block
        The block of each row that it was fitted on, shape ``(n,)``.
    residual
        Of each row: its weight times label minus level, enlarged for its own part in the level
        (as a leave-one-out residual is) and divided by ``mass``, shape ``(n,)``.
    """

    low: np.ndarray
    high: np.ndarray
    level: np.ndarray
    mass: np.ndarray
    block: np.ndarray
    residual: np.ndarray

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability of each score, shape ``(m,)``."""
        left, right, share = self._between(scores)
        return self.level[left] * (1 - share) + self.level[right] * share

    def contributions(self, scores: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return what each fitted row's label added to a metric of other rows, shape ``(n,)``.

        Parameters
        ----------
        scores, gradient
            Of the other rows, and by how much the metric changes with the probability of each,
            shape ``(m,)``.
        """
        import numpy as np

        left, right, share = self._between(scores)
        size = len(self.level)
        pull = np.bincount(left, weights=gradient * (1 - share), minlength=size)
        pull += np.bincount(right, weights=gradient * share, minlength=size)
        return pull[self.block] * self.residual

    def _between(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each score the blocks on either side, and the share of the right one."""
        import numpy as np

        last = len(self.level) - 1
        left = np.clip(np.searchsorted(self.low, scores, side="right") - 1, 0, last)
        right = np.minimum(left + 1, last)
        over = np.maximum(scores - self.high[left], 0.0)
        gap = np.where(right > left, self.low[right] - self.high[left], 1.0)
        return left, right, np.where(right > left, np.minimum(over / gap, 1.0), 0.0)


def fit(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> Isotonic:
    """Fit the probability of ``truth`` as a non-decreasing function of the scores.

    Parameters
    ----------
    scores, truth
        Finite scores and labels, 0 and 1, shape ``(n,)`` with ``n > 0``.
    weights
        Positive, shape ``(n,)``. ``None``: all 1.
    """
    import numpy as np
    from scipy.optimize import isotonic_regression

    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    mass = np.diff(np.r_[first, len(scores)]).astype(float)
    labels = truth.astype(float)
    hits = labels if weights is None else weights * labels
    if weights is not None:
        mass = np.add.reduceat(weights[order], first)
    means = np.add.reduceat(hits[order], first) / mass
    found = isotonic_regression(means, weights=mass)
    starts = found.blocks[:-1]
    distinct, ends = ordered[first], found.blocks[1:] - 1
    level, heavy = found.x[starts], np.add.reduceat(mass, starts)
    group = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(scores)]))
    block = np.empty(len(scores), dtype=np.intp)
    block[order] = np.repeat(np.arange(len(starts)), ends - starts + 1)[group]
    own = np.ones(len(scores)) if weights is None else weights
    spare = 1 - own / heavy[block]
    enlarged = 1 / np.sqrt(np.maximum(spare, 1 / _MOST_ENLARGED**2))
    residual = own * (labels - level[block]) * enlarged / heavy[block]
    return Isotonic(distinct[starts], distinct[ends], level, heavy, block, residual)


def calibration_helps(scores: np.ndarray, truth: np.ndarray) -> bool:
    """Return whether isotonic regression is better calibrated on rows it was not fitted on.

    NannyML's rule (0.13.1), which decides whether scores are taken as they are: on the pooled
    tests of ten stratified splits of 90 and 10 % with seed 42, the expected calibration error of
    ten bins of equal size must fall. Never where there is one class, or where the area under
    the ROC curve exceeds 0.999.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedShuffleSplit

    counts = np.unique(truth, return_counts=True)[1]
    # Below ten rows a test of 10 % cannot hold both classes, and NannyML raises.
    if len(counts) < 2 or counts.min() < 2 or len(truth) < 20:
        return False
    if expected.binary("roc_auc", scores, truth, truth.astype(float))[0] > 0.999:
        return False
    splits = StratifiedShuffleSplit(n_splits=10, test_size=0.1, random_state=42)
    labels, before, after = [], [], []
    order = np.argsort(scores, kind="stable")
    ordered, known = scores[order], truth[order]
    for train, test in splits.split(scores, truth):
        chosen = np.zeros(len(scores), dtype=bool)
        chosen[train] = True
        kept = chosen[order]  # in the order of scores, so that fitting need not sort
        labels.append(truth[test])
        before.append(scores[test])
        after.append(fit(ordered[kept], known[kept]).probabilities(scores[test]))
    pooled = np.concatenate(labels).astype(float)
    return bool(
        _expected_error(pooled, np.concatenate(before))
        > _expected_error(pooled, np.concatenate(after))
    )


def _expected_error(truth: np.ndarray, p: np.ndarray, bins: int = 10) -> float:
    """The mean gap of bins of equal size, the last taking what is left."""
    import numpy as np

    order = p.argsort()
    p, truth = p[order], truth[order]
    n = len(p)
    if n <= 2 * bins:
        bins = max(n // 2, 1)
    width = n // bins
    edges = np.arange(0, n + 1, width)
    edges[-1] = n
    gaps = np.add.reduceat(p - truth, edges[:-1])
    return float(np.abs(gaps).sum() / n)
