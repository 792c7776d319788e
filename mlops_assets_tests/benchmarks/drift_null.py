"""Reports in which nothing has changed, or one thing by a known amount: data of any size.

Imports nothing of ours and nothing but NumPy and pandas: the peers' environments make the same
frames.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Draw = Callable[[np.random.Generator, int], np.ndarray]


def _zero_inflated(r: np.random.Generator, n: int) -> np.ndarray:
    return r.exponential(1, n) * (r.random(n) < 0.4)


def _two_humps(r: np.random.Generator, n: int) -> np.ndarray:
    return r.normal(size=n) + 4 * (r.random(n) < 0.3)


#: Name to how it is drawn, and its standard deviation.
NUMERIC: dict[str, tuple[Draw, float]] = {
    **{f"normal_{i}": (lambda r, n: r.normal(size=n), 1.0) for i in range(3)},
    **{f"lognormal_{i}": (lambda r, n: r.lognormal(size=n), 2.161) for i in range(2)},
    **{f"exponential_{i}": (lambda r, n: r.exponential(size=n), 1.0) for i in range(2)},
    **{f"uniform_{i}": (lambda r, n: r.random(n), 0.2887) for i in range(2)},
    "heavy_tails": (lambda r, n: r.standard_t(3, n), 1.732),
    "two_humps": (_two_humps, 2.088),
    "counts_few": (lambda r, n: r.poisson(1.5, n), 1.225),
    "counts_many": (lambda r, n: r.poisson(40, n), 6.325),
    "zero_inflated": (_zero_inflated, 0.8),
    "rounded": (lambda r, n: r.normal(size=n).round(1), 1.0),
}
#: Name to the shares of its categories.
CATEGORICAL: dict[str, np.ndarray] = {
    "five_even": np.full(5, 0.2),
    "thirty_skewed": np.arange(1, 31) / 465,
    "two_hundred_rare": (1 / np.arange(1, 201)) / (1 / np.arange(1, 201)).sum(),
}
BOOLEAN = {"flag": 0.3, "rare_flag": 0.02}
COLUMNS = (*NUMERIC, *CATEGORICAL, *BOOLEAN)
#: Columns on which a moved mean is what the shift is called: continuous ones.
CONTINUOUS = tuple(name for name in NUMERIC if name not in ("counts_few", "zero_inflated"))


def frame(r: np.random.Generator, n: int, shift: dict[str, float] | None = None) -> pd.DataFrame:
    """Draw ``n`` rows of all columns; ``shift`` moves numeric ones by standard deviations."""
    drawn: dict[str, object] = {}
    for name, (draw, sd) in NUMERIC.items():
        values = draw(r, n)
        by = (shift or {}).get(name, 0.0)
        drawn[name] = values + by * sd if by else values
    for name, shares in CATEGORICAL.items():
        names = np.array([f"c{i:03d}" for i in range(len(shares))], dtype=object)
        drawn[name] = pd.Series(names[r.choice(len(shares), n, p=shares)], dtype=object)
    for name, share in BOOLEAN.items():
        drawn[name] = r.random(n) < share
    return pd.DataFrame(drawn)


def pair(
    seed: int, n: int, m: int, shift: dict[str, float] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a reference of ``n`` and current rows of ``m``, of which only these may differ."""
    r = np.random.default_rng([seed, n, m])
    return frame(r, n), frame(r, m, shift)
