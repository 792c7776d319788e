"""Which methods there are, for which kinds, and from which value on they matter in practice.

Bounds are of the effect size, the same at any number of rows. What chance gives at the rows at
hand is in ``null_laws``; an alarm needs both. As a guide to their scales: if the mean of a
normal column moves by d standard deviations, ``wasserstein_normalised`` is d, ``psi`` is d²,
``kolmogorov_smirnov`` and ``total_variation`` are 0.4 d, ``jensen_shannon`` is 0.42 d and
``hellinger`` is 0.35 d (small d).
"""

from __future__ import annotations

from mlops_assets.core.drift_methods import peers
from mlops_assets.core.drift_methods.distances import ON_COUNTS
from mlops_assets.core.drift_methods.statuses import Kind

ON_RANKS = ("kolmogorov_smirnov", "wasserstein", "wasserstein_normalised")
OWN = (*ON_COUNTS, *ON_RANKS)
KNOWN = frozenset({*OWN, *peers.ON_NUMBERS, *peers.ON_CATEGORIES})
#: The customary bounds. ``wasserstein`` has none: it is in the units of the column.
THRESHOLDS = {
    "psi": 0.1,
    "jensen_shannon": 0.1,
    "hellinger": 0.1,
    "l_infinity": 0.1,
    "total_variation": 0.1,
    "kolmogorov_smirnov": 0.1,
    "wasserstein_normalised": 0.1,
}
#: The chi-square statistic grows with the rows: its bound is this, over ``1/n + 1/m``. Close to
#: no change the statistic times ``1/n + 1/m`` is the population stability index.
CHI_SQUARE_EFFECT = 0.1
#: Which method decides, by kind. The Wasserstein distance sees a moved mean nearly as well as
#: a t-test (and other changes, which that does not); it has no bins to choose.
DECIDES = {
    Kind.NUMERIC: "wasserstein_normalised",
    Kind.CATEGORICAL: "jensen_shannon",
    Kind.BOOLEAN: "jensen_shannon",
}


def threshold(method: str, n: int, m: int) -> float | None:
    """Return the practical threshold of a method at these sizes, ``None`` if it has none."""
    if method == "chi_square":
        return CHI_SQUARE_EFFECT / (1 / n + 1 / m)
    return THRESHOLDS.get(method)


def applies(method: str, kind: Kind) -> bool:
    """Whether a method is for columns of this kind."""
    if method in ON_COUNTS:
        return True
    if method in ON_RANKS:
        return kind is Kind.NUMERIC
    return method in (peers.ON_NUMBERS if kind is Kind.NUMERIC else peers.ON_CATEGORIES)
