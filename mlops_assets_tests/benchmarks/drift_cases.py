"""Pairs of columns, reference and current, on which drift methods are compared with the peers'.

Imports nothing of ours and nothing but NumPy and pandas: the peers' environments make the same
columns. ``RandomState`` is frozen: its numbers are the same in every version of NumPy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Pair = tuple[pd.Series, pd.Series]
LETTERS = np.array([f"c{i:02d}" for i in range(50)], dtype=object)


def _numbers(reference: object, current: object) -> Pair:
    return pd.Series(np.asarray(reference)), pd.Series(np.asarray(current))


def _drawn(seed: int, of: Callable[[np.random.RandomState], tuple[object, object]]) -> Pair:
    return _numbers(*of(np.random.RandomState(seed)))


def _with(values: np.ndarray, every: int, what: float) -> np.ndarray:
    """Return the values with each ``every``-th replaced."""
    changed = np.array(values, float)
    changed[::every] = what
    return changed


def numeric() -> dict[str, Pair]:
    """Return the numeric pairs by name."""
    return {
        "normal_small": _drawn(1, lambda r: (r.normal(size=200), r.normal(0.2, 1, 150))),
        "normal_shifted": _drawn(2, lambda r: (r.normal(5, 2, 1000), r.normal(6, 3, 800))),
        "lognormal": _drawn(3, lambda r: (r.lognormal(size=1500), r.lognormal(0.3, 1, 700))),
        "exponential": _drawn(4, lambda r: (r.exponential(3, 400), r.exponential(4, 1200))),
        "wide_integers": _drawn(5, lambda r: (r.randint(0, 5000, 900), r.randint(300, 6000, 500))),
        "narrow_integers": _drawn(6, lambda r: (r.poisson(15, 900), r.poisson(17, 600))),
        "few_integers": _drawn(7, lambda r: (r.randint(0, 6, 500), r.randint(0, 8, 300))),
        "rounded": _drawn(8, lambda r: (r.normal(size=800).round(1), r.normal(size=500).round(1))),
        "zero_inflated": _drawn(
            9,
            lambda r: (
                r.exponential(2, 1000) * (r.uniform(size=1000) < 0.3),
                r.exponential(2, 700) * (r.uniform(size=700) < 0.5),
            ),
        ),
        "with_missing": _drawn(
            10,
            lambda r: (_with(r.normal(size=600), 7, np.nan), _with(r.normal(size=400), 3, np.nan)),
        ),
        "with_infinite": _drawn(
            11,
            lambda r: (_with(r.normal(size=600), 9, np.inf), _with(r.normal(size=400), 5, -np.inf)),
        ),
        "near_constant": _drawn(
            12, lambda r: (1 + 1e-5 * r.normal(size=300), 1 + 1e-5 * r.normal(size=300))
        ),
        "constant": _numbers(np.full(100, 3.5), np.full(80, 3.5)),
        "constant_moved": _numbers(np.full(100, 3.5), np.full(80, 4.0)),
        "identical": _drawn(13, lambda r: (lambda x: (x, x.copy()))(r.normal(size=500))),
        "disjoint": _drawn(14, lambda r: (r.uniform(0, 1, 300), r.uniform(2, 3, 300))),
        "heavy_tails": _drawn(15, lambda r: (r.standard_cauchy(700), r.standard_cauchy(900))),
        "tiny": _drawn(16, lambda r: (r.normal(size=7), r.normal(size=5))),
        "unequal": _drawn(17, lambda r: (r.uniform(size=5000), r.uniform(0.1, 1.1, 100))),
        # From 10,000 rows of reference on, NannyML estimates what it computed before.
        "large": _drawn(18, lambda r: (r.normal(size=12_000), r.normal(0.1, 1.2, 9_000))),
        "large_inside": _drawn(19, lambda r: (r.normal(size=15_000), r.uniform(-1, 1, 4_000))),
        "large_above": _drawn(20, lambda r: (r.uniform(size=10_000), r.uniform(0.5, 2, 3_000))),
        "large_integers": _drawn(
            21, lambda r: (r.randint(-50, 50, 20_000), r.randint(-60, 40, 10_000))
        ),
    }


def _letters(seed: int, reference: list[float], current: list[float], n: int, m: int) -> Pair:
    random = np.random.RandomState(seed)
    return (
        pd.Series(LETTERS[random.choice(len(reference), n, p=reference)], dtype=object),
        pd.Series(LETTERS[random.choice(len(current), m, p=current)], dtype=object),
    )


def _missing(pair: Pair, every: int) -> Pair:
    reference, current = pair
    reference[::every] = None
    current[1::every] = None
    return reference, current


def categorical() -> dict[str, Pair]:
    """Return the categorical and boolean pairs by name."""
    even = [0.2] * 5
    many = list(np.arange(1, 51) / np.arange(1, 51).sum())
    random = np.random.RandomState(40)
    same = _letters(33, even, even, 500, 500)[0]
    return {
        "balanced": _letters(30, even, even, 1000, 700),
        "moved": _letters(31, even, [0.1, 0.3, 0.25, 0.2, 0.15], 800, 900),
        "new_category": _letters(32, [0.3, 0.3, 0.4, 0.0], [0.3, 0.3, 0.3, 0.1], 600, 400),
        "lost_category": _letters(34, [0.3, 0.3, 0.3, 0.1], [0.3, 0.3, 0.4, 0.0], 600, 400),
        "new_and_lost": _letters(35, [0.5, 0.4, 0.1, 0, 0], [0.5, 0.3, 0, 0.1, 0.1], 1500, 300),
        "same_categories": (same, same.copy()),
        "two_categories": _letters(36, [0.7, 0.3], [0.6, 0.4], 400, 500),
        "many_categories": _letters(37, many, many[::-1], 2000, 1500),
        "categories_missing": _missing(_letters(38, even, even, 700, 500), 6),
        "one_category": _letters(39, [1.0], [1.0], 120, 90),
        "booleans": (
            pd.Series(random.uniform(size=900) < 0.3),
            pd.Series(random.uniform(size=600) < 0.4),
        ),
    }
