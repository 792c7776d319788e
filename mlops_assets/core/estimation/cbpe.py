"""Confidence-based performance estimation: what the model's own probabilities promise.

If scores are calibrated on the reference and the label depends on the features in the window as
it does there, a metric of the window is expected to be that on labels drawn with the calibrated
probabilities. The steps are NannyML's (0.13.1): isotonic calibration, of each class against the
rest, where it helps (``calibration.calibration_helps``), and rows renormalised. Only the area
under the ROC curve is defined otherwise, see ``expected``; NannyML's own is in ``peers``.

It goes wrong where the relation of label and features has changed, as everything that sees no
labels does, and where the mix of features has changed so that equal scores no longer mean the
same: for that there is ``pape``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.estimation import calibration, expected, intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from mlops_assets.core.estimation.calibration import Isotonic
    from mlops_assets.core.estimation.samples import Coded


@dataclass(frozen=True)
class Calibration:
    """Isotonic fits of the classes, and how much of each is used.

    Attributes
    ----------
    fits, shares
        Of each column of the scores, and between 0 (the scores are taken as they are) and 1.
        Where a fit is not used it still says how sure the scores are to be right: as sure as
        the reference could tell.
    """

    fits: tuple[Isotonic, ...]
    shares: tuple[float, ...]

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability of each class, shape of ``scores``, ``(m, k)``."""
        import numpy as np

        p = self._raw(scores)
        if p.shape[1] == 1:
            return p
        total = p.sum(axis=1, keepdims=True)
        even = np.full_like(p, 1 / p.shape[1])
        return np.divide(p, total, out=even, where=total != 0)

    def contributions(self, scores: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return each reference row's contribution to a metric of other rows, shape ``(n,)``.

        ``gradient`` is by the probabilities of each row, shape ``(m, k)``.
        """
        import numpy as np

        slope = self._by_fit(scores, gradient)
        parts = [one.contributions(scores[:, at], slope[:, at]) for at, one in enumerate(self.fits)]
        return np.sum(parts, axis=0)

    def optimism(self, reference: Coded, gradient: np.ndarray, weights: np.ndarray | None) -> float:
        """Return by how much a metric of rows like the reference's is off because fits overfit.

        Pooling violators makes whatever rises with the score rise too steeply: the sum over the
        fitted rows of gradient times probability exceeds that of gradient times label, although
        the labels' expectation is what it estimates. ``gradient`` is by the mean of rows, of the
        reference's, shape ``(n, k)``.
        """
        import numpy as np

        slope = self._by_fit(reference.scores, gradient)
        gaps = [
            share * slope[:, at] * (one.level[one.block] - reference.truth[:, at])
            for at, (one, share) in enumerate(zip(self.fits, self.shares, strict=True))
        ]
        return float(np.average(np.sum(gaps, axis=0), weights=weights))

    def _by_fit(self, scores: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The gradient by what the fits say, before classes are made to sum to 1."""
        import numpy as np

        if gradient.shape[1] == 1:
            return gradient
        p = self._raw(scores)
        total = p.sum(axis=1, keepdims=True)
        drawn = (gradient * p).sum(axis=1, keepdims=True) / np.where(total > 0, total, 1)
        return (gradient - drawn) / np.where(total > 0, total, np.inf)

    def _raw(self, scores: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.stack(
            [
                one.probabilities(scores[:, at]) * share + scores[:, at] * (1 - share)
                for at, (one, share) in enumerate(zip(self.fits, self.shares, strict=True))
            ],
            axis=1,
        )


def calibrate(reference: Coded) -> Calibration:
    """Calibrate on labelled rows, of which there is at least one, where that helps."""
    columns = [(reference.scores[:, c], reference.truth[:, c]) for c in range(reference.classes)]
    return Calibration(
        tuple(calibration.fit(score, truth) for score, truth in columns),
        tuple(float(calibration.calibration_helps(score, truth)) for score, truth in columns),
    )


@dataclass(frozen=True)
class Moments:
    """The value of a metric and its variance, by source; NaN where it is not defined.

    Attributes
    ----------
    labels, blocks, reference
        Variance of the realised metric about the estimate: by the luck of single labels, by what
        rows of a block have in common, and by the noise of the reference.
    bias
        By how much the value is off because the calibration overfits, see
        ``Calibration.optimism``; 0 where that has been taken off.
    """

    value: float
    labels: float
    blocks: float
    reference: float
    bias: float = 0.0

    @property
    def variance(self) -> float:
        """Mean square of the realised metric about the estimate."""
        return self.labels + self.blocks + self.reference + self.bias**2


@dataclass(frozen=True)
class Learnt:
    """What the reference says of a metric, whatever the window.

    Attributes
    ----------
    residuals
        Of each row: label minus probability, in the unit of the metric, ``(n,)``.
    bias
        See ``Calibration.optimism``; 0 where the metric is not defined on the reference.
    """

    residuals: np.ndarray
    bias: float


def learn(
    metric: str,
    fitted: Calibration,
    reference: Coded,
    *,
    costs: Sequence[Sequence[float]] | None = None,
    weights: np.ndarray | None = None,
) -> Learnt:
    """Return what the rows that ``fitted`` was calibrated on say, with the same ``weights``."""
    own = fitted.probabilities(reference.scores)
    slope = _expected(metric, reference, own, costs)[1] * len(own)
    bias = fitted.optimism(reference, slope, weights)
    residuals = (slope * (reference.truth - own)).sum(axis=1)
    return Learnt(residuals, bias if math.isfinite(bias) else 0.0)


def moments(
    metric: str,
    fitted: Calibration,
    learnt: Learnt,
    window: Coded,
    *,
    costs: Sequence[Sequence[float]] | None = None,
    weights: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    window_blocks: np.ndarray | None = None,
) -> Moments:
    """Return the metric that is expected of the window, and how it may vary.

    ``learnt`` is of the rows that ``fitted`` was calibrated on, with the same ``weights``;
    ``blocks`` and ``window_blocks`` are the block of each row of either, as numbers from 0. With
    weights the calibration's bias is taken off the value; without, the value is NannyML's and the
    bias is in the variance.
    """
    p = fitted.probabilities(window.scores)
    value, gradient = _expected(metric, window, p, costs)
    shared = intervals.block_variance(learnt.residuals, blocks, window_blocks, weights)
    flat = p.shape[1] == 1
    drawn = intervals.label_variance(gradient[:, 0] if flat else gradient, p[:, 0] if flat else p)
    noise = intervals.reference_variance(fitted.contributions(window.scores, gradient), blocks)
    if weights is None:
        return Moments(value, drawn, shared, noise, learnt.bias)
    return Moments(value - learnt.bias, drawn, shared, noise)


def _expected(
    metric: str, rows: Coded, p: np.ndarray, costs: Sequence[Sequence[float]] | None
) -> tuple[float, np.ndarray]:
    if p.shape[1] > 1:
        return expected.multiclass(metric, rows.scores, rows.predicted, p, costs)
    value, gradient = expected.binary(
        metric, rows.scores[:, 0], rows.predicted == 1, p[:, 0], costs
    )
    return value, gradient[:, None]
