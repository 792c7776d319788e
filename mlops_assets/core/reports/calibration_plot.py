"""The calibration of a version on its holdout: a point for each tenth of the predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_assets.core.promotion.calibration import ALL

if TYPE_CHECKING:
    from mlops_assets.core.documents import Figure
    from mlops_assets.core.promotion.calibration import CalibrationPart
    from mlops_assets.vocabulary import Model


def figure(model: Model, measured: Sequence[CalibrationPart]) -> Figure:
    """Draw mean outcomes against mean predictions, with 95 % intervals."""
    from mlops_assets.core.documents import calibration

    tenths = [part for part in measured if part.part != ALL]
    return calibration(
        [(part.predicted, part.actual, part.rows) for part in tenths],
        # The outcome's interval is that of the gap, the prediction being known.
        [
            (part.predicted - part.gap.high, part.predicted - part.gap.low)
            if math.isfinite(part.gap.low + part.gap.high)
            else None
            for part in tenths
        ],
        name=model.label.name,
        bounds=None if model.problem == "regression" else (0.0, 1.0),
    )
