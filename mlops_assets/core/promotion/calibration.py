"""Whether predictions mean what they say: mean prediction beside mean outcome.

Measured over all rows and in each tenth of the predictions; whether a gap is too large belongs
in ``gate``. For a binary problem the prediction is the probability of the positive class, for
a multiclass one that of the class predicted (and the outcome whether it was that class), for a
regression the number itself. A model of a median is off the mean by its nature.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.models.metrics import Interval, standard_error, t_bounds
from mlops_assets.core.promotion.differences import block_contributions

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.models.scored import Scored

ALL = "all"
PARTS = 10


@dataclass(frozen=True)
class CalibrationPart:
    """Mean prediction and mean outcome of a part of the rows.

    Attributes
    ----------
    part
        ``all``, or the number of the tenth, from the lowest predictions, ``1``, upwards. Rows
        with the same prediction are in the same part, so that there may be fewer.
    gap
        Prediction minus outcome, with its two-sided 95 % interval.
    """

    part: str
    rows: int
    predicted: float
    actual: float
    gap: Interval


def calibration(problem: str, scored: Scored, blocks: np.ndarray | None) -> list[CalibrationPart]:
    """Return the parts, ``all`` first; empty where there are no rows.

    Parameters
    ----------
    blocks
        The block of each row as a number from 0 (see ``differences``); ``None``: rows are
        independent.
    """
    import numpy as np

    if not len(scored):
        return []
    predicted, actual = _pairs(problem, scored)
    parts = [_part(ALL, predicted, actual, blocks)]
    if not np.isfinite(predicted).all():
        return parts
    edges = np.unique(np.quantile(predicted, np.arange(1, PARTS) / PARTS))
    at = np.searchsorted(edges, predicted, side="left")
    for number in range(len(edges) + 1):
        rows = np.flatnonzero(at == number)
        if len(rows):
            own = None if blocks is None else blocks[rows]
            parts.append(_part(str(number + 1), predicted[rows], actual[rows], own))
    return parts


def expected_error(parts: Iterable[CalibrationPart]) -> float:
    """Return the expected calibration error: the mean gap of the tenths, whatever its sign.

    By chance alone it is above 0; NaN where there are no tenths.
    """
    tenths = [part for part in parts if part.part != ALL]
    rows = sum(part.rows for part in tenths)
    return sum(part.rows * abs(part.gap.value) for part in tenths) / rows if rows else float("nan")


def _pairs(problem: str, scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    if problem == "regression":
        return np.asarray(scored.prediction, dtype=float), np.asarray(scored.label, dtype=float)
    if problem == "binary":
        positive = True if scored.classes is None else scored.classes[1]
        actual = np.asarray(scored.label == positive, dtype=float)
        return np.asarray(scored.score, dtype=float), actual
    assert scored.scores is not None
    actual = np.asarray(scored.label == scored.prediction, dtype=float)
    return np.asarray(scored.scores, dtype=float).max(axis=1), actual


def _part(
    name: str, predicted: np.ndarray, actual: np.ndarray, blocks: np.ndarray | None
) -> CalibrationPart:
    import numpy as np

    gaps, n = predicted - actual, len(predicted)
    value, units = float(gaps.mean()), n
    if blocks is None:
        contributions = (gaps - value) / np.sqrt(n * (n - 1)) if n > 1 else np.full(n, np.nan)
    else:
        contributions = block_contributions((gaps - value) / n, blocks)
        units = len(contributions)
    error = standard_error(contributions)
    low, high = t_bounds(value, error, units, 0.95)
    gap = Interval(value, low, high, n, error, "t", None if blocks is None else units)
    return CalibrationPart(name, n, float(predicted.mean()), float(actual.mean()), gap)
