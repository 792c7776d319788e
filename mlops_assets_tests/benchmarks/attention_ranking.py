"""Models of several families on columns of all kinds, of which one is shifted on purpose.

What is first in the ranking then is counted by ``bench_attention``, and on fewer by the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from mlops_assets.core.drift_methods import Profile, compare, profile
from mlops_assets.core.models.importance import permutation_importance
from mlops_assets.core.models.threads import threads_for
from mlops_assets.vocabulary import Label, Model, Rows
from mlops_assets_tests.benchmarks import drift_null

FAMILIES: dict[str, tuple[str, Any]] = {
    "logistic": ("binary", lambda: LogisticRegression(max_iter=200)),
    "boosted_trees": ("binary", lambda: HistGradientBoostingClassifier(max_iter=40)),
    "ridge": ("regression", lambda: Ridge()),
    "forest": ("regression", lambda: RandomForestRegressor(20, min_samples_leaf=5, random_state=0)),
    "neighbours": ("regression", lambda: KNeighborsRegressor(20)),
}
SIZES = (0.3, 0.4, 0.6, 1.0)
TRAINED, REFERENCE, CURRENT = 3_000, 10_000, 1_500
#: Importance of columns: all alike, or a few that matter and many that hardly do.
WEIGHTS = ("equal", "unequal")


@dataclass(frozen=True)
class Injection:
    """One column shifted, and where the ranking is to put it."""

    family: str
    weights: str
    column: str
    how: str
    size: float
    importance: dict[str, float]
    report: Any


@cache
def importance(family: str, weights: str) -> dict[str, float]:
    """Fit a model and return what it relies on."""
    rng = np.random.default_rng([len(family), len(weights)])
    frame = drift_null.frame(rng, 2 * TRAINED)
    z = _numbers(frame)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    width = z.shape[1]
    w = np.ones(width) if weights == "equal" else rng.permutation(0.7 ** np.arange(width))
    y = np.clip(z, -3, 3) @ (w * rng.choice([-1, 1], width))
    y = y / y.std() + rng.normal(0, 0.5, len(frame))
    problem, estimator = FAMILIES[family]
    label = (y > 0).astype(int) if problem == "binary" else y
    text = list(frame.select_dtypes(exclude="number").columns)
    fitted = make_pipeline(
        make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), text),
            remainder="passthrough",
        ),
        StandardScaler(),
        estimator(),
    )
    model = Model(
        name="m",
        problem=problem,  # type: ignore[arg-type]
        rows=Rows(source="s", as_of="t"),
        features=["v"],
        label=Label(name="y", source="s", expression="y", join=["k"]),
        estimator=lambda: fitted,
    )
    with threads_for(TRAINED):
        fitted.fit(frame[:TRAINED], label[:TRAINED])
        classes = [0, 1] if problem == "binary" else None
        return permutation_importance(model, fitted, frame[TRAINED:], label[TRAINED:], classes)


@cache
def reference() -> Profile:
    """Return the reference of all injections."""
    return profile(drift_null.frame(np.random.default_rng(0), REFERENCE))


def injections(times: int, *, columns: int = 1) -> Iterator[Injection]:
    """Yield ``times`` reports with so many columns shifted, alike; families by turns."""
    families, names = list(FAMILIES), list(drift_null.COLUMNS)
    for at in range(times):
        rng = np.random.default_rng([at, columns])
        family, weights = families[at % len(families)], WEIGHTS[(at // len(families)) % 2]
        chosen = rng.choice(names, columns, replace=False)
        size = float(rng.choice(SIZES))
        current = drift_null.frame(rng, CURRENT)
        how = [shift(rng, current, str(name), size) for name in chosen]
        yield Injection(family, weights, " ".join(chosen), " ".join(how), size,
                        importance(family, weights), compare(reference(), current))  # fmt: skip


def shift(rng: np.random.Generator, frame: pd.DataFrame, name: str, size: float) -> str:
    """Shift a column in place by ``size``, in standard deviations; return how.

    Of numbers that is the mean, the spread, or half of the rows by twice as much; of categories
    the root of ``sum (q - p)^2 / p``, which for two categories is the moved share in its standard
    deviations.
    """
    if name in drift_null.NUMERIC:
        sd = drift_null.NUMERIC[name][1]
        values = frame[name].to_numpy(float)
        how = str(rng.choice(["mean", "spread", "half"]))
        if how == "mean":
            values = values + rng.choice([-1, 1]) * size * sd
        elif how == "spread":
            apart = values - values.mean()
            values = values + apart * size * sd / np.abs(apart).mean()
        else:
            values = values + 2 * size * sd * (rng.random(len(values)) < 0.5)
        frame[name] = values
        return how
    if name in drift_null.CATEGORICAL:
        p = drift_null.CATEGORICAL[name]
        score = rng.normal(size=len(p))
        score = score - p @ score
        q = np.maximum(p * (1 + size * score / np.sqrt(p @ score**2)), 0)
        names = np.array([f"c{i:03d}" for i in range(len(p))], dtype=object)
        frame[name] = pd.Series(names[rng.choice(len(p), len(frame), p=q / q.sum())], dtype=object)
        return "categories"
    p = drift_null.BOOLEAN[name]
    frame[name] = rng.random(len(frame)) < p + size * np.sqrt(p * (1 - p))
    return "flag"


def _numbers(frame: pd.DataFrame) -> np.ndarray:
    return np.stack(
        [
            frame[name].to_numpy(float)
            if name in drift_null.NUMERIC or name in drift_null.BOOLEAN
            else pd.factorize(frame[name], sort=True)[0].astype(float)
            for name in frame
        ],
        axis=1,
    )
