"""NannyML's CBPE exactly as NannyML 0.13.1 computes it, where its choices are questionable too.

For comparison only; nothing decides by it. Where it differs from ``cbpe``:

* *Area under the ROC curve, average precision*: equal scores are not grouped but taken in
  whatever order an unstable sort leaves them, cumulated probabilities are rounded to five
  decimals, and each row is counted as half a pair with itself.
* *Business value* is a sum over rows, which grows with the window.
* *Ratios* without a denominator are 0, not undefined.
* *Limits*: three standard deviations of the realised metric of reference chunks, about its mean,
  whatever the size of the window.
* Missing labels or scores raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.estimation import cbpe
from mlops_assets.core.estimation.samples import coded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from mlops_assets.core.models.scored import Scored

METRICS = (
    "roc_auc",
    "average_precision",
    "f1",
    "precision",
    "recall",
    "specificity",
    "accuracy",
    "business_value",
)


def nannyml_cbpe(
    problem: str,
    reference: Scored,
    window: Scored,
    *,
    metrics: Sequence[str] = METRICS,
    costs: Sequence[Sequence[float]] | None = None,
) -> dict[str, float]:
    """Return NannyML's estimates for a window, labels of the reference and all scores given."""
    import numpy as np

    past, now = coded(problem, reference), coded(problem, window)
    p = cbpe.calibrate(past).probabilities(now.scores)
    found = {}
    for metric in metrics:
        if metric == "business_value":
            if costs is not None:
                found[metric] = _value(now.predicted, p, np.asarray(costs, dtype=float))
        elif metric == "accuracy" and p.shape[1] > 1:
            # The class predicted has its probability; of none of them, 0.
            chosen = p[np.arange(len(p)), np.maximum(now.predicted, 0)]
            found[metric] = float(np.mean(np.where(now.predicted >= 0, chosen, 0.0)))
        else:
            classes = range(p.shape[1])
            hit = [now.predicted == (c if p.shape[1] > 1 else 1) for c in classes]
            parts = [_binary(metric, now.scores[:, c], hit[c], p[:, c]) for c in classes]
            found[metric] = float(np.mean(parts))
    return found


def nannyml_limits(realised: Sequence[float]) -> tuple[float, float]:
    """Return the limits outside of which NannyML alarms, from reference chunks' realised values."""
    import numpy as np

    middle, reach = float(np.nanmean(realised)), 3 * float(np.nanstd(realised))
    return middle - reach, middle + reach


def _binary(metric: str, score: np.ndarray, said: np.ndarray, p: np.ndarray) -> float:
    import numpy as np

    if metric in ("roc_auc", "average_precision"):
        return _ranked(metric, p[np.argsort(score)[::-1]])
    tp, fp = float(p[said].sum()), float((1 - p[said]).sum())
    fn, tn = float(p[~said].sum()), float((1 - p[~said]).sum())
    above, below = {
        "f1": (tp, tp + 0.5 * (fp + fn)),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "accuracy": (tp + tn, float(len(p))),
    }[metric]
    return above / below if below != 0 else 0.0


def _ranked(metric: str, p: np.ndarray) -> float:
    import numpy as np

    positive = np.cumsum(p)
    negative = np.round(1 + np.arange(len(p)) - positive, 5)
    positive = np.round(positive, 5)
    if metric == "roc_auc":
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.r_[0, positive] / positive[-1]
            return float(np.trapezoid(high, np.r_[0, negative] / negative[-1]))
    precision = positive / np.arange(1, len(p) + 1)
    return float(np.sum(np.diff(np.r_[0, positive] / positive[-1]) * precision))


def _value(predicted: np.ndarray, p: np.ndarray, worth: np.ndarray) -> float:
    import numpy as np

    if p.shape[1] == 1:
        p = np.concatenate([1 - p, p], axis=1)
    classes = range(p.shape[1])
    expected = np.stack([p[predicted == c].sum(axis=0) for c in classes], axis=1)
    return float((worth * expected).sum())
