"""What is kept of a reference: a few hundred points of each column instead of its rows.

A numeric column becomes a compressed distribution function (values with the exact number of
rows below and up to each) and a histogram; of a categorical one its counts. A profile is made
once, stored as JSON with the model version, and read by every later report: the training data
are not read again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlops_assets.core.drift_methods.columns import Categories, Nothing, Numbers
from mlops_assets.core.drift_methods.statuses import Kind

if TYPE_CHECKING:
    import numpy as np

FORMAT = "mlops-assets/drift-profile/2"
#: Knots at evenly spaced ranks: between two of them lie at most 1/400 of the rows.
POINTS = 400
#: Knots at evenly spaced values beside them, for the tails, which ranks hardly see.
SPACED = 100
#: Bins of a numeric column with more distinct values than that. The customary bounds of the
#: population stability index were made for ten.
BINS = 10
#: Most categories that a profile names. What is rarer is kept as one count.
NAMED = 2_000


@dataclass(frozen=True)
class Sketch:
    """A numeric column in a few hundred points.

    Parameters
    ----------
    at
        The knots: some of the values, ascending, both ends among them.
    under, until
        How many rows are less than each knot, and how many at most.
    edges
        Of the histogram, see ``histogram_edges``.
    mean, std
        Of all values.
    complete
        Whether every distinct value is a knot.
    """

    at: np.ndarray
    under: np.ndarray
    until: np.ndarray
    edges: np.ndarray
    mean: float
    std: float
    missing: int
    infinite: int
    complete: bool

    kind = Kind.NUMERIC

    @property
    def n(self) -> int:
        """Number of values."""
        return int(self.until[-1]) if len(self.until) else 0

    @property
    def rows(self) -> int:
        """Number of rows, those without a value included."""
        return self.n + self.missing + self.infinite

    @property
    def least(self) -> float:
        """Smallest value."""
        return float(self.at[0])

    @property
    def greatest(self) -> float:
        """Largest value."""
        return float(self.at[-1])

    def upto(self, x: np.ndarray) -> np.ndarray:
        """Return how many values are at most ``x``: exact at a knot, linear between two."""
        return self._ranks(x, at_knot=self.until)

    def below(self, x: np.ndarray) -> np.ndarray:
        """Return how many values are less than ``x``: exact at a knot, linear between two."""
        return self._ranks(x, at_knot=self.under)

    @cached_property
    def _pieces(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Half of each knot, the rank just after it and the slope to the next; before the first, 0.

        Halves: the width between knots far apart would overflow.
        """
        import numpy as np

        half = self.at / 2
        slope = (self.under[1:] - self.until[:-1]) / np.diff(half)
        return (
            np.concatenate([half[:1], half]),
            np.concatenate([[0], self.until]).astype(float),
            np.concatenate([[0.0], slope, [0.0]]),
        )

    def _ranks(self, x: np.ndarray, at_knot: np.ndarray) -> np.ndarray:
        import numpy as np

        half, after, slope = self._pieces
        left = self.at.searchsorted(x, side="right")
        ranks = after[left] + slope[left] * (x / 2 - half[left])
        knot = np.maximum(left, 1) - 1
        return np.where(self.at[knot] == x, at_knot[knot], ranks)

    def knots(self) -> np.ndarray:
        """Return the values at which ranks are exact."""
        return self.at

    def thinned(self, points: int) -> np.ndarray:
        """Return the knots; ``points`` is for sides that have more."""
        return self.at

    def few_distinct(self, most: int) -> np.ndarray | None:
        """Return the distinct values if there are at most ``most``, else ``None``."""
        return self.at if self.complete and len(self.at) <= most else None


Side = Numbers | Sketch | Categories | Nothing


@dataclass(frozen=True)
class Profile:
    """A stored reference: sketches and counts by column name."""

    columns: Mapping[str, Side]

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads, of lists, numbers and text only."""
        return {
            "format": FORMAT,
            "columns": {name: _written(side) for name, side in self.columns.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Profile:
        """Read a stored profile.

        Raises
        ------
        ValueError
            If it is in another format.
        """
        if stored.get("format") != FORMAT:
            raise ValueError(
                f"cannot read a drift profile of format {stored.get('format')!r}: "
                f"this version reads {FORMAT!r}; make the profile anew with `profile`"
            )
        return cls({name: _read(column) for name, column in stored["columns"].items()})


def histogram_edges(side: Numbers | Sketch) -> np.ndarray:
    """Return the inner edges e1 < ... < ek of the bins (-inf, e1), [e1, e2), ..., [ek, inf).

    Between distinct values if there are few, else at deciles. A constant has a bin of its own,
    so that leaving it in either direction shows.
    """
    import numpy as np

    if isinstance(side, Sketch):
        return side.edges
    few = side.few_distinct(BINS)
    if few is None:
        ranks = np.ceil(np.arange(1, BINS) / BINS * side.n).astype(np.int64) - 1
        cuts = np.unique(side.values[ranks])
        # An edge at the least value would leave the first bin empty.
        return cuts[cuts > side.least]
    if len(few) == 1:
        return np.array([few[0], math.nextafter(few[0], math.inf)])
    return few[1:]


def sketch(column: Numbers) -> Sketch:
    """Compress a numeric column that has at least one value."""
    import numpy as np

    edges = histogram_edges(column)
    distinct = column.few_distinct(POINTS + SPACED)
    complete = distinct is not None
    if distinct is None:
        evenly = np.linspace(0, 1, SPACED + 1)
        wanted = column.least * (1 - evenly) + column.greatest * evenly
        nearest = np.minimum(column.below(wanted), column.n - 1)
        distinct = np.unique(
            np.concatenate([column.thinned(POINTS + 1), column.values[nearest], edges])
        )
    return Sketch(
        at=distinct,
        under=column.below(distinct),
        until=column.upto(distinct),
        edges=edges,
        mean=column.mean,
        std=column.std,
        missing=column.missing,
        infinite=column.infinite,
        complete=complete,
    )


def compressed(side: Side) -> Side:
    """Return what is kept of a column."""
    if isinstance(side, Numbers) and side.n:
        return sketch(side)
    if isinstance(side, Categories) and len(side.counts) > NAMED:
        # Ties are broken by name: the same data give the same profile.
        ranked = sorted(side.counts.items(), key=lambda item: (-item[1], item[0]))
        rest = sum(n for _, n in ranked[NAMED:])
        named = dict(ranked[:NAMED])
        return Categories(named, side.missing, side.boolean, others=side.others + rest)
    return side


def _written(side: Side) -> dict[str, Any]:
    import numpy as np

    if isinstance(side, Sketch):
        return {
            "kind": side.kind.value,
            "at": side.at.tolist(),
            # Small numbers, which are short: rows since the knot before, and rows at the knot.
            "between": (side.under - np.append(0, side.until[:-1])).tolist(),
            "ties": (side.until - side.under).tolist(),
            "edges": side.edges.tolist(),
            "mean": side.mean,
            "std": side.std,
            "missing": side.missing,
            "infinite": side.infinite,
            "complete": side.complete,
        }
    if isinstance(side, Categories):
        return {
            "kind": side.kind.value,
            "counts": dict(side.counts),
            "others": side.others,
            "missing": side.missing,
        }
    if isinstance(side, Numbers):
        return {"kind": side.kind.value, "missing": side.missing, "infinite": side.infinite}
    return {"kind": side.kind.value, "rows": side.rows}


def _read(column: Mapping[str, Any]) -> Side:
    import numpy as np

    kind = Kind(column["kind"])
    if kind in (Kind.CATEGORICAL, Kind.BOOLEAN):
        counts = {str(name): int(n) for name, n in column["counts"].items()}
        return Categories(
            counts, int(column["missing"]), kind is Kind.BOOLEAN, others=int(column["others"])
        )
    if kind is not Kind.NUMERIC:
        return Nothing(kind, int(column["rows"]))
    if "at" not in column:
        return Numbers(np.empty(0), int(column["missing"]), int(column["infinite"]))
    ties = np.asarray(column["ties"], np.int64)
    until = np.cumsum(ties + np.asarray(column["between"], np.int64))
    return Sketch(
        at=np.asarray(column["at"], float),
        under=until - ties,
        until=until,
        edges=np.asarray(column["edges"], float),
        mean=float(column["mean"]),
        std=float(column["std"]),
        missing=int(column["missing"]),
        infinite=int(column["infinite"]),
        complete=bool(column["complete"]),
    )
