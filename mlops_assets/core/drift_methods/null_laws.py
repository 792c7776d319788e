"""What chance alone gives, at the sizes at hand: how an observed value stands to the draws.

Where nothing has changed, each way to share out the joint rows between reference and current is
as likely as the one observed (``draws``): no distribution is assumed, ties and rare cells are
what they are, and one set of draws serves every method on the same cells. Where many rows are
expected in every cell, four of the distances on counts are known to have the chi-square law, and
nothing is drawn for them.

p-values from draws are the share at or beyond what was observed. Beyond the ``TAIL`` largest
draws the tail is continued: the squares of these distances fall off exponentially there. How true
small p-values are is measured with 200,000 other draws (``make bench-drift-false-alarms``,
``docs/drift.md``).

Rows are taken as independent. Weather shared by many rows of a day moves further by chance
than is drawn here; the practical threshold stands against that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods import draws
from mlops_assets.core.drift_methods.distances import ON_COUNTS, Shares

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.drift_methods.cells import Counts

#: Draws above which the tail is continued: enough for its slope, few enough to be a tail.
TAIL = 80
#: Methods whose value already is the square of a distance.
_SQUARES = frozenset({"psi", "chi_square"})
#: Distances that are quadratic where little has changed: what their squares (or they, if they
#: are squares) are multiplied by to be Pearson's statistic times ``1/n + 1/m``; and by which part
#: of ``1/rows``, averaged over the cells, they then are larger, by their fourth derivatives.
_QUADRATIC = {
    "psi": (1.0, 0.0),
    "jensen_shannon": (8 * math.log(2), 3 / 8),
    "hellinger": (8.0, 7 / 16),
    "chi_square": (1.0, 0.0),
}
#: Expected rows of the smaller side in every cell from which on their law is taken from the
#: books. Of two cells it is not: a count is a whole number, which shows.
BY_LAW = 50.0


@dataclass(frozen=True)
class Chance:
    """How one observed value stands to what chance gives.

    ``null_quantile`` is exceeded with probability alpha where nothing has changed.
    """

    p: float
    null_quantile: float


def on_counts(counts: Counts, methods: Sequence[str], alpha: float) -> dict[str, Chance]:
    """Return the chances of methods on counts (``distances.ON_COUNTS``)."""
    joint = counts.reference + counts.current
    n, m = float(counts.reference.sum()), float(counts.current.sum())
    observed = Shares.of(counts.reference, counts.current)
    expected = joint * (min(n, m) / (n + m))
    by_law = len(joint) > 2 and float(expected.min()) >= BY_LAW
    drawn: Shares | None = None
    found = {}
    for name in methods:
        value = float(ON_COUNTS[name](observed))
        if by_law and name in _QUADRATIC:
            found[name] = _by_law(name, value, expected, n, m, alpha)
            continue
        if drawn is None:
            current = draws.in_cells(joint, m)
            drawn = Shares.of(joint - current, current)
        found[name] = chance(value, ON_COUNTS[name](drawn), alpha, squared=name in _SQUARES)
    return found


def _by_law(
    name: str, value: float, expected: np.ndarray, n: float, m: float, alpha: float
) -> Chance:
    """Return the chance by the chi-square law with a degree of freedom for each cell but one."""
    from scipy.special import chdtrc, chdtri

    factor, larger = _QUADRATIC[name]
    unit = (1 / n + 1 / m) * (1 + larger * float((1 / expected).mean()))
    if name == "chi_square":
        unit = 1.0
    degrees, power = len(expected) - 1, 1 if name in _SQUARES else 2
    quantile = float(chdtri(degrees, alpha)) * unit / factor
    p = float(chdtrc(degrees, factor * value**power / unit))
    return Chance(max(p, 1e-300), quantile ** (1 / power))


def on_ranks(counts: Counts, alpha: float) -> dict[str, Chance]:
    """Return the chances of ``kolmogorov_smirnov`` and ``wasserstein`` on ordered cells.

    Observed and drawn are the distances of the *cells*, so that the comparison is exact
    whatever they leave out of the rows.
    """
    import numpy as np

    assert counts.gaps is not None
    n, m = counts.reference.sum(), counts.current.sum()
    apart = np.abs(np.cumsum(counts.current / m - counts.reference / n))[:-1]
    drawn = draws.apart_at_ends(counts.reference + counts.current, float(m))
    # Distances of cells far apart would overflow when added.
    unit = float(counts.gaps.max(initial=0.0)) or 1.0
    gaps = counts.gaps / unit
    # Not ``@``, whose threads wait for each other where cores are busy.
    distances = np.einsum("c,cd->d", gaps.astype(drawn.dtype), drawn)
    of_cells = chance(float(apart @ gaps), distances, alpha)
    return {
        "kolmogorov_smirnov": chance(
            float(apart.max(initial=0.0)), drawn.max(axis=0, initial=0.0), alpha
        ),
        "wasserstein": Chance(of_cells.p, of_cells.null_quantile * unit),
    }


def chance(observed: float, null: np.ndarray, alpha: float, *, squared: bool = False) -> Chance:
    """Compare what was observed with draws, shape (draws,).

    Parameters
    ----------
    squared
        Whether the values are squares of distances already.
    """
    import numpy as np

    size = len(null)
    null = np.sort(null).astype(float, copy=False)
    # The same sum in another order, or of single precision, is no larger value.
    beyond = size - int(null.searchsorted(observed * (1 - 1e-6)))
    quantile = float(null[math.ceil((1 - alpha) * (size - 1))])
    empirical = (1 + beyond) / (1 + size)
    if beyond >= TAIL or size <= TAIL:
        return Chance(empirical, quantile)
    start = float(null[-TAIL])
    power = 1 if squared else 2
    top = null[-TAIL:]
    further = top[top > start] ** power - start**power
    if len(further) == 0:  # so few outcomes are possible that the draws have seen them all
        return Chance(empirical, quantile)
    at_start = (1 + size - int(null.searchsorted(start))) / (1 + size)
    distance = max(observed**power - start**power, 0.0) / float(further.mean())
    # The draws are the same for every report: an error of theirs to the low side would be one of
    # every report. One standard error, of the start and of the slope, is added.
    error = math.hypot(1, distance) / math.sqrt(TAIL)
    # Not below what was drawn, which is more than the tail says where outcomes are few.
    p = max(at_start * math.exp(-distance) * (1 + error), beyond / (1 + size), 1e-300)
    return Chance(min(p, at_start), quantile)
