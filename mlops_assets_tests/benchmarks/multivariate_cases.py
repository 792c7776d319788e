"""Rows as a whole: unchanged, with day effects, and with changes that no column shows alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from mlops_assets_tests.benchmarks import drift_null

Pair = tuple[pd.DataFrame, pd.DataFrame]
#: Numbers of a generated frame; beside them there are three categories and two booleans.
NUMBERS = 11
COLUMNS = NUMBERS + 5


def frame(
    r: np.random.Generator,
    n: int,
    *,
    pairs: dict[int, float] | None = None,
    moved: dict[int, float] | None = None,
    swapped: bool = False,
) -> pd.DataFrame:
    """Draw 16 columns: skewed, heavy-tailed and rounded numbers, categories, missing values.

    Parameters
    ----------
    pairs
        Number 2i and number 2i + 1 go together with this correlation (of their normal scores).
    moved
        Number to by how many standard deviations (of its normal score) it has moved.
    swapped
        Whether what number 10 is like where the flag is up and where it is down has changed
        places. Half of the flags are up, and neither column alone has changed.
    """
    z = r.normal(size=(n, NUMBERS))
    for pair, together in (pairs or {}).items():
        a, b = 2 * pair, 2 * pair + 1
        z[:, b] = together * z[:, a] + np.sqrt(1 - together**2) * z[:, b]
    flag = r.random(n) < 0.5
    z[:, 10] += np.where(flag != swapped, 0.7, -0.7)
    for number, by in (moved or {}).items():
        z[:, number] += by
    drawn: dict[str, object] = {f"x{at}": z[:, at] for at in range(NUMBERS)}
    drawn["x1"] = np.exp(z[:, 1])
    drawn["x4"] = np.sinh(z[:, 4])
    drawn["x6"] = z[:, 6].round(1)
    x7 = z[:, 7].copy()
    x7[r.random(n) < 0.1] = np.nan
    drawn["x7"] = x7
    for name, count in (("three", 3), ("fifteen", 15), ("hundred", 100)):
        shares = 1 / np.arange(1, count + 1)
        names = np.array([f"{name}-{at:03d}" for at in range(count)], dtype=object)
        values = names[r.choice(count, n, p=shares / shares.sum())]
        drawn[name] = pd.Series(np.where(r.random(n) < 0.02, None, values), dtype=object)
    drawn["flag"] = flag
    drawn["rare"] = r.random(n) < 0.03
    return pd.DataFrame(drawn)


#: Whose pairs go together everywhere: unchanged, and the reference of the changes below.
TOGETHER = {0: 0.7, 1: 0.5, 2: -0.6}


def unchanged(seed: int, n: int, m: int) -> Pair:
    """Nothing has changed."""
    r = np.random.default_rng([seed, n, m, 1])
    return frame(r, n, pairs=TOGETHER), frame(r, m, pairs=TOGETHER)


def many_kinds(seed: int, n: int, m: int) -> Pair:
    """Nothing has changed, 20 columns of the kinds of ``drift_null``."""
    return drift_null.pair(seed, n, m)


def harmless(seed: int, n: int, m: int) -> Pair:
    """Every number has moved by 0.02 standard deviations."""
    r = np.random.default_rng([seed, n, m, 2])
    by = dict.fromkeys(range(NUMBERS), 0.02)
    return frame(r, n, pairs=TOGETHER), frame(r, m, pairs=TOGETHER, moved=by)


def _with(**after: object) -> Callable[[int, int, int], Pair]:
    def draw(seed: int, n: int, m: int) -> Pair:
        r = np.random.default_rng([seed, n, m, 3])
        changed = {"pairs": TOGETHER, **after}
        return frame(r, n, pairs=TOGETHER), frame(r, m, **changed)  # type: ignore[arg-type]

    return draw


#: Changes that leave every column as it was, and one that moves a few a little.
CHANGES: dict[str, Callable[[int, int, int], Pair]] = {
    "one pair: correlation 0.7 to 0": _with(pairs={**TOGETHER, 0: 0.0}),
    "one pair: correlation 0 to 0.7": _with(pairs={**TOGETHER, 3: 0.7}),
    "one pair: correlation 0.7 to -0.7": _with(pairs={**TOGETHER, 0: -0.7}),
    "three pairs: correlations to 0": _with(pairs={}),
    "a number and a flag swapped": _with(swapped=True),
    "six numbers moved by 0.15 sd": _with(moved=dict.fromkeys((2, 3, 5, 8, 9, 10), 0.15)),
}


def days(seed: int, before: int, after: int, rows: int, effect: float) -> Pair:
    """Nothing has changed, but each day's numbers share an effect; the column ``day`` tells it.

    ``effect`` is its standard deviation. ``rows`` is for a current day; the reference is a sample
    of all of its days.
    """
    r = np.random.default_rng([seed, before, after, rows, 4])
    frames = []
    for day in range(before + after):
        by = dict(enumerate(r.normal(size=NUMBERS) * effect))
        count = rows if day >= before else max(5_000 // before, 1)
        frames.append(frame(r, count, pairs=TOGETHER, moved=by).assign(day=day))
    return pd.concat(frames[:before]), pd.concat(frames[before:])
