"""The model digest: equal for equal training, another one for anything else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from skops import io as skops_io

from mlops_assets.core.artifacts.artifact_checks import open_file
from mlops_assets.core.artifacts.model_digest import model_digest
from mlops_assets.core.artifacts.writing import to_bytes
from mlops_assets_tests.core import crafted


def digest(data: bytes) -> str:
    return model_digest(open_file(data).schema)


def fitted(estimator):
    made = np.random.default_rng(0)
    frame = pd.DataFrame({"a": made.normal(size=150), "b": made.normal(size=150)})
    frame["c"] = pd.Series(made.choice(["x", "y", "z"], 150), dtype=object)
    return estimator.fit(frame, (frame["a"] + (frame["c"] == "x") > 0.4).astype(int))


def columns(estimator):
    return make_pipeline(
        ColumnTransformer(
            [("n", StandardScaler(), ["a", "b"]), ("c", OneHotEncoder(), ["c"])],
            sparse_threshold=0,
        ),
        estimator,
    )


FAMILIES = {
    "logistic": lambda: columns(LogisticRegression()),
    "forest": lambda: columns(RandomForestClassifier(10, n_jobs=2, random_state=0)),
    "boosting": lambda: columns(GradientBoostingClassifier(n_estimators=5, random_state=0)),
    "histograms": lambda: columns(HistGradientBoostingClassifier(max_iter=5, random_state=0)),
    "network": lambda: columns(MLPClassifier((5,), max_iter=300, random_state=0)),
    "stacking": lambda: columns(
        StackingClassifier(
            [("l", LogisticRegression()), ("t", RandomForestClassifier(3, random_state=0))], cv=2
        )
    ),
    "neighbours": lambda: columns(KNeighborsClassifier(algorithm="ball_tree")),
    "support vectors": lambda: columns(SVC(random_state=0)),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_training_again_gives_the_same_digest(name):
    """In another process, too: see test_reproduce."""
    assert digest(to_bytes(fitted(FAMILIES[name]()))) == digest(to_bytes(fitted(FAMILIES[name]())))


@pytest.mark.parametrize("name", FAMILIES)
def test_equal_models_are_other_bytes_and_the_same_digest(name):
    estimator = fitted(FAMILIES[name]())
    ours, again, theirs = to_bytes(estimator), to_bytes(estimator), skops_io.dumps(estimator)
    assert ours != again or ours != theirs
    assert digest(ours) == digest(again) == digest(theirs)


def test_the_compact_file_holds_what_skops_would_write():
    estimator = fitted(FAMILIES["stacking"]())
    ours, theirs = to_bytes(estimator), skops_io.dumps(estimator)
    assert open_file(ours) == open_file(theirs)
    assert len(ours) < len(theirs)


def test_any_change_of_any_array_changes_the_digest():
    data = to_bytes(fitted(FAMILIES["histograms"]()))
    schema, members = crafted.taken_apart(data)
    assert digest(crafted.put_together(schema, members)) == digest(data)
    found = {digest(data)}
    for name, content in members.items():
        changed = content[:-1] + bytes([content[-1] ^ 1])
        found.add(digest(crafted.put_together(schema, members | {name: changed})))
    assert len(found) == len(members) + 1


def test_any_change_of_a_parameter_changes_the_digest():
    of = [Ridge(), Ridge(alpha=2), Ridge(alpha=1), Ridge(tol=1e-5), Ridge(positive=True)]
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    found = [digest(to_bytes(e.fit(frame, [1.0, 2.0, 4.0]))) for e in of]
    assert len(set(found)) == len(of)


def test_two_arrays_that_change_places_change_the_digest():
    data = to_bytes({"a": np.arange(3.0), "b": np.arange(3.0) + 1})
    schema, members = crafted.taken_apart(data)
    first, second = members
    swapped = {first: members[second], second: members[first]}
    assert digest(crafted.put_together(schema, swapped)) != digest(data)


def test_whether_equal_values_are_one_object_is_not_part_of_a_model():
    value = float("0.125")
    one, two = [value, value], [value, float("0.125")]
    assert one[1] is not two[1]
    assert digest(to_bytes(one)) == digest(to_bytes(two))


def test_the_order_of_a_set_is_not_part_of_a_model_and_that_of_a_list_is():
    def with_items(kind: str, loader: str, items: list[int]) -> bytes:
        return crafted.put_together(
            crafted.node(
                "builtins",
                kind,
                loader,
                content=[crafted.text(i) for i in items],
                protocol=2,
            ),
            {},
        )

    def of(kind: str, loader: str) -> set[str]:
        return {digest(with_items(kind, loader, items)) for items in ([1, 2], [2, 1])}

    assert len(of("set", "SetNode")) == 1
    assert len(of("list", "ListNode")) == 2
