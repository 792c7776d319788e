"""Model files: nothing that cannot be read back is kept, nothing untrusted is loaded."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

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

from mlops_assets.core.models import artifacts
from mlops_assets.core.models.artifacts import ArtifactError, ArtifactStore


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
    artifacts.forget_loaded()
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def ridge():
    frame, _, number = data()
    return Ridge().fit(frame[["b"]], number)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_no_usual_classifier_is_refused_or_changed(store, name):
    frame, label, _ = data()
    fitted = CLASSIFIERS[name]().fit(frame, label)
    artifact = store.save(fitted)
    artifacts.forget_loaded()
    loaded = store.load(artifact.sha256)
    np.testing.assert_array_equal(loaded.predict_proba(frame), fitted.predict_proba(frame))


@pytest.mark.parametrize("name", REGRESSORS)
def test_no_usual_regressor_is_refused_or_changed(store, name):
    frame, _, number = data()
    fitted = REGRESSORS[name]().fit(frame, number)
    artifact = store.save(fitted)
    artifacts.forget_loaded()
    np.testing.assert_array_equal(store.load(artifact.sha256).predict(frame), fitted.predict(frame))


def test_categories_by_dtype_survive(store):
    frame, label, _ = data()
    frame["c"] = frame["c"].astype("category")
    fitted = HistGradientBoostingClassifier(max_iter=3).fit(frame, label)
    artifact = store.save(fitted)
    artifacts.forget_loaded()
    loaded = store.load(artifact.sha256)
    np.testing.assert_array_equal(loaded.predict_proba(frame), fitted.predict_proba(frame))


def test_a_file_is_named_by_its_content_and_no_part_is_left_behind(store, ridge):
    artifact = store.save(ridge)
    files = [p for p in store.root.rglob("*") if p.is_file()]
    assert files == [store.path(artifact.sha256)]
    assert hashlib.sha256(files[0].read_bytes()).hexdigest() == artifact.sha256
    assert files[0].stat().st_size == artifact.size_bytes


def test_a_lambda_is_refused_when_saved_with_what_to_do(store):
    frame, _, number = data()
    fitted = make_pipeline(FunctionTransformer(lambda v: v), Ridge()).fit(frame[["b"]], number)
    with pytest.raises(ArtifactError, match=r"lambda.*named function"):
        store.save(fitted)
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
        store.save(fitted, [f"{Local.__module__}.{Local.__qualname__}", f"{__name__}.Local"])


def test_a_class_of_the_main_program_is_refused_even_when_trusted(store, monkeypatch):
    import __main__

    class Main(Halved):
        __module__ = "__main__"

    Main.__qualname__ = "Main"
    monkeypatch.setattr(__main__, "Main", Main, raising=False)
    frame, _, number = data()
    with pytest.raises(ArtifactError, match="only in the running program"):
        store.save(Main().fit(frame, number), ["__main__.Main"])


def test_a_class_of_ones_own_must_be_declared(store):
    from sklearn.metrics import make_scorer, mean_absolute_error
    from sklearn.model_selection import GridSearchCV

    frame, _, number = data()
    search = GridSearchCV(
        Ridge(), {"alpha": [1.0]}, scoring=make_scorer(mean_absolute_error), cv=2
    ).fit(frame[["b"]], number)
    with pytest.raises(ArtifactError, match="trusted_types") as refused:
        store.save(search)
    types = skops_io.get_untrusted_types(data=skops_io.dumps(search))
    assert any(name in str(refused.value) for name in types)
    artifact = store.save(search, types)
    artifacts.forget_loaded()
    # What the file was saved with does not count: the declaration of the loader does.
    with pytest.raises(ArtifactError, match="not trusted"):
        store.load(artifact.sha256)
    assert store.load(artifact.sha256, types).predict(frame[["b"]]).shape == (len(frame),)


def test_a_flipped_byte_is_noticed(store, ridge):
    artifact = store.save(ridge)
    path = store.path(artifact.sha256)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    artifacts.forget_loaded()
    with pytest.raises(ArtifactError, match="damaged or replaced"):
        store.load(artifact.sha256)


def put(store: ArtifactStore, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    path = store.path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return sha256


def rewritten(estimator, change) -> bytes:
    """A skops file whose schema was changed by hand."""
    source = zipfile.ZipFile(io.BytesIO(skops_io.dumps(estimator)))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            content = source.read(name)
            if name == "schema.json":
                content = json.dumps(change(json.loads(content))).encode()
            out.writestr(name, content)
    return target.getvalue()


def test_a_file_that_names_a_dangerous_type_is_not_built(store, ridge, tmp_path):
    def attack(schema):
        return schema | {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}

    sha256 = put(store, rewritten(ridge, attack))
    with pytest.raises(ArtifactError):
        store.load(sha256)


def test_a_file_of_another_scikit_learn_is_refused(store, ridge):
    def older(schema):
        return json.loads(json.dumps(schema).replace(VERSION, "0.24.0"))

    from sklearn import __version__ as VERSION

    sha256 = put(store, rewritten(ridge, older))
    with pytest.raises(ArtifactError, match=r"0\.24\.0.*retrain"):
        store.load(sha256)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 truncated"])
def test_a_file_that_is_no_model_is_an_error_that_names_it(store, content):
    sha256 = put(store, content)
    with pytest.raises(ArtifactError, match="Roll back"):
        store.load(sha256)


def test_a_file_over_the_cap_is_not_read(store, ridge):
    artifact = store.save(ridge)
    artifacts.forget_loaded()
    small = ArtifactStore(store.root, max_bytes=artifact.size_bytes - 1)
    with pytest.raises(ArtifactError, match="larger than the cap"):
        small.load(artifact.sha256)
    with pytest.raises(ArtifactError, match="more than the cap"):
        small.save(ridge)


def test_what_would_unpack_to_too_much_is_not_unpacked(store, ridge, monkeypatch):
    artifact = store.save(ridge)
    artifacts.forget_loaded()
    monkeypatch.setattr(artifacts, "MAX_UNPACKED_BYTES", 10)
    with pytest.raises(ArtifactError, match="unpack"):
        store.load(artifact.sha256)


def test_a_digest_cannot_lead_out_of_the_folder(store):
    with pytest.raises(ArtifactError, match="no SHA-256"):
        store.load("../" * 20 + "etc/passwd")


def test_a_missing_file_says_what_to_do(store):
    with pytest.raises(ArtifactError, match="backup"):
        store.load("0" * 64)


def test_scoring_every_day_does_not_read_the_champion_every_day(store, ridge):
    artifact = store.save(ridge)
    store.path(artifact.sha256).unlink()
    assert store.load(artifact.sha256) is store.load(artifact.sha256)


def test_the_cache_of_loaded_models_does_not_grow_for_ever(store, ridge):
    first = store.save(ridge)
    for _ in range(artifacts.CACHED):
        store.save(ridge)
    store.path(first.sha256).unlink()
    with pytest.raises(ArtifactError):
        store.load(first.sha256)
