"""Rows as broken lines and categories: what an expectation is linear in.

A number is a point between two of nine knots, the eighths of the reference's distribution: unlike
bins, a number that moves within the outermost eighth is followed. Nothing here knows of losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.drift_methods.columns import text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PIECES = 8
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
            if _is_number(column):
                known = column[np.isfinite(column)]
                if len(known) and known.min() < known.max():
                    at = np.unique(np.quantile(known, np.linspace(0, 1, PIECES + 1)))
                    knots[name] = tuple(at.tolist())
            else:
                found, counts = np.unique(column[column != ""].astype(str), return_counts=True)
                if len(found):
                    order = np.argsort(-counts, kind="stable")
                    values[name] = tuple(found[order].tolist())
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
            if column is None or not _is_number(column):
                column = np.full(n, np.nan)
            known = np.isfinite(column)
            foreign |= np.where(known, (column < at[0]) | (column > at[-1]), False)
            parts.append(_between(column, known, np.array(at)))
        for name, values in self.values.items():
            column = there.get(name)
            if column is None or _is_number(column):
                column = np.full(n, "", dtype=object)
            place = {value: number for number, value in enumerate(values)}
            unique, inverse = np.unique(column.astype(str), return_inverse=True)
            # Missing ones come last but one, unknown ones have no place.
            of_unique = np.array([-2 if v == "" else place.get(v, -1) for v in unique.tolist()])
            found = of_unique[inverse]
            foreign |= found == -1
            own = min(len(values), VALUES)
            kind = np.where(found == -2, own + 1, np.minimum(found, own))
            parts.append(np.eye(own + 2)[np.maximum(kind, 0)])
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


def _columns(features: pd.DataFrame | None, prediction: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return each column as floats, or as text with "" where missing."""
    import numpy as np
    import pandas as pd

    found = [(PREDICTION, np.asarray(prediction, dtype=float))]
    types = pd.api.types
    for name in features.columns if features is not None else ():
        series = features[name]  # pyright: ignore
        dtype = series.dtype
        if types.is_datetime64_any_dtype(dtype) or types.is_complex_dtype(dtype):
            continue  # time goes on, and is foreign at once
        if types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype):
            found.append((str(name), series.to_numpy(float, na_value=np.nan)))
            continue
        words = [
            "" if gone else text(value) for value, gone in zip(series, series.isna(), strict=True)
        ]
        found.append((str(name), np.array(words, dtype=object)))
    return found


def _is_number(column: np.ndarray) -> bool:
    return column.dtype.kind == "f"
