"""How much better one model is than another on the same rows, and how sure that is.

Metrics of one model belong in ``metrics``; what follows from a difference in ``gate``. A
difference is negative where the challenger is better, whichever way the metric points.

Which method, and what it takes as independent
----------------------------------------------
With ``blocks`` (days), blocks are independent and rows within one need not be: the variance is
that of the jackknife, which leaves out one block at a time, and Student's t with one degree of
freedom less than there are blocks gives the bounds. Of the cluster-robust variances it is the one
that holds its level where blocks are few and of unequal size (MacKinnon, Nielsen and Webb, Stata
Journal 23, 2023). What leaving out a block changes is the sum of its rows' contributions, as
Obuchowski (Biometrics 53, 1997) does for the area under the ROC curve. Not percentiles of
resampled blocks: of few blocks they promote by chance more often than declared
(``docs/gate.md`` has the figures).

By row: percentiles of a paired bootstrap; DeLong's interval for ``roc_auc``; for
``accuracy``, where superiority is asked for, the exact test of McNemar (Psychometrika 12,
1947) in the form of Clopper and Pearson's interval of the share of the rows on which only one
model is right, of those on which only one is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlops_assets.core.models.metrics import Interval, standard_error, t_bounds
from mlops_assets.core.models.scored import Scored, combine, estimate, mean_columns, row_losses
from mlops_assets.vocabulary import HIGHER_IS_BETTER

if TYPE_CHECKING:
    import numpy as np

#: Resamples of the paired bootstrap: the standard error of a 95 % bound is then about
#: 0.07 standard errors of the difference.
RESAMPLES = 1000

#: Beyond so many rows the bootstrap is replaced by the normal interval, which by then
#: differs from it by less than the bootstrap's own noise. Rows are drawn as 16-bit numbers.
BOOTSTRAP_ROWS = 50_000


def paired_difference(
    problem: str,
    metric: str,
    challenger: Scored,
    champion: Scored,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    method: str = "bootstrap",
    blocks: np.ndarray | None = None,
    bound: float = 0.0,
) -> Interval:
    """Return challenger minus champion on the same rows; negative: the challenger is better.

    Parameters
    ----------
    confidence
        Of the two-sided interval: its upper end is a one-sided bound of confidence
        ``(1 + confidence) / 2``.
    method
        ``bootstrap``: percentiles of ``RESAMPLES`` resamples, of rows or of blocks, both models
        on the same ones. ``exact``: the same, but McNemar's test for ``accuracy`` by row and
        with ``bound`` 0. ``t``: Student's t on the paired contributions. DeLong's takes the
        place of either for ``roc_auc``, and Student's t beyond ``BOOTSTRAP_ROWS`` rows.
    blocks
        The block of each row as a number from 0, shape ``(n,)``; ``None``: rows are
        independent.
    bound
        The difference that the p-value is of: small where it is surely less than that.

    Raises
    ------
    ValueError
        If the two have different labels: they were not scored on the same rows.
    """
    import numpy as np

    _require_same_rows(challenger, champion)
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    ours, our_part = estimate(problem, metric, challenger)
    theirs, their_part = estimate(problem, metric, champion)
    difference, n = sign * (ours - theirs), len(challenger)
    if not math.isfinite(difference):
        return Interval(math.nan, math.nan, math.nan, n, math.nan, method)
    contributions = our_part - their_part
    groups = None if blocks is None else np.bincount(blocks)
    units = n if groups is None else int(np.count_nonzero(groups))
    if method == "exact" and metric == "accuracy" and blocks is None and bound == 0:
        return _mcnemar(problem, challenger, champion, confidence, standard_error(contributions))
    if method != "t" and metric != "roc_auc" and 1 < n <= BOOTSTRAP_ROWS:
        first = mean_columns(problem, metric, challenger)
        second = mean_columns(problem, metric, champion)
        drawn = _resampled_means(np.concatenate([first, second], axis=1), seed, blocks)
        k = first.shape[1]
        draws = sign * (combine(metric, drawn[:, :k]) - combine(metric, drawn[:, k:]))
        draws = draws[np.isfinite(draws)]  # R2 of a resample with one label value
        if draws.size:
            tail = (1 - confidence) / 2
            low, high = np.quantile(draws, [tail, 1 - tail])
            beyond = max(int(np.count_nonzero(draws >= bound)), 1)
            return Interval(
                difference, float(low), float(high), n, float(draws.std(ddof=1)), "bootstrap",
                None if groups is None else units, bound, beyond / draws.size,
            )  # fmt: skip
    if blocks is not None:
        contributions = block_contributions(contributions, blocks)
    error = standard_error(contributions)
    low, high = t_bounds(difference, error, units, confidence)
    return Interval(
        difference, low, high, n, error, "delong" if metric == "roc_auc" else "t",
        None if groups is None else units, bound, less_than(difference, error, bound, units),
    )  # fmt: skip


def block_contributions(contributions: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return contributions of blocks whose squares sum to the jackknife variance.

    ``contributions`` of the rows are those of ``scored.estimate``; ``blocks`` numbers the block
    of each. NaN of a single block.
    """
    import numpy as np

    sizes = np.bincount(blocks)
    sums = np.bincount(blocks, weights=contributions)[sizes > 0]
    sizes = sizes[sizes > 0]
    units, n = len(sizes), len(blocks)
    if units < 2:
        return np.full(units, math.nan)
    # Of a mean, leaving out a block moves the estimate by exactly its sum times n / (n - size).
    return sums * (n / (n - sizes)) * math.sqrt((units - 1) / units)


def less_than(value: float, error: float, bound: float, units: int | None) -> float:
    """Return the one-sided p-value of the hypothesis that the true value is ``bound`` or more.

    By Student's t of ``units - 1`` degrees of freedom; ``None``: by the normal law. NaN where
    value or error is.
    """
    from scipy.special import ndtr, stdtr

    if not (math.isfinite(value) and math.isfinite(error)) or (units is not None and units < 2):
        return math.nan
    if error == 0:
        return 0.0 if value < bound else 1.0
    z = (value - bound) / error
    return float(ndtr(z) if units is None else stdtr(units - 1, z))


def _mcnemar(
    problem: str, challenger: Scored, champion: Scored, confidence: float, error: float
) -> Interval:
    """The exact test of McNemar, turned into bounds of the difference of error rates.

    Of the rows on which only one model is right, the challenger is right on a share of a half
    if the two are equally accurate. The bounds of that share are Clopper's and Pearson's; the
    upper end of the result is below 0 just where the exact test rejects.
    """
    import numpy as np
    from scipy.special import bdtrc, betaincinv

    ours = row_losses(problem, "accuracy", challenger)
    theirs = row_losses(problem, "accuracy", champion)
    assert ours is not None
    assert theirs is not None
    n = len(ours)
    won, lost = int(np.sum(ours > theirs)), int(np.sum(ours < theirs))
    single = won + lost
    if single == 0:
        return Interval(0.0, 0.0, 0.0, n, error, "mcnemar", None, 0.0, 1.0)
    tail = (1 - confidence) / 2
    least = float(betaincinv(won, lost + 1, tail)) if won else 0.0
    most = float(betaincinv(won + 1, lost, 1 - tail)) if lost else 1.0
    p = float(bdtrc(won - 1, single, 0.5)) if won else 1.0
    return Interval(
        (lost - won) / n, single * (1 - 2 * most) / n, single * (1 - 2 * least) / n, n,
        error, "mcnemar", None, 0.0, p,
    )  # fmt: skip


def _resampled_means(columns: np.ndarray, seed: int, blocks: np.ndarray | None) -> np.ndarray:
    """Return the columns' means over ``RESAMPLES`` resamples, ``(RESAMPLES, k)``.

    The same seed and number of rows, or of blocks, give the same resamples.
    """
    import numpy as np

    n = len(columns)
    generator = np.random.default_rng(seed)
    if blocks is not None:
        sizes = np.bincount(blocks)
        sums = np.stack([np.bincount(blocks, weights=c) for c in columns.T], axis=1)
        sums, sizes = sums[sizes > 0], sizes[sizes > 0]
        count = len(sizes)
        times = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        return (times @ sums) / (times @ sizes)[:, None]
    out = np.empty((RESAMPLES, columns.shape[1]))
    # One resample at a time stays in the cache: 3 times faster than one large array.
    for i in range(RESAMPLES):
        drawn = generator.integers(0, n, size=n, dtype=np.uint16)
        out[i] = np.bincount(drawn, minlength=n) @ columns
    return out / n


def _require_same_rows(first: Scored, second: Scored) -> None:
    import numpy as np

    if len(first) != len(second) or not np.array_equal(
        np.asarray(first.label, dtype=object), np.asarray(second.label, dtype=object)
    ):
        raise ValueError(
            "The two models have different labels: score both on the same rows, in one order"
        )
