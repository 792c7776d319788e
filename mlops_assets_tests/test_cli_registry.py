"""The registry's commands: on record, refused where they should be, said in words."""

from __future__ import annotations

import sys
import types
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from mlops_assets.cli import app
from mlops_assets.core import registry
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets_tests.core.shop import Shop, day, use_case


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Four versions: 1 and 3 served one after the other, 2 and 4 never did."""
    module = types.ModuleType("my_shop")
    module.USE_CASE = use_case()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_shop", module)
    monkeypatch.setenv("MLOPS_ASSETS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    shop = Shop(tmp_path, module.USE_CASE, rows_per_day=40).land(0, 12)  # type: ignore[attr-defined]
    shop.artifacts = ArtifactStore(tmp_path / "artifacts" / "shop")
    shop.train(8)
    shop.train(8, promote=False)
    shop.train(10)
    shop.capture(8, 11)
    shop.train(12, promote=False)
    shop.con.close()
    return shop


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*arguments, "--use-case", "my_shop:USE_CASE"])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def test_a_rollback_is_one_command_and_serves_from_the_next_scoring_run(shop):
    said = run("rollback", "sent_back", "--reason", "worse on returns")
    assert said == f"sent_back: version 1 serves again from {day(12)}, instead of version 3."
    shown = run("history", "sent_back")
    assert "rollback: worse on returns" in shown
    from mlops_assets.cli.support import load_settings, warehouse

    with warehouse(shop.use_case, load_settings()).read() as con:
        served = [registry.champion_for(con, "sent_back", day(n)) for n in range(8, 14)]
        event = registry.history(con, "sent_back")[-1]
    assert served == [1, 1, 3, 3, 1, 1]
    assert event.effective_from == day(11) + timedelta(days=1)
    said = run("rollback", "sent_back", "--reason", "again", code=1)
    assert "no earlier champion" in said


def test_a_promotion_by_hand_is_an_override_on_record(shop):
    said = run("promote", "sent_back", "2", "--reason", "the regulator asks for it")
    assert "past the gate" in said
    assert "override: the regulator asks for it" in run("history", "sent_back")
    assert "sent_back 2" in run("models").replace("sent_back  2", "sent_back 2")
    assert "has no version 9" in run("promote", "sent_back", "9", "--reason", "x", code=1)
    assert "actor and a reason" in run("promote", "sent_back", "1", "--reason", " ", code=1)


def test_a_collection_says_before_what_it_does_and_after_what_it_did(shop):
    files = sorted(shop.artifacts.root.rglob("*.skops"))
    dry = run("gc", "--dry-run", "--keep", "0")
    assert "sent_back version 2" in dry
    assert "would be freed" in dry
    assert sorted(shop.artifacts.root.rglob("*.skops")) == files
    real = run("gc", "--keep", "0")
    assert real.replace("freed.", "would be freed.") == dry
    assert len(list(shop.artifacts.root.rglob("*.skops"))) == len(files) - 1
    assert "file deleted" in run("models")
    said = run("promote", "sent_back", "2", "--reason", "x", code=1)
    assert "was deleted at" in said
    assert "nothing refers to it" in said


def test_a_version_is_exported_for_mlflow_and_a_deleted_one_says_why_not(shop, tmp_path):
    folder = tmp_path / "out"
    assert "--mlflow is the only one" in run("export", "sent_back", "1", str(folder), code=1)
    said = run("export", "sent_back", "1", str(folder), "--mlflow")
    assert "mlflow.sklearn.load_model loads it" in said
    assert (folder / "MLmodel").exists()
    assert "is not empty" in run("export", "sent_back", "1", str(folder), "--mlflow", code=1)
    run("gc", "--keep", "0")
    said = run("export", "sent_back", "2", str(tmp_path / "two"), "--mlflow", code=1)
    assert "was deleted at" in said
