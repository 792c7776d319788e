"""Hostile and damaged model files: each is refused, and nothing else happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from mlops_assets.core import registry
from mlops_assets.core.artifacts import artifact_checks, guard, loaded, model_digest
from mlops_assets.core.artifacts.artifacts import Artifact, ArtifactError, ArtifactStore
from mlops_assets.core.models import identity
from mlops_assets.core.models.snapshots import TrainingSet
from mlops_assets.core.models.training import Fitted
from mlops_assets.core.storage import tables
from mlops_assets_tests.core import attacks, fragile

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
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


@dataclass
class Campaign:
    """What became of all attacks, one after the other, on one registry in one process."""

    world: World
    mark: Path
    outcomes: dict[str, Outcome]


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


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp("hostile")
    mark = folder / "mark"
    world = World(folder)
    attacks.OTHER.update(world.files)
    attacks.marked_module(folder, mark)
    loaded.forget_loaded()
    world.store.load(world.record("trees"))  # the guard has started
    outcomes = {}
    for i, one in enumerate(attacks.attacks(mark)):
        assert one.name not in outcomes
        outcomes[one.name] = attack(world, one, folder / str(i))
    yield Campaign(world, mark, outcomes)
    sys.path.remove(str(folder))
    world.con.close()


ATTACKS = {one.name: one for one in attacks.attacks(Path("mark"))}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_file_is_refused_by_the_defence_that_is_meant_to(campaign, name):
    refusal = campaign.outcomes[name].refusal
    assert refusal is not None
    assert re.search(ATTACKS[name].refusal, refusal, re.DOTALL), refusal


@pytest.mark.parametrize("name", ATTACKS)
def test_a_refusal_takes_less_than_a_second(campaign, name):
    assert campaign.outcomes[name].seconds < 1.0


def test_after_all_attacks_the_champion_serves_as_before(campaign):
    assert len(campaign.outcomes) >= 40
    assert not campaign.mark.exists()
    assert attacks.MARKED not in sys.modules
    con = campaign.world.con
    assert registry.champion(con, "m") == 1
    assert [e.to_version for e in registry.history(con, "m")] == [1]
    loaded.forget_loaded()
    rows, label = frame()
    champion = campaign.world.store.load(campaign.world.record("trees"))
    again = ESTIMATORS["trees"]().fit(rows, label)
    np.testing.assert_array_equal(champion.predict_proba(rows), again.predict_proba(rows))


def test_each_refusal_is_recorded_with_its_reason(campaign):
    events = [e for e in registry.load_events(campaign.world.con, "m") if e["run_id"] == "attack"]
    assert len(events) == len(campaign.outcomes)
    assert not any(e["loaded"] for e in events)
    assert [e["reason"] for e in events] == [o.refusal for o in campaign.outcomes.values()]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_good_file_of_each_kind_is_not_refused(campaign, name):
    loaded.forget_loaded()
    assert campaign.world.store.load(campaign.world.record(name)) is not None


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("signed"), (KEY,))
    yield world
    world.con.close()


def test_a_signed_version_is_loaded_with_its_key_also_among_others(signed):
    loaded.forget_loaded()
    for keys in ([KEY], [OTHER_KEY, KEY]):
        store = ArtifactStore(signed.store.root, keys)
        assert store.load(signed.record("linear")) is not None


@pytest.mark.parametrize("from_memory", [False, True])
@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"hmac": None}, "not signed.*mlops-assets sign m 2"),
        ({"hmac": "hmac-sha256:12345678:" + "0" * 64}, "signed with the key '12345678'"),
        ({"hmac": "none:"}, "signed with the key"),
        ({"hmac": "sig of 1"}, "not what was signed"),
        ({"version": 1}, "not what was signed"),
        ({"model": "other"}, "not what was signed"),
        ({"signature": {"inputs": ["more"]}}, "not what was signed"),
        ({"training_digest": "e" * 64}, "not what was signed"),
        ({"code": {"commit": "d" * 40}}, "not what was signed"),
    ],
)
def test_a_signature_that_is_not_this_versions_is_refused(signed, changed, refusal, from_memory):
    loaded.forget_loaded()
    record = signed.record("linear")
    if from_memory:
        signed.store.load(record)
    if changed.get("hmac") == "sig of 1":
        changed = {"hmac": signed.record("trees").hmac}
    with pytest.raises(ArtifactError, match=refusal):
        signed.store.load(replace(record, **changed))


def test_even_a_consistent_forgery_needs_the_key(signed, tmp_path):
    """Another good model, with its own digest and golden rows: only the key tells."""
    other = signed.record("ridge")
    forged = replace(
        signed.record("linear"),
        artifact_sha256=other.artifact_sha256,
        model_digest=other.model_digest,
        golden=other.golden,
    )
    loaded.forget_loaded()
    assert ArtifactStore(signed.store.root, ()).load(forged) is not None
    with pytest.raises(ArtifactError, match="not what was signed"):
        signed.store.load(forged)


def test_a_foreign_key_signs_nothing_that_is_loaded(signed):
    foreign = ArtifactStore(signed.store.root, (OTHER_KEY,))
    with pytest.raises(ArtifactError, match="signed with the key"):
        foreign.load(signed.record("linear"))


def test_a_version_from_before_the_key_can_be_signed_by_who_has_it(tmp_path):
    world = World(tmp_path)
    store = ArtifactStore(world.store.root, (KEY,))
    with pytest.raises(ArtifactError, match="not signed"):
        store.load(world.record("linear"))
    registry.sign_version(world.con, "m", world.number("linear"), (OTHER_KEY,), actor="test")
    registry.sign_version(world.con, "m", world.number("linear"), (KEY,), actor="test")
    assert store.load(world.record("linear")) is not None
    with pytest.raises(registry.RegistryError, match="MLOPS_ASSETS_SIGNING_KEY"):
        registry.sign_version(world.con, "m", 1, (), actor="test")
    world.con.close()


def test_the_key_is_not_given_to_the_process_that_tries_files(monkeypatch):
    monkeypatch.setenv("MLOPS_ASSETS_SIGNING_KEY", "s" * 32)
    assert not [n for n, v in guard._environment().items() if "s" * 32 in v]


def test_a_file_that_hangs_is_given_up(campaign):
    from mlops_assets_tests.core import crafted

    good = campaign.world.files["linear"]
    hanging = crafted.node(
        fragile.__name__, "Hanging", "ObjectNode", content=crafted.mapping(a=crafted.text(1))
    )
    golden = campaign.world.record("linear").golden
    allowed = [*fragile.NAMES, "sklearn.tree._tree.Tree"]
    with pytest.raises(ArtifactError, match="not loaded within"):
        guard.outputs_of(crafted.with_attribute(good, hanging), allowed, golden, seconds=0.3)
    talkative = crafted.node(
        fragile.__name__, "Talkative", "ObjectNode", content=crafted.mapping(a=crafted.text(1))
    )
    said = guard.outputs_of(crafted.with_attribute(good, talkative), allowed, golden)
    assert said == golden["outputs"]


def test_a_guard_that_was_killed_is_started_again(campaign):
    good = campaign.world.files["linear"]
    golden = campaign.world.record("linear").golden
    assert guard._guard is not None
    guard._guard.process.kill()
    assert guard.outputs_of(good, [], golden) == golden["outputs"]


def test_the_guard_ends_with_the_process_that_started_it(tmp_path):
    """Also if that process is killed: its end of the pipe is closed by the system."""
    script = (
        "from mlops_assets.core.artifacts import guard\n"
        "import sys, time\n"
        "guard.start()\n"
        "print(guard._guard.process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path.cwd(), text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 60
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(pid)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
