"""Hostile and damaged model files: each is refused, and nothing else happens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mlops_assets.core import registry
from mlops_assets.core.artifacts import guard, loaded
from mlops_assets.core.artifacts.artifacts import ArtifactError, ArtifactStore
from mlops_assets_tests.core import attacks, fragile
from mlops_assets_tests.core.attacked import ESTIMATORS, Outcome, World, attack, frame

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


@dataclass
class Campaign:
    """What became of all attacks, one after the other, on one registry in one process."""

    world: World
    mark: Path
    outcomes: dict[str, Outcome]


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


def test_each_file_is_tried_by_a_process_of_its_own(campaign):
    good = campaign.world.files["linear"]
    golden = campaign.world.record("linear").golden
    assert guard.outputs_of(good, [], golden) == golden["outputs"]
    waiting = forks()
    assert len(waiting) == 1
    assert guard.outputs_of(good, [], golden) == golden["outputs"]
    assert forks().isdisjoint(waiting)


def test_a_process_that_was_killed_while_it_waited_refuses_no_file(campaign):
    golden = campaign.world.record("linear").golden
    for _ in range(2):
        for child in forks():
            os.kill(child, signal.SIGKILL)
            while running(child):
                time.sleep(0.01)
        said = guard.outputs_of(campaign.world.files["linear"], [], golden)
        assert said == golden["outputs"]


def forks() -> set[int]:
    """The processes that the guard has forked and not yet buried."""
    assert guard._guard is not None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pid = guard._guard.process.pid
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if found:
            return {int(child) for child in found}
        time.sleep(0.01)
    raise AssertionError("the guard has made no fork for the next file")


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
