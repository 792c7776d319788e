"""What makes a row one of a slice: a range of numbers or times, a category, a missing value.

How columns are cut into such conditions belongs in ``coding``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Condition:
    """A condition on one column.

    Attributes
    ----------
    low, high
        Of a range: ``low <= value < high``; ``None``: open. Times are seconds since 1970 (UTC).
    value
        Of a category.
    missing
        Whether it is that there is no value.
    kind
        ``"number"``, ``"integer"``, ``"time"``, ``"category"`` or ``"missing"``.
    """

    column: str
    kind: str
    low: float | None = None
    high: float | None = None
    value: Any = None

    @property
    def missing(self) -> bool:
        """Whether the condition is that there is no value."""
        return self.kind == "missing"

    @property
    def text(self) -> str:
        """The condition as a person reads it: exact, for edges are round numbers."""
        if self.missing:
            return f"{self.column} is missing"
        if self.kind == "category":
            return f"{self.column} = {self.value}"
        if self.kind == "integer":
            low = None if self.low is None else int(self.low)
            high = None if self.high is None else int(self.high) - 1
            if low is not None and low == high:
                return f"{self.column} = {low}"
            return _range(self.column, low, high, "≤", str)
        return _range(
            self.column, self.low, self.high, "<", _time if self.kind == "time" else _plain
        )

    def mask(self, frame: pd.DataFrame) -> np.ndarray:
        """Return which rows of a frame meet the condition, shape ``(n,)``."""
        import numpy as np

        from mlops_assets.core.attention.coding import numbers

        values = frame[self.column]
        if self.kind == "category":
            return np.asarray((values == self.value).fillna(False), dtype=bool)
        if self.missing:
            return np.asarray(values.isna(), dtype=bool)
        found = numbers(values)
        met = ~np.isnan(found)
        if self.low is not None:
            met &= found >= self.low
        if self.high is not None:
            met &= found < self.high
        return met


def _range(column: str, low: Any, high: Any, upper: str, shown: Any) -> str:
    if low is None:
        return f"{column} {upper} {shown(high)}"
    if high is None:
        return f"{column} ≥ {shown(low)}"
    return f"{shown(low)} ≤ {column} {upper} {shown(high)}"


def _plain(value: float) -> str:
    return f"{value:,.12g}" if abs(value) >= 10_000 else f"{value:.12g}"


def _time(value: float) -> str:
    from datetime import datetime, timedelta

    return (datetime(1970, 1, 1) + timedelta(seconds=round(value))).isoformat(" ")
