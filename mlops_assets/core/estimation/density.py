"""How much more often rows like those of the reference occur in the window: density ratios.

A *domain classifier* tells window from reference; its odds are the ratio of the two densities
(Bickel, Brückner and Scheffer, Journal of Machine Learning Research 10, 2009). Here it is an
additive logistic regression on bins of columns, fitted by Newton's method: unlike trees it cannot
tell days apart by the weather that only one of them had, and it takes milliseconds.

Which columns: those that say most about the label beyond the score. A column that has
shifted but does not bear on the label cannot bias an estimate, only add variance to it
(Brookhart and others, American Journal of Epidemiology 163, 2006, on propensity scores). What
the weights are used for belongs in ``pape``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd

#: Values of a category that have a bin of their own, the most frequent; the rest share one.
VALUES = 12
#: Numbers further from the mean, in standard deviations, count as this far.
FURTHEST = 4.0
#: Steps of Newton's method; it takes four or five.
STEPS = 15
#: A row counts at most so many times, and at least a fraction of it: where the two hardly overlap
#: the odds are guesses.
MOST_RATIO = 20.0


@dataclass(frozen=True)
class Design:
    """How closely the classifier may look.

    Attributes
    ----------
    columns
        Most columns that it is made from.
    bins
        Of a number, of about equal size on the reference.
    lines
        Whether a number counts as it is, beside its bin.
    penalty
        Of the ridge: on the log odds of a bin and of a standard deviation.
    """

    columns: int
    bins: int
    lines: bool
    penalty: float


#: Where rows are independent there is much to learn from, and what is left out biases.
INDEPENDENT = Design(columns=20, bins=4, lines=True, penalty=10.0)
#: Where rows share blocks there are few witnesses: each column costs variance, and a line
#: extrapolates from a few days.
SHARED = Design(columns=8, bins=8, lines=False, penalty=100.0)


@dataclass(frozen=True)
class Column:
    """A column of the reference: how its values are binned, and the bin of each row.

    Missing values have a bin of their own, the last; what the reference has not seen falls into
    the outer bins of a number, or among the rest of a category.

    Attributes
    ----------
    edges
        Of a number's bins, ascending; ``None`` of a category.
    frequent
        Of a category: the values that have a bin, the most frequent first.
    mean, spread
        Of a number; a spread of 0 is that of a category, too.
    bins
        The number of the bin of each of the reference's rows, ``(n,)``.
    line
        See ``encode``, of the reference's rows.
    """

    name: str
    edges: np.ndarray | None
    frequent: tuple[object, ...] = ()
    mean: float = 0.0
    spread: float = 0.0
    bins: np.ndarray = field(default=None, repr=False)  # type: ignore[assignment]
    line: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def number(cls, name: str, values: np.ndarray, count: int) -> Column:
        """Learn a number, of which ``count`` bins hold about as many rows each."""
        import numpy as np

        known = values[np.isfinite(values)]
        edges, mean, spread = known, 0.0, 0.0
        if len(known):
            edges = np.unique(np.quantile(known, np.arange(1, count) / count))
            mean, spread = float(known.mean()), float(known.std())
        return cls(name, edges, mean=mean, spread=spread)._of(values)

    @classmethod
    def category(cls, name: str, values: pd.Series) -> Column:
        """Learn a category."""
        values = values.astype(object)
        counts = values.dropna().value_counts()
        # Ties in order of their text, so that the order of rows does not matter.
        frequent = sorted(counts.index, key=lambda value: (-counts[value], str(value)))[:VALUES]
        return cls(name, None, tuple(frequent))._of(values)

    def _of(self, values: np.ndarray | pd.Series) -> Column:
        bins, line = self.encode(values)
        return replace(self, bins=bins, line=line)

    @property
    def size(self) -> int:
        """How many bins there are."""
        return (len(self.frequent) if self.edges is None else len(self.edges)) + 2

    def encode(self, values: np.ndarray | pd.Series) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the bin of each value, and, of a number, the value on a line.

        That is in standard deviations from the reference's mean, missing as 0; ``None`` where
        there is no spread.
        """
        import numpy as np
        import pandas as pd

        if self.edges is None:
            found = pd.Index(self.frequent, dtype=object).get_indexer(
                pd.Index(values, dtype=object)
            )
            rest = len(self.frequent)
            missing = np.asarray(pd.isna(values))
            return np.where(missing, rest + 1, np.where(found < 0, rest, found)), None
        numbers = np.asarray(pd.to_numeric(values, errors="coerce"), dtype=float)
        missing = np.isnan(numbers)
        bins = np.searchsorted(self.edges, numbers, side="right")
        bins = np.where(missing, len(self.edges) + 1, bins)
        if self.spread == 0:
            return bins, None
        line = np.clip((numbers - self.mean) / self.spread, -FURTHEST, FURTHEST)
        return bins, np.where(missing, 0.0, line)


@dataclass(frozen=True)
class Ratio:
    """Weights of the reference's rows, with mean 1, and what they rest on.

    Attributes
    ----------
    weights
        Shape ``(n,)``.
    effective_rows
        Kish's effective sample size, ``sum(w)^2 / sum(w^2)``.
    columns
        The names of the columns that the ratio was made from; scores have none.
    foreign
        Share of the window's rows that are more than ``MOST_RATIO`` times as frequent there.
    exponent
        The power that the ratios were raised to so that enough effective rows are left
        (Shimodaira, Journal of Statistical Planning and Inference 90, 2000); 1: as they are.
    """

    weights: np.ndarray
    effective_rows: float
    columns: tuple[str, ...]
    foreign: float
    exponent: float


def columns(features: pd.DataFrame | np.ndarray | None, design: Design) -> list[Column]:
    """Learn the reference's features."""
    import pandas as pd

    return [
        Column.number(str(name), values.to_numpy(float), design.bins)
        if pd.api.types.is_numeric_dtype(values)
        else Column.category(str(name), values)
        for name, values in frame(features).items()
    ]


def of_scores(scores: np.ndarray, design: Design) -> list[Column]:
    """Learn the reference's scores, shape ``(n, k)``."""
    return [Column.number("", score, design.bins) for score in scores.T]


def relevant(
    found: list[Column], residuals: np.ndarray, blocks: np.ndarray | None, most: int
) -> list[Column]:
    """Return the columns that say most about the label beyond the score, best first.

    Parameters
    ----------
    residuals
        Label minus calibrated probability of each reference row, shape ``(n, k)``.
    blocks
        The block of each reference row as a number from 0; then columns that say no more than by
        chance are left out. ``None``: rows are independent.
    most
        Columns to return at most.

    Notes
    -----
    A column's statistic is the sum over its bins of the squared sum of residuals over its variance
    (that of the sums of blocks), less the number of bins, which is what to expect by chance.
    """
    import numpy as np

    ranked = []
    for column in found:
        bins, size = column.bins, column.size
        total = -float(size * residuals.shape[1])
        for residual in residuals.T:
            sums = np.bincount(bins, weights=residual, minlength=size)
            if blocks is None:
                spread = np.bincount(bins, weights=residual**2, minlength=size)
            else:
                cells = np.bincount(
                    blocks * size + bins, weights=residual, minlength=size * (blocks.max() + 1)
                )
                spread = (cells.reshape(-1, size) ** 2).sum(axis=0)
            total += float(np.sum(sums**2 / np.where(spread > 0, spread, np.inf)))
        ranked.append((-total, column.name, column))
    ranked.sort(key=lambda one: one[:2])
    return [column for less, _, column in ranked[:most] if blocks is None or less < 0]


def ratio(
    chosen: Sequence[Column], window: Sequence[np.ndarray | pd.Series], design: Design, least: float
) -> Ratio:
    """Return how many times each reference row counts to make the reference like the window.

    Parameters
    ----------
    chosen, window
        Columns to make alike, scores among them: of the reference, at least one, and the
        window's values of each, shape ``(m,)``.
    least
        Effective rows that must be left.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    past = len(chosen[0].bins)
    parts = [np.ones((past + len(window[0]), 1))]
    for column, values in zip(chosen, window, strict=True):
        bins, line = column.encode(values)
        parts.append(np.eye(column.size)[np.concatenate([column.bins, bins])])
        if line is not None and column.line is not None and design.lines:
            parts.append(np.concatenate([column.line, line])[:, None])
    # Measured on two busy cores: 0.1 s with one thread, and up to 2.9 s with two, which wait for
    # each other at every product.
    with threadpool_limits(1, user_api="blas"):
        odds = _log_odds(np.concatenate(parts, axis=1), past, design.penalty)
    most = float(np.log(MOST_RATIO))
    log_ratio = odds - _log_mean(odds[:past])
    foreign = float(np.mean(log_ratio[past:] > most))
    log_ratio = np.clip(log_ratio[:past], -most, most)
    exponent = _exponent(log_ratio, least)
    weights = np.exp(exponent * log_ratio)
    weights /= weights.mean()
    names = tuple(column.name for column in chosen if column.name)
    return Ratio(weights, _effective(weights), names, foreign, exponent)


def _log_odds(x: np.ndarray, past: int, penalty: float) -> np.ndarray:
    """Log odds that each row is one of the window, not of the first ``past``, by ridge regression.

    The first column of ``x`` is the intercept, which is not penalised.
    """
    import numpy as np

    n, width = x.shape
    target = np.r_[np.zeros(past), np.ones(n - past)]
    ridge = np.r_[0.0, np.full(width - 1, penalty)]
    slope = np.zeros(width)
    slope[0] = np.log((n - past) / past)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-x @ slope))
        gradient = x.T @ (target - chance) - ridge * slope
        curve = (x * (chance * (1 - chance))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(curve, gradient)
        slope = slope + step
        # The step squares the error: what is left is about 1e-4.
        if float(np.abs(step).max()) < 1e-2:
            break
    return x @ slope


def _log_mean(values: np.ndarray) -> float:
    """The logarithm of the mean of exponentials."""
    import numpy as np

    most = float(values.max())
    return most + float(np.log(np.mean(np.exp(values - most))))


def _exponent(log_ratio: np.ndarray, least: float) -> float:
    import numpy as np

    if _effective(np.exp(log_ratio)) >= least or least >= len(log_ratio):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        enough = _effective(np.exp(middle * log_ratio)) >= least
        low, high = (middle, high) if enough else (low, middle)
    return low


def _effective(weights: np.ndarray) -> float:
    import numpy as np

    return float(weights.sum() ** 2 / np.sum(weights**2))


def frame(features: pd.DataFrame | np.ndarray | None) -> pd.DataFrame:
    """Return the features as a frame."""
    import pandas as pd

    return features if isinstance(features, pd.DataFrame) else pd.DataFrame(features)
