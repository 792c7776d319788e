"""Scoring: one frame for all estimators, mismatches named, nonsense never passed on."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.scoring import scoring
from mlops_assets.core.scoring.scoring import ScoringError, SignatureError


def signature(problem="binary", classes=(False, True), **columns) -> dict:
    columns = columns or {"x": "number"}
    return {
        "inputs": [{"name": n, "type": t, "nullable": True} for n, t in columns.items()],
        "output": {
            "problem": problem,
            "classes": None if classes is None else list(classes),
            "prior": {},
        },
    }


class Fixed:
    """Says what it was told to say."""

    def __init__(self, answer):
        self.answer = np.asarray(answer)

    def predict_proba(self, frame):
        return self.answer

    def predict(self, frame):
        return self.answer


NUMBERS = {
    "bool": pd.Series([True, False]),
    "nullable bool": pd.Series([True, None], dtype="boolean"),
    "bool with None": pd.Series([True, None], dtype=object),
    "int8": pd.Series([1, 2], dtype="int8"),
    "uint64": pd.Series([1, 2], dtype="uint64"),
    "nullable int": pd.Series([1, None], dtype="Int64"),
    "int with None": pd.Series([1, None], dtype=object),
    "float32": pd.Series([1.5, np.nan], dtype="float32"),
    "decimal": pd.Series([Decimal("1.5"), None], dtype=object),
    "nothing": pd.Series([None, None], dtype=object),
    "nothing, as text": pd.Series([None, None], dtype="str"),
}
CATEGORIES = {
    "object": pd.Series(["a", None], dtype=object),
    "object with NaN": pd.Series(["a", np.nan], dtype=object),
    "str": pd.Series(["a", None], dtype="str"),
    "string": pd.Series(["a", pd.NA], dtype="string"),
    "category": pd.Series(["a", None], dtype="category"),
    "nothing": pd.Series([None, None], dtype=object),
    "nothing, as number": pd.Series([np.nan, np.nan]),
}
NEITHER = {
    "time": pd.Series(pd.to_datetime(["2013-01-01", None])),
    "duration": pd.Series(pd.to_timedelta(["1h", None])),
    "list": pd.Series([[1], [2]], dtype=object),
    "mixture": pd.Series(["a", 1], dtype=object),
    "bytes": pd.Series([b"a", b"b"], dtype=object),
    "complex": pd.Series([1j, 2j]),
    "numbers as categories": pd.Series([1, 2], dtype="category"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_every_kind_of_number_becomes_float64_with_nan(name):
    out = scoring.prepare(pd.DataFrame({"x": NUMBERS[name]}), signature())["x"]
    assert out.dtype == np.float64
    expected = [np.nan if pd.isna(v) else float(v) for v in NUMBERS[name]]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", CATEGORIES)
def test_every_kind_of_text_becomes_str_objects_with_nan(name):
    out = scoring.prepare(pd.DataFrame({"x": CATEGORIES[name]}), signature(x="category"))["x"]
    assert out.dtype == object
    for before, after in zip(CATEGORIES[name], out, strict=True):
        if pd.isna(before):
            # None would be one more category to scikit-learn.
            assert isinstance(after, float)
            assert np.isnan(after)
        else:
            assert type(after) is str
            assert after == before


@pytest.mark.parametrize("name", NEITHER)
@pytest.mark.parametrize("wanted", ["number", "category"])
def test_what_is_neither_number_nor_text_is_refused(name, wanted):
    frame = pd.DataFrame({"x": NEITHER[name]})
    with pytest.raises(SignatureError, match="x is"):
        scoring.prepare(frame, signature(x=wanted))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [(pd.Series(["1", "2"]), "number"), (pd.Series([1, 2]), "category")],
)
def test_text_is_not_read_as_numbers_nor_numbers_as_text(values, wanted):
    with pytest.raises(SignatureError, match=f"not {wanted}"):
        scoring.prepare(pd.DataFrame({"x": values}), signature(x=wanted))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "Int64", object])
def test_an_integer_that_float64_would_change_is_refused(dtype):
    exact = pd.DataFrame({"x": pd.Series([2**53, 1], dtype=dtype)})
    assert scoring.prepare(exact, signature())["x"].tolist()[0] == 2**53
    with pytest.raises(SignatureError, match="2\\*\\*53"):
        scoring.prepare(pd.DataFrame({"x": pd.Series([2**53 + 1, 1], dtype=dtype)}), signature())


def test_every_mismatch_is_listed_at_once():
    frame = pd.DataFrame({"a": ["x"], "b": [1.0], "e": [1.0]})
    with pytest.raises(SignatureError) as refused:
        scoring.prepare(frame, signature(a="number", b="category", c="number", e="number"))
    assert all(f"{name} is" in str(refused.value) for name in "abc")
    assert "e is" not in str(refused.value)


def test_columns_come_in_the_order_of_training_and_extra_ones_are_left_out():
    frame = pd.DataFrame({"extra": ["?"], "b": [2.0], "a": [1.0]}, index=[7])
    out = scoring.prepare(frame, signature(a="number", b="number"))
    assert list(out.columns) == ["a", "b"]
    assert list(out.index) == [7]


@pytest.mark.parametrize("sql_type", ["BOOLEAN", "BIGINT", "DOUBLE", "DECIMAL(9, 2)", "TINYINT"])
def test_a_day_on_which_a_number_is_always_null_is_scored(sql_type):
    with duckdb.connect() as con:
        frame = con.execute(f"SELECT NULL::{sql_type} AS x FROM range(3)").df()
        some = con.execute(f"SELECT * FROM (VALUES (1::{sql_type}), (NULL)) t(x)").df()
    assert scoring.prepare(frame, signature())["x"].isna().tolist() == [True] * 3
    assert scoring.prepare(some, signature())["x"].tolist()[0] == 1.0


def test_a_day_on_which_a_text_is_always_null_is_scored():
    with duckdb.connect() as con:
        frame = con.execute("SELECT NULL::VARCHAR AS x FROM range(3)").df()
        prepared = scoring.prepare(frame, signature(x="category"))["x"]
        assert prepared.isna().tolist() == [True] * 3
        enum = con.execute("SELECT 'a'::ENUM('a', 'b') AS x").df()
    assert scoring.prepare(enum, signature(x="category"))["x"].tolist() == ["a"]


def test_a_day_without_rows_is_scored_as_no_rows():
    frame = pd.DataFrame({"x": pd.Series([], dtype=object)})
    out = scoring.predict("binary", Fixed([]), frame, signature())
    assert len(out) == 0
    assert list(out.columns) == ["prediction", "score", "scores"]
    none = scoring.predict("regression", Fixed([]), frame, signature("regression", None))
    assert len(none) == 0


def test_binary_scores_are_of_the_positive_class():
    frame = pd.DataFrame({"x": [0.0, 1.0]})
    out = scoring.predict(
        "binary", Fixed([[0.9, 0.1], [0.5, 0.5]]), frame, signature(classes=("no", "yes"))
    )
    assert out["prediction"].tolist() == ["no", "yes"]
    assert out["score"].tolist() == [0.1, 0.5]
    assert out["scores"].tolist() == [None, None]


def test_multiclass_scores_name_every_class():
    frame = pd.DataFrame({"x": [0.0]})
    out = scoring.predict(
        "multiclass", Fixed([[0.2, 0.5, 0.3]]), frame, signature("multiclass", (1, 2, 3))
    )
    assert out["prediction"].tolist() == [2]
    assert out["score"].tolist() == [0.5]
    assert out["scores"].tolist() == [{"1": 0.2, "2": 0.5, "3": 0.3}]


@pytest.mark.parametrize(
    "answer", [[0.1, np.nan], [np.inf, -np.inf], [1.2, -0.2], [0.9, 0.9], [0.0, 0.0]]
)
def test_probabilities_that_are_none_are_not_captured(answer):
    frame = pd.DataFrame({"x": [0.0, 1.0]})
    with pytest.raises(ScoringError, match="1 of 2"):
        scoring.predict("binary", Fixed([[0.5, 0.5], answer]), frame, signature())
    said = scoring.outputs("binary", Fixed([[0.5, 0.5], answer]), frame, [False, True])
    assert said.score is not None
    assert np.isnan(said.score[1])
    assert said.prediction[1] is None


@pytest.mark.parametrize("answer", [np.nan, np.inf])
def test_a_number_that_is_none_is_not_captured(answer):
    frame = pd.DataFrame({"x": [0.0, 1.0]})
    with pytest.raises(ScoringError, match="1 of 2"):
        scoring.predict("regression", Fixed([1.0, answer]), frame, signature("regression", None))


@pytest.mark.parametrize(
    "answer",
    [
        np.array(["0.5", "1.5"]),
        np.array(["0.5", "1.5"], dtype=object),
        np.array([1 + 1j, 2]),
        np.array([2**53 + 1, 0]),
        np.array([1, 0], dtype=np.longdouble) / 3,
        np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[s]"),
    ],
    ids=lambda answer: str(answer.dtype),
)
def test_an_answer_is_not_made_a_number_that_it_was_not(answer):
    frame = pd.DataFrame({"x": [0.0, 1.0]})
    with pytest.raises(ScoringError, match="predict answered with"):
        scoring.predict("regression", Fixed(answer), frame, signature("regression", None))


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "float32", np.longdouble])
def test_an_answer_in_another_type_of_numbers_is_the_same_number(dtype):
    frame = pd.DataFrame({"x": [0.0, 1.0]})
    answer = Fixed(np.array([0, 1], dtype=dtype))
    out = scoring.predict("regression", answer, frame, signature("regression", None))
    assert out["prediction"].tolist() == [0.0, 1.0]


def test_probabilities_of_other_classes_are_not_misread():
    with pytest.raises(ScoringError, match="shape"):
        scoring.predict("binary", Fixed([[1.0]]), pd.DataFrame({"x": [0.0]}), signature())
