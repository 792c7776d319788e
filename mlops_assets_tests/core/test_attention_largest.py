"""The largest errors are the same ones whatever the order of rows, and can be looked into."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.attention import largest_errors


def frame(losses) -> pd.DataFrame:
    n = len(losses)
    return pd.DataFrame(
        {
            "prediction_id": [f"{(i * 7919) % 1000:03d}" for i in range(n)],
            "row_key": [f"row {i}" for i in range(n)],
            "prediction": np.arange(n) * 1.5,
            "label": np.arange(n),
            "loss": np.array(losses, dtype=float),
        }
    )


def test_each_names_prediction_row_truth_and_the_command_that_explains_it():
    (first, second) = largest_errors(frame([1, 5, 3]), "loss", 2)
    assert (first.row_key, first.prediction, first.truth, first.loss) == ("row 1", 1.5, 1, 5.0)
    assert first.command == f"mlops-assets explain {first.prediction_id}"
    assert (first.rank, second.rank, second.row_key) == (1, 2, "row 2")


@settings(max_examples=30, deadline=None)
@given(
    losses=st.lists(
        st.one_of(st.sampled_from([0.0, 1.0, 2.0, np.nan]), st.floats(0, 3)), max_size=40
    ),
    k=st.integers(0, 12),
    seed=st.integers(0, 5),
)
def test_ties_and_the_order_of_rows_change_nothing(losses, k, seed):
    rows = frame(losses)
    expected = sorted(
        ((-loss, key) for loss, key in zip(losses, rows.prediction_id, strict=True) if loss == loss)
    )[:k]
    shuffled = rows.sample(frac=1, random_state=seed)
    found = largest_errors(shuffled, shuffled["loss"].to_numpy(), k)
    assert [(-e.loss, e.prediction_id) for e in found] == expected


def test_an_infinite_loss_is_the_largest_and_no_truth_is_no_error():
    found = largest_errors(frame([1, np.inf, np.nan]), "loss")
    assert [e.row_key for e in found] == ["row 1", "row 0"]


def test_what_is_missing_is_named():
    with pytest.raises(KeyError, match="'row_key'"):
        largest_errors(frame([1]).drop(columns="row_key"), "loss")
    with pytest.raises(ValueError, match="loss has shape"):
        largest_errors(frame([1]), [1.0, 2.0])
