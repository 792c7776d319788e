"""Casting one column to a type of the widening table, without changing a value.

What is allowed is said in ``widening.TABLE`` and nowhere else: here is how its checks are made.
What a whole frame must look like belongs in ``signature``.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from mlops_assets.core.scoring import column_kinds as kinds
from mlops_assets.core.scoring.widening import CATEGORY, TABLE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Largest integer up to which float64 holds all integers. A float of this size or more may
#: have been another integer before, so that it is not taken for one.
_EXACT = 2**53

_TO_BOOLEAN = "make it a BOOLEAN in the feature view, or train a version on the numbers"
_ROUND = "round it in the feature view, or train a version on the fractions"
_KEYS = (
    "integers beyond 2**53 are mostly keys: leave it out, cast it to VARCHAR if it names a "
    "category, or to DOUBLE if its last digits do not matter, and train a version"
)
_FEWER_DIGITS = "cast it to DOUBLE in the feature view if the digits that are lost do not matter"


@dataclass(frozen=True)
class Offence:
    """Why a column is refused; ``row`` (position) and ``value`` where a value is the cause."""

    reason: str
    remedy: str
    row: int | None = None
    value: Any = None


def cast(values: pd.Series, wanted: str) -> np.ndarray | pd.Series | Offence:
    """Return a column as the estimator gets it, or why it does not.

    Parameters
    ----------
    wanted
        One of ``TYPES``.

    Returns
    -------
    numpy.ndarray, pandas.Series or Offence
        float64 (may share memory with ``values``), or for a category a series of objects.
    """
    import numpy as np

    kind = kinds.kind_of(values)
    rule = TABLE[kind].rules[wanted]
    if rule.verdict == "refused":
        if not kinds.holds_nothing(values, kind):
            return Offence(rule.reason, TABLE[kind].remedy, *_example(values, wanted))
        missing = np.full(len(values), np.nan)
        return _as_category(values) if wanted == CATEGORY else missing
    if wanted == CATEGORY:
        return _as_category(values)
    if "exact" in rule.checks:
        lost = _lost(values, kind)
        if lost is not None and lost.any():
            if kind == kinds.INTEGERS:
                return _offence(values, lost, "float64 would change integers beyond 2**53", _KEYS)
            return _offence(values, lost, "float64 would change it", _FEWER_DIGITS)
    numbers = _as_float64(values, kind)
    if "whole" in rule.checks:
        with np.errstate(invalid="ignore"):
            wrong = (np.rint(numbers) != numbers) | (np.abs(numbers) >= _EXACT)
        wrong &= ~np.isnan(numbers)
        if wrong.any():
            return _offence(values, wrong, "it is no whole number below 2**53", _ROUND)
    if "binary" in rule.checks:
        wrong = (numbers != 0) & (numbers != 1) & ~np.isnan(numbers)
        if wrong.any():
            return _offence(values, wrong, "it is neither 0 nor 1", _TO_BOOLEAN)
    return numbers


def _offence(values: pd.Series, wrong: np.ndarray, reason: str, remedy: str) -> Offence:
    row = int(wrong.argmax())
    return Offence(reason, remedy, row, values.iloc[row])


def _example(values: pd.Series, wanted: str) -> tuple[int | None, Any]:
    """Return the position and value of the first value that is not of the type."""
    import numpy as np

    fits = (str,) if wanted == CATEGORY else (Real, Decimal, np.bool_)
    known = values.notna().to_numpy().nonzero()[0].tolist()
    if not known:
        return None, None
    there = values.to_numpy(dtype=object)
    row = next((row for row in known if not isinstance(there[row], fits)), known[0])
    return row, there[row]


def _lost(values: pd.Series, kind: str) -> np.ndarray | None:
    """Return where float64 would change the value; ``None``: nowhere."""
    import numpy as np
    import pandas as pd

    if kind == kinds.INTEGERS and values.dtype != object:
        dense = values.sparse.to_dense() if isinstance(values.dtype, pd.SparseDtype) else values
        least, most = dense.min(), dense.max()
        if pd.isna(most) or (int(most) <= _EXACT and int(least) >= -_EXACT):
            return None
        return ((dense > _EXACT) | (dense < -_EXACT)).to_numpy(dtype=bool, na_value=False)
    if kind == kinds.LONG_FLOATS:
        numbers = np.asarray(values)
        with np.errstate(over="ignore"):
            return (numbers.astype(float) != numbers) & (numbers == numbers)
    if kind == kinds.DECIMALS and values.dtype != object and _few_digits(values):
        return None
    missing = values.isna().to_numpy()
    return np.array(
        [not gone and not _held(v) for v, gone in zip(values, missing, strict=True)], dtype=bool
    )


def _few_digits(values: pd.Series) -> bool:
    """Whether Arrow decimals have 15 digits or fewer, all of which float64 keeps."""
    import pandas as pd

    dtype: Any = values.dtype
    least, most = values.min(), values.max()
    if pd.isna(most):
        return True
    return max(abs(least), abs(most)) < Decimal(10) ** (15 - dtype.pyarrow_dtype.scale)


def _held(value: Any) -> bool:
    """Whether float64 has the same number."""
    if isinstance(value, Integral):
        return abs(int(value)) <= _EXACT
    number = float(value)
    if isinstance(value, Decimal):
        return Decimal(repr(number)) == value
    return bool(number == value)


def _as_float64(values: pd.Series, kind: str) -> np.ndarray:
    import numpy as np
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return values.to_numpy(dtype=float)
    if isinstance(dtype, pd.SparseDtype):
        return np.asarray(values.sparse.to_dense(), dtype=float)
    if kind == kinds.DECIMALS:
        values = values.astype(object)
    return values.to_numpy(dtype=float, na_value=np.nan)


def _as_category(values: pd.Series) -> pd.Series:
    import numpy as np
    import pandas as pd

    text = values.to_numpy(dtype=object, copy=True)
    text[values.isna().to_numpy()] = np.nan
    # A series, because a frame made of an array of strings has another type in pandas 3.
    return pd.Series(text, index=values.index, dtype=object)
