"""From features to predictions: the frame an estimator is promised, and what it says.

Training, evaluation and daily scoring all go through ``prepare`` and ``outputs``, so that
a model meets the same types everywhere. Where the features come from belongs in
``retrieval``; what happens to predictions in ``capture``.

Types
-----
A feature is a *number* (float64; missing is NaN) or a *category* (Python strings in an
object column; missing is NaN). Missing is NaN and not None in both, because scikit-learn's
encoders and imputers take None for one more category (measured with 1.9.1: SimpleImputer
and OrdinalEncoder's ``encoded_missing_value`` pass it by).

The one widening table: booleans, integers, floats and decimals become numbers; text and
categoricals of text become categories; a column with nothing in it becomes either. Integers
beyond 2**53, which float64 would change, and all else (times, lists, mixtures) are refused.

Columns that the signature does not name are ignored: a champion goes on scoring while
features for its successor are added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models.scored import Scored
from mlops_assets.core.models.threads import threads_for

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NUMBER = "number"
CATEGORY = "category"
EMPTY = "empty"

#: Largest integer up to which float64 holds all integers.
_EXACT = 2**53


class SignatureError(ValueError):
    """A frame does not fit a model's signature; the message lists every mismatch."""


class ScoringError(RuntimeError):
    """An estimator answered with something that is no prediction."""


def kind(values: pd.Series) -> str | None:
    """Return ``number``, ``category``, ``empty`` (nothing in it), or ``None`` for neither."""
    import pandas as pd

    types = pd.api.types
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        found = kind(pd.Series(dtype.categories))
        return CATEGORY if found in (CATEGORY, EMPTY) else None
    if types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype):
        if types.is_complex_dtype(dtype):
            return None
        return EMPTY if len(values) and bool(values.isna().all()) else NUMBER
    if not (types.is_object_dtype(dtype) or types.is_string_dtype(dtype)):
        return None
    # For its own string type pandas infers text even where nothing is there.
    inferred = types.infer_dtype(values, skipna=True)
    if inferred == "string":
        return EMPTY if bool(values.isna().all()) else CATEGORY
    if inferred in ("boolean", "integer", "floating", "mixed-integer-float", "decimal"):
        return NUMBER
    return EMPTY if inferred == "empty" else None


def inputs(frame: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the input part of a signature: ``[{"name", "type", "nullable"}]``, in order.

    A column with nothing in it counts as a category if its type says text, else as a
    number. ``nullable`` says whether the training
    data had missing values; it informs and is not enforced.

    Raises
    ------
    SignatureError
        If a column is neither number nor category.
    """
    import pandas as pd

    described, problems = [], []
    for name in columns:
        found = kind(frame[name])
        if found is None:
            problems.append(
                f"{name} is {frame[name].dtype}, neither numbers nor text; derive one of them"
            )
        text = found == CATEGORY or (
            found == EMPTY and isinstance(frame[name].dtype, pd.StringDtype)
        )
        described.append(
            {
                "name": name,
                "type": CATEGORY if text else NUMBER,
                "nullable": bool(frame[name].isna().any()),
            }
        )
    if problems:
        raise SignatureError("The features cannot be trained on: " + "; ".join(problems))
    return described


def prepare(frame: pd.DataFrame, signature: Mapping[str, Any]) -> pd.DataFrame:
    """Return the columns of the signature, in its order and with the types it promises.

    Parameters
    ----------
    frame
        Features, one row per prediction; further columns are ignored.
    signature
        Of a model version, see ``training``.

    Raises
    ------
    SignatureError
        If a column is missing, of the wrong kind or would lose digits; lists all of them.
    """
    import pandas as pd

    problems, prepared = [], {}
    for column in signature["inputs"]:
        name, wanted = column["name"], column["type"]
        if name not in frame.columns:
            problems.append(f"{name} is missing")
            continue
        values = frame[name]
        found = kind(values)
        if found not in (wanted, EMPTY) and len(values):
            problems.append(
                f"{name} is {values.dtype}" + (f" ({found})" if found else "") + f", not {wanted}"
            )
        elif wanted == CATEGORY:
            prepared[name] = _as_category(values)
        elif _loses_digits(values):
            problems.append(f"{name} has integers beyond 2**53, which float64 would change")
        else:
            prepared[name] = _as_number(values)
    if problems:
        raise SignatureError(
            "The features do not fit the model's signature: "
            + "; ".join(problems)
            + ". Correct the feature view, or train a version on the features as they are."
        )
    return pd.DataFrame(prepared, index=frame.index, columns=list(prepared))


def outputs(
    problem: str, estimator: Any, prepared: pd.DataFrame, classes: Sequence[Any] | None
) -> Scored:
    """Return what the estimator says, with labels still missing (None).

    The prediction of a classifier is its most probable class (binary: the positive one
    from 0.5 on). Probabilities that are none (not finite, outside 0 to 1, not summing to
    1) are NaN here, so that no metric and no gate can take them for good.
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
        return np.asarray(method(prepared), dtype=float)


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


def _as_number(values: pd.Series) -> np.ndarray:
    import numpy as np
    import pandas as pd

    if pd.api.types.is_object_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(
        values.dtype
    ):
        missing = values.isna().to_numpy()
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = [float(v) for v in values[~missing]]
        return numbers
    return values.to_numpy(dtype=float, na_value=np.nan)


def _as_category(values: pd.Series) -> pd.Series:
    import numpy as np
    import pandas as pd

    text = values.to_numpy(dtype=object, copy=True)
    text[values.isna().to_numpy()] = np.nan
    # A series, because a frame made of an array of strings has another type in pandas 3.
    return pd.Series(text, index=values.index, dtype=object)


def _loses_digits(values: pd.Series) -> bool:
    import pandas as pd

    if not len(values) or pd.api.types.is_float_dtype(values.dtype):
        return False
    if pd.api.types.is_integer_dtype(values.dtype):
        if values.dtype.itemsize < 8:  # type: ignore[union-attr]
            return False
        known = values.dropna()
        return bool(len(known)) and max(int(known.max()), -int(known.min())) > _EXACT
    if pd.api.types.is_object_dtype(values.dtype):
        return any(isinstance(v, Integral) and abs(int(v)) > _EXACT for v in values)
    return False
