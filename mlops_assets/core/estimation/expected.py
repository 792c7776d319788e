"""What a metric is worth on rows whose labels are not known but whose probabilities are.

Given each row's probability of each class, a metric is expected to be its value with the unknown
labels replaced by those probabilities: exactly so for means of rows, up to terms of order 1/n for
ratios of sums and for the area under the ROC curve. Beside the value stands its *gradient*, the
change with each row's probability, from which ``intervals`` makes the variance. Where the
probabilities come from belongs in ``calibration`` and ``pape``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlops_assets.core.models.scored import LOG_LOSS_EPSILON

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

#: Metrics that can be estimated: those of the vocabulary, and those of the confusion matrix.
BINARY = (
    "log_loss",
    "brier",
    "accuracy",
    "roc_auc",
    "precision",
    "recall",
    "f1",
    "business_value",
)
#: Multiclass ``precision``, ``recall``, ``f1`` and ``roc_auc`` are means over the classes, each
#: against the rest.
MULTICLASS = (
    "log_loss",
    "accuracy",
    "roc_auc",
    "precision",
    "recall",
    "f1",
    "business_value",
)


def binary(
    metric: str,
    score: np.ndarray,
    predicted: np.ndarray,
    p: np.ndarray,
    costs: Sequence[Sequence[float]] | None = None,
) -> tuple[float, np.ndarray]:
    """Return the metric and its gradient, shape ``(n,)``.

    Parameters
    ----------
    score
        The probability that the model gave the positive class, which is what it is judged by.
    predicted
        Whether it predicted the positive class.
    p
        The probability that the label is positive.
    costs
        For ``business_value``: what a row is worth, ``[[TN, FP], [FN, TP]]``: truth in rows,
        prediction in columns. The metric is the mean value of a row.

    Returns
    -------
    tuple
        The value is NaN where the metric is not defined: no row, no predicted positive for
        ``precision``, no expected positive for ``recall``.
    """
    import numpy as np

    n = len(p)
    if n == 0:
        return math.nan, np.full(n, math.nan)
    if metric == "roc_auc":
        return _area(score, p)
    if metric in ("precision", "recall", "f1"):
        return _ratio(metric, predicted, p)
    if metric == "log_loss":
        kept = np.clip(score, LOG_LOSS_EPSILON, 1 - LOG_LOSS_EPSILON)
        if_positive, if_negative = -np.log(kept), -np.log1p(-kept)
    elif metric == "brier":
        if_positive, if_negative = (1 - score) ** 2, score**2
    elif metric == "accuracy":
        if_positive, if_negative = predicted.astype(float), 1.0 - predicted
    elif metric == "business_value":
        worth = _matrix(costs, 2)
        at = predicted.astype(int)
        if_positive, if_negative = worth[1, at], worth[0, at]
    else:
        raise ValueError(f"{metric!r} cannot be estimated for a binary problem; use {BINARY}")
    gradient = (if_positive - if_negative) / n
    return float(np.mean(if_negative + p * (if_positive - if_negative))), gradient


def multiclass(
    metric: str,
    scores: np.ndarray,
    predicted: np.ndarray,
    p: np.ndarray,
    costs: Sequence[Sequence[float]] | None = None,
) -> tuple[float, np.ndarray]:
    """Return the metric and its gradient, shape ``(n, k)``; see ``binary``.

    Parameters
    ----------
    scores, p
        Probability of each class, shape ``(n, k)``: by the model, and of the label.
    predicted
        Position of the predicted class, shape ``(n,)``; -1 is none of them.
    costs
        Shape ``(k, k)``: truth in rows, prediction in columns.
    """
    import numpy as np

    n, k = p.shape
    if n == 0:
        return math.nan, np.full((n, k), math.nan)
    if metric in ("roc_auc", "precision", "recall", "f1"):
        parts = [binary(metric, scores[:, c], predicted == c, p[:, c]) for c in range(k)]
        gradient = np.stack([part[1] for part in parts], axis=1) / k
        return float(np.mean([part[0] for part in parts])), gradient
    if metric == "log_loss":
        loss = -np.log(np.clip(scores, LOG_LOSS_EPSILON, 1 - LOG_LOSS_EPSILON))
    elif metric == "accuracy":
        loss = (predicted[:, None] == np.arange(k)).astype(float)
    elif metric == "business_value":
        loss = _matrix(costs, k).T[predicted]
        loss[predicted < 0] = math.nan
    else:
        raise ValueError(
            f"{metric!r} cannot be estimated for a multiclass problem; use {MULTICLASS}"
        )
    return float((p * loss).sum() / n), loss / n


def _ratio(metric: str, predicted: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """Ratios of sums of the confusion matrix, and the derivative of each."""
    import numpy as np

    hit = predicted.astype(float)
    true_positive, positive, said = float(hit @ p), float(p.sum()), float(hit.sum())
    if metric == "precision":
        above, below = true_positive, said
        up, down = hit, np.zeros(len(p))
    elif metric == "recall":
        above, below = true_positive, positive
        up, down = hit, np.ones(len(p))
    else:
        above, below = 2 * true_positive, said + positive
        up, down = 2 * hit, np.ones(len(p))
    if below <= 0:
        return math.nan, np.full(len(p), math.nan)
    return above / below, (up - above / below * down) / below


def _area(score: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """The expected area under the ROC curve: pairs of a positive above a negative row.

    Equal scores count one half, and a row is no pair with itself.
    """
    import numpy as np

    n = len(p)
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[first, n])
    group = np.empty(n, dtype=np.intp)
    group[order] = np.repeat(np.arange(len(first)), sizes)
    up = np.add.reduceat(p[order], first)
    down = sizes - up
    # Of each row: negatives ranked below it and positives above, those level with it by half.
    below = (np.cumsum(down) - down / 2)[group] - (1 - p) / 2
    above = (up.sum() - np.cumsum(up) + up / 2)[group] - p / 2
    positive = float(p.sum())
    own = p * (1 - p)
    pairs = positive * (n - positive) - float(own.sum())
    if pairs <= 0:
        return math.nan, np.full(n, math.nan)
    area = float(p @ below) / pairs
    # The derivative of p * (1 - p), which is in neither sum, has cancelled in both.
    with_one = (n - positive - (1 - p)) - (positive - p)
    return area, (below - above - area * with_one) / pairs


def _matrix(costs: Sequence[Sequence[float]] | None, k: int) -> np.ndarray:
    import numpy as np

    if costs is None:
        raise ValueError("business_value needs costs: what a row of each truth and prediction is")
    worth = np.asarray(costs, dtype=float)
    if worth.shape != (k, k):
        raise ValueError(f"costs have shape {worth.shape}; {k} classes need {(k, k)}")
    return worth
