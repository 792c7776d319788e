"""One column of one side, cleaned: its finite numbers in order, or its categories counted.

A column is sorted (or counted) once; whatever is measured afterwards reads that. Missing and
infinite values are taken out and counted. Columns come from frames here, from DuckDB in
``relations``; what is kept of a column instead of its values belongs in ``sketches``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlops_assets.core.drift_methods.statuses import Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Numbers:
    """The values of a numeric column.

    Parameters
    ----------
    values
        Finite, ascending, float64, shape (n,).
    missing, infinite
        How many rows have no value, or an infinite one.
    integer
        Whether the column's type is an integer one. Times are seconds since 1970 (UTC).
    """

    values: np.ndarray
    missing: int = 0
    infinite: int = 0
    integer: bool = False

    kind = Kind.NUMERIC
    #: Every value is here: ranks are exact everywhere.
    complete = True

    @property
    def n(self) -> int:
        """Number of values."""
        return len(self.values)

    @property
    def rows(self) -> int:
        """Number of rows, those without a value included."""
        return self.n + self.missing + self.infinite

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the values (not of what they are drawn from)."""
        import numpy as np

        largest = max(abs(self.least), abs(self.greatest))
        # In a unit in which sums and squares of the values neither overflow nor vanish.
        unit = largest if largest > 1e150 or 0 < largest < 1e-150 else 1.0
        values = self.values if unit == 1.0 else self.values / unit
        mean = float(values.mean())
        apart = values - mean
        return mean * unit, float(np.sqrt(np.dot(apart, apart) / self.n)) * unit

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        return self.moments[0]

    @property
    def std(self) -> float:
        """Standard deviation; 0 of a constant, whatever rounding makes of its mean."""
        return self.moments[1] if self.least < self.greatest else 0.0

    @property
    def least(self) -> float:
        """Smallest value."""
        return float(self.values[0])

    @property
    def greatest(self) -> float:
        """Largest value."""
        return float(self.values[-1])

    def upto(self, x: np.ndarray) -> np.ndarray:
        """Return how many values are at most ``x``."""
        return self.values.searchsorted(x, side="right")

    def below(self, x: np.ndarray) -> np.ndarray:
        """Return how many values are less than ``x``."""
        return self.values.searchsorted(x, side="left")

    def knots(self) -> np.ndarray:
        """Return the distinct values, ascending."""
        import numpy as np

        first = np.empty(self.n, bool)
        first[:1] = True
        np.not_equal(self.values[1:], self.values[:-1], out=first[1:])
        return self.values[first]

    def thinned(self, points: int) -> np.ndarray:
        """Return at most ``points`` distinct values at evenly spaced ranks, both ends included."""
        import numpy as np

        if self.n <= points:
            return self.knots()
        ranks = np.linspace(0, self.n - 1, points).astype(np.int64)
        return np.unique(self.values[ranks])

    def few_distinct(self, most: int) -> np.ndarray | None:
        """Return the distinct values if there are at most ``most``, else ``None``."""
        import numpy as np

        found: list[float] = []
        at = 0
        while at < self.n:
            if len(found) == most:
                return None
            found.append(float(self.values[at]))
            at = int(self.values.searchsorted(self.values[at], side="right"))
        return np.array(found)


@dataclass(frozen=True)
class Categories:
    """The categories of a column, as text, with how many rows each has (at least one).

    ``others`` counts the rows of categories that a stored profile does not name.
    """

    counts: dict[str, int]
    missing: int = 0
    boolean: bool = False
    others: int = 0

    infinite = 0

    @property
    def kind(self) -> Kind:
        """Boolean or categorical."""
        return Kind.BOOLEAN if self.boolean else Kind.CATEGORICAL

    @property
    def complete(self) -> bool:
        """Whether every category is here by name."""
        return self.others == 0

    @property
    def n(self) -> int:
        """Number of values."""
        return sum(self.counts.values()) + self.others

    @property
    def rows(self) -> int:
        """Number of rows, those without a value included."""
        return self.n + self.missing


@dataclass(frozen=True)
class Nothing:
    """A column without a value whose type does not say its kind, or of no kind known here."""

    kind: Kind
    rows: int = 0

    n = 0
    infinite = 0
    complete = True

    @property
    def missing(self) -> int:
        """All rows, where the kind is merely unknown."""
        return self.rows if self.kind is Kind.UNKNOWN else 0


def numbers(values: np.ndarray, *, missing: int = 0, integer: bool = False) -> Numbers:
    """Sort a column and take out what is not finite.

    Parameters
    ----------
    values
        Shape (n,); is not changed. NaN is missing.
    missing
        How many more are missing that are not among ``values``.
    """
    import numpy as np

    ordered = np.sort(values).astype(np.float64, copy=False)
    first = int(ordered.searchsorted(-np.inf, side="right"))
    known = int(ordered.searchsorted(np.nan, side="left"))  # NaN sorts last
    last = int(ordered[:known].searchsorted(np.inf, side="left"))
    return Numbers(
        values=ordered[first:last],
        missing=missing + len(ordered) - known,
        infinite=first + known - last,
        integer=integer,
    )


def booleans(true: int, n: int, missing: int) -> Categories:
    """Return the two counts of a boolean column."""
    counted = {"false": n - true, "true": true}
    return Categories({k: v for k, v in counted.items() if v}, missing, boolean=True)


def text(value: Any) -> str:
    """Return a category's name: the same for a frame, a relation and a stored profile."""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "true" if value else "false"
    return value if type(value) is str else str(value)


def from_series(series: pd.Series) -> Numbers | Categories | Nothing:
    """Clean a column of a frame.

    Booleans, numbers and times are told by type, and in an object column by what is in it.
    """
    import numpy as np
    import pandas as pd

    types = pd.api.types
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _of_codes(series)
    if types.is_bool_dtype(dtype):
        known = series if isinstance(dtype, np.dtype) else series.dropna()
        return booleans(int(known.sum()), len(known), len(series) - len(known))
    if types.is_complex_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return Nothing(Kind.UNSUPPORTED, len(series))
    if types.is_numeric_dtype(dtype):
        whole = types.is_integer_dtype(dtype)
        if isinstance(dtype, np.dtype):
            return numbers(series.to_numpy(), integer=whole)
        return numbers(series.to_numpy(float, na_value=np.nan), integer=whole)
    if types.is_datetime64_any_dtype(dtype):
        moments = series.to_numpy("datetime64[us]")
        known = ~np.isnat(moments)
        seconds = moments[known].astype(np.int64) / 1e6
        return numbers(seconds, missing=len(series) - int(known.sum()))
    return _of_objects(series)


def _of_codes(series: pd.Series) -> Categories | Nothing:
    import numpy as np

    codes = series.cat.codes.to_numpy()
    names = [text(name) for name in series.cat.categories]
    counted = np.bincount(codes + 1, minlength=len(names) + 1)
    counts: dict[str, int] = {}
    for name, count in zip(names, counted[1:], strict=True):
        if count:
            counts[name] = counts.get(name, 0) + int(count)
    return Categories(counts, missing=int(counted[0]))


def _of_objects(series: pd.Series) -> Numbers | Categories | Nothing:
    """Tell by the values, in an object column; text otherwise."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_object_dtype(series.dtype):
        inferred = pd.api.types.infer_dtype(series, skipna=True)
        known = series[series.notna()]
        missing = len(series) - len(known)
        if inferred == "empty" or not len(known):
            return Nothing(Kind.UNKNOWN, len(series))
        if inferred == "boolean":
            return booleans(int(known.astype(bool).sum()), len(known), missing)
        if inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
            as_floats = np.fromiter((float(v) for v in known), float, len(known))
            return numbers(as_floats, missing=missing, integer=inferred == "integer")
        if inferred in ("bytes", "mixed", "complex", "timedelta", "timedelta64") and not all(
            isinstance(v, str | int | float) for v in known
        ):
            return Nothing(Kind.UNSUPPORTED, len(series))
    counted = series.value_counts(dropna=True)
    counts: dict[str, int] = {}
    for name, count in zip(counted.index, counted.to_numpy(), strict=True):
        counts[text(name)] = counts.get(text(name), 0) + int(count)
    return Categories(counts, missing=len(series) - sum(counts.values()))
