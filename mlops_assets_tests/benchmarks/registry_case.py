"""The model that ``bench_registry`` registers here and in MLflow, and the rows it is asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mlops_assets.vocabulary import Label, Model, Rows

MODEL = "bench"


def declared() -> Any:
    """A model such as the built-in ones: boosted trees behind an encoder."""
    return Model(
        name=MODEL,
        problem="binary",
        rows=Rows(source="orders", as_of="ordered_at"),
        features=["numbers"],
        label=Label(
            name="late",
            source="orders",
            expression="late",
            join=["id"],
            matures_after=timedelta(days=1),
        ),
        estimator=estimator,
    )


def estimator() -> Any:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer(
        (encoder, make_column_selector(dtype_exclude="number")), remainder="passthrough"
    )
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=40, random_state=0))


def frame(rows: int) -> Any:
    """Numbers and two categories, a tenth of them missing, and a label that depends on them."""
    import numpy as np
    import pandas as pd

    made = np.random.default_rng(20130501)
    columns: dict[str, Any] = {f"x{n}": made.normal(size=rows) for n in range(15)}
    for name, kinds in (("carrier", 12), ("place", 40)):
        columns[name] = np.array([f"{name}{n}" for n in range(kinds)], dtype=object)[
            made.integers(0, kinds, rows)
        ]
    chance = columns["x0"] + (columns["carrier"] == "carrier3") - columns["x1"] * columns["x2"]
    label = made.random(rows) < 1 / (1 + np.exp(-chance))
    made_frame = pd.DataFrame(columns)
    return made_frame.mask(made.random(made_frame.shape) < 0.1).assign(label=label)
