"""The definitions of Evidently 0.7.23 and NannyML 0.13.1, named after them, with their quirks.

For moving over from one of them, and for showing that a number here is the number there. Each
takes the rows of both sides, cleaned. Where a definition has no value the value is NaN. Equal
to theirs to 1e-9 on golden values (``make bench-drift-parity`` asks them again). Left out is
Evidently's TVD, a p-value that depends on the order of a set of strings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods import ecdf
from mlops_assets.core.drift_methods.columns import Categories, Numbers

if TYPE_CHECKING:
    import numpy as np

#: Evidently bins numbers with more distinct reference values than that, and counts each value
#: of the others.
FEW_VALUES = 20
#: NannyML's bins from ``LARGE`` rows of reference on, where it estimates.
NANNYML_BINS = LARGE = 10_000


def _jensen_shannon(p: np.ndarray, q: np.ndarray, base: float) -> float:
    """As SciPy's: shares are taken anew, the distance is the root of the divergence."""
    import numpy as np
    from scipy.special import rel_entr

    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    divergence = rel_entr(p, middle).sum() + rel_entr(q, middle).sum()
    return float(np.sqrt(divergence / math.log(base) / 2))


def _histogram(side: Numbers, edges: np.ndarray) -> np.ndarray:
    """As NumPy's: bins [lo, hi), the last one closed."""
    import numpy as np

    upto = side.below(edges)
    upto[-1] = side.upto(edges[-1:])[0]
    return np.diff(upto)


def _binned(
    reference: Numbers | Categories, current: Numbers | Categories, *, fill: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of bins of equal width on both sides together, or of each distinct value."""
    import numpy as np

    if (
        isinstance(reference, Numbers)
        and isinstance(current, Numbers)
        and reference.few_distinct(FEW_VALUES) is None
    ):
        joint = np.concatenate([reference.values, current.values])
        if reference.integer and current.integer:
            joint = joint.astype(np.int64)  # whose bins are at least 1 wide
        edges = np.histogram_bin_edges(joint, bins="sturges")
        counted = _histogram(reference, edges), _histogram(current, edges)
    else:
        counted = _by_value(reference, current)
    shares = counted[0] / reference.n, counted[1] / current.n
    return (_filled(shares[0]), _filled(shares[1])) if fill else shares


def _by_value(
    reference: Numbers | Categories, current: Numbers | Categories
) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    if isinstance(reference, Numbers) and isinstance(current, Numbers):
        values = np.union1d(reference.knots(), current.knots())
        return (
            reference.upto(values) - reference.below(values),
            current.upto(values) - current.below(values),
        )
    assert isinstance(reference, Categories)
    assert isinstance(current, Categories)
    names = sorted(set(reference.counts) | set(current.counts))
    return (
        np.array([reference.counts.get(name, 0) for name in names]),
        np.array([current.counts.get(name, 0) for name in names]),
    )


def _filled(shares: np.ndarray) -> np.ndarray:
    """Put something small in empty bins; the sum is no longer 1."""
    import numpy as np

    least = shares[shares != 0].min()
    return np.where(shares == 0, least / 10**6 if least <= 0.0001 else 0.0001, shares)


def evidently_psi(reference: Numbers | Categories, current: Numbers | Categories) -> float:
    """Population stability index on Sturges bins of both sides, empty bins filled."""
    import numpy as np

    p, q = _binned(reference, current, fill=True)
    return float(np.sum((p - q) * np.log(p / q)))


def evidently_kl_div(reference: Numbers | Categories, current: Numbers | Categories) -> float:
    """Kullback-Leibler divergence of the current from the reference shares, in nats."""
    from scipy.special import rel_entr

    p, q = _binned(reference, current, fill=True)
    return float(rel_entr(p / p.sum(), q / q.sum()).sum())


def evidently_jensenshannon(
    reference: Numbers | Categories, current: Numbers | Categories
) -> float:
    """Jensen-Shannon distance to base e: at most 0.8326."""
    return _jensen_shannon(*_binned(reference, current, fill=False), base=math.e)


def evidently_hellinger(reference: Numbers | Categories, current: Numbers | Categories) -> float:
    """Hellinger distance; of numbers on Sturges bins of the *distinct* values of both sides."""
    import numpy as np

    if isinstance(reference, Numbers) and isinstance(current, Numbers):
        values = np.union1d(reference.knots(), current.knots())
        if reference.integer and current.integer:
            values = values.astype(np.int64)
        edges = np.histogram_bin_edges(values, bins="sturges")
        widths = np.diff(edges)
        densities = [_histogram(s, edges) / widths / s.n for s in (reference, current)]
        width = (edges[-1] - edges[0]) / len(widths)
        overlap = float(np.sum(np.sqrt(densities[0] * densities[1]) * width))
    else:
        p, q = _binned(reference, current, fill=False)
        overlap = float(np.sum(np.sqrt(p * q)))
    return math.sqrt(1 - min(max(overlap, 0.0), 1.0))


def evidently_wasserstein(reference: Numbers, current: Numbers) -> float:
    """Wasserstein distance in standard deviations of the reference, of at least 0.001."""
    return ecdf.wasserstein(reference, current) / max(reference.std, 0.001)


def evidently_ks(reference: Numbers, current: Numbers) -> float:
    """p-value of the Kolmogorov-Smirnov test."""
    from scipy import stats

    return float(stats.ks_2samp(reference.values, current.values).pvalue)  # pyright: ignore


def evidently_chisquare(reference: Categories, current: Categories) -> float:
    """p-value of goodness of fit: a category that is new makes it 0."""
    import numpy as np
    from scipy import special

    a, b = _by_value(reference, current)
    expected = a * (current.n / reference.n)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = float(np.sum((b - expected) ** 2 / expected))
    return float(special.chdtrc(len(a) - 1, statistic)) if len(a) > 1 else math.nan


def evidently_z(reference: Categories, current: Categories) -> float:
    """p-value of equal proportions of the first category, in order of name."""
    from scipy import special

    names = sorted(set(reference.counts) | set(current.counts))
    if len(names) == 1:
        return 1.0
    n, m = reference.n, current.n
    p, q = (1 - side.counts.get(names[0], 0) / side.n for side in (reference, current))
    pooled = (p * n + q * m) / (n + m)
    z = (p - q) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return float(2 * (1 - special.ndtr(abs(z))))


def _on_reference_bins(
    reference: Numbers | Categories, current: Numbers | Categories
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the reference's bins, and of what is in none of them.

    Summed in NannyML's order: where all is inside, its rounding decides whether there is a bin
    of the rest.
    """
    import numpy as np

    if isinstance(reference, Numbers) and isinstance(current, Numbers):
        edges = np.histogram_bin_edges(reference.values, bins="doane")
        p, q = _histogram(reference, edges) / reference.n, _histogram(current, edges) / current.n
    else:
        assert isinstance(reference, Categories)
        assert isinstance(current, Categories)
        names = sorted(reference.counts)
        p = np.array([reference.counts[name] for name in names]) / reference.n
        q = np.array([current.counts.get(name, 0) for name in names]) / current.n
    rest = 1 - np.sum(q)
    return (np.append(p, 0), np.append(q, rest)) if rest > 0 else (p, q)


def nannyml_jensen_shannon(reference: Numbers | Categories, current: Numbers | Categories) -> float:
    """Jensen-Shannon distance to base 2, on Doane's bins of the reference."""
    return _jensen_shannon(*_on_reference_bins(reference, current), base=2)


def nannyml_hellinger(reference: Numbers | Categories, current: Numbers | Categories) -> float:
    """Hellinger distance on Doane's bins of the reference."""
    import numpy as np

    p, q = _on_reference_bins(reference, current)
    return float(np.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2)) / np.sqrt(2))


def nannyml_kolmogorov_smirnov(reference: Numbers, current: Numbers) -> float:
    """Kolmogorov-Smirnov statistic; from 10,000 reference rows on, on 10,000 equal bins."""
    import numpy as np

    if reference.n < LARGE:
        return ecdf.kolmogorov_smirnov(reference, current)
    edges = np.linspace(reference.least, reference.greatest, NANNYML_BINS + 1)
    f = np.cumsum(_histogram(reference, edges) / reference.n)
    g = current.below(edges[:1])[0] / current.n + np.cumsum(_histogram(current, edges) / current.n)
    return float(np.max(np.abs(f - g)))


def nannyml_wasserstein(reference: Numbers, current: Numbers) -> float:
    """Wasserstein distance; from 10,000 reference rows on, on 10,000 equal bins and two tails."""
    import numpy as np

    if reference.n < LARGE:
        return ecdf.wasserstein(reference, current)
    edges = np.histogram_bin_edges(reference.values, bins=NANNYML_BINS)
    low, high = edges[0], edges[-1]
    values, m = current.values, current.n
    smaller, bigger = values[: current.below(edges[:1])[0]], values[current.upto(edges[-1:])[0] :]
    below, tails = 0.0, 0.0
    if len(smaller):
        # The reference's end counts as one more value of the tail.
        below = (len(smaller) + 1) / m
        ranks = np.arange(1, len(smaller) + 1) / (len(smaller) + 1)
        tails += below * float(np.sum(ranks * np.diff(np.append(smaller, low))))
    if len(bigger):
        ranks = np.arange(1, len(bigger) + 1) / (len(bigger) + 1)
        above = (len(bigger) + 1) / m
        tails += above * float(np.sum((1 - ranks) * np.diff(np.append(high, bigger))))
    f = np.cumsum(_histogram(reference, edges) / reference.n)
    g = np.cumsum(_histogram(current, edges) / m) + below
    return float(np.sum(np.abs(f - g) * (edges[1] - low))) + tails


def nannyml_chi2(reference: Categories, current: Categories) -> float:
    """Statistic of homogeneity, with Yates's correction for two categories."""
    import numpy as np

    a, b = _by_value(reference, current)
    n, m = reference.n, current.n
    expected = np.outer([n, m], (a + b) / (n + m))
    difference = np.abs(np.stack([a, b]) - expected)
    if len(a) == 2:
        difference -= np.minimum(0.5, difference)
    return float(np.sum(difference**2 / expected))


def nannyml_l_infinity(reference: Categories, current: Categories) -> float:
    """Largest difference of a category's share."""
    import numpy as np

    a, b = _by_value(reference, current)
    return float(np.max(np.abs(a / reference.n - b / current.n)))


Definition = Callable[..., float]
_ON_BOTH: dict[str, Definition] = {
    "evidently.psi": evidently_psi,
    "evidently.kl_div": evidently_kl_div,
    "evidently.jensenshannon": evidently_jensenshannon,
    "evidently.hellinger": evidently_hellinger,
    "nannyml.jensen_shannon": nannyml_jensen_shannon,
    "nannyml.hellinger": nannyml_hellinger,
}
ON_NUMBERS: dict[str, Definition] = {
    **_ON_BOTH,
    "evidently.wasserstein": evidently_wasserstein,
    "evidently.ks": evidently_ks,
    "nannyml.kolmogorov_smirnov": nannyml_kolmogorov_smirnov,
    "nannyml.wasserstein": nannyml_wasserstein,
}
ON_CATEGORIES: dict[str, Definition] = {
    **_ON_BOTH,
    "evidently.chisquare": evidently_chisquare,
    "evidently.z": evidently_z,
    "nannyml.chi2": nannyml_chi2,
    "nannyml.l_infinity": nannyml_l_infinity,
}
