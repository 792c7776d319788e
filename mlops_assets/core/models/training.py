"""Fitting: from a training set to an estimator and everything a version records about it.

Which rows are trained on belongs in ``snapshots``, what a version demands of its features in
``signature``, which features matter in ``importance``, where the result is kept in
``artifacts`` and ``registry``. No database is touched here: fitting may take long and must
hold no lock.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models import metrics
from mlops_assets.core.models.importance import permutation_importance, spread
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.models.threads import wait_passively
from mlops_assets.core.scoring import scoring
from mlops_assets.core.scoring.signature import (
    NOT_FEATURES,
    inputs,
    output_columns,
    refuse_unenforceable,
    rules,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.core.models.snapshots import TrainingSet
    from mlops_assets.vocabulary import Model

#: Rows, evenly spread over the training rows, on which training metrics and the drift
#: reference are measured: enough for a PSI noise of 0.001, and 0.05 s of predictions.
REFERENCE_ROWS = 10_000
SEED = 0


class TrainingError(RuntimeError):
    """The training set cannot be fitted; the message says why and what to do."""


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator and what a model version records about it.

    Attributes
    ----------
    metrics
        Of the problem, on up to ``REFERENCE_ROWS`` of the *training* rows.
    signature
        See the module of that name.
    reference
        Profile of the same rows for drift: the features, the ``label``, and the prediction
        under the name of the captured column that carries it (binary: ``score``, else
        ``prediction``).
    importance
        Feature to its share of the loss that permuting it adds; the shares sum to 1, or
        are all 0 where no feature matters.
    seconds
        Duration of the estimator's own ``fit``.
    parameters
        Of the estimator, nested ones included, in JSON types (others as text).
    seed
        Every ``random_state`` that the declaration left at None.
    """

    estimator: Any
    metrics: dict[str, float]
    signature: dict[str, Any]
    reference: dict[str, Any]
    importance: dict[str, float]
    seconds: float
    parameters: dict[str, Any]
    seed: int = SEED


def fit(model: Model, training_set: TrainingSet, folder: Path) -> Fitted:
    """Fit the declared estimator on the training rows of a snapshot.

    Every ``random_state`` that the declaration leaves at None is set to ``SEED``: the same
    snapshot gives the same model.

    Parameters
    ----------
    folder
        Folder of the snapshots, to which ``training_set.path`` is relative.

    Raises
    ------
    TrainingError
        If there are no rows, a label is missing or there is only one class, or the
        estimator fails.
    SignatureError
        If a feature is nothing that can be trained on, or would lose digits, or if a rule
        is declared that these rows leave nothing to enforce by.
    """
    from mlops_assets.core.models.snapshots import read

    return fit_frame(model, read(Path(folder) / training_set.path, "train"))


def fit_frame(model: Model, frame: pd.DataFrame) -> Fitted:
    """Like ``fit``, on a frame with the features and ``label``."""
    features = [str(name) for name in frame.columns if name not in NOT_FEATURES]
    if not len(frame):
        raise TrainingError(
            f"Model {model.name!r}: the training set has no rows. Check that labels arrive "
            "(outcomes) and that the rows' condition keeps any."
        )
    label = labels(model.problem, frame["label"])
    signature = {
        "inputs": inputs(frame, features),
        "output": _output(model, label),
        "rules": rules(model),
    }
    refuse_unenforceable(signature)
    prepared = scoring.prepare(frame, signature)
    estimator = _unfitted(model)
    started = time.perf_counter()
    try:
        estimator.fit(prepared, label)
    except Exception as error:
        raise TrainingError(
            f"Model {model.name!r}: {type(estimator).__name__}.fit failed on {len(frame)} rows "
            f"and {len(features)} features: {error}"
        ) from error
    seconds = time.perf_counter() - started
    _require_methods(model, estimator)
    classes = signature["output"]["classes"]
    _require_classes(model, estimator, classes)

    rows = spread(len(prepared), REFERENCE_ROWS)
    sample = prepared.iloc[rows]
    said = replace(scoring.outputs(model.problem, estimator, sample, classes), label=label[rows])
    return Fitted(
        estimator=estimator,
        metrics=metrics.compute(model.problem, said),
        signature=signature,
        reference=_reference(model, sample, said, _days(frame, rows)),
        importance=permutation_importance(model, estimator, prepared, label, classes, SEED),
        seconds=seconds,
        parameters=_parameters(estimator),
    )


def labels(problem: str, values: pd.Series) -> np.ndarray:
    """Return labels as an estimator and the metrics take them.

    Regression: floats. Classification: booleans, integers (whole floats become integers,
    as a column with NULLs comes back from SQL), or strings in an object array.

    Raises
    ------
    TrainingError
        If one is missing or of another type.
    """
    import numpy as np
    import pandas as pd

    missing = int(values.isna().sum())
    if missing:
        raise TrainingError(
            f"{missing} of {len(values)} labels are missing; rows without label must be left out"
        )
    inferred = pd.api.types.infer_dtype(values, skipna=False)
    if problem == "regression":
        numbers = np.asarray(values, dtype=float)
        if not np.isfinite(numbers).all():
            raise TrainingError("A label is infinite; correct the label's expression")
        return numbers
    if inferred in ("string", "categorical"):
        return np.array([str(v) for v in values], dtype=object)
    if inferred == "boolean":
        return np.asarray(values, dtype=bool)
    if inferred == "integer":
        return np.asarray(values, dtype=np.int64)
    if inferred in ("floating", "mixed-integer-float", "decimal"):
        numbers = np.asarray(values, dtype=float)
        if (numbers == np.round(numbers)).all():
            return numbers.astype(np.int64)
    if not len(values):
        return np.empty(0, dtype=object)
    raise TrainingError(
        f"Class labels must be booleans, integers or text, not {inferred}; cast them in the "
        "label's expression"
    )


def captured_prediction(problem: str) -> str:
    """Name of the captured column whose distribution is watched for drift."""
    return "score" if problem == "binary" else "prediction"


def _output(model: Model, label: np.ndarray) -> dict[str, Any]:
    import numpy as np

    if model.problem == "regression":
        prior: dict[str, Any] = {
            "median": float(np.median(label)),
            "mean": float(np.mean(label)),
        }
        return _described(model, None, prior)
    found, counts = np.unique(label, return_counts=True)
    classes = [c.item() if hasattr(c, "item") else c for c in found]
    if len(classes) < 2 or (model.problem == "binary" and len(classes) != 2):
        shown = ", ".join(map(repr, classes[:10]))
        raise TrainingError(
            f"Model {model.name!r} is {model.problem} and its {len(label)} training labels "
            f"hold {len(classes)} classes ({shown}). "
            + (
                "Train on more days, until both occur."
                if len(classes) < 2
                else "Correct the label's expression, or declare the problem multiclass."
            )
        )
    rates = [float(n) / len(label) for n in counts]
    return _described(model, classes, {"rates": rates})


def _described(model: Model, classes: list[Any] | None, prior: dict[str, Any]) -> dict[str, Any]:
    columns = output_columns(model.problem, classes)
    return {"problem": model.problem, "classes": classes, "prior": prior, "columns": columns}


def _unfitted(model: Model) -> Any:
    wait_passively()  # before the declaration imports scikit-learn
    estimator = model.estimator()
    # What answers in the end is made by the fit here; before, it is as if there were nothing.
    if not hasattr(estimator, "fit") or not _open(estimator, "final_estimator"):
        _require_methods(model, estimator)
    return estimator.set_params(**dict.fromkeys(_open(estimator, "random_state"), SEED))


def _open(estimator: Any, parameter: str) -> list[str]:
    """Return the names of all parameters so called, also of parts, that are left open."""
    return [
        name
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == parameter and value is None
    ]


def _require_methods(model: Model, estimator: Any) -> None:
    needed = ["fit", "predict" if model.problem == "regression" else "predict_proba"]
    lacking = [name for name in needed if not hasattr(estimator, name)]
    if lacking:
        raise TrainingError(
            f"Model {model.name!r}: {type(estimator).__name__} has no {lacking[0]}; "
            "return an unfitted scikit-learn estimator"
            + (", such as CalibratedClassifierCV around it" if "predict_proba" in lacking else "")
        )


def _require_classes(model: Model, estimator: Any, classes: list[Any] | None) -> None:
    if classes is not None and list(estimator.classes_) != classes:
        raise TrainingError(
            f"Model {model.name!r}: {type(estimator).__name__} orders its classes "
            f"{list(estimator.classes_)}, not {classes}; its probabilities would be misread"
        )


def _reference(
    model: Model, sample: pd.DataFrame, said: Scored, days: np.ndarray | None
) -> dict[str, Any]:
    from mlops_assets.core.monitoring import training_profile

    name = captured_prediction(model.problem)
    shown = said.score if model.problem == "binary" else said.prediction
    frame = sample.assign(**{name: shown, "label": said.label})
    roles = {name: "prediction", "label": "label"}
    return training_profile.make(frame, model.drift, roles, days).to_json()


def _days(frame: pd.DataFrame, rows: np.ndarray) -> np.ndarray | None:
    """Return the day of each of some rows as a number; ``None`` where rows have no time."""
    if "as_of" not in frame.columns:
        return None
    return frame["as_of"].iloc[rows].to_numpy("datetime64[D]").astype(int)


def _parameters(estimator: Any) -> dict[str, Any]:
    return {
        name: _json_value(value) for name, value in sorted(estimator.get_params(deep=True).items())
    }


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_json_value(v) for v in value]
    # Memory addresses would make equal parameters differ.
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:500]
