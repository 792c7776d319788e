"""Numbers of values, their sum and their squares: what a detector needs of a day's losses.

Aggregates add up, so that a year of losses costs as much as its days. Which losses, and of which
rows, belongs to ``expected`` and to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Aggregate:
    """Some values.

    Attributes
    ----------
    n
        How many.
    mean
        Their mean.
    squares
        The sum of their squared distances from that mean.
    """

    n: float
    mean: float
    squares: float = 0.0

    @classmethod
    def of(cls, n: float, total: float, total_of_squares: float) -> Aggregate:
        """Return the aggregate of ``n`` values of this sum and this sum of squares.

        Raises
        ------
        ValueError
            If there are none: a day without losses is no aggregate, and is left out.
        """
        if not n > 0:
            raise ValueError(f"an aggregate is of at least one value, not of {n}")
        n, total = float(n), float(total)
        mean = total / n
        return cls(n, mean, max(float(total_of_squares) - total * mean, 0.0))

    @classmethod
    def of_value(cls, value: float) -> Aggregate:
        """Return the aggregate of one value."""
        return cls(1.0, float(value))

    def __add__(self, other: Aggregate) -> Aggregate:
        """Return the aggregate of both, by Chan, Golub and LeVeque's (1979) formula."""
        n = self.n + other.n
        apart = other.mean - self.mean
        mean = self.mean + apart * other.n / n
        squares = self.squares + other.squares + apart * apart * self.n * other.n / n
        return Aggregate(n, mean, squares)

    @property
    def variance(self) -> float:
        """Mean squared distance from the mean."""
        return self.squares / self.n


@dataclass(frozen=True)
class Change:
    """A change that a detector has found.

    Attributes
    ----------
    at
        The update at which it was found, the detector's first being 1.
    since
        The first update after the change, by the detector's estimate.
    rise
        Whether the values have become larger.
    before, after
        Mean of the values on both sides, as far as the detector remembers them.
    """

    at: int
    since: int
    rise: bool
    before: float
    after: float


def plain(one: Aggregate) -> list[float]:
    """Return an aggregate as plain numbers."""
    return [one.n, one.mean, one.squares]


def parameters(state: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return these entries of a stored state.

    Raises
    ------
    ValueError
        If one is missing: this is then the state of something else.
    """
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(
            f"a detector's stored state lacks {missing[0]!r}; it has {sorted(state)}: was it "
            "stored by another detector, or another version of it?"
        )
    return {name: state[name] for name in names}
