"""What predictions cost by the declared cost matrix: business value beside the metrics.

The declaration is ``vocabulary.CostMatrix``. Rows, not money, are what metrics are of: see
``metrics`` and ``scored``, whose rules on missing values hold here too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models.metrics import Interval, standard_error, t_bounds

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.models.scored import Scored
    from mlops_assets.vocabulary import CostMatrix


def cost(costs: CostMatrix, problem: str, scored: Scored) -> float:
    """Return the mean cost of a row; NaN of no row, or where a row's cost is not defined."""
    found = row_costs(costs, problem, scored)
    return float(found.mean()) if len(found) else math.nan


def cost_interval(
    costs: CostMatrix, problem: str, scored: Scored, confidence: float = 0.95
) -> Interval:
    """Return the mean cost of a row with its two-sided interval, by Student's t on the rows."""
    found = row_costs(costs, problem, scored)
    n = len(found)
    mean = float(found.mean()) if n else math.nan
    parts = (found - mean) / math.sqrt(n * (n - 1)) if n > 1 else found * math.nan
    error = standard_error(parts)
    low, high = t_bounds(mean, error, n, confidence)
    return Interval(mean, low, high, n, error)


def row_costs(costs: CostMatrix, problem: str, scored: Scored) -> np.ndarray:
    """Return what each row costs, shape ``(n,)``.

    NaN where the label, or what is decided by, is missing, and where label or prediction is a
    class that the costs do not name.

    Raises
    ------
    ValueError
        If the costs are not for this problem, or a threshold is declared and there are no scores.
    """
    import numpy as np

    wrong = costs.problem_with(problem)
    if wrong is not None:
        raise ValueError(f"CostMatrix: costs: {wrong}")
    if problem == "regression":
        off = np.asarray(scored.prediction, dtype=float) - np.asarray(scored.label, dtype=float)
        over, under = float(costs.over or 0.0), float(costs.under or 0.0)
        with np.errstate(invalid="ignore"):
            found = np.where(off > 0, over * off, -under * off)
        return np.where(np.isfinite(off), found, np.nan)
    matrix = np.array(_matrix(costs, costs.classes))
    truth = _positions(scored.label, costs.classes)
    decided = _positions(decisions(costs, scored), costs.classes)
    known = (truth >= 0) & (decided >= 0)
    return np.where(known, matrix[np.maximum(truth, 0), np.maximum(decided, 0)], np.nan)


def decisions(costs: CostMatrix, scored: Scored) -> np.ndarray:
    """Return what is decided on each row: by the threshold, if one is declared, or as predicted.

    ``None`` where a threshold is declared and the score is missing.

    Raises
    ------
    ValueError
        If a threshold is declared and there are no scores.
    """
    import numpy as np

    if costs.threshold is None:
        return np.asarray(scored.prediction)
    if scored.score is None:
        raise ValueError("CostMatrix: threshold: rows without score cannot be decided by one")
    # Where the classes are not told they are booleans, or 0 and 1: the larger one is positive.
    negative, positive = scored.classes if scored.classes is not None else costs.classes
    score = np.asarray(scored.score, dtype=float)
    found = np.empty(len(score), dtype=object)
    found[:] = negative
    found[score >= costs.threshold] = positive
    found[np.isnan(score)] = None
    return found


def decided(costs: CostMatrix, scored: Scored) -> Scored:
    """Return the rows with what is decided in place of what was predicted."""
    return (
        scored if costs.threshold is None else replace(scored, prediction=decisions(costs, scored))
    )


def worth(costs: CostMatrix, classes: Sequence[Any]) -> list[list[float]]:
    """Return what a row is worth, by truth (rows) and decision (columns), in this order.

    What ``estimation.estimate`` takes as ``costs`` for ``business_value``: the negative of a cost.

    Raises
    ------
    ValueError
        If the costs do not name one of the classes.
    """
    unknown = [c for c in classes if c not in costs.classes]
    if unknown:
        raise ValueError(
            f"CostMatrix: costs: name {list(costs.classes)}, but not {unknown} of the model's "
            f"classes {list(classes)}"
        )
    return [[-value for value in row] for row in _matrix(costs, classes)]


def _matrix(costs: CostMatrix, classes: Sequence[Any]) -> list[list[float]]:
    assert costs.costs is not None
    return [[costs.costs[truth, decision] for decision in classes] for truth in classes]


def _positions(labels: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Return each label's position in ``classes``; -1 where it is missing or none of them."""
    import numpy as np
    import pandas as pd

    known = pd.Index(np.array([*classes, None], dtype=object)[:-1], dtype=object)
    return known.get_indexer(pd.Index(np.asarray(labels).astype(object), dtype=object))
