"""Reproducing a version: the same model from its record, or why not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_assets.core import registry
from mlops_assets.core.models import identity, reproduce, snapshots, training
from mlops_assets.core.models.reproduce import NotReproducible, Reproduction
from mlops_assets.core.scoring import scoring
from mlops_assets_tests.core import shop
from mlops_assets_tests.core.reproducible import FAMILIES, REFERENCE, USE_CASE

#: Trained again by the function that ``mlops-assets reproduce`` calls, each in its own process;
#: the others in one that they share, which saves its imports.
ALONE = ("logistic", "network")
SHARED = [name for name in FAMILIES if name not in ALONE]
RETRAIN = """
import json, sys
from pathlib import Path
from mlops_assets.core.models.retrain import retrain
made = [retrain(sys.argv[1], name, Path(rows)) for name, rows in json.load(sys.stdin)]
print(json.dumps([one["model_digest"] for one in made]))
"""


class Registered:
    """A version of each family, trained here, and of each what training it again gave."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.checkout.mkdir()
        self.shop = shop.Shop(folder, shop.use_case(), rows_per_day=40).land(0, 8)
        for model in USE_CASE.models:
            self.train(model)
        self.found: dict[str, Reproduction] = {name: self.again(name) for name in ALONE}
        self.digests = {name: found.digest for name, found in self.found.items()}
        asked = [(name, str(self.snapshot(self.version(name)))) for name in SHARED]
        done = subprocess.run(
            [sys.executable, "-c", RETRAIN, REFERENCE],
            input=json.dumps(asked), capture_output=True, text=True, check=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self.digests |= dict(zip(SHARED, json.loads(done.stdout), strict=True))

    def train(self, model) -> None:
        con, folder = self.shop.con, self.shop.folder
        built = snapshots.build_training_set(con, USE_CASE, model, shop.day(9), folder)
        assert isinstance(built, snapshots.TrainingSet), built
        snapshots.record(
            con,
            replace(built, path=Path(built.path.name)),
            reason="test",
            decision_id=None,
            run_id="r",
        )
        fitted = training.fit(model, built, folder)
        rows = scoring.prepare(snapshots.read(built.path, "holdout"), fitted.signature)
        registry.register(
            con,
            model.name,
            fitted,
            self.shop.artifacts.save(fitted.estimator, model.problem, rows),
            built,
            decision_id=None,
            run_id="r",
            code=identity.code_identity(self.checkout),
            environment=identity.environment_identity(self.checkout),
        )

    def version(self, name: str) -> registry.ModelVersion:
        with self.shop.con.cursor() as con:
            return registry.get(con, name, 1)

    def snapshot(self, version: registry.ModelVersion) -> Path:
        with self.shop.con.cursor() as con:
            return reproduce.snapshot_path(con, version, self.shop.folder)

    def again(self, name: str, anyway: bool = False, **other) -> Reproduction:
        version = replace(self.version(name), **other)
        return reproduce.reproduce(
            version, self.snapshot(version), REFERENCE, self.checkout, anyway=anyway
        )


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    made = Registered(tmp_path_factory.mktemp("reproduce"))
    yield made
    made.shop.con.close()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_fresh_process_makes_the_same_model_from_the_record(registered, name):
    recorded = registered.version(name).model_digest
    assert recorded is not None
    assert registered.digests[name] == recorded
    if name in ALONE:
        found = registered.found[name]
        assert (found.same, found.recorded_digest) == (True, recorded)
        assert found.differences == ()


def test_other_code_or_libraries_are_a_reason_not_to_begin(registered):
    version = registered.version("logistic")
    libraries = version.environment["libraries"] | {"numpy": "0.1"}
    other = {
        "code": version.code | {"commit": "a" * 40},
        "environment": version.environment | {"libraries": libraries, "python": "2.7"},
    }
    with pytest.raises(NotReproducible, match=r"(?s)commit a{40}.*Python 2\.7.*numpy 0\.1.*anyway"):
        registered.again("logistic", **other)


def test_going_on_anyway_says_what_differs_and_whether_the_models_do(registered):
    """The record says other parameters than the declaration, as after an edit of it."""
    version = registered.version("logistic")
    found = registered.again(
        "logistic",
        anyway=True,
        model_digest="0" * 64,
        code=version.code | {"dirty": True},
        parameters=version.parameters | {"logisticregression__C": 2.0},
    )
    assert not found.same
    assert any("no commit has" in text for text in found.differences)
    assert any(re.search(r"logisticregression__C was 2\.0.*1\.0", t) for t in found.differences)


def test_a_snapshot_that_was_changed_or_lost_is_named(registered, tmp_path):
    version = registered.version("forest")
    with pytest.raises(NotReproducible, match="is gone"):
        reproduce.reproduce(version, tmp_path / "gone.parquet", REFERENCE, registered.checkout)
    with pytest.raises(NotReproducible, match="was changed"):
        reproduce.reproduce(
            replace(version, training_digest="f" * 64),
            registered.snapshot(version),
            REFERENCE,
            registered.checkout,
        )
    with pytest.raises(NotReproducible, match="not recorded"):
        registered.snapshot(replace(version, training_digest="f" * 64))


def test_a_training_that_fails_is_an_error_with_its_reason(registered):
    version = registered.version("logistic")
    with pytest.raises(NotReproducible, match="No module named 'no_such_module'"):
        reproduce.reproduce(
            version, registered.snapshot(version), "no_such_module:X", registered.checkout
        )


def test_a_version_without_digest_has_nothing_to_compare_with(registered):
    with pytest.raises(NotReproducible, match="nothing to compare"):
        registered.again("logistic", model_digest=None)
