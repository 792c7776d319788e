"""Generated covariate shift: the mix of rows moves, the label's law given the features stays.

The models know too little (linear without the product that matters, or trees without a column), so
that equal scores come to mean something else: what CBPE cannot see, and PAPE is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from mlops_assets.core.estimation import Sample
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.models.threads import threads_for

USUAL = np.array([0.4, 0.3, 0.2, 0.1])
KINDS = np.array(["a", "b", "c", "d"], dtype=object)
_EFFECT = np.array([-0.6, 0.0, 0.4, 1.0])


@dataclass(frozen=True)
class World:
    """A model and how to draw rows for it."""

    model: Any
    columns: list[str]

    def draw(self, rng: np.random.Generator, n: int, shift: Any = 0.0, mix: Any = USUAL) -> Sample:
        """Return rows with labels; ``shift`` moves the first four columns by so many sd."""
        features, label = draw(rng, n, shift, mix)
        with threads_for(n):
            score = self.model.predict_proba(numbers(features[self.columns]))[:, 1]
        return Sample(Scored(label, score >= 0.5, score), features)

    def window(self, rng: np.random.Generator, n: int = 6500, size: float = 0.4) -> Sample:
        """Return rows of a mix that has moved by chance."""
        return self.draw(rng, n, rng.normal(0, size, 4), rng.dirichlet([3, 3, 3, 3]))


def draw(
    rng: np.random.Generator, n: int, shift: Any = 0.0, mix: Any = USUAL
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return features and labels."""
    x = rng.normal(0, 1, (n, 8))
    x[:, :4] += shift
    kind = rng.choice(4, n, p=mix)
    z = -1 + 0.8 * x[:, 0] - 0.6 * x[:, 1] + 0.5 * x[:, 2] * x[:, 0] + 0.4 * (x[:, 3] ** 2 - 1)
    z += _EFFECT[kind] + 0.3 * (kind == 3) * x[:, 1]
    label = rng.random(n) < 1 / (1 + np.exp(-z))
    features = pd.DataFrame(x, columns=[f"x{i}" for i in range(8)])
    features["kind"] = KINDS[kind]
    return features, label


def numbers(features: pd.DataFrame) -> np.ndarray:
    """Return the features with the kind as its position."""
    known = features.assign(kind=pd.Index(KINDS).get_indexer(pd.Index(features["kind"])))
    return known.to_numpy(float)


@cache
def world(kind: str = "linear") -> World:
    """Return a world whose model is ``linear`` or ``trees``."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    features, label = draw(np.random.default_rng(99), 8000)
    columns = [*features.columns] if kind == "linear" else ["x0", "x1", "x2", "kind"]
    model = (
        LogisticRegression()
        if kind == "linear"
        else HistGradientBoostingClassifier(max_iter=25, max_leaf_nodes=6, random_state=0)
    )
    with threads_for(len(features)):
        model.fit(numbers(features[columns]), label)
    return World(model, columns)
