"""Columns cut into bins and categories: each row a small number, each slice a set of numbers.

Numbers are cut at quantiles rounded to what can be said aloud; a slice is a run of neighbouring
bins, so that a bad range is found wherever it begins. Fine bins are for slices by one column,
coarse ones, which are unions of fine ones, for pairs. Missing is a value of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mlops_assets.core.attention.conditions import Condition

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Bins of equally many rows, by one column and in pairs. ``FINE`` is a multiple of ``COARSE``.
FINE, COARSE = 48, 16
_EACH = FINE // COARSE
#: Bins of a slice: in a pair, these keep 90 % of what a slice of 5 to 10 % of the rows shows,
#: wherever its ranges begin; all lengths would keep no more. Columns with fewer bins, such
#: as counts, are cut at their values, and any of them may be bad alone.
_FINE_RUNS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
_COARSE_RUNS, _FEW_BINS = (3, 4, 5, 7), 12
#: Rows, evenly spread, at whose quantiles numbers are cut.
SAMPLED = 50_000
#: Categories that are slices, the most frequent; the rest can be in no slice by this column.
MAX_CATEGORIES = 50


@dataclass(frozen=True, eq=False)
class Cut:
    """One way to cut a column.

    Attributes
    ----------
    codes
        Of each row, from 0, shape ``(n,)``.
    size
        How many codes there are.
    members
        Which codes are in which slice, 0 or 1, shape ``(slices, size)``.
    condition
        What the slice of a number is.
    """

    codes: np.ndarray
    size: int
    members: np.ndarray
    condition: Callable[[int], Condition]

    def __len__(self) -> int:
        return len(self.members)


@dataclass(frozen=True, eq=False)
class Coded:
    """A column, cut finely and coarsely."""

    name: str
    fine: Cut
    coarse: Cut


def code(values: pd.Series, name: str, least: int) -> Coded | str:
    """Cut a column; return why it cannot be, in words.

    Parameters
    ----------
    least
        Rows that a slice must have: rarer categories are none.
    """
    import pandas as pd

    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(kind):
        return _categories(values, name, least)
    if pd.api.types.is_datetime64_any_dtype(kind):
        return _ranges(numbers(values), name, "time")
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        return _ranges(numbers(values), name, "number")
    if pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind):
        return _categories(values, name, least)
    return f"{name}: columns of type {kind} are not cut"


def numbers(values: pd.Series) -> np.ndarray:
    """Return a column as floats, NaN where it has no value; times in seconds since 1970 (UTC)."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        stamps = values.dt.tz_localize(None) if _naive(values) else values.dt.tz_convert(None)
        found = stamps.to_numpy("datetime64[us]")
        seconds = found.astype(np.int64) / 1e6
        seconds[np.isnat(found)] = np.nan
        return seconds
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _naive(values: pd.Series) -> bool:
    return getattr(values.dt, "tz", None) is None


def _categories(values: pd.Series, name: str, least: int) -> Coded | str:
    import numpy as np
    import pandas as pd

    try:
        numbered, levels = pd.factorize(values)
    except TypeError:
        return f"{name}: holds values that are no categories, such as lists"
    counts = np.bincount(numbered + 1, minlength=len(levels) + 1)
    named = [(int(c), i) for i, c in enumerate(counts[1:]) if c >= least]
    named.sort(key=lambda found: (-found[0], str(levels[found[1]])))
    kept = [i for _, i in named[:MAX_CATEGORIES]]
    # Missing, the rare ones together, then the kept ones.
    table = np.full(len(levels) + 1, 1, np.int16)
    table[0] = 0
    table[np.array(kept, dtype=np.int64) + 1] = np.arange(2, len(kept) + 2)
    size = len(kept) + 2
    conditions = [Condition(name, "category", value=_plain(levels[i])) for i in kept]
    members = np.eye(size)[2:]
    if counts[0]:
        members = np.vstack([members, np.eye(size)[:1]])
        conditions.append(Condition(name, "missing"))
    cut = Cut(table[numbered + 1], size, members, conditions.__getitem__)
    return Coded(name, cut, cut)


def _ranges(values: np.ndarray, name: str, kind: str) -> Coded | str:
    import numpy as np

    absent = np.isnan(values)
    any_absent = bool(absent.any())
    there = values[~absent] if any_absent else values
    if len(there) == 0:
        return f"{name}: holds no value"
    step = max(1, len(there) // SAMPLED)
    sample = np.sort(there[::step])
    sample = sample[np.isfinite(sample)]
    if len(sample) == 0:
        return f"{name}: holds no finite value"
    whole = kind == "number" and bool((sample == np.floor(sample)).all())
    if whole and step > 1:
        # An integer that the sample did not show is between the edges; a fraction is not.
        finite = there[np.isfinite(there)]
        whole = bool((finite == np.floor(finite)).all())
    at = np.arange(1, FINE) / FINE
    quantiles = sample[np.minimum((at * len(sample)).astype(np.int64), len(sample) - 1)]
    fine = _rounded(quantiles, sample, whole)
    coarse = fine if len(fine) < COARSE else _nearest(fine, quantiles[_EACH - 1 :: _EACH])
    shown = "integer" if whole else kind
    codes = np.searchsorted(fine, values, side="right").astype(np.int16)
    if any_absent:
        codes[absent] = len(fine) + 1
    from_fine = np.append(
        np.searchsorted(coarse, np.append(-math.inf, fine), side="right"), len(coarse) + 1
    ).astype(np.int16)
    few = len(coarse) < _FEW_BINS
    lengths = tuple(range(1, len(coarse) // 2 + 2)) if few else _COARSE_RUNS
    return Coded(
        name,
        _runs(codes, fine, name, shown, any_absent, _FINE_RUNS),
        _runs(from_fine[codes], coarse, name, shown, any_absent, lengths),
    )


def _rounded(quantiles: np.ndarray, sample: np.ndarray, whole: bool) -> np.ndarray:
    """Return the edges of bins, ascending: round, and with rows on both sides of each."""
    import numpy as np

    distinct = sample[np.append(True, np.diff(sample) > 0)]
    if len(distinct) <= len(quantiles) + 1:
        return distinct[1:]  # each value is a bin
    if whole:
        edges = np.unique(quantiles)
    else:
        spread = float(quantiles[-1] - quantiles[0]) or float(sample[-1] - sample[0])
        digits = 2 - math.floor(math.log10(spread))
        edges = np.unique(np.round(quantiles, digits) if abs(digits) < 300 else quantiles)
    return edges[(edges > sample[0]) & (edges <= sample[-1])]


def _nearest(edges: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.unique(edges[np.abs(edges[:, None] - wanted).argmin(axis=0)])


def _runs(
    codes: np.ndarray,
    edges: np.ndarray,
    name: str,
    kind: str,
    absent: bool,
    lengths: tuple[int, ...],
) -> Cut:
    """Make runs of neighbouring bins slices, and missing another."""
    members, spans = _spans(len(edges) + 1, lengths, absent)

    def condition(number: int) -> Condition:
        first, last = spans[number]
        if last is None:
            return Condition(name, "missing")
        low = float(edges[first - 1]) if first else None
        high = float(edges[last]) if last < len(edges) else None
        return Condition(name, kind, low, high)

    return Cut(codes, members.shape[1], members, condition)


@lru_cache(maxsize=64)
def _spans(
    bins: int, lengths: tuple[int, ...], absent: bool
) -> tuple[np.ndarray, list[tuple[int, int | None]]]:
    """Return which of the bins, and of missing behind them, are in which slice; its ends."""
    import numpy as np

    spans: list[tuple[int, int | None]] = [
        (first, first + length - 1)
        for length in lengths
        if length < bins
        for first in range(bins - length + 1)
    ]
    members = np.zeros((len(spans) + absent, bins + absent))
    for row, (first, last) in enumerate(spans):
        members[row, first : (last or 0) + 1] = 1
    if absent:
        members[-1, -1] = 1
        spans.append((bins, None))
    return members, spans


def _plain(level: object) -> object:
    """Return a level as Python's own type."""
    item = getattr(level, "item", None)
    return item() if callable(item) else level
