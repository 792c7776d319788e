"""A column of a frame in one form whatever its type, and each row's number by its content.

A column read from Arrow, a database or a frame gives the same values and the same row numbers:
integers, floats and decimals are float64, times are seconds, categories their text. What is made
of the values for a classifier or for PCA belongs in ``features`` and ``reconstruction``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mlops_assets.core.drift_methods.columns import text
from mlops_assets.core.drift_methods.statuses import Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: 2^64 over the golden ratio: multiples of it are spread evenly.
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Canonical:
    """One column.

    Attributes
    ----------
    values
        Numeric and boolean: float64, NaN where missing, shape (n,). Categorical: positions in
        ``names``, -1 where missing. Empty where there is nothing to compare.
    """

    kind: Kind
    values: np.ndarray
    names: tuple[str, ...] = ()


def canonical(series: pd.Series) -> Canonical:
    """Return the column in one form; by its type, and in an object column by what is in it."""
    import numpy as np
    import pandas as pd

    types, dtype = pd.api.types, series.dtype
    if types.is_bool_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        return Canonical(Kind.BOOLEAN, series.to_numpy(float, na_value=np.nan))
    if types.is_complex_dtype(dtype):
        return Canonical(Kind.UNSUPPORTED, np.empty(0))
    if types.is_numeric_dtype(dtype):
        return Canonical(Kind.NUMERIC, series.to_numpy(float, na_value=np.nan))
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        unit = "datetime64[us]" if types.is_datetime64_any_dtype(dtype) else "timedelta64[us]"
        moments = series.to_numpy(unit)
        seconds = np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)
        return Canonical(Kind.NUMERIC, seconds)
    if types.is_object_dtype(dtype):
        inferred = types.infer_dtype(series, skipna=True)
        if inferred == "empty" or series.isna().all():
            return Canonical(Kind.UNKNOWN, np.empty(0))
        if inferred in ("boolean", "integer", "floating", "mixed-integer-float", "decimal"):
            kind = Kind.BOOLEAN if inferred == "boolean" else Kind.NUMERIC
            values = [np.nan if missing else float(v) for v, missing in _with_missing(series)]
            return Canonical(kind, np.array(values))
    return _categories(series)


def _with_missing(series: pd.Series) -> zip[tuple[object, bool]]:
    return zip(series, series.isna(), strict=True)


def _categories(series: pd.Series) -> Canonical:
    import numpy as np
    import pandas as pd

    try:
        codes, found = pd.factorize(series)
    except TypeError:  # lists and the like have no hash, but a text
        written = [
            None if series.isna().iloc[at] is True else str(v) for at, v in enumerate(series)
        ]
        codes, found = pd.factorize(pd.Series(written, dtype=object))
    named = [text(value) for value in found]
    names = sorted(set(named))
    at = {name: place for place, name in enumerate(names)}
    # The last position is for the code -1.
    places = np.array([*(at[name] for name in named), -1], dtype=np.int64)
    return Canonical(Kind.CATEGORICAL, places[codes], tuple(names))


def row_numbers(columns: Sequence[tuple[str, Canonical]], rows: int, purpose: int) -> np.ndarray:
    """Return a 64-bit number for each row that looks random and depends on content alone.

    Neither the order of rows nor that of columns matters. Equal rows are told apart by counting
    them: were they all given one number, a sample by number would take all of them or none.

    Parameters
    ----------
    purpose
        Numbers for different purposes are unrelated: rows that were sampled by one are no
        special ones by another.
    """
    import numpy as np
    import pandas as pd

    total = np.zeros(rows, np.uint64)
    for name, column in columns:
        if len(column.values) != rows:
            continue
        own = pd.util.hash_array(np.array([str(name)], dtype=object), categorize=False)[0]
        if column.kind is Kind.CATEGORICAL:
            words = np.array([*column.names, ""], dtype=object)
            bits = pd.util.hash_array(words, categorize=False)[column.values]
            bits = np.where(column.values < 0, np.uint64(0), bits)
        else:
            # 0.0 has two forms, and "not a number" many.
            values = np.where(np.isnan(column.values), np.nan, column.values + 0.0)
            bits = values.view(np.uint64)
        total += _mixed(bits ^ own)
    total = _mixed(total)
    order = np.argsort(total, kind="stable")
    ordered = total[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if rows else np.empty(0, int)
    lengths = np.diff(np.r_[starts, rows])
    seen = np.empty(rows, np.uint64)
    seen[order] = (np.arange(rows) - np.repeat(starts, lengths)).astype(np.uint64)
    return _mixed(total + (seen + np.uint64(1 + 1_000_003 * purpose)) * np.uint64(_GOLDEN))


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Mix 64 bits, one to one: the finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    import numpy as np

    bits = bits.astype(np.uint64, copy=True)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return cast("np.ndarray", bits)
