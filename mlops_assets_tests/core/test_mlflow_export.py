"""Leaving: what MLflow needs is there, and nothing that was not verified goes out.

That MLflow loads it and says the same to the last bit is shown by ``make bench-registry``,
which has an environment with MLflow in it.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from mlops_assets.core import registry
from mlops_assets.core.artifacts import mlflow_export
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets.core.artifacts.mlflow_export import ExportError
from mlops_assets.core.artifacts.refusal import ArtifactError
from mlops_assets.core.models import snapshots
from mlops_assets.core.scoring import scoring
from mlops_assets_tests.core.shop import Shop, use_case


def boosted():
    """With a category, and with a type that skops does not trust by itself."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        remainder="passthrough",
        sparse_threshold=0,
    )
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("shop"), use_case(estimator=boosted)).land(0, 9)
    shop.train(10, promote=False)
    yield shop
    shop.con.close()


@pytest.fixture(scope="module")
def exported(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "deep" / "model"
    version = registry.get(shop.con, "sent_back", 1)
    assert mlflow_export.export(version, shop.artifacts, folder) == []
    return folder


def test_the_folder_has_what_mlflow_reads(exported):
    """The keys that MLflow 3.17 writes itself, and its own way to say what comes in."""
    said = yaml.safe_load((exported / "MLmodel").read_text())
    sklearn, pyfunc = said["flavors"]["sklearn"], said["flavors"]["python_function"]
    assert sklearn["pickled_model"] == pyfunc["model_path"] == "model.skops"
    assert sklearn["serialization_format"] == "skops"
    assert sklearn["skops_trusted_types"] == [
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    ]
    assert (pyfunc["loader_module"], pyfunc["predict_fn"]) == ("mlflow.sklearn", "predict_proba")
    inputs = {c["name"]: c["type"] for c in json.loads(said["signature"]["inputs"])}
    assert inputs == {"amount": "double", "region": "string", "express": "double"}
    (output,) = json.loads(said["signature"]["outputs"])
    assert output["tensor-spec"] == {"dtype": "float64", "shape": [-1, 2]}
    assert said["metadata"]["version"] == 1
    assert said["metadata"]["classes"] == [False, True]
    for name in ("conda.yaml", "python_env.yaml"):
        assert yaml.safe_load((exported / name).read_text())
    assert {p.name for p in exported.iterdir()} == {
        *("MLmodel", "model.skops", "requirements.txt", "conda.yaml", "python_env.yaml"),
    }


def test_the_exported_file_says_the_same_to_the_last_bit(shop, exported):
    from skops import io as skops_io

    version = registry.get(shop.con, "sent_back", 1)
    said = yaml.safe_load((exported / "MLmodel").read_text())
    trusted = said["flavors"]["sklearn"]["skops_trusted_types"]
    theirs = skops_io.load(exported / "model.skops", trusted=trusted)
    ours = shop.artifacts.load(version)
    latest = snapshots.latest(shop.con, "sent_back", shop.folder)
    assert latest is not None
    rows = scoring.prepare(snapshots.read(latest.path, "train"), version.signature)
    assert theirs.predict_proba(rows).tobytes() == ours.predict_proba(rows).tobytes()


def test_requirements_are_those_that_were_recorded(shop, exported, tmp_path):
    assert "mlflow>=3.17.2" in (exported / "requirements.txt").read_text()
    recorded = registry.get(shop.con, "sent_back", 1)
    known = {**recorded.environment["libraries"], "numpy": "unknown", "pandas": "2.3.1"}
    lines = mlflow_export._requirements(known)
    assert "pandas==2.3.1" in lines
    assert not any(line.startswith("numpy") for line in lines)


def test_a_regression_exports_its_numbers(shop):
    version = registry.get(shop.con, "sent_back", 1)
    output = {"problem": "regression", "classes": None}
    said = mlflow_export.mlmodel(
        replace(version, signature={**version.signature, "output": output}), [], 1
    )
    assert said["flavors"]["python_function"]["predict_fn"] == "predict"
    assert said["flavors"]["sklearn"]["skops_trusted_types"] is None
    assert json.loads(said["signature"]["outputs"])[0]["tensor-spec"]["shape"] == [-1]


def test_a_file_that_would_not_be_loaded_here_does_not_go_out(shop, tmp_path):
    version = registry.get(shop.con, "sent_back", 1)
    elsewhere = ArtifactStore(tmp_path / "artifacts")
    path = elsewhere.path(version.artifact_sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(shop.artifacts.path(version.artifact_sha256).read_bytes()[:-1] + b"!")
    with pytest.raises(ArtifactError, match="damaged or replaced"):
        mlflow_export.export(version, elsewhere, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_and_nothing_half_written_stays(shop, tmp_path, monkeypatch):
    version = registry.get(shop.con, "sent_back", 1)
    (tmp_path / "file").write_text("theirs")
    for there in (tmp_path, tmp_path / "file"):
        with pytest.raises(ExportError, match="is not empty"):
            mlflow_export.export(version, shop.artifacts, there)
    with monkeypatch.context() as patched:
        patched.setattr(
            mlflow_export.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full"))
        )
        with pytest.raises(OSError, match="disk full"):
            mlflow_export.export(version, shop.artifacts, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    (tmp_path / "out").mkdir()
    mlflow_export.export(version, shop.artifacts, tmp_path / "out")
    assert (tmp_path / "out" / "MLmodel").exists()


@pytest.mark.parametrize(
    "value",
    [
        {"a": None, "b": [1, "x: y", {"c": [], "d": {}}], "e": {"f": True, "g": 1.5}},
        {"text": "yes", "colon": "a: b # c", "quote": 'he said "é"', "empty": ""},
        {"nested": [["a"], ["b", ["c"]]], "numbers": ["1", 1, "1e3"]},
    ],
)
def test_yaml_reads_as_it_was_meant(value):
    assert yaml.safe_load(mlflow_export.yaml(value)) == value
