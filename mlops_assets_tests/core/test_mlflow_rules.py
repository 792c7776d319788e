"""What MLflow's own tests of its registry say of aliases and copies, said of this one.

The cases are those of ``tests/store/model_registry/test_sqlalchemy_store.py`` in MLflow 3.17,
written anew: five rules of aliases, and how a version is copied. Where this registry is
stricter, the test says so; ``docs/registry.md`` lists it all.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from mlops_assets.core import registry
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets.core.registry import BytesDeleted, NotFound, StillReferred
from mlops_assets.core.storage import tables
from mlops_assets_tests.core.registered import decide, move, register

NOON = datetime(2013, 5, 1, 12)
TOLD = {"actor": "test", "reason": "because"}


@pytest.fixture
def con():
    with duckdb.connect() as con:
        tables.create_tables(con)
        register(con)
        register(con)
        move(con, 2, None, alias="test_alias")
        yield con


def deleted(con, tmp_path, version: int) -> None:
    """In the connection's own transaction; files there are none."""
    registry.delete_bytes(con.cursor, ArtifactStore(tmp_path), "m", version, **TOLD)


def test_an_alias_that_was_set_is_on_the_model_and_on_its_version_only(con):
    assert registry.aliases(con, "m") == {"test_alias": 2}
    named = {
        version: [alias for alias, to in registry.aliases(con, "m").items() if to == version]
        for version in (1, 2)
    }
    assert named == {1: [], 2: ["test_alias"]}


def test_an_alias_that_was_deleted_is_on_neither(con):
    """Stricter: only where it is believed to point, with actor and reason, and on record."""
    event = registry.remove_alias(con, "m", "test_alias", expected_from=2, **TOLD)
    assert registry.aliases(con, "m") == {}
    assert (event.from_version, event.to_version, event.reason) == (2, None, "because")


def test_a_version_is_found_by_its_alias(con):
    assert registry.resolve(con, "m", "test_alias").version == 2
    assert registry.resolve(con, "m", "Test_Alias").version == 2


def test_a_version_that_has_an_alias_is_not_deleted(con, tmp_path):
    """Stricter: MLflow deletes it and drops the alias, the champion's too."""
    with pytest.raises(StillReferred, match="alias 'test_alias' points to it"):
        deleted(con, tmp_path, 2)
    registry.remove_alias(con, "m", "test_alias", expected_from=2, **TOLD)
    register(con)  # the newest version waits for its decision, and stays for that
    deleted(con, tmp_path, 2)
    with pytest.raises(NotFound, match="no alias 'test_alias'; it has none"):
        registry.resolve(con, "m", "test_alias")
    assert registry.get(con, "m", 2).version == 2  # its record stays


def test_a_model_does_not_lose_its_aliases_or_numbers(con, tmp_path):
    """Stricter: MLflow deletes a model with its aliases, and a new one begins at 1 again."""
    registry.remove_alias(con, "m", "test_alias", expected_from=2, **TOLD)
    register(con)
    for version in (1, 2):
        deleted(con, tmp_path, version)
    assert register(con) == 4
    with pytest.raises(NotFound, match="Model 'unknown' has no alias 'test_alias'"):
        registry.resolve(con, "unknown", "test_alias")


@pytest.mark.parametrize("to_model", ["m", "other"], ids=["same model", "other model"])
def test_a_copy_is_a_version_of_its_own_that_names_its_source(con, to_model):
    move(con, 1, None)
    before = registry.get(con, "m", 1)
    number = registry.copy_version(con, "m", 1, to_model, now=NOON)
    assert number == (3 if to_model == "m" else 1)
    copied = registry.get(con, to_model, number)
    assert (copied.source_model, copied.source_version) == ("m", 1)
    assert copied.created_at == NOON
    kept = ["artifact_sha256", "training_digest", "run_id", "signature", "code", "parameters"]
    assert [getattr(copied, name) for name in kept] == [getattr(before, name) for name in kept]
    assert registry.get(con, "m", 1) == before


def test_neither_alias_nor_decision_is_copied(con):
    passed = decide(con, 1)
    move(con, 1, None, promotion_id=passed)
    number = registry.copy_version(con, "m", 1, "other")
    assert registry.aliases(con, "other") == {}
    assert registry.promotions(con, "other") == []
    with pytest.raises(registry.Conflict, match="does not allow other version 1"):
        move(con, number, None, model="other", promotion_id=passed)


def test_a_copy_of_a_copy_names_the_copy_and_leads_to_the_original(con):
    first = registry.copy_version(con, "m", 1, "other")
    second = registry.copy_version(con, "other", first, "third")
    copied = registry.get(con, "third", second)
    assert (copied.source_model, copied.source_version) == ("other", first)
    assert registry.original(con, "third", second) == registry.get(con, "m", 1)


def test_what_is_not_there_is_not_copied(con, tmp_path):
    with pytest.raises(NotFound):
        registry.copy_version(con, "m", 9, "other")
    deleted(con, tmp_path, 1)
    with pytest.raises(BytesDeleted):
        registry.copy_version(con, "m", 1, "other")


def test_every_test_that_the_documentation_names_exists():
    said = (Path(__file__).parents[2] / "docs" / "registry.md").read_text()
    rows = [line for line in said.splitlines() if "`test_" in line and line.startswith("|")]
    assert len(rows) >= 12
    for row in rows:
        *file, test = re.findall(r"`(test_[\w.]+)`", row)
        there = Path(__file__).with_name(file[0] if file else "test_aliases.py").read_text()
        assert f"def {test}(" in there, row
