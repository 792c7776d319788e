"""What a column of a frame holds: the kinds that the widening table has rows for.

NumPy's types, pandas' nullable and Arrow types, and Python objects of the same meaning are one
kind. Widths are told apart only where they decide whether float64 holds the values. What
becomes of a kind is said in ``widening``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

BOOLEANS = "booleans"
SMALL_INTEGERS = "integers of up to 32 bits"
INTEGERS = "integers of 64 bits or any size"
FLOATS = "floats"
LONG_FLOATS = "floats of more than 64 bits"
PYTHON_NUMBERS = "Python floats, or floats and integers"
DECIMALS = "decimals"
TEXT = "text"
CATEGORIES_OF_TEXT = "categories of text"
CATEGORIES_OF_OTHERS = "categories of anything but text"
TIMESTAMPS = "timestamps"
ZONED_TIMESTAMPS = "timestamps with a time zone"
DATES = "dates"
DURATIONS = "durations"
OTHER_TIMES = "times of day, periods or intervals"
BYTES = "bytes"
OBJECTS = "lists, dictionaries or other objects"
MIXTURE = "values of several kinds"
COMPLEX = "complex numbers"
NOTHING = "nothing but missing values"

#: Kinds whose types do not speak against a column when nothing is there: SQL and pandas give
#: a column of NULLs any of them.
_UNTYPED_WHEN_MISSING = frozenset(
    {BOOLEANS, SMALL_INTEGERS, INTEGERS, FLOATS, LONG_FLOATS, DECIMALS, TEXT, CATEGORIES_OF_TEXT}
)
#: What ``pandas.api.types.infer_dtype`` says of a column of objects.
_INFERRED = {
    "string": TEXT,
    "boolean": BOOLEANS,
    "integer": INTEGERS,
    "floating": PYTHON_NUMBERS,
    "mixed-integer-float": PYTHON_NUMBERS,
    "decimal": DECIMALS,
    "complex": COMPLEX,
    "bytes": BYTES,
    "datetime": TIMESTAMPS,
    "datetime64": TIMESTAMPS,
    "date": DATES,
    "timedelta": DURATIONS,
    "timedelta64": DURATIONS,
    "time": OTHER_TIMES,
    "period": OTHER_TIMES,
    "interval": OTHER_TIMES,
    "empty": NOTHING,
}


def kind_of(values: pd.Series) -> str:
    """Return the kind of a column, one of this module's constants.

    A column whose type says what it holds is of that kind even if all values are missing; see
    ``holds_nothing``.
    """
    import numpy as np
    import pandas as pd

    dtype: Any = values.dtype
    if isinstance(dtype, np.dtype):
        return _of_objects(values) if dtype.kind == "O" else _of_numpy(dtype)
    if isinstance(dtype, pd.StringDtype):
        return TEXT
    if isinstance(dtype, pd.CategoricalDtype):
        # pandas gives no categories at all any type.
        known = len(dtype.categories) and kind_of(pd.Series(dtype.categories)) != TEXT
        return CATEGORIES_OF_OTHERS if known else CATEGORIES_OF_TEXT
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ZONED_TIMESTAMPS
    if isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype):
        return OTHER_TIMES
    if isinstance(dtype, pd.ArrowDtype):
        return _of_arrow(dtype.pyarrow_dtype)
    stored = dtype.subtype if isinstance(dtype, pd.SparseDtype) else None
    # Of pandas' nullable types. Those of other libraries are not known here.
    stored = stored or getattr(dtype, "numpy_dtype", None)
    return _of_numpy(stored) if isinstance(stored, np.dtype) else OBJECTS


def holds_nothing(values: pd.Series, kind: str) -> bool:
    """Whether a column has no values, and no type that says what they would have been."""
    if not len(values) or kind == NOTHING:
        return True
    untyped = kind in _UNTYPED_WHEN_MISSING or values.dtype == object
    return untyped and bool(values.isna().all())


def _of_numpy(dtype: Any) -> str:
    if dtype.kind == "b":
        return BOOLEANS
    if dtype.kind in "iu":
        return SMALL_INTEGERS if dtype.itemsize <= 4 else INTEGERS
    if dtype.kind == "f":
        return FLOATS if dtype.itemsize <= 8 else LONG_FLOATS
    others = {"c": COMPLEX, "M": TIMESTAMPS, "m": DURATIONS, "U": TEXT, "S": BYTES}
    return others.get(dtype.kind, OBJECTS)


def _of_arrow(type_: Any) -> str:
    import pyarrow.types as of

    if of.is_dictionary(type_):
        return CATEGORIES_OF_TEXT if _of_arrow(type_.value_type) == TEXT else CATEGORIES_OF_OTHERS
    if of.is_integer(type_):
        return SMALL_INTEGERS if type_.bit_width <= 32 else INTEGERS
    if of.is_timestamp(type_):
        return TIMESTAMPS if type_.tz is None else ZONED_TIMESTAMPS
    for kind, belongs in (
        (BOOLEANS, of.is_boolean),
        (FLOATS, of.is_floating),
        (DECIMALS, of.is_decimal),
        (TEXT, lambda t: of.is_string(t) or of.is_large_string(t)),
        (DATES, of.is_date),
        (DURATIONS, of.is_duration),
        (OTHER_TIMES, lambda t: of.is_time(t) or of.is_interval(t)),
        (BYTES, lambda t: of.is_binary(t) or of.is_large_binary(t) or of.is_fixed_size_binary(t)),
        (NOTHING, of.is_null),
    ):
        if belongs(type_):
            return kind
    return OBJECTS


def _of_objects(values: pd.Series) -> str:
    import pandas as pd

    inferred = pd.api.types.infer_dtype(values, skipna=True)
    if inferred in _INFERRED:
        return _INFERRED[inferred]
    # pandas says "mixed" of lists as of lists and texts together.
    return OBJECTS if len({type(v) for v in values[values.notna()]}) <= 1 else MIXTURE
