"""Rows as broken lines and categories: what an expectation is linear in.

A number is a point between two of eleven knots, quantiles of the reference: unlike bins, a number
that moves within the outermost part is followed. Nothing here knows of losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.drift_methods.statuses import Kind
from mlops_assets.core.multivariate.canonical import Canonical, canonical

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Where the knots are, as shares of the reference's rows that lie below: close at the ends, where
#: other rows are likely to lie.
BELOW = (0.0, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 1.0)
#: Categories with a constant of their own, the most frequent; the rest share one.
VALUES = 30
#: What the prediction is called among the columns.
PREDICTION = "prediction of the model"


@dataclass(frozen=True)
class Lines:
    """Where the knots are, and which categories there are.

    Attributes
    ----------
    knots
        Of each number, ascending, at least two.
    values
        Of each category: those with a constant of their own, and after them all others seen.
    """

    knots: Mapping[str, tuple[float, ...]]
    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, features: pd.DataFrame | None, prediction: np.ndarray) -> Lines:
        """Learn knots and categories from the reference."""
        import numpy as np

        knots: dict[str, tuple[float, ...]] = {}
        values: dict[str, tuple[str, ...]] = {}
        for name, column in _columns(features, prediction):
            if column.kind is Kind.CATEGORICAL:
                counts = np.bincount(column.values[column.values >= 0], minlength=1)
                order = np.argsort(-counts, kind="stable")
                values[name] = tuple(column.names[at] for at in order[: len(column.names)])
            else:
                known = column.values[np.isfinite(column.values)]
                if len(known) and known.min() < known.max():
                    at = np.unique(np.quantile(known, BELOW))
                    knots[name] = tuple(at.tolist())
        return cls(knots, values)

    def encoded(
        self, features: pd.DataFrame | None, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of numbers, a constant first, and which rows are foreign, (n, k) and (n,).

        A column that is missing altogether, or has become of another kind, counts as missing
        values; the reference's own missing values have a constant.
        """
        import numpy as np

        n = len(prediction)
        there = dict(_columns(features, prediction))
        foreign = np.zeros(n, bool)
        parts = [np.ones((n, 1))]
        for name, at in self.knots.items():
            column = there.get(name)
            if column is None or column.kind is Kind.CATEGORICAL or len(column.values) != n:
                numbers = np.full(n, np.nan)
            else:
                numbers = column.values
            known = np.isfinite(numbers)
            foreign |= known & ((numbers < at[0]) | (numbers > at[-1]))
            parts.append(_between(numbers, known, np.array(at)))
        for name, values in self.values.items():
            column = there.get(name)
            own = min(len(values), VALUES)
            kind = np.full(n, own + 1)  # missing ones come last
            if column is not None and column.kind is Kind.CATEGORICAL:
                place = {value: number for number, value in enumerate(values)}
                of_name = np.array([*(place.get(one, -1) for one in column.names), -2])
                found = of_name[column.values]
                foreign |= found == -1
                kind = np.where(found == -2, own + 1, np.clip(found, 0, own))
            parts.append(np.eye(own + 2)[kind])
        return np.concatenate(parts, axis=1), foreign

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "knots": {name: list(at) for name, at in self.knots.items()},
            "values": {name: list(values) for name, values in self.values.items()},
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Lines:
        """Return what ``to_dict`` has described."""
        return cls(
            {name: tuple(at) for name, at in kept["knots"].items()},
            {name: tuple(values) for name, values in kept["values"].items()},
        )


def _between(column: np.ndarray, known: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return how near a number is to each knot, rows of sum 1, and whether it is missing."""
    import numpy as np

    held = np.clip(np.where(known, column, at[0]), at[0], at[-1])
    left = np.clip(np.searchsorted(at, held, side="right") - 1, 0, len(at) - 2)
    share = (held - at[left]) / (at[left + 1] - at[left])
    near = np.zeros((len(column), len(at) + 1))
    rows = np.arange(len(column))
    near[rows, left] = 1 - share
    near[rows, left + 1] = share
    near[~known] = 0.0
    near[~known, -1] = 1.0
    return near


def _columns(features: pd.DataFrame | None, prediction: np.ndarray) -> list[tuple[str, Canonical]]:
    """Return the prediction and each feature; but times, which go on and are foreign at once."""
    import numpy as np
    import pandas as pd

    found = [(PREDICTION, Canonical(Kind.NUMERIC, np.asarray(prediction, dtype=float)))]
    for name in features.columns if features is not None else ():
        series = features[name]  # pyright: ignore
        if pd.api.types.is_datetime64_any_dtype(series.dtype):
            continue
        column = canonical(series)
        if column.kind not in (Kind.UNKNOWN, Kind.UNSUPPORTED):
            found.append((str(name), column))
    return found
