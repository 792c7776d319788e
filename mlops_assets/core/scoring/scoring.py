"""From features to predictions: the frame an estimator is promised, and what it says.

Training, evaluation and daily scoring all go through ``prepare`` and ``outputs``, so that
a model meets the same types everywhere. Where the features come from belongs in
``retrieval``; which frames fit in ``signature``; what happens to predictions in ``capture``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models.scored import Scored
from mlops_assets.core.models.threads import threads_for
from mlops_assets.core.scoring.signature import SignatureError as SignatureError
from mlops_assets.core.scoring.signature import conform

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class ScoringError(RuntimeError):
    """An estimator answered with something that is no prediction."""


def prepare(frame: pd.DataFrame, signature: Mapping[str, Any]) -> pd.DataFrame:
    """Return the columns of the signature, in its order and with the types it promises.

    Parameters
    ----------
    frame
        Features, one row per prediction; what further columns do is declared, see ``Model``.
    signature
        Of a model version, see ``signature``.

    Returns
    -------
    pandas.DataFrame
        Categories as Python strings, all else as float64, missing as NaN: the values that
        were given, none of them changed.

    Raises
    ------
    SignatureError
        If a column is missing, or holds what its type does not, or breaks a declared rule;
        lists all of them.
    """
    import pandas as pd

    prepared = conform(frame, signature)
    return pd.DataFrame(prepared, index=frame.index, columns=list(prepared))


def outputs(
    problem: str, estimator: Any, prepared: pd.DataFrame, classes: Sequence[Any] | None
) -> Scored:
    """Return what the estimator says, with labels still missing (None).

    The prediction of a classifier is its most probable class (binary: the positive one
    from 0.5 on). Probabilities that are none (not finite, outside 0 to 1, not summing to
    1) are NaN here, so that no metric and no gate can take them for good.

    Raises
    ------
    ScoringError
        If what it says has another shape, or is not numbers of up to 64 bits.
    """
    import numpy as np

    n = len(prepared)
    labels = np.full(n, None, dtype=object)
    if problem == "regression":
        numbers = _call(estimator.predict, prepared, ()).reshape(n)
        return Scored(labels, np.where(np.isfinite(numbers), numbers, np.nan))
    assert classes is not None
    names = np.empty(len(classes), dtype=object)
    names[:] = list(classes)
    scores = _call(estimator.predict_proba, prepared, (len(classes),))
    if scores.shape != (n, len(classes)):
        raise ScoringError(
            f"predict_proba returned shape {scores.shape} for {n} rows and {len(classes)} classes"
        )
    with np.errstate(invalid="ignore"):
        valid = (
            np.isfinite(scores).all(axis=1)
            & (scores >= 0).all(axis=1)
            & (np.abs(scores.sum(axis=1) - 1) < 1e-6)
        )
    scores = np.where(valid[:, None], scores, np.nan)
    if problem == "binary":
        score = scores[:, 1]
        predicted = names[(score >= 0.5).astype(int)]
        predicted[~valid] = None
        return Scored(labels, predicted, score=score, classes=list(classes))
    predicted = names[np.argmax(np.where(valid[:, None], scores, 0.0), axis=1)]
    predicted[~valid] = None
    return Scored(labels, predicted, scores=scores, classes=list(classes))


def _call(method: Callable[..., Any], prepared: pd.DataFrame, width: tuple[int, ...]) -> np.ndarray:
    """Call the estimator, which need not cope with no rows at all."""
    import numpy as np

    if not len(prepared):
        return np.empty((0, *width))
    with threads_for(len(prepared)):
        said = np.asarray(method(prepared))
    # NumPy would read text as numbers, and drop the imaginary part or digits.
    numbers = said.astype(float, copy=False) if said.dtype.kind in "biuf" else None
    if numbers is None or _changed(said, numbers):
        name = getattr(method, "__name__", "the estimator")
        raise ScoringError(
            f"{name} answered with {said.dtype}, and float64 cannot hold all of it. Wrap the "
            "estimator in one that returns floats."
        )
    return numbers


def _changed(said: np.ndarray, numbers: np.ndarray) -> bool:
    """Whether becoming float64 changed any number."""
    import numpy as np

    if said.dtype.itemsize <= (8 if said.dtype.kind == "f" else 4):
        return False
    with np.errstate(invalid="ignore"):
        return bool(((numbers.astype(said.dtype) != said) & (said == said)).any())


def predict(
    problem: str, estimator: Any, frame: pd.DataFrame, signature: Mapping[str, Any]
) -> pd.DataFrame:
    """Score rows for capture.

    Returns
    -------
    pandas.DataFrame
        With the index of ``frame``: ``prediction`` (class or number), ``score`` (binary:
        probability of the positive class; multiclass: of the predicted class; regression:
        NaN) and ``scores`` (multiclass: dictionary of class, as text, to probability; None
        otherwise).

    Raises
    ------
    SignatureError
        If the features do not fit.
    ScoringError
        If any row got no valid prediction: nothing half-scored is captured.
    """
    import numpy as np
    import pandas as pd

    said = outputs(problem, estimator, prepare(frame, signature), signature["output"]["classes"])
    invalid = int(pd.isna(said.prediction).sum())
    if invalid:
        raise ScoringError(
            f"{type(estimator).__name__} gave no valid prediction for {invalid} of {len(frame)} "
            "rows (NaN, infinite, or probabilities that do not sum to 1). Nothing was captured; "
            "roll back to another version."
        )
    score = said.score
    scores: np.ndarray | list[dict[str, float]] = np.full(len(frame), None, dtype=object)
    if said.scores is not None:
        score = said.scores.max(axis=1) if len(frame) else np.empty(0)
        names = [str(c) for c in said.classes or ()]
        scores = [dict(zip(names, row, strict=True)) for row in said.scores.tolist()]
    if score is None:
        score = np.full(len(frame), np.nan)
    predictions = pd.Series(said.prediction, index=frame.index).infer_objects()
    return pd.DataFrame(
        {
            "prediction": predictions,
            "score": pd.Series(score, index=frame.index, dtype=float),
            "scores": pd.Series(list(scores), index=frame.index, dtype=object),
        }
    )
