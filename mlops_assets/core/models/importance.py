"""Which features a fitted model relies on, measured in one prediction call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models import metrics
from mlops_assets.core.scoring import scoring
from mlops_assets.vocabulary import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd

    from mlops_assets.vocabulary import Model

#: Rows, and rows times features, that are looked at: a tenth of a second for
#: a hundred trees.
ROWS = 2_000
CELLS = 16_000


def permutation_importance(
    model: Model,
    estimator: Any,
    prepared: pd.DataFrame,
    label: np.ndarray,
    classes: Sequence[Any] | None,
    seed: int = 0,
) -> dict[str, float]:
    """Return each feature's share of the loss that shuffling it adds (Breiman, 2001).

    Up to ``ROWS`` rows, evenly spread, one shuffle, the primary metric. The shares sum to
    1, or are all 0 where no feature matters. Features that say the same share what they
    matter, and each can seem to matter little.
    """
    import numpy as np
    import pandas as pd

    features = list(prepared.columns)
    rows = spread(len(prepared), max(200, min(ROWS, CELLS // len(features))))
    sample, truth = prepared.iloc[rows], label[rows]
    n, copies = len(sample), len(features) + 1
    shuffled = np.random.default_rng(seed).permutation(n)
    columns = {}
    for at, name in enumerate(features):
        values = sample[name].to_numpy()
        column = np.tile(values, copies)
        column[at * n : (at + 1) * n] = values[shuffled]
        columns[name] = pd.Series(column, dtype=column.dtype)
    # In the block of each feature only that feature is shuffled, in the last block none is.
    said = scoring.outputs(model.problem, estimator, pd.DataFrame(columns), classes)
    said = replace(said, label=np.tile(truth, copies))
    values = np.array(
        [
            metrics.value(model.problem, model.metric, said.take(np.arange(at * n, (at + 1) * n)))
            for at in range(copies)
        ]
    )
    worse = values[:-1] - values[-1]
    if model.metric in HIGHER_IS_BETTER:
        worse = -worse
    worse = np.where(np.isfinite(worse), np.maximum(worse, 0.0), 0.0)
    total = worse.sum()
    shares = worse / total if total > 0 else worse
    return {name: float(share) for name, share in zip(features, shares, strict=True)}


def spread(n: int, most: int) -> np.ndarray:
    """Return up to ``most`` row numbers, evenly spread over ``n``."""
    import numpy as np

    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).astype(np.int64)
