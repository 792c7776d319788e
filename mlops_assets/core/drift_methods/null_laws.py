"""What chance alone gives, at the sizes at hand: draws under "nothing has changed".

Where nothing has changed, each way to share out the joint rows between reference and current
is as likely as the one observed. So the counts of the current rows, given the joint counts of
the cells, are multivariate hypergeometric: no distribution is assumed, ties and rare cells are
what they are, and one set of draws serves every method on the same cells. Cells in which
``exact_below`` or more are expected are drawn from the normal law with the same means and
covariances.

p-values are the share of draws at or beyond what was observed. Beyond the ``TAIL`` largest
draws the tail is continued: the squares of these distances fall off exponentially there. At a
true probability of 0.0025, which is what a report of 20 columns asks of the first, p is between
0.7 and 1.6 times that by the luck of the draws, and up to 2.2 times where a distance takes few
values (measured with 200,000 others: ``make bench-drift-false-alarms``).

Rows are taken as independent. Weather shared by many rows of a day moves further by chance
than is drawn here; the practical threshold stands against that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods.distances import ON_COUNTS

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.drift_methods.cells import Counts

DRAWS = 4_000
#: Draws above which the tail is continued: enough for its slope, few enough to be a tail.
TAIL = 80
#: Expected rows of the smaller side in a cell that is drawn exactly. Sums over many cells are
#: normal sooner than the squares of single ones.
EXACT_BELOW_ON_SUMS, EXACT_BELOW = 10.0, 50.0
#: Joint rows up to which the rows themselves are shuffled, once for all columns of that size.
SHUFFLED = 2_000
#: The same rows give the same report.
SEED = 20130101
#: Largest joint count that NumPy draws hypergeometric numbers of.
_LARGEST = 10**9
#: Methods whose value already is the square of a distance.
_SQUARES = frozenset({"psi", "chi_square"})


@dataclass(frozen=True)
class Chance:
    """How one observed value stands to what chance gives.

    ``null_quantile`` is exceeded with probability alpha where nothing has changed.
    """

    p: float
    null_quantile: float


def on_counts(counts: Counts, methods: list[str], alpha: float) -> dict[str, Chance]:
    """Return the chances of methods on counts (``distances.ON_COUNTS``)."""
    drawn = _draws(counts, EXACT_BELOW)
    found = {}
    for name in methods:
        measure = ON_COUNTS[name]
        observed = float(measure(counts.reference, counts.current))
        found[name] = chance(observed, measure(*drawn), alpha, squared=name in _SQUARES)
    return found


def on_ranks(counts: Counts, alpha: float) -> dict[str, Chance]:
    """Return the chances of ``kolmogorov_smirnov`` and ``wasserstein`` on ordered cells.

    Observed and drawn are the distances of the *cells*, so that the comparison is exact
    whatever they leave out of the rows.
    """
    import numpy as np

    assert counts.gaps is not None
    n, m = counts.reference.sum(), counts.current.sum()
    apart = np.abs(np.cumsum(counts.current / m - counts.reference / n))[:-1]
    drawn = _steps(counts)
    # Distances of cells far apart would overflow when added.
    unit = float(counts.gaps.max()) if len(counts.gaps) else 1.0
    gaps = counts.gaps / unit
    by_name = {
        "kolmogorov_smirnov": (float(apart.max(initial=0.0)), drawn.max(axis=1, initial=0.0), 1.0),
        "wasserstein": (float(apart @ gaps), drawn @ gaps, unit),
    }
    found = {}
    for name, (observed, null, scale) in by_name.items():
        of_cells = chance(observed, null, alpha)
        found[name] = Chance(of_cells.p, of_cells.null_quantile * scale)
    return found


def chance(observed: float, null: np.ndarray, alpha: float, *, squared: bool = False) -> Chance:
    """Compare what was observed with draws, shape (draws,).

    Parameters
    ----------
    squared
        Whether the values are squares of distances already.
    """
    import numpy as np

    size = len(null)
    # The same sum in another order is no larger value.
    beyond = int(np.count_nonzero(null >= observed * (1 - 1e-9)))
    quantile = float(np.quantile(null, 1 - alpha, method="higher"))
    if beyond >= TAIL or size <= TAIL:
        return Chance((1 + beyond) / (1 + size), quantile)
    empirical = (1 + beyond) / (1 + size)
    top = np.partition(null, size - TAIL)[size - TAIL :]
    start = float(top.min())
    power = 1 if squared else 2
    further = top[top > start] ** power - start**power
    if len(further) == 0:  # so few outcomes are possible that the draws have seen them all
        return Chance(empirical, quantile)
    at_start = (1 + int(np.count_nonzero(null >= start))) / (1 + size)
    distance = max(observed**power - start**power, 0.0) / float(further.mean())
    # The draws are the same for every report: an error of theirs to the low side would be one of
    # every report. One standard error, of the start and of the slope, is added.
    error = math.hypot(1, distance) / math.sqrt(TAIL)
    # Not below what was drawn, which is more than the tail says where outcomes are few.
    p = max(at_start * math.exp(-distance) * (1 + error), beyond / (1 + size), 1e-300)
    return Chance(min(p, at_start), quantile)


def _draws(counts: Counts, exact_below: float) -> tuple[np.ndarray, np.ndarray]:
    """Return drawn counts of reference and current, each of shape (DRAWS, cells)."""
    joint = counts.reference + counts.current
    current = _drawn(joint, float(counts.current.sum()), exact_below)
    return joint - current, current


def _steps(counts: Counts) -> np.ndarray:
    """Return drawn ``|F - G|`` at the end of each cell but the last, (DRAWS, cells - 1)."""
    joint = counts.reference + counts.current
    return _drawn_steps(joint.tobytes(), float(counts.current.sum()))


@lru_cache(maxsize=16)
def _drawn_steps(joint: bytes, m: float) -> np.ndarray:
    """Draw the steps, and remember them: columns of one size without ties share them."""
    import numpy as np

    cells = np.frombuffer(joint)
    n = cells.sum() - m
    steps = np.cumsum(_drawn(cells, m, EXACT_BELOW_ON_SUMS), axis=1)
    # q - p, where p is what the reference has of the joint counts.
    steps *= 1 / m + 1 / n
    steps -= np.cumsum(cells) / n
    return np.abs(steps[:, :-1])


def _drawn(cells: np.ndarray, m: float, exact_below: float) -> np.ndarray:
    """Draw how many of the ``m`` current rows fall in each cell, (DRAWS, cells)."""
    import numpy as np

    if cells.sum() <= SHUFFLED:
        ends = np.append(0, np.cumsum(cells)).astype(np.int64)
        return np.diff(_shuffles(int(ends[-1]), int(m))[ends], axis=0).T.astype(float)
    random = np.random.default_rng(SEED)
    total = float(cells.sum())
    smaller = min(m, total - m)
    drawn = np.zeros((DRAWS, len(cells)))
    left, rows = np.full(DRAWS, float(m)), total
    order = np.argsort(cells, kind="stable")
    expected = cells[order] * smaller / total
    exact, normal = order[expected < exact_below], order[expected >= exact_below]
    if len(normal) == 1:
        exact, normal = order, normal[:0]
    # From the smallest on: what is left for the last cell is no draw.
    for cell in exact if len(normal) else exact[:-1]:
        drawn[:, cell] = _hypergeometric(random, cells[cell], rows - cells[cell], left)
        left -= drawn[:, cell]
        rows -= cells[cell]
    if len(normal) == 0:
        drawn[:, exact[-1]] = left
        return drawn
    share = cells[normal] / rows
    root = np.sqrt(share)
    noise = _noise(len(normal)) * root
    noise -= noise.sum(axis=1, keepdims=True) * share
    spread = np.sqrt(left * (rows - left) / max(rows - 1, 1))
    values = left[:, None] * share + spread[:, None] * noise
    drawn[:, normal] = np.clip(values, 0, cells[normal])
    return drawn


@lru_cache(maxsize=2)
def _shuffles(size: int, m: int) -> np.ndarray:
    """Share out rows at random, and count those of the current side among the first k.

    Shape (size + 1, DRAWS). Remembered: whatever the cells of a column, they are read off it.
    """
    import numpy as np

    random = np.random.default_rng(SEED)
    counted = np.zeros((size + 1, DRAWS), np.int16)
    left = np.full(DRAWS, m, np.int16)
    for row in range(size):
        left -= random.random(DRAWS, np.float32) * np.float32(size - row) < left
        np.subtract(m, left, out=counted[row + 1])
    return counted


@lru_cache(maxsize=8)
def _noise(cells: int) -> np.ndarray:
    import numpy as np

    return np.random.default_rng(SEED + 1).standard_normal((DRAWS, cells))


def _hypergeometric(
    random: np.random.Generator, good: float, bad: float, sample: np.ndarray
) -> np.ndarray:
    import numpy as np

    if good + bad < _LARGEST:
        return random.hypergeometric(int(good), int(bad), sample.astype(np.int64))
    # So many rows that taking some changes nothing for the next.
    return np.minimum(random.binomial(int(good), sample / (good + bad)), sample)
