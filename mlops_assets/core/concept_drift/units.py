"""A day (or week) of excess losses, as it is stored and fed to a watch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.concept_drift.aggregates import Aggregate

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Unit:
    """One day's values.

    Attributes
    ----------
    when
        The day, as given.
    n
        Rows that count.
    total, squares
        Sum of their values, and of the squares of these.
    foreign
        Rows that were left out, as the reference has none like them.
    uncertain
        Standard error of the day's expectation beyond that of the reference's days: rows of
        another mix lean on fewer rows of the reference.
    """

    when: Any
    n: int
    total: float
    squares: float
    foreign: int = 0
    uncertain: float = 0.0

    @property
    def mean(self) -> float:
        """Mean value."""
        return self.total / self.n

    @property
    def aggregate(self) -> Aggregate:
        """What detectors take.

        Raises
        ------
        ValueError
            If no row counts.
        """
        return Aggregate.of(self.n, self.total, self.squares)


def units_of(when: np.ndarray, values: np.ndarray, foreign: np.ndarray | None = None) -> list[Unit]:
    """Add up rows by day, in order of time.

    Parameters
    ----------
    when
        The day of each row, shape (n,).
    values
        Finite, shape (n,).
    foreign
        Rows to be counted but left out.
    """
    import numpy as np

    days, day = np.unique(comparable(when), return_inverse=True)
    out = np.zeros(len(values), bool) if foreign is None else foreign
    taken, kept = day[~out], np.asarray(values, dtype=float)[~out]
    size = len(days)
    counts = np.bincount(taken, minlength=size)
    totals = np.bincount(taken, weights=kept, minlength=size)
    squares = np.bincount(taken, weights=kept**2, minlength=size)
    strangers = np.bincount(day[out], minlength=size)
    return [
        Unit(when, int(counts[at]), float(totals[at]), float(squares[at]), int(strangers[at]))
        for at, when in enumerate(days.tolist())
    ]


def comparable(when: np.ndarray) -> np.ndarray:
    """Return days that become Python's own dates or times, not counts of nanoseconds."""
    import numpy as np

    days = np.asarray(when)
    return days.astype("datetime64[us]") if days.dtype.kind == "M" else days
