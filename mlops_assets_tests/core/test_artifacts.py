"""Model files: nothing that cannot be read back is kept, nothing untrusted is loaded."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, TweedieRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops_io

import mlops_assets
from mlops_assets.core.artifacts import artifact_checks, golden, guard, loaded
from mlops_assets.core.artifacts.artifacts import Artifact, ArtifactError, ArtifactStore
from mlops_assets_tests.core.recorded import recorded


def data(n=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    frame.loc[::7, "a"] = np.nan
    frame["c"] = pd.Series(rng.choice(["x", "y", "z"], n), dtype=object)
    frame.loc[::11, "c"] = np.nan
    return frame, (rng.random(n) < 0.4).astype(int), rng.gamma(2, 1, n)


def linear(estimator):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = ColumnTransformer(
        [("n", numbers, ["a", "b"]), ("c", texts, ["c"])], sparse_threshold=0
    )
    return make_pipeline(columns, estimator)


def trees(estimator):
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=np.nan
    )
    columns = ColumnTransformer([("c", encoder, ["c"])], remainder="passthrough")
    return make_pipeline(columns, estimator)


CLASSIFIERS = {
    "logistic": lambda: linear(LogisticRegression()),
    "tree": lambda: linear(DecisionTreeClassifier(max_depth=3)),
    "forest": lambda: linear(RandomForestClassifier(3)),
    "extra trees": lambda: linear(ExtraTreesClassifier(3)),
    "boosting": lambda: linear(GradientBoostingClassifier(n_estimators=3)),
    "histograms": lambda: trees(HistGradientBoostingClassifier(max_iter=3)),
    "histograms with categories": lambda: trees(
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[0])
    ),
    "sigmoid": lambda: CalibratedClassifierCV(linear(LogisticRegression()), cv=2),
    "isotonic": lambda: CalibratedClassifierCV(
        trees(HistGradientBoostingClassifier(max_iter=3)), method="isotonic", cv=2
    ),
    "neighbours": lambda: linear(KNeighborsClassifier()),
    "network": lambda: linear(MLPClassifier((3,), max_iter=2, early_stopping=False)),
    "stacking": lambda: linear(StackingClassifier([("a", LogisticRegression())], cv=2)),
}
REGRESSORS = {
    "ridge": lambda: linear(Ridge()),
    "tweedie": lambda: linear(TweedieRegressor(power=1.5, link="log")),
    "boosting huber": lambda: linear(GradientBoostingRegressor(n_estimators=3, loss="huber")),
    "target": lambda: TransformedTargetRegressor(
        linear(Ridge()), transformer=QuantileTransformer(n_quantiles=10)
    ),
    "log target": lambda: TransformedTargetRegressor(
        linear(Ridge()), func=np.log1p, inverse_func=np.expm1
    ),
    **{
        f"histograms {loss}": lambda loss=loss: trees(
            HistGradientBoostingRegressor(max_iter=3, loss=loss, quantile=0.5)
        )
        for loss in ("squared_error", "absolute_error", "quantile", "poisson", "gamma")
    },
}


@pytest.fixture
def store(tmp_path):
    loaded.forget_loaded()
    return ArtifactStore(tmp_path / "artifacts", ())


@pytest.fixture
def ridge():
    frame, _, number = data()
    return Ridge().fit(frame[["b"]], number)


def save(store: ArtifactStore, fitted, trusted=(), rows=None) -> Artifact:
    """Save an estimator; what it was fitted on is what its golden rows are taken from."""
    frame, _, _ = data()
    if rows is None:
        rows = frame[list(getattr(fitted, "feature_names_in_", frame.columns))]
    return store.save(fitted, "regression", rows, trusted)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_no_usual_classifier_is_refused_or_changed(store, name):
    frame, label, _ = data()
    fitted = CLASSIFIERS[name]().fit(frame, label)
    record = recorded(store.save(fitted, "binary", frame))
    loaded.forget_loaded()
    again = store.load(record)
    np.testing.assert_array_equal(again.predict_proba(frame), fitted.predict_proba(frame))


@pytest.mark.parametrize("name", REGRESSORS)
def test_no_usual_regressor_is_refused_or_changed(store, name):
    frame, _, number = data()
    fitted = REGRESSORS[name]().fit(frame, number)
    record = recorded(store.save(fitted, "regression", frame))
    loaded.forget_loaded()
    np.testing.assert_array_equal(store.load(record).predict(frame), fitted.predict(frame))


def test_categories_by_dtype_survive(store):
    frame, label, _ = data()
    frame["c"] = frame["c"].astype("category")
    fitted = HistGradientBoostingClassifier(max_iter=3).fit(frame[["a", "c"]], label)
    rows = frame[["a", "c"]].assign(c=frame["c"].astype(object))
    record = recorded(store.save(fitted, "binary", rows))
    loaded.forget_loaded()
    np.testing.assert_array_equal(
        store.load(record).predict_proba(frame[["a", "c"]]),
        fitted.predict_proba(frame[["a", "c"]]),
    )


def test_no_module_reads_or_writes_pickles_in_any_way():
    """Nor has another do so: pipes of multiprocessing do, and readers of pandas and numpy can."""
    forbidden = {"pickle", "joblib", "dill", "cloudpickle", "shelve"}
    forbidden |= {"multiprocessing", "concurrent.futures.process"}
    for path in Path(mlops_assets.__file__).parent.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {n for n in names if n in forbidden or n.split(".")[0] in forbidden}, path
        assert not re.search(r"allow_pickle\s*=\s*True|(read|to)_pickle|ProcessPool", text), path


def test_a_file_is_named_by_its_content_and_no_part_is_left_behind(store, ridge):
    artifact = save(store, ridge)
    files = [p for p in store.root.rglob("*") if p.is_file()]
    assert files == [store.path(artifact.sha256)]
    assert hashlib.sha256(files[0].read_bytes()).hexdigest() == artifact.sha256
    assert files[0].stat().st_size == artifact.size_bytes


def test_a_lambda_is_refused_when_saved_with_what_to_do(store):
    frame, _, number = data()
    fitted = make_pipeline(FunctionTransformer(lambda v: v), Ridge()).fit(frame[["b"]], number)
    with pytest.raises(ArtifactError, match=r"lambda.*named function"):
        save(store, fitted)
    assert not store.root.exists()


class Halved(RegressorMixin, BaseEstimator):
    """An estimator of the user's own, importable."""

    def fit(self, X, y):
        self.mean_ = float(np.mean(y)) / 2
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


def test_a_local_class_is_refused_even_when_trusted(store):
    class Local(Halved):
        pass

    frame, _, number = data()
    fitted = Local().fit(frame, number)
    with pytest.raises(ArtifactError, match=r"Local.*top level of an importable module"):
        save(store, fitted, [f"{Local.__module__}.{Local.__qualname__}", f"{__name__}.Local"])


def test_a_class_of_the_main_program_is_refused_even_when_trusted(store, monkeypatch):
    import __main__

    class Main(Halved):
        __module__ = "__main__"

    Main.__qualname__ = "Main"
    monkeypatch.setattr(__main__, "Main", Main, raising=False)
    frame, _, number = data()
    with pytest.raises(ArtifactError, match="only in the running program"):
        save(store, Main().fit(frame, number), ["__main__.Main"], frame)


def test_a_class_of_ones_own_must_be_declared(store):
    from sklearn.metrics import make_scorer, mean_absolute_error
    from sklearn.model_selection import GridSearchCV

    frame, _, number = data()
    search = GridSearchCV(
        Ridge(), {"alpha": [1.0]}, scoring=make_scorer(mean_absolute_error), cv=2
    ).fit(frame[["b"]], number)
    with pytest.raises(ArtifactError, match="trusted_types") as refused:
        save(store, search)
    types = skops_io.get_untrusted_types(data=skops_io.dumps(search))
    assert any(name in str(refused.value) for name in types)
    record = recorded(save(store, search, types))
    loaded.forget_loaded()
    # What the file was saved with does not count: the declaration of the loader does.
    with pytest.raises(ArtifactError, match="not trusted"):
        store.load(record)
    assert store.load(record, types).predict(frame[["b"]]).shape == (len(frame),)


def test_what_says_something_else_when_read_back_is_refused_when_saved(store):
    Forgetful.mean = 1.0
    with pytest.raises(ArtifactError, match="says something else"):
        save(store, Forgetful(), [f"{__name__}.Forgetful"])
    assert not store.root.exists()


class Forgetful(RegressorMixin, BaseEstimator):
    """Keeps what it learned where a file does not reach."""

    def __init__(self):
        self.times_ = 0

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.times_ = 1

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return np.full(len(X), float(self.times_))


def test_forests_that_vote_in_threads_reproduce_their_golden_rows(store):
    """Their votes are added in the order in which threads finish: the last bit is chance."""
    frame, label, _ = data()
    fitted = linear(RandomForestClassifier(37, n_jobs=2, random_state=0)).fit(frame, label)
    record = recorded(store.save(fitted, "binary", frame))
    for _ in range(3):
        loaded.forget_loaded()
        assert store.load(record)[-1].n_jobs == 2
    assert fitted[-1].n_jobs == 2


def test_golden_rows_keep_every_bit_and_every_absence(store):
    frame, _, number = data()
    frame.loc[0, "a"] = -0.0
    frame.loc[1, "a"] = np.nextafter(1.0, 2.0)
    frame["empty"] = pd.Series([np.nan] * len(frame), dtype=object)
    fitted = REGRESSORS["histograms squared_error"]().fit(frame[["a", "b", "c"]], number)
    kept = golden.golden("regression", fitted, frame.head(3)[["a", "b", "c"]])
    kept = json.loads(json.dumps(kept))
    pd.testing.assert_frame_equal(golden.frame(kept), frame.head(3)[["a", "b", "c"]])
    assert np.signbit(golden.frame(kept)["a"][0])
    empty = golden.golden("regression", Constant(), frame[["empty"]])
    assert golden.frame(empty)["empty"].dtype == object


class Constant:
    """Says one."""

    def predict(self, X):
        return np.ones(len(X))


def test_other_kernels_may_differ_in_the_last_bits_only():
    kept = {"outputs": [[(0.5).hex()], [(1e6).hex()]], "kernels": ["another machine"]}
    golden.refuse_other_outputs(kept, [[(0.5 + 1e-12).hex()], [(1e6 + 1e-5).hex()]])
    with pytest.raises(ArtifactError, match="golden row 1"):
        golden.refuse_other_outputs(kept, [[(0.5).hex()], [(1e6 + 1e-2).hex()]])
    with pytest.raises(ArtifactError, match="golden row 0"):
        golden.refuse_other_outputs(kept, [[float("nan").hex()], [(1e6).hex()]])
    here = kept | {"kernels": golden.kernels()}
    with pytest.raises(ArtifactError, match="golden row 0"):
        golden.refuse_other_outputs(here, [[(0.5 + 1e-12).hex()], [(1e6).hex()]])


def test_a_file_over_the_cap_is_not_read(store, ridge):
    artifact = save(store, ridge)
    loaded.forget_loaded()
    small = ArtifactStore(store.root, (), max_bytes=artifact.size_bytes - 1)
    with pytest.raises(ArtifactError, match="larger than the cap"):
        small.load(recorded(artifact))
    with pytest.raises(ArtifactError, match="more than the cap"):
        save(small, ridge)


def test_what_would_be_refused_later_is_not_registered(store, ridge, monkeypatch):
    monkeypatch.setattr(artifact_checks, "MAX_NODES", 10)
    with pytest.raises(ArtifactError, match=r"Ridge makes a file that would be refused.*nodes"):
        save(store, ridge)


def test_a_missing_file_says_what_to_do(store, ridge):
    record = recorded(save(store, ridge))
    loaded.forget_loaded()
    store.path(record.artifact_sha256).unlink()
    with pytest.raises(ArtifactError, match="backup"):
        store.load(record)


def test_scoring_every_day_does_not_read_the_champion_every_day(store, ridge):
    record = recorded(save(store, ridge))
    store.path(record.artifact_sha256).unlink()
    assert store.load(record) is store.load(record)
    assert store.events == []


def test_the_champion_in_memory_is_not_handed_out_for_another_record(store, ridge):
    record = recorded(save(store, ridge))
    for other in ({"model_digest": "0" * 64}, {"golden": None}, {"environment": {}}):
        with pytest.raises(ArtifactError):
            store.load(recorded(save(store, ridge), **other))
    assert store.load(record) is not None


def test_the_cache_of_loaded_models_does_not_grow_for_ever(store, ridge):
    first = recorded(save(store, ridge))
    for _ in range(loaded.CACHED):
        save(store, ridge)
    store.path(first.artifact_sha256).unlink()
    with pytest.raises(ArtifactError):
        store.load(first)


def test_a_check_reads_the_file_and_keeps_nothing(store, ridge):
    record = recorded(save(store, ridge))
    store.check(record)
    store.path(record.artifact_sha256).unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        store.check(record)
    assert [e.loaded for e in store.events] == [True, False]


def test_where_processes_cannot_fork_the_checks_are_made_here(store, ridge, monkeypatch):
    record = recorded(save(store, ridge))
    monkeypatch.setattr(guard, "available", lambda: False)
    monkeypatch.setattr(guard, "outputs_of", None)
    loaded.forget_loaded()
    assert store.load(record) is not None
    outputs = [list(row) for row in record.golden["outputs"]]
    outputs[0][0] = (1.0).hex()
    with pytest.raises(ArtifactError, match="golden row 0"):
        store.load(recorded(save(store, ridge), golden={**record.golden, "outputs": outputs}))
