"""Importance: shares that sum to one, cheap however many features there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.models.importance import CELLS, permutation_importance, spread
from mlops_assets.vocabulary import Label, Model, Rows

MODEL = Model(
    name="m",
    problem="regression",
    rows=Rows(source="s", as_of="t"),
    features=["v"],
    label=Label(name="y", source="s", expression="y", join=["k"]),
    estimator=lambda: None,  # type: ignore[arg-type, return-value]
)


class Sum:
    """Predicts ``3a + b`` and remembers how much it was asked."""

    def __init__(self):
        self.calls, self.rows = 0, 0

    def predict(self, frame):
        self.calls += 1
        self.rows += len(frame)
        return 3 * frame["f0"].to_numpy() + frame["f1"].to_numpy()


def frame(features: int, rows=5000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({f"f{i}": rng.normal(size=rows) for i in range(features)})


def test_shares_follow_what_the_model_uses():
    data, estimator = frame(4), Sum()
    label = (3 * data["f0"] + data["f1"]).to_numpy()
    shares = permutation_importance(MODEL, estimator, data, label, None)
    # Shuffling a normal feature of weight w costs w * 2 / sqrt(pi) of absolute error.
    assert shares["f0"] == pytest.approx(0.75, abs=0.03)
    assert shares["f1"] == pytest.approx(0.25, abs=0.03)
    assert shares["f2"] == shares["f3"] == 0.0
    assert estimator.calls == 1


def test_a_hundred_features_do_not_cost_a_hundred_predictions_of_everything():
    data, estimator = frame(100), Sum()
    permutation_importance(MODEL, estimator, data, np.zeros(len(data)), None)
    assert estimator.rows <= max(CELLS, 101 * 200) + 2_000


def test_the_order_of_categories_is_not_disturbed():
    data = frame(2, 50)
    data["text"] = pd.Series(["a", np.nan] * 25, dtype=object)

    class Checking(Sum):
        def predict(self, frame):
            assert frame["text"].dtype == object
            assert set(frame["text"].dropna()) == {"a"}
            return super().predict(frame)

    shares = permutation_importance(MODEL, Checking(), data, np.zeros(50), None)
    assert list(shares) == ["f0", "f1", "text"]


def test_a_sample_spreads_over_all_rows():
    rows = spread(1_000_000, 100)
    assert (rows[0], rows[-1], len(set(rows))) == (0, 999_999, 100)
    assert list(spread(3, 100)) == [0, 1, 2]
