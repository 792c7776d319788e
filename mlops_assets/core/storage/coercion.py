"""Lossless conversion of one column to the type that its contract declares.

A value is converted where nothing is lost (``int32`` to BIGINT, ``"12"`` from a CSV file to
DOUBLE, a time with an offset to UTC) and marked as bad where something would be (1.5 as a
whole number, text as a number). Nothing is rounded, truncated or guessed. What is done
about bad values belongs in ``contracts``.

Every function takes a column and returns ``(converted, bad)``: the column with the declared
type, missing where the value was bad, and a boolean array that is true for values that are
present and cannot be converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: pandas type of each integer and floating type.
INTEGERS = {
    "TINYINT": "int8",
    "SMALLINT": "int16",
    "INTEGER": "int32",
    "BIGINT": "int64",
    "UTINYINT": "uint8",
    "USMALLINT": "uint16",
    "UINTEGER": "uint32",
    "UBIGINT": "uint64",
}
FLOATS = {"FLOAT": "float32", "DOUBLE": "float64"}

#: What a value of each type is called in a message.
NOUNS = {
    **dict.fromkeys(INTEGERS, "a whole number"),
    **dict.fromkeys(FLOATS, "a number"),
    "BOOLEAN": "true or false",
    "VARCHAR": "text",
    "TIMESTAMP": "a time to the microsecond",
    "DATE": "a date",
}

# Largest whole number up to which every whole number is a float64.
_EXACT = 2**53
# pandas writes whole numbers among missing ones as 7.0.
_WHOLE = re.compile(r"([+-]?[0-9]+)(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf|nan", re.I)


def coerce(column: pd.Series, type_: str) -> tuple[pd.Series, np.ndarray]:
    """Convert ``column`` to the DuckDB type ``type_`` where nothing is lost.

    Parameters
    ----------
    column
        Any pandas column.
    type_
        One of ``NOUNS``.

    Returns
    -------
    converted
        The column with the pandas type for ``type_``: whole numbers and truth values get
        pandas' nullable types only where something is missing; times are naive UTC with
        microseconds.
    bad
        Boolean array, true where a value is present and would change.
    """
    if type_ in INTEGERS:
        return _integers(column, type_)
    if type_ in FLOATS:
        return _floats(column, type_)
    return {
        "BOOLEAN": _booleans,
        "VARCHAR": _texts,
        "TIMESTAMP": _timestamps,
        "DATE": _dates,
    }[type_](column)


def _integers(column: pd.Series, type_: str) -> tuple[pd.Series, np.ndarray]:
    import numpy as np
    import pandas as pd

    target = INTEGERS[type_]
    if column.dtype == target:
        return column, np.zeros(len(column), dtype=bool)
    limits = np.iinfo(target)
    if pd.api.types.is_integer_dtype(column.dtype):
        missing = column.isna().to_numpy()
        values = column.where(~missing, 0) if missing.any() else column
        # Compared as Python numbers: int64 and uint64 have no common numpy type.
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        bad = np.zeros(len(column), dtype=bool)
        if low < limits.min or high > limits.max:
            bad = np.array([not limits.min <= int(v) <= limits.max for v in values]) & ~missing
        return _nullable(values.where(~bad, 0), missing | bad, target), bad
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype="float64", na_value=np.nan)
        missing = np.isnan(values)
        with np.errstate(invalid="ignore"):
            whole = (np.abs(values) <= _EXACT) & (values == np.floor(values))
            fits = whole & (values >= limits.min) & (values <= limits.max)
        return _nullable(
            pd.Series(np.where(fits, values, 0), index=column.index), ~fits, target
        ), ~fits & ~missing

    def parse(value: Any) -> int | None:
        if isinstance(value, str) and (text := _WHOLE.fullmatch(value.strip())):
            value = int(text[1])
        if isinstance(value, (float, np.floating)) and abs(value) > _EXACT:
            return None
        if isinstance(value, (bool, np.bool_)) or not isinstance(
            value, (int, float, Decimal, np.integer, np.floating)
        ):
            return None
        try:
            whole = int(value)
        except (ValueError, OverflowError):  # a decimal NaN or infinity
            return None
        return whole if whole == value and limits.min <= whole <= limits.max else None

    values, missing, bad = _each(column, parse)
    filled = pd.Series([0 if v is None else v for v in values], index=column.index, dtype=target)
    return _nullable(filled, missing | bad, target), bad


def _floats(column: pd.Series, type_: str) -> tuple[pd.Series, np.ndarray]:
    import numpy as np
    import pandas as pd

    target = FLOATS[type_]
    if column.dtype == target:
        return column, np.zeros(len(column), dtype=bool)
    if pd.api.types.is_integer_dtype(column.dtype) or pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype="float64", na_value=np.nan)
        missing = column.isna().to_numpy()
        converted = values.astype(target)
        bad = (converted.astype("float64") != values) & ~missing
        if pd.api.types.is_integer_dtype(column.dtype):
            bad |= (np.abs(values) > _EXACT) & ~missing
        return pd.Series(np.where(bad, np.nan, converted), column.index, dtype=target), bad

    def parse(value: Any) -> float | None:
        if isinstance(value, (bool, np.bool_)):
            return None
        if isinstance(value, str):
            if _NUMBER.fullmatch(value.strip()) is None:
                return None
        elif isinstance(value, (int, np.integer)):
            if abs(int(value)) > _EXACT:
                return None
        elif not isinstance(value, (float, np.floating, Decimal)):
            return None
        # A decimal fraction in text becomes the nearest number, as everywhere.
        return float(value)

    values, _, bad = _each(column, parse)
    return pd.Series(
        [np.nan if v is None else v for v in values], index=column.index, dtype=target
    ), bad


def _booleans(column: pd.Series) -> tuple[pd.Series, np.ndarray]:
    import numpy as np
    import pandas as pd

    if column.dtype == bool:
        return column, np.zeros(len(column), dtype=bool)
    known = {"true": True, "false": False}

    def parse(value: Any) -> bool | None:
        if isinstance(value, str):
            return known.get(value.strip().lower())
        if isinstance(value, (bool, np.bool_, int, float, np.number)) and value in (0, 1):
            return bool(value)
        return None

    values, missing, bad = _each(column, parse)
    filled = pd.Series([bool(v) for v in values], index=column.index, dtype=bool)
    return _nullable(filled, missing | bad, "bool"), bad


def _texts(column: pd.Series) -> tuple[pd.Series, np.ndarray]:
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    good = np.zeros(len(column), dtype=bool)
    if isinstance(column.dtype, pd.StringDtype) or (
        column.dtype == object
        and pd.api.types.infer_dtype(column, skipna=True) in ("string", "empty")
    ):
        return column, good
    values, _, bad = _each(column, lambda value: value if isinstance(value, str) else None)
    return pd.Series(values, index=column.index, dtype=object), bad


def _timestamps(column: pd.Series) -> tuple[pd.Series, np.ndarray]:
    import numpy as np
    import pandas as pd

    if column.dtype == "datetime64[us]":
        return column, np.zeros(len(column), dtype=bool)
    missing = column.isna().to_numpy()
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        present = column[~missing]
        if pd.api.types.is_numeric_dtype(column.dtype):
            times = pd.Series(pd.NaT, index=present.index, dtype="datetime64[us, UTC]")
        else:
            # Numbers are not taken for seconds or nanoseconds since 1970.
            usable = present.map(lambda v: isinstance(v, (str, date, datetime)))
            times = pd.to_datetime(
                present.where(usable.astype(bool), None),
                format="ISO8601", utc=True, errors="coerce",
            )  # fmt: skip
        converted = times.reindex(column.index)
    else:
        converted = column
    if getattr(converted.dtype, "tz", None) is not None:
        converted = converted.dt.tz_convert("UTC").dt.tz_localize(None)
    exact = converted.astype("datetime64[us]")
    bad = ~missing & (exact.isna() | (exact.astype(converted.dtype) != converted)).to_numpy()
    return exact.mask(bad), bad


def _dates(column: pd.Series) -> tuple[pd.Series, np.ndarray]:
    import pandas as pd

    def parse(value: Any) -> date | None:
        if isinstance(value, str):
            try:
                return date.fromisoformat(value.strip())
            except ValueError:
                return None
        if isinstance(value, datetime):
            midnight = value == datetime(value.year, value.month, value.day, tzinfo=value.tzinfo)
            return value.date() if midnight else None
        return value if isinstance(value, date) else None

    values, _, bad = _each(column, parse)
    return pd.Series(values, index=column.index, dtype=object), bad


def _each(
    column: pd.Series, parse: Callable[[Any], Any]
) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Parse every present value; ``None`` from ``parse`` marks it as bad."""
    missing = column.isna().to_numpy()
    values = [
        None if absent else parse(value)
        for value, absent in zip(column.astype(object), missing, strict=True)
    ]
    import numpy as np

    bad = np.array([v is None for v in values], dtype=bool) & ~missing
    return values, missing, bad


def _nullable(filled: pd.Series, missing: np.ndarray, target: str) -> pd.Series:
    """Return ``filled`` as ``target``, in pandas' nullable form if something is missing."""
    converted = filled.astype(target)
    if not missing.any():
        return converted
    name = "boolean" if target == "bool" else target.replace("i", "I", 1).replace("uI", "UI")
    return converted.astype(name).mask(missing)
