"""Direct loss estimation: a second model of how far the first is off, for regressions.

Trees are fitted on the reference to the loss of each row from its features and its prediction, as
NannyML does; what they expect of the window's rows, on average, is the estimate. Beyond that:

* Residuals are *out of fold*, of blocks left out where there are blocks: a loss model is sure of
  the rows it has seen, and its error on them says nothing.
* How much the estimate depends on the reference's rows is seen by leaving out each part in turn
  (the grouped jackknife).
* Where rows share blocks, what the trees say is shrunk towards the reference's mean loss by its
  calibration slope out of fold, so that a loss model that has learnt nothing says that nothing
  has changed.

As with every estimate without labels, a changed relation of label and features is not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.estimation import intervals
from mlops_assets.core.estimation.cbpe import Moments
from mlops_assets.core.models.threads import threads_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mlops_assets.core.estimation.samples import Sample

#: The metrics: the mean of a loss, and the root of the mean of one.
METRICS = ("mae", "rmse")
#: Parts left out in turn.
FOLDS = 5
#: Values of a category that the trees tell apart, the most frequent.
VALUES = 200
#: On fifteen weeks of the rows as near as 40 trees of 15 leaves (mean absolute error of the mean
#: absolute error 4.4 and 4.5 minutes), in half the time.
TREES: Mapping[str, Any] = {
    "max_iter": 15,
    "learning_rate": 0.3,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 50,
    "l2_regularization": 5.0,
    "early_stopping": False,
    "random_state": 0,
}


@dataclass(frozen=True)
class LossModel:
    """What a row's loss depends on.

    Attributes
    ----------
    trees, parts
        Fitted on all of the reference, and without each part.
    mean, slope
        The estimate of a row is ``mean + slope * (trees - mean)``.
    residuals
        Loss minus estimate of each reference row, out of fold, shape ``(n,)``.
    spread
        Mean square of the residuals over the mean square of the estimates: the noise of a row's
        loss grows with what is expected of it.
    """

    trees: Any
    parts: tuple[Any, ...]
    mean: float
    slope: float
    residuals: np.ndarray
    spread: float

    def expected(self, features: np.ndarray) -> np.ndarray:
        """Return the expected loss of rows, at least 0, shape ``(m,)``."""
        return self._shrunk(self.trees, features)

    def variance(self, features: np.ndarray) -> float:
        """Return the variance of the rows' mean expected loss with the rows fitted on."""
        import numpy as np

        means = np.array([self._shrunk(part, features).mean() for part in self.parts])
        if len(means) < 2:
            return 0.0
        return float(np.sum((means - means.mean()) ** 2)) * (len(means) - 1) / len(means)

    def _shrunk(self, trees: Any, features: np.ndarray) -> np.ndarray:
        import numpy as np

        with threads_for(len(features)):
            said = trees.predict(features)
        return np.maximum(self.mean + self.slope * (said - self.mean), 0.0)


@dataclass(frozen=True)
class Encoding:
    """Columns that vary, in order, and of each category its values in order."""

    columns: tuple[Any, ...]
    values: Mapping[Any, tuple[Any, ...]]

    @classmethod
    def of(cls, features: pd.DataFrame) -> Encoding:
        """Learn the encoding from the reference's features."""
        import pandas as pd

        columns, values = [], {}
        for name in features.columns:
            if len(features[name].dropna().unique()) < 2:
                continue
            columns.append(name)
            if not pd.api.types.is_numeric_dtype(features[name]):
                counts = features[name].dropna().astype(object).value_counts()
                frequent = sorted(counts.index, key=lambda v: (-counts[v], str(v)))
                values[name] = tuple(frequent[:VALUES])
        return cls(tuple(columns), values)

    def encode(self, features: pd.DataFrame, prediction: np.ndarray) -> np.ndarray:
        """Return numbers and codes, the prediction last; NaN: missing or unknown."""
        import numpy as np
        import pandas as pd

        parts = []
        for name in self.columns:
            if name in self.values:
                known = pd.Index(self.values[name], dtype=object)
                codes = known.get_indexer(pd.Index(features[name], dtype=object)).astype(float)
                parts.append(np.where(codes < 0, np.nan, codes))
            else:
                values = pd.to_numeric(features[name], errors="coerce").to_numpy(float)
                parts.append(np.where(np.isfinite(values), values, np.nan))
        return np.stack([*parts, prediction], axis=1)


def fit(
    reference: Sample, encoding: Encoding, blocks: np.ndarray | None
) -> Mapping[str, LossModel]:
    """Fit a model of each loss.

    Parameters
    ----------
    reference
        Labelled rows with a frame of features.
    blocks
        The block of each row as a number from 0, or ``None``.
    """
    import numpy as np
    import pandas as pd

    assert isinstance(reference.features, pd.DataFrame)
    prediction = np.asarray(reference.scored.prediction, dtype=float)
    error = np.abs(prediction - np.asarray(reference.scored.label, dtype=float))
    x = encoding.encode(reference.features, prediction)
    categories = [at for at, name in enumerate(encoding.columns) if name in encoding.values]
    shared = blocks is not None
    fold = (np.arange(len(error)) if blocks is None else blocks) % FOLDS
    return {
        "mae": _fit(x, error, fold, categories, shared),
        "rmse": _fit(x, error**2, fold, categories, shared),
    }


def moments(
    metric: str,
    model: LossModel,
    features: np.ndarray,
    blocks: np.ndarray | None,
    window_blocks: np.ndarray | None,
) -> Moments:
    """Return the metric that is expected of a window's rows, and how it may vary.

    ``features`` are encoded; ``blocks`` and ``window_blocks`` as in ``cbpe.moments``.
    """
    import numpy as np

    expected = model.expected(features)
    value = float(expected.mean())
    drawn = model.spread * float(np.sum(expected**2)) / len(expected) ** 2
    shared = intervals.block_variance(model.residuals, blocks, window_blocks)
    learnt = max(
        intervals.reference_variance(model.residuals / len(model.residuals), blocks),
        model.variance(features),
    )
    if metric == "mae":
        return Moments(value, drawn, shared, learnt)
    if value <= 0:
        return Moments(0.0, 0.0, 0.0, 0.0)
    # Of a root, by the delta method.
    return Moments(math.sqrt(value), *(part / (4 * value) for part in (drawn, shared, learnt)))


def _fit(
    x: np.ndarray, loss: np.ndarray, fold: np.ndarray, categories: list[int], shrink: bool
) -> LossModel:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor

    def trees(rows: np.ndarray) -> Any:
        chosen = HistGradientBoostingRegressor(**TREES, categorical_features=categories)
        return chosen.fit(x[rows], loss[rows])

    mean = float(loss.mean())
    said, parts = np.full(len(loss), mean), []
    with threads_for(len(loss)):
        for part in np.unique(fold):
            out = fold == part
            if not out.all():
                parts.append(trees(~out))
                said[out] = parts[-1].predict(x[out])
        whole = trees(np.ones(len(loss), dtype=bool))
    moved = said - mean
    size = float(moved @ moved)
    slope = min(max(float(moved @ (loss - mean)) / size, 0.0), 1.0) if size > 0 else 0.0
    slope = slope if shrink else 1.0
    estimates = np.maximum(mean + slope * moved, 0.0)
    residuals = loss - estimates
    scale = float(np.mean(estimates**2))
    spread = float(np.mean(residuals**2)) / scale if scale > 0 else 0.0
    return LossModel(whole, tuple(parts), mean, slope, residuals, spread)
