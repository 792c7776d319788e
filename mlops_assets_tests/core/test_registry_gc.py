"""Deleting model files: never one that something may need, never a row, never by surprise."""

from __future__ import annotations

import hashlib
import os
import random
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from mlops_assets.core import registry
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets.core.registry import BytesDeleted, NotFound, StillReferred
from mlops_assets.core.storage import tables
from mlops_assets_tests.core.registered import MAY, decide, move, register, rollback

NOON = datetime(2013, 5, 1, 12)
TOLD = {"actor": "carol", "reason": "to save space", "now": NOON}
LONG_AGO = datetime(2013, 1, 1).timestamp()


class Registry:
    """A database and a folder of files that look like model files."""

    def __init__(self, folder: Path) -> None:
        self.con = duckdb.connect()
        tables.create_tables(self.con)
        self.artifacts = ArtifactStore(folder / "artifacts")

    @contextmanager
    def transaction(self):
        self.con.execute("BEGIN")
        try:
            yield self.con
        except BaseException:
            self.con.execute("ROLLBACK")
            raise
        self.con.execute("COMMIT")

    def file(self, content: str) -> Path:
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        path = self.artifacts.path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
        return path

    def register(self, content: str | None = None, model: str = "m") -> int:
        number = len(registry.versions(self.con, model)) + 1
        path = self.file(content or f"{model} {number}")
        return register(self.con, model, sha256=path.stem)

    def path(self, version: int, model: str = "m") -> Path:
        return self.artifacts.path(registry.get(self.con, model, version).artifact_sha256)

    def delete(self, version: int, model: str = "m"):
        return registry.delete_bytes(self.transaction, self.artifacts, model, version, **TOLD)

    def find(self, keep: int = 0):
        return registry.find(self.con, self.artifacts, keep=keep, now=NOON)

    def collect(self, keep: int = 0):
        return registry.collect(self.transaction, self.artifacts, keep=keep, **TOLD)

    def files(self) -> set[Path]:
        return {path for path in self.artifacts.root.rglob("*") if path.is_file()}


@pytest.fixture
def there(tmp_path):
    return Registry(tmp_path)


def test_a_deleted_version_keeps_its_row_and_says_when_and_why(there):
    there.register()
    there.register()
    before = registry.get(there.con, "m", 1)
    path = there.path(1)
    assert there.delete(1).path == path
    assert not path.exists()
    assert registry.get(there.con, "m", 1) == before
    with pytest.raises(BytesDeleted, match="12:00:00 UTC by carol: to save space") as error:
        registry.loadable(there.con, "m", 1)
    assert "train it again" in str(error.value)
    assert registry.loadable(there.con, "m", 2).version == 2
    with pytest.raises(BytesDeleted):
        there.delete(1)
    (event,) = registry.deletions(there.con)
    assert (event.model, event.version, event.actor, event.size_bytes) == ("m", 1, "carol", 123)


def test_a_version_that_is_not_there_is_not_deleted(there):
    with pytest.raises(NotFound):
        there.delete(1)


def test_a_deletion_without_actor_or_reason_is_refused(there):
    there.register()
    for told in ({"actor": "", "reason": "r"}, {"actor": "a", "reason": " "}):
        with pytest.raises(ValueError, match="actor and a reason"):
            registry.delete_bytes(there.transaction, there.artifacts, "m", 1, **told)
        with pytest.raises(ValueError, match="actor and a reason"):
            registry.collect(there.transaction, there.artifacts, **told)
    assert there.path(1).exists()


def refused(there: Registry, version: int, says: str) -> None:
    with pytest.raises(StillReferred, match=says):
        there.delete(version)
    assert there.path(version).exists()
    assert registry.deletions(there.con) == []
    assert all(v.version != version for v in there.collect().versions)
    assert there.path(version).exists()


def test_a_version_with_an_alias_stays(there):
    there.register()
    there.register()
    move(there.con, 1, None, alias="shadow")
    refused(there, 1, "alias 'shadow' points to it")


def test_a_version_that_a_backfill_would_load_stays(there):
    for _ in range(4):
        there.register()
    move(there.con, 1, None, MAY)
    move(there.con, 2, 1, MAY + timedelta(days=7))
    move(there.con, 3, 2, MAY + timedelta(days=9))
    refused(there, 1, "it serves 2013-05-01 to 2013-05-07: scoring them again loads it")


def test_a_version_that_a_rollback_would_bring_back_stays(there):
    """Even one that was replaced on the day it came, and so serves no day at all."""
    for _ in range(4):
        there.register()
    move(there.con, 1, None)
    move(there.con, 2, 1)
    refused(there, 1, "a rollback would let it serve again")
    move(there.con, there.register(), 2)
    assert registry.references(there.con, "m", 1) == []
    rollback(there.con)
    assert "a rollback would let it serve again" in registry.references(there.con, "m", 1)


def test_the_newest_version_stays_until_it_is_decided(there):
    there.register()
    there.register()
    refused(there, 2, "newest version and waits for its decision")
    decide(there.con, 2, promoted=False)
    there.delete(2)


def test_a_version_that_was_promoted_and_not_moved_yet_stays(there):
    there.register()
    there.register()
    passed = decide(there.con, 1)
    refused(there, 1, f"promotion decision {passed[:12]} promotes it and is not carried out yet")
    move(there.con, 1, None, promotion_id=passed)
    said = registry.references(there.con, "m", 1)
    assert f"promotion decision {passed[:12]} put it in place as 'champion' and is in force" in said


def test_a_version_that_made_predictions_stays_also_those_in_shadow(there):
    for _ in range(3):
        there.register()
    for name, version in (("predictions", 1), ("shadow", 2)):
        there.con.execute(
            f"CREATE TABLE capture.m__{name} AS SELECT DATE '2013-05-01' + n::INTEGER "
            f"AS partition_date, {version} AS model_version FROM range(3) t(n)"
        )
    # Another model, whose name begins in the same way.
    there.con.execute("CREATE TABLE capture.m__x__predictions AS FROM capture.m__predictions")
    there.con.execute("UPDATE capture.m__x__predictions SET model_version = 3")
    decide(there.con, 3, promoted=False)
    refused(there, 1, "it made 3 rows of capture.m__predictions, 2013-05-01 to 2013-05-03")
    assert "capture.m__shadow" in registry.references(there.con, "m", 2)[0]
    assert registry.references(there.con, "m", 3) == []


def test_all_that_refers_is_said_at_once(there):
    there.register()
    move(there.con, 1, None, alias="shadow")
    with pytest.raises(StillReferred, match=r"alias 'shadow' .*; it is the newest version"):
        there.delete(1)


def test_bytes_that_another_version_has_too_stay_until_it_goes(there):
    there.register("the same")
    there.register("the same")
    there.register()
    there.delete(1)
    assert there.path(1).exists()
    assert registry.loadable(there.con, "m", 2).version == 2
    assert there.delete(2).path is not None
    assert not there.path(2).exists()


def test_a_transaction_that_fails_loses_no_file(there):
    there.register()
    there.register()

    @contextmanager
    def failing():
        with there.transaction() as con:
            yield con
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        registry.delete_bytes(failing, there.artifacts, "m", 1, **TOLD)
    with pytest.raises(OSError, match="disk full"):
        registry.collect(failing, there.artifacts, keep=0, **TOLD)
    assert there.path(1).exists()
    assert registry.loadable(there.con, "m", 1).version == 1


def test_a_crash_before_the_file_went_is_made_up_for_by_the_next_collection(there, monkeypatch):
    there.register()
    there.register()
    path = there.path(1)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            there.delete(1)
    assert path.exists()
    assert [(s.path, s.why) for s in there.collect().strays] == [
        (path, "of a version whose bytes were deleted")
    ]
    assert not path.exists()


def test_a_collection_keeps_the_newest_versions_of_each_model(there):
    for _ in range(4):
        there.register()
    there.register(model="other")
    decide(there.con, 4, promoted=False)
    found = there.collect(keep=2)
    assert [(v.model, v.version) for v in found.versions] == [("m", 1), ("m", 2)]
    assert found.freed_bytes == 2 * 123
    assert there.collect(keep=2) == registry.Garbage()


def test_files_that_no_version_refers_to_are_listed_and_go_unless_they_are_new(there):
    there.register()
    old, new = there.file("old"), there.file("new")
    os.utime(new, (datetime(2100, 1, 1).timestamp(),) * 2)  # a run that has yet to register it
    cut_off = old.with_name(".abc.part")
    cut_off.write_text("half")
    os.utime(cut_off, (LONG_AGO, LONG_AGO))
    theirs = there.artifacts.root / "README.txt"
    theirs.write_text("not ours")
    found = there.find()
    assert {(s.path, s.why) for s in found.strays} == {
        (old, "no version refers to it"),
        (cut_off, "left by a write that was cut off"),
    }
    assert there.collect() == found
    assert there.files() == {there.path(1), new, theirs}


def test_an_empty_registry_and_a_missing_folder_are_no_error(there):
    assert there.collect() == registry.Garbage()


@pytest.mark.parametrize("seed", range(8))
def test_a_dry_run_says_what_the_real_run_does_and_every_row_stays(tmp_path, seed):
    """On random registries; deleted is exactly what had no reference before."""
    made, there = random.Random(seed), Registry(tmp_path)
    for _ in range(made.randint(2, 9)):
        model = made.choice(["m", "other"])
        there.register(made.choice([None, None, "shared"]), model)
        last = len(registry.versions(there.con, model))
        version = made.randint(1, last)
        step = made.randint(0, 3)
        if step == 0:
            decide(there.con, last, promoted=made.random() < 0.3, model=model)
        elif step == 1:
            current = registry.champion(there.con, model)
            day = MAY + timedelta(days=last * 3)
            move(there.con, version, current, day, model)
        elif step == 2:
            there.file(f"stray {made.random()}")
    keep = made.randint(0, 2)
    rows = there.con.execute("FROM registry.model_versions ORDER BY ALL").fetchall()
    files = there.files()
    expected = [
        (model, version.version)
        for model in ("m", "other")
        for version in registry.versions(there.con, model)
        if not registry.references(there.con, model, version.version)
        and version.version <= len(registry.versions(there.con, model)) - keep
    ]
    dry = there.find(keep)
    assert there.files() == files
    assert [(v.model, v.version) for v in dry.versions] == expected
    assert there.collect(keep) == dry
    listed = {v.path for v in dry.versions if v.path} | {s.path for s in dry.strays}
    assert there.files() == files - listed
    assert there.con.execute("FROM registry.model_versions ORDER BY ALL").fetchall() == rows
    gone = [(deleted.model, deleted.version) for deleted in registry.deletions(there.con)]
    assert gone == expected
    for model in ("m", "other"):
        for version in registry.versions(there.con, model):
            assert ((model, version.version) in gone) or there.path(version.version, model).exists()
    assert there.collect(keep) == registry.Garbage()
