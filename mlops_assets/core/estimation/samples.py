"""Rows to estimate on and rows to estimate from, their shape, and what is wrong with them.

``Sample`` is what a caller has, ``Coded`` what the methods compute with. Whatever is wrong with
the data becomes a ``Status`` with a reason, never an exception: a week without rows is a fact.
An unknown metric or arrays of different lengths are the caller's mistake and raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.core.models.scored import Scored

Status = Literal[
    "estimated",
    "too_few_rows",
    "too_few_reference_rows",
    "one_class",
    "missing_scores",
    "missing_features",
    "other_features",
    "shifted_too_far",
    "undefined",
    "not_estimable",
]


@dataclass(frozen=True)
class Sample:
    """Rows and what a model said about them.

    Attributes
    ----------
    scored
        Of a reference with labels; rows without one are left out. Of a window labels are not
        looked at and may be missing.
    features
        The features as used, one row each: a frame, or numbers of shape ``(n, k)``. Only PAPE
        and direct loss estimation need them.
    blocks
        The block of each row, days say, of any type, shape ``(n,)``; rows of different blocks
        are independent. ``None``: all rows are.
    """

    scored: Scored
    features: pd.DataFrame | np.ndarray | None = None
    blocks: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.scored)
        for name in ("features", "blocks"):
            value = getattr(self, name)
            if value is not None and len(value) != n:
                raise ValueError(f"Sample.{name} has {len(value)} rows, its predictions {n}")

    def __len__(self) -> int:
        return len(self.scored)

    def take(self, rows: np.ndarray) -> Sample:
        """The rows of a boolean mask or an index array."""
        features = self.features
        if features is not None:
            features = features[rows] if not hasattr(features, "iloc") else features.iloc[rows]
        blocks = None if self.blocks is None else self.blocks[rows]
        return Sample(self.scored.take(rows), features, blocks)

    def labelled(self) -> Sample:
        """The rows that have a label."""
        import numpy as np
        import pandas as pd

        known = ~np.asarray(pd.isna(self.scored.label))
        return self if known.all() else self.take(known)


@dataclass(frozen=True)
class Coded:
    """The rows of a classifier as numbers.

    Attributes
    ----------
    scores
        Probability by the model, ``(n, k)``: binary of the positive class alone, ``k = 1``.
    predicted
        Binary: 1 where the positive class is predicted; multiclass: position of the class, -1:
        none of them, shape ``(n,)``.
    truth
        Whether the label is that class, ``(n, k)``; of a window without meaning.
    """

    scores: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray

    @property
    def classes(self) -> int:
        """Columns of the scores."""
        return self.scores.shape[1]

    @property
    def complete(self) -> np.ndarray:
        """Which rows have a score and a prediction, shape ``(n,)``."""
        import numpy as np

        return np.isfinite(self.scores).all(axis=1) & (self.predicted >= -1)


#: Position of a prediction that is missing, not one of an unknown class.
_MISSING = -2


def coded(problem: str, scored: Scored) -> Coded:
    """Return a classifier's rows as numbers.

    Raises
    ------
    ValueError
        If there are no scores, or classes that cannot be told.
    """
    import numpy as np

    classes = scored.classes
    if problem == "binary":
        if scored.score is None:
            raise ValueError("Scored rows have no score; give the model's probabilities")
        positive = True if classes is None else classes[1]
        predicted = _equal(scored.prediction, positive).astype(int)
        truth = _equal(scored.label, positive)[:, None]
        scores = np.asarray(scored.score, dtype=float)[:, None]
    elif problem == "multiclass":
        if scored.scores is None or classes is None:
            raise ValueError("Scored rows of a multiclass problem need scores and classes")
        scores = np.asarray(scored.scores, dtype=float)
        truth = np.stack([_equal(scored.label, c) for c in classes], axis=1)
        found = np.stack([_equal(scored.prediction, c) for c in classes], axis=1)
        predicted = np.where(found.any(axis=1), found.argmax(axis=1), -1)
    else:
        raise ValueError(f"{problem!r} has no probabilities; use 'dle' for a regression")
    if scored.prediction.dtype.kind in "Of":
        import pandas as pd

        predicted = np.where(pd.isna(scored.prediction), _MISSING, predicted)
    return Coded(scores, predicted, truth)


def _equal(values: np.ndarray, to: object) -> np.ndarray:
    import numpy as np

    values = np.asarray(values)
    if values.dtype == bool and to is True:
        return values
    return np.asarray(values == to, dtype=bool)


def numbered(blocks: np.ndarray) -> np.ndarray:
    """Return the number of each row's block, from 0; all that are missing are one block."""
    import numpy as np
    import pandas as pd

    codes, names = pd.factorize(blocks, sort=True)
    return np.where(codes < 0, len(names), codes)
