"""The single predictions that were furthest off, each with the command that explains it.

Where many rows are off, and not one, belongs in ``slices``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class LargestError:
    """One prediction, what came of it, and how to look into it."""

    rank: int
    prediction_id: str
    row_key: str
    prediction: Any
    truth: Any
    loss: float
    score: float | None = None

    @property
    def command(self) -> str:
        """What shows everything that made the prediction."""
        return f"mlops-assets explain {self.prediction_id}"


def largest_errors(
    frame: pd.DataFrame,
    loss: str | np.ndarray | Sequence[float],
    k: int = 10,
    *,
    prediction_id: str = "prediction_id",
    row_key: str = "row_key",
    prediction: str = "prediction",
    truth: str = "label",
    score: str | None = None,
) -> list[LargestError]:
    """Return the ``k`` predictions with the largest loss, the largest first.

    Parameters
    ----------
    frame
        A row for each captured prediction.
    loss
        Of each row: a column's name, or shape ``(n,)``. Rows without one, which is without truth,
        are left out; an infinite one is the largest.
    prediction_id, row_key, prediction, truth, score
        The names of the columns.

    Returns
    -------
    list of LargestError
        Ties in the order of their ids, so that the same rows in any order give the same.

    Raises
    ------
    KeyError
        If a column is not there.
    ValueError
        If ``loss`` has another number of rows, or ``k`` is negative.
    """
    import numpy as np

    from mlops_assets.core.attention.slices import column_or_values

    if k < 0:
        raise ValueError(f"k must not be negative, but is {k}")
    for name in (prediction_id, row_key, prediction, truth, *([score] if score else [])):
        if name not in frame.columns:
            raise KeyError(f"column {name!r} is not there: there are {list(frame.columns)}")
    losses = column_or_values(frame, loss, "loss").astype(float)
    there = np.flatnonzero(~np.isnan(losses))
    if k == 0 or len(there) == 0:
        return []
    if len(there) > k:
        least = np.partition(losses[there], len(there) - k)[len(there) - k]
        there = there[losses[there] >= least]
    ids = frame[prediction_id].to_numpy()[there].astype(str)
    rows = there[np.lexsort([ids, -losses[there]])][:k]
    told = frame.iloc[rows]
    return [
        LargestError(
            rank=rank,
            prediction_id=str(told[prediction_id].iloc[i]),
            row_key=str(told[row_key].iloc[i]),
            prediction=_plain(told[prediction].iloc[i]),
            truth=_plain(told[truth].iloc[i]),
            loss=float(losses[rows[i]]),
            score=None if score is None else _number(told[score].iloc[i]),
        )
        for rank, i in enumerate(range(len(rows)), 1)
    ]


def _plain(value: Any) -> Any:
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _number(value: Any) -> float | None:
    import pandas as pd

    return None if pd.isna(value) else float(value)
