"""How sure an estimate is: the luck of the window's labels and the reference's noise.

Two sources of variance are counted, and they are independent.

*The window.* Given probabilities ``p``, the labels to come are a draw; a metric moves with each
label by its gradient ``g`` (see ``expected``), so that its variance is ``sum g^2 p (1 - p)``, that
of a weighted Poisson-binomial sum. By the central limit theorem the sum is normal at the few
hundred rows below which nothing is estimated.

*The calibration.* ``p`` itself is estimated from the reference's labels. Each reference row's
*contribution* is what its label added to the metric (see ``calibration``); their squares sum to
the variance, as everywhere in ``core.models``.

Both hold for independent rows. Rows of one day share their weather: with ``blocks``, reference
contributions are summed by block, and the window gets the variance *between* blocks that was
measured on the reference, for as many blocks as it has (``block_variance``). Concept drift is in
neither: no interval of an estimate without labels can hold it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: What a metric cannot leave.
RANGES = {
    "log_loss": (0.0, math.inf),
    "brier": (0.0, 1.0),
    "accuracy": (0.0, 1.0),
    "roc_auc": (0.0, 1.0),
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "f1": (0.0, 1.0),
    "business_value": (-math.inf, math.inf),
    "mae": (0.0, math.inf),
    "rmse": (0.0, math.inf),
}


def label_variance(gradient: np.ndarray, p: np.ndarray) -> float:
    """Return the variance of a metric over labels drawn with probabilities ``p``.

    Parameters
    ----------
    gradient, p
        Of the positive class, shape ``(n,)``, or of each class, shape ``(n, k)``.
    """
    import numpy as np

    if p.ndim == 1:
        return float(np.sum(gradient**2 * p * (1 - p)))
    mean = (p * gradient).sum(axis=1)
    return float(np.sum((p * gradient**2).sum(axis=1) - mean**2))


def reference_variance(contributions: np.ndarray, blocks: np.ndarray | None) -> float:
    """Return the variance that the reference's labels bring, shape of both ``(n,)``."""
    import numpy as np

    if blocks is None:
        return float(np.sum(contributions**2))
    sums = np.bincount(blocks, weights=contributions)
    units = int(np.count_nonzero(np.bincount(blocks)))
    return float(np.sum(sums**2)) * units / max(units - 1, 1)


def block_variance(
    residuals: np.ndarray,
    blocks: np.ndarray | None,
    window_blocks: np.ndarray | None,
    weights: np.ndarray | None = None,
) -> float:
    """Return the variance of the window's mean residual that its blocks have in common.

    Parameters
    ----------
    residuals
        Of each reference row: label minus probability, in the unit of the metric, ``(n,)``.
    blocks, window_blocks
        The block of each reference and of each window row, as numbers from 0; ``None``: rows are
        independent, and the variance is 0.
    weights
        Of the reference's rows, ``(n,)``.

    Notes
    -----
    The variance *between* blocks by the method of moments: what the squared sums of blocks exceed
    the squares of their rows by, over the pairs of rows that share a block.
    """
    import numpy as np

    if blocks is None or window_blocks is None or not len(blocks) or not len(window_blocks):
        return 0.0
    w = np.ones(len(blocks)) if weights is None else weights
    sums = np.bincount(blocks, weights=w * residuals)
    masses = np.bincount(blocks, weights=w)
    own = float(np.sum(w**2))
    pairs = float(np.sum(masses**2)) - own
    units = int(np.count_nonzero(masses))
    if units < 2 or pairs <= 0:
        return 0.0
    # The residuals were fitted to sum to zero, which the factor makes up for.
    excess = float(np.sum(sums**2)) * units / (units - 1) - float(np.sum((w * residuals) ** 2))
    sizes = np.bincount(window_blocks).astype(float)
    return max(excess, 0.0) / pairs * float(np.sum(sizes**2 - sizes)) / len(window_blocks) ** 2


def bounds(
    metric: str, value: float, variance: float, blocks: int | None, confidence: float
) -> tuple[float, float]:
    """Return the two-sided interval, within the metric's range; NaN where it is not known.

    By the normal law, or by Student's t with one degree of freedom less than the reference has
    blocks.
    """
    from scipy.special import ndtri, stdtrit

    if not (math.isfinite(value) and math.isfinite(variance)) or (
        blocks is not None and blocks < 2
    ):
        return math.nan, math.nan
    upper = (1 + confidence) / 2
    z = float(ndtri(upper) if blocks is None else stdtrit(blocks - 1, upper))
    low, high = RANGES[metric]
    reach = z * math.sqrt(variance)
    return max(low, value - reach), min(high, value + reach)
