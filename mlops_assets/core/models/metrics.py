"""Metrics of a model on labelled rows, with intervals.

What a row contributes to a metric is in ``scored``, how two models differ in ``differences``;
which rows are judged belongs in ``evaluation`` and ``performance``, what follows from the
numbers in ``gate``. Where a metric is not defined it is NaN, and so is its interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mlops_assets.core.models.scored import Scored, estimate, row_losses
from mlops_assets.vocabulary import METRICS, Problem

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Interval",
    "Scored",
    "compute",
    "interval",
    "row_losses",
    "standard_error",
    "t_bounds",
    "value",
]

_RANGES = {
    "accuracy": (0.0, 1.0),
    "roc_auc": (0.0, 1.0),
    "brier": (0.0, 1.0),
    "log_loss": (0.0, math.inf),
    "mae": (0.0, math.inf),
    "rmse": (0.0, math.inf),
    "r2": (-math.inf, 1.0),
}


@dataclass(frozen=True)
class Interval:
    """An estimate and its two-sided interval; NaN where it is not defined.

    Attributes
    ----------
    method
        How the interval was made: ``t`` (contributions and Student's t), ``wilson``,
        ``delong``, ``bootstrap`` or ``mcnemar``.
    blocks
        Of a difference: blocks of rows, days, that were taken as independent; ``None``: the
        rows were.
    tested, p
        Of a difference: the one-sided p-value of the hypothesis that it is ``tested`` or more.
    """

    value: float
    low: float
    high: float
    n: int
    standard_error: float = math.nan
    method: str = "t"
    blocks: int | None = None
    tested: float | None = None
    p: float | None = None


def compute(problem: str, scored: Scored) -> dict[str, float]:
    """Return every metric of ``METRICS[problem]``; one that is not defined is NaN."""
    return {metric: value(problem, metric, scored) for metric in METRICS[cast(Problem, problem)]}


def value(problem: str, metric: str, scored: Scored) -> float:
    """Return one metric; NaN where it is not defined.

    Not defined are: any metric of no rows or of rows with a missing label, score or
    prediction; ``roc_auc`` where only one class occurs; ``r2`` where the label is constant.
    """
    return estimate(problem, metric, scored)[0]


def interval(
    problem: str, metric: str, scored: Scored, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Return a metric with its two-sided interval.

    Wilson's score interval for ``accuracy``, DeLong's for ``roc_auc``, Student's t on the
    contributions otherwise: thousands of slices and days are measured, and on 100 rows or
    more a bootstrap gives the same to two digits at a thousand times the cost. ``seed`` is
    unused for that reason and kept for metrics to come.
    """
    found, contributions = estimate(problem, metric, scored)
    n = len(scored)
    if metric == "accuracy" and n > 0 and math.isfinite(found):
        low, high = _wilson(found, n, confidence)
        return Interval(found, low, high, n, math.sqrt(found * (1 - found) / n), "wilson")
    error = standard_error(contributions)
    method = "delong" if metric == "roc_auc" else "t"
    low, high = t_bounds(found, error, n, confidence)
    floor, ceiling = _RANGES[metric]
    return Interval(
        found, _clip(low, floor, ceiling), _clip(high, floor, ceiling), n, error, method
    )


def standard_error(contributions: np.ndarray) -> float:
    """Return the standard error of which these are the contributions; NaN of none."""
    import numpy as np

    return float(np.sqrt(np.sum(contributions**2))) if len(contributions) else math.nan


def t_bounds(estimate: float, error: float, n: int, confidence: float) -> tuple[float, float]:
    """Return Student's two-sided bounds with ``n - 1`` degrees of freedom; NaN where undefined."""
    from scipy.special import stdtrit

    if n < 2 or not (math.isfinite(estimate) and math.isfinite(error)):
        return math.nan, math.nan
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * error
    return estimate - reach, estimate + reach


def _wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval (Journal of the American Statistical Association 22, 1927)."""
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _clip(bound: float, low: float, high: float) -> float:
    return bound if math.isnan(bound) else min(max(bound, low), high)
