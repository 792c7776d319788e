"""Rows with truth and prediction, and what each row contributes to a metric.

Metrics and their intervals are in ``metrics``; here is what they are made of. Nothing here
hides a missing value: where a metric is not defined it is NaN.

Every metric is (a smooth function of) means over rows, or the area under the ROC curve.
Each row's *contribution* ``h`` is such that the squares of all contributions sum to the
estimate's variance: the centred row value for means, its linearisation (delta method) for
RMSE and R2, the structural components of DeLong, DeLong and Clarke-Pearson (Biometrics 44,
1988), computed from mid-ranks as by Sun and Xu (IEEE Signal Processing Letters 21, 2014),
for the ROC area. The contributions of two models on the same rows subtract, which gives
the variance of a paired difference, covariance included. Rows are taken as independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from mlops_assets.vocabulary import METRICS, Problem

if TYPE_CHECKING:
    import numpy as np

#: Probabilities are kept this far from 0 and 1 in the log loss, so that one row that was
#: thought impossible costs 34.5 and not infinity.
LOG_LOSS_EPSILON = 1e-15


@dataclass(frozen=True)
class Scored:
    """Labelled rows and what a model said about them.

    Attributes
    ----------
    label
        Truth, shape ``(n,)``. A row whose label is missing makes every metric NaN: leave
        such rows out. A label that is none of ``classes`` counts as given probability 0.
    prediction
        Predicted class, or number, shape ``(n,)``.
    score
        Binary: probability of the positive class, ``classes[1]``, shape ``(n,)``.
    scores
        Multiclass: probability of each class, shape ``(n, len(classes))``.
    classes
        The classes in the order of ``scores``. May be left out for binary labels that are
        booleans or 0 and 1.
    """

    label: np.ndarray
    prediction: np.ndarray
    score: np.ndarray | None = None
    scores: np.ndarray | None = None
    classes: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray) -> Scored:
        """The rows of a boolean mask or an index array."""
        return replace(
            self,
            label=self.label[rows],
            prediction=self.prediction[rows],
            score=None if self.score is None else self.score[rows],
            scores=None if self.scores is None else self.scores[rows],
        )


def row_losses(problem: str, metric: str, scored: Scored) -> np.ndarray | None:
    """Return the row values whose mean is the metric, shape ``(n,)``.

    For ``accuracy`` they are 1 where the prediction is right. ``None`` for the metrics that
    are no mean of rows: ``roc_auc``, ``rmse``, ``r2``.
    """
    import numpy as np

    if metric in ("roc_auc", "rmse", "r2"):
        return None
    if problem == "regression":
        return np.abs(_residuals(scored))
    label, missing = _label_codes(problem, scored)
    truth, score_missing = _probability_of_truth(problem, scored, label)
    missing = missing | score_missing
    if metric == "log_loss":
        losses = -np.log(np.clip(truth, LOG_LOSS_EPSILON, 1 - LOG_LOSS_EPSILON))
    elif metric == "brier":
        losses = (1.0 - truth) ** 2
    elif metric == "accuracy":
        predicted, no_prediction = _codes(scored.prediction, _classes(problem, scored))
        losses = ((predicted == label) & (label >= 0)).astype(float)
        missing = missing | no_prediction
    else:
        raise ValueError(
            f"{metric!r} is no metric of a {problem} problem; use {METRICS[cast(Problem, problem)]}"
        )
    return np.where(missing, np.nan, losses)


def estimate(problem: str, metric: str, scored: Scored) -> tuple[float, np.ndarray]:
    """Return the metric and each row's contribution to its variance."""
    import numpy as np

    n = len(scored)
    undefined = math.nan, np.full(n, math.nan)
    if n == 0:
        return undefined
    if metric == "roc_auc":
        return _roc_auc(scored)
    columns = mean_columns(problem, metric, scored)
    average = columns.mean(axis=0)
    found = float(combine(metric, average[None, :])[0])
    if not math.isfinite(found):
        return undefined
    centred = columns - average
    if metric == "rmse":
        linear = centred[:, 0] / (2 * found) if found > 0 else np.zeros(n)
    elif metric == "r2":
        # 1 - a / v with a the mean square residual and v = E[y^2] - E[y]^2.
        a, mean_y, mean_y2 = average
        v = mean_y2 - mean_y**2
        spread = centred[:, 2] - 2 * mean_y * centred[:, 1]
        linear = -centred[:, 0] / v + a * spread / v**2
    else:
        linear = centred[:, 0]
    return found, linear / math.sqrt(n * (n - 1)) if n > 1 else np.full(n, math.nan)


def mean_columns(problem: str, metric: str, scored: Scored) -> np.ndarray:
    """Return the row values, shape ``(n, k)``, of whose means the metric is a function."""
    import numpy as np

    if metric == "rmse":
        return (_residuals(scored) ** 2)[:, None]
    if metric == "r2":
        # About the mean label, which R2 does not depend on, to keep the digits of E[y^2].
        y = np.asarray(scored.label, dtype=float)
        y = y - y.mean() if np.ptp(y) > 0 else np.zeros(len(y))
        return np.stack([_residuals(scored) ** 2, y, y**2], axis=1)
    losses = row_losses(problem, metric, scored)
    assert losses is not None
    return losses[:, None]


def combine(metric: str, means: np.ndarray) -> np.ndarray:
    """Return the metric from means of shape ``(m, k)``: shape ``(m,)``."""
    import numpy as np

    if metric == "rmse":
        return np.sqrt(means[:, 0])
    if metric == "r2":
        spread = means[:, 2] - means[:, 1] ** 2
        return 1 - means[:, 0] / np.where(spread > 0, spread, np.nan)
    return means[:, 0]


def _roc_auc(scored: Scored) -> tuple[float, np.ndarray]:
    import numpy as np
    from scipy.stats import rankdata

    n = len(scored)
    undefined = math.nan, np.full(n, math.nan)
    label, missing = _label_codes("binary", scored)
    score = _require_scores(scored.score, "score")
    positive, negative = label == 1, label == 0
    m, k = int(positive.sum()), int(negative.sum())
    if missing.any() or m + k < n or m == 0 or k == 0 or not np.isfinite(score).all():
        return undefined
    ranks = rankdata(score)
    above = (ranks[positive] - rankdata(score[positive])) / k
    below = 1 - (ranks[negative] - rankdata(score[negative])) / m
    area = float(above.mean())
    contributions = np.full(n, math.nan)
    if m > 1 and k > 1:
        contributions[positive] = (above - area) / math.sqrt(m * (m - 1))
        contributions[negative] = (below - area) / math.sqrt(k * (k - 1))
    return area, contributions


def _classes(problem: str, scored: Scored) -> Sequence[Any]:
    if scored.classes is not None:
        return scored.classes
    if problem == "multiclass":
        raise ValueError("Scored rows of a multiclass problem need classes, in the scores' order")
    return (0, 1)  # equal to False and True


def _label_codes(problem: str, scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    codes, missing = _codes(scored.label, _classes(problem, scored))
    if scored.classes is None and ((codes < 0) & ~missing).any():
        raise ValueError("Binary labels other than booleans or 0 and 1 need Scored.classes")
    return codes, missing


def _codes(labels: np.ndarray, classes: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return each label's position in ``classes`` (-1: none of them) and which are missing."""
    import numpy as np
    import pandas as pd

    values = np.asarray(labels)
    missing = np.asarray(pd.isna(values))
    if values.dtype == bool and list(classes) == [False, True]:
        return values.astype(np.int64), missing
    known = pd.Index(np.array(list(classes), dtype=object))
    return known.get_indexer(pd.Index(values.astype(object))), missing


def _probability_of_truth(
    problem: str, scored: Scored, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability given to each row's class, and where it is not a number."""
    import numpy as np

    if problem == "binary":
        score = _require_scores(scored.score, "score")
        truth = np.where(label == 1, score, 1.0 - score)
    else:
        scores = _require_scores(scored.scores, "scores")
        truth = scores[np.arange(len(label)), np.maximum(label, 0)]
    # After the comparison with -1, so that a missing score stays missing.
    return np.where(label < 0, 0.0, truth), ~np.isfinite(truth)


def _require_scores(scores: np.ndarray | None, name: str) -> np.ndarray:
    import numpy as np

    if scores is None:
        raise ValueError(f"Scored rows have no {name}; give the model's probabilities")
    return np.asarray(scores, dtype=float)


def _residuals(scored: Scored) -> np.ndarray:
    import numpy as np

    residuals = np.asarray(scored.prediction, dtype=float) - np.asarray(scored.label, dtype=float)
    return np.where(np.isfinite(residuals), residuals, np.nan)
