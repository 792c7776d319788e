"""What a model's training data looked like: binned once, stored, compared for ever after.

A profile is a small JSON-able dictionary kept with the model version, so that a daily
drift report never reads the training data again. Here: how a column is binned and how new
values are counted in the same bins. What two sets of counts mean belongs in ``drift``.

Format::

    {"columns": {name: {"role": "feature" | "prediction" | "label",
                        "kind": "numeric", "edges": [...],
                        "counts": [...], "nulls": 3, "n": 1000}}}

``counts`` has one entry for each bin of values, ``nulls`` is the bin of the missing, and
``n`` is their sum. A numeric column with ``edges`` e1 < ... < ek has the bins
(-inf, e1), [e1, e2), ..., [ek, inf): the outer ones are open, so that no later value falls
outside. A categorical column has ``categories`` instead of ``edges``, and one more count,
the last, for all other categories.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import pandas as pd

#: Bins of a numeric column with many values. The customary bounds of the population
#: stability index (0.1, 0.25) were made for ten.
NUMERIC_BINS = 10


def profile(
    frame: pd.DataFrame,
    columns: Iterable[str],
    roles: Mapping[str, str] | None = None,
    max_bins: int = 20,
) -> dict[str, Any]:
    """Profile columns of a frame.

    Parameters
    ----------
    frame
        The reference data, one row per observation.
    columns
        Names to profile.
    roles
        Column name to ``"prediction"`` or ``"label"``; the others are features.
    max_bins
        Most bins of values. A numeric column with at most ``NUMERIC_BINS`` distinct values
        has one bin for each, otherwise up to ``NUMERIC_BINS`` equally filled ones; a
        categorical column keeps its ``max_bins - 1`` most frequent categories.

    Returns
    -------
    dict
        In the format of this module.
    """
    roles = roles or {}
    profiled = {}
    for name in columns:
        if name not in frame.columns:
            raise KeyError(f"cannot profile {name!r}: the frame has {list(frame.columns)}")
        profiled[name] = _column(frame[name], roles.get(name, "feature"), max_bins)
    return {"columns": profiled}


def _column(values: pd.Series, role: str, max_bins: int) -> dict[str, Any]:
    numbers = as_numbers(values)
    if numbers is not None:
        found: dict[str, Any] = {
            "role": role,
            "kind": "numeric",
            "edges": _edges(numbers, min(NUMERIC_BINS, max_bins)),
        }
    else:
        frequent = as_text(values).value_counts()
        # Ties in frequency are broken by name: the same data give the same profile.
        ranked = sorted(frequent.items(), key=lambda item: (-item[1], str(item[0])))
        found = {
            "role": role,
            "kind": "categorical",
            "categories": [str(name) for name, _ in ranked[: max_bins - 1]],
        }
    counted = count(found, values)
    found |= {
        "counts": [int(n) for n in counted[:-1]],
        "nulls": int(counted[-1]),
        "n": int(counted.sum()),
    }
    return found


def _edges(numbers: np.ndarray, bins: int) -> list[float]:
    """Inner edges: between distinct values if there are few, else at quantiles."""
    import numpy as np

    known = numbers[~np.isnan(numbers)]
    distinct = np.unique(known)
    if len(distinct) == 0:
        return []
    if len(distinct) == 1:
        # A constant gets a bin of its own, so that leaving it in either direction shows.
        return [float(distinct[0]), math.nextafter(float(distinct[0]), math.inf)]
    if len(distinct) <= bins:
        return [float(v) for v in distinct[1:]]
    cuts = np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf")
    # An edge at the least value would leave the first bin empty.
    return [float(v) for v in np.unique(cuts) if v > distinct[0]]


def bins(column: Mapping[str, Any]) -> int:
    """Return the number of bins of values of a profiled column, without the missing."""
    if column["kind"] == "numeric":
        return len(column["edges"]) + 1
    return len(column["categories"]) + 1


def assign(column: Mapping[str, Any], values: pd.Series) -> np.ndarray:
    """Return the bin of each value, shape (n,); the missing have the number ``bins(column)``.

    Values of another kind than the profile's are converted where they can be; a value
    that cannot be read as a number counts as missing.
    """
    import numpy as np
    import pandas as pd

    if column["kind"] == "numeric":
        numbers = as_numbers(values)
        if numbers is None:
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
        found = np.searchsorted(np.asarray(column["edges"], float), numbers, side="right")
        found[np.isnan(numbers)] = bins(column)
        return found
    text = as_text(values)
    found = pd.Index(column["categories"], dtype=object).get_indexer(pd.Index(text, dtype=object))
    found[found < 0] = bins(column) - 1
    found[text.isna().to_numpy()] = bins(column)
    return found


def count(column: Mapping[str, Any], values: pd.Series) -> np.ndarray:
    """Return how many values fall in each bin, shape (bins + 1,), the missing last."""
    import numpy as np

    return np.bincount(assign(column, values), minlength=bins(column) + 1)


def as_numbers(values: pd.Series) -> np.ndarray | None:
    """Return the values as floats with NaN for the missing; ``None`` if they are no numbers.

    Booleans are 0 and 1, times are seconds since 1970 (UTC). An object column counts as
    numeric when all that is not missing in it is a number or a boolean.
    """
    import numpy as np
    import pandas as pd

    types = pd.api.types
    if types.is_bool_dtype(values.dtype) or types.is_numeric_dtype(values.dtype):
        return values.to_numpy(float, na_value=np.nan)
    if types.is_datetime64_any_dtype(values.dtype):
        micros = values.to_numpy("datetime64[us]")
        seconds = micros.astype("int64") / 1e6
        return np.where(np.isnat(micros), np.nan, seconds)
    if isinstance(values.dtype, pd.CategoricalDtype) or not types.is_object_dtype(values.dtype):
        return None
    inferred = types.infer_dtype(values, skipna=True)
    if inferred in ("boolean", "integer", "floating", "mixed-integer-float", "decimal"):
        found = np.full(len(values), np.nan)
        known = values.notna().to_numpy()
        found[known] = [float(v) for v in values[known]]
        return found
    if inferred == "empty" and len(values):
        return np.full(len(values), np.nan)
    return None


def as_text(values: pd.Series) -> pd.Series:
    """Return the values as strings in an object column, the missing as None."""
    import pandas as pd

    missing = values.isna().to_numpy()
    text = values.to_numpy(object, copy=True)
    if not isinstance(values.dtype, pd.StringDtype):
        text[~missing] = [v if type(v) is str else str(v) for v in text[~missing]]
    text[missing] = None
    return pd.Series(text, index=values.index, dtype=object)
