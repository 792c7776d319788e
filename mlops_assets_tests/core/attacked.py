"""A registry with a version of each of several estimators, and what is done to attack it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from mlops_assets.core import registry
from mlops_assets.core.artifacts import artifact_checks, loaded, model_digest
from mlops_assets.core.artifacts.artifacts import Artifact, ArtifactError, ArtifactStore
from mlops_assets.core.models import identity
from mlops_assets.core.models.snapshots import TrainingSet
from mlops_assets.core.models.training import Fitted
from mlops_assets.core.storage import tables
from mlops_assets_tests.core import attacks, fragile

NUMBERS = ["a", "b"]


def frame(n: int = 200) -> tuple[pd.DataFrame, np.ndarray]:
    made = np.random.default_rng(0)
    rows = pd.DataFrame({"a": made.normal(size=n), "b": made.normal(size=n)})
    rows["c"] = pd.Series(made.choice(["x", "y", "z"], n), dtype=object)
    return rows, (rows["a"] + (rows["c"] == "x") + made.normal(size=n) > 0.5).to_numpy(dtype=int)


def numbers(estimator: Any) -> Any:
    return make_pipeline(make_column_transformer((StandardScaler(), NUMBERS)), estimator)


ESTIMATORS = {
    "trees": lambda: make_pipeline(
        make_column_transformer((OrdinalEncoder(), ["c"]), remainder="passthrough"),
        HistGradientBoostingClassifier(max_iter=5, categorical_features=[0], random_state=0),
    ),
    "linear": lambda: numbers(LogisticRegression()),
    "ridge": lambda: numbers(LogisticRegression(C=0.01)),
    "forest": lambda: numbers(RandomForestClassifier(5, random_state=0)),
    "network": lambda: numbers(MLPClassifier((4,), solver="sgd", max_iter=3, random_state=0)),
    "neighbours": lambda: numbers(KNeighborsClassifier(algorithm="kd_tree")),
}


class World:
    """A registry in a DuckDB file with a version for each estimator, the first one serving."""

    def __init__(self, folder: Path, keys: tuple[bytes, ...] = ()) -> None:
        self.store = ArtifactStore(folder / "artifacts", keys)
        self.con = duckdb.connect(str(folder / "use_case.duckdb"))
        tables.create_tables(self.con)
        self.files: dict[str, bytes] = {}
        rows, label = frame()
        for name, make in ESTIMATORS.items():
            estimator = make().fit(rows, label)
            self.register(name, estimator, self.store.save(estimator, "binary", rows))
        registry.move_alias(
            self.con,
            "m",
            "champion",
            1,
            expected_from=None,
            effective_from=date(2024, 3, 1),
            actor="test",
            reason="test",
            override=True,
        )

    def register(self, name: str, estimator: Any, artifact: Artifact) -> None:
        training_set = TrainingSet(
            *("m", "d" * 64, Path("d"), date(2024, 3, 1), date(2024, 1, 1), date(2024, 2, 1)),
            *(date(2024, 3, 1), 100, 20, {}),
        )
        signature = {"inputs": [], "output": {"classes": [0, 1]}}
        version = registry.register(
            self.con,
            "m",
            Fitted(estimator, {}, signature, {}, {}, 0.1, {}),
            artifact,
            training_set,
            decision_id=None,
            run_id="r",
            code={"commit": "c" * 40},
            environment=identity.environment_identity(Path(__file__).parent),
        )
        if self.store.keys:
            registry.sign_version(self.con, "m", version, self.store.keys, actor="test")
        self.files[name] = self.store.path(artifact.sha256).read_bytes()

    def number(self, name: str) -> int:
        return list(ESTIMATORS).index(name) + 1

    def record(self, name: str) -> registry.ModelVersion:
        return registry.loadable(self.con, "m", self.number(name))


@dataclass
class Outcome:
    refusal: str | None
    seconds: float


def attack(world: World, one: attacks.Attack, folder: Path) -> Outcome:
    """Change file and row, load, and put the row back."""
    good = world.record(one.of)
    store = ArtifactStore(folder, world.store.keys)
    for data in world.files.values():
        written(store, data)
    changed: dict[str, Any] = {} if one.row is None else one.row(vars(good))
    if one.content is not None:
        hostile = one.content(world.files[one.of])
        if one.keep_sha256:
            store.path(good.artifact_sha256).write_bytes(hostile)
        else:
            written(store, hostile)
            changed |= {"artifact_sha256": attacks.sha256(hostile), "model_digest": digest(hostile)}
    if one.place is not None:
        one.place(store.path(good.artifact_sha256))
    before = {name: getattr(good, name) for name in changed}
    update(world.con, world.number(one.of), changed)
    loaded.forget_loaded()
    started = time.perf_counter()
    try:
        store.load(world.record(one.of), fragile.NAMES)
        refusal = None
    except ArtifactError as error:
        refusal = str(error)
    seconds = time.perf_counter() - started
    update(world.con, world.number(one.of), before)
    registry.record_loads(world.con, store.events, "attack")
    return Outcome(refusal, seconds)


def written(store: ArtifactStore, data: bytes) -> None:
    path = store.path(attacks.sha256(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def digest(data: bytes) -> str | None:
    """What the attacker would write into the row, where the file has one."""
    try:
        return model_digest.model_digest(artifact_checks.open_file(data).schema)
    except ArtifactError:
        return "0" * 64


def update(con: duckdb.DuckDBPyConnection, version: int, columns: dict[str, Any]) -> None:
    for name, value in columns.items():
        kept = json.dumps(value) if isinstance(value, dict) else value
        con.execute(
            f'UPDATE registry.model_versions SET "{name}" = $value WHERE version = $version',
            {"value": kept, "version": version},
        )
