"""What a search for bad slices tells: the slices, and what was searched.

How they are found belongs in ``slices``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.core.attention.conditions import Condition

#: ``too_few_days``: so few that even one slice bad on all of them could be chance.
SearchStatus = Literal[
    "searched", "no_loss", "too_few_rows", "constant_loss", "too_few_days", "no_columns"
]


@dataclass(frozen=True)
class WorstSlice:
    """A slice whose mean loss is above that of all other rows.

    Attributes
    ----------
    conditions
        One or two; a row that meets all is in the slice.
    rows, share
        Of the slice; of all rows.
    mean, rest
        Mean loss in the slice, and of all other rows.
    excess, low, high
        ``mean - rest`` with its interval; where days are given, over the rest of the same days,
        and by day. The slice was chosen for being bad, so that this is what these rows show and
        somewhat more than what new ones will.
    p
        Adjusted over all slices that were searched.
    explained
        Share of all loss that would be saved, were the slice like the rest; ``None`` where
        the losses do not sum to a positive number.
    of_increase
        The slice's share of what the loss exceeds ``expected`` by, over all rows; over 1 where
        other rows do better than expected. ``None`` without ``expected``, or without increase.
    days
        With rows of the slice; ``None``: days are not known.
    """

    conditions: tuple[Condition, ...]
    rows: int
    share: float
    mean: float
    rest: float
    excess: float
    low: float
    high: float
    p: float
    explained: float | None
    of_increase: float | None
    days: int | None

    @property
    def text(self) -> str:
        """The conditions as a person reads them."""
        return " and ".join(condition.text for condition in self.conditions)

    def mask(self, frame: pd.DataFrame) -> np.ndarray:
        """Return which rows of a frame are in the slice, shape ``(n,)``."""
        import numpy as np

        return np.logical_and.reduce([condition.mask(frame) for condition in self.conditions])


@dataclass(frozen=True)
class SliceSearch:
    """The slices that were found, the worst first, and what was searched.

    Attributes
    ----------
    status, reason
        Whether there was a search; if not, why, in a sentence.
    rows, unusable
        With a loss; without a finite one, which are left out.
    searched
        Slices by one column and by pairs.
    columns, skipped
        That slices were made of; and why the others were not.
    unpaired
        Columns of ``columns`` that were searched alone: there are too many to pair.
    days
        ``None``: rows were taken as independent.
    """

    slices: tuple[WorstSlice, ...]
    status: SearchStatus
    reason: str
    rows: int
    unusable: int
    alpha: float
    searched: int = 0
    columns: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    unpaired: tuple[str, ...] = ()
    days: int | None = None

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a row for each slice, ready for a table."""
        return [
            {
                "rank": rank,
                "slice": found.text,
                "columns": [condition.column for condition in found.conditions],
                "n": found.rows,
                "share": found.share,
                "mean": found.mean,
                "rest": found.rest,
                "excess": found.excess,
                "low": found.low,
                "high": found.high,
                "p": found.p,
                "explained": found.explained,
                "of_increase": found.of_increase,
                "days": found.days,
            }
            for rank, found in enumerate(self.slices, 1)
        ]
