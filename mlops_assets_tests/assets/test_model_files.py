"""A champion's file in service: loaded through all checks, refused without harm, on record."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlops_assets.cli import app
from mlops_assets.core.artifacts import loaded
from mlops_assets.settings import SettingsError, load_settings, signing_keys
from mlops_assets_tests.assets.conftest import Place, after, error_text, place
from mlops_assets_tests.support_tickets import START, generate, land

TRAINED = after(START, 24)
KEY = "0123456789abcdef" * 2
REFERENCE = "mlops_assets_tests.support_tickets:USE_CASE"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The use case with a champion that was registered with a key."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MLOPS_ASSETS_SIGNING_KEY", KEY)
    with place(tmp_path_factory.mktemp("files")) as made:
        land(made.landing, generate(), after(TRAINED, 2))
        for job, *bounds in (("refresh_static",), ("daily", START, TRAINED), ("retrain_team",)):
            result = made.run(job, *bounds)
            assert result.success, error_text(result)
        yield made
    patch.undo()


def scored(world: Place, day: date):
    """Score a day as a new process would: nothing is in memory."""
    loaded.forget_loaded()
    return world.run("daily", day, day)


def champion_file(world: Place) -> Path:
    [(sha256,)] = world.rows("SELECT artifact_sha256 FROM registry.model_versions")
    return world.settings.artifacts("support") / sha256[:2] / f"{sha256}.skops"


def test_a_damaged_champion_is_refused_on_record_and_serves_again_once_restored(world):
    file = champion_file(world)
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    result = scored(world, after(TRAINED, 1))
    assert not result.success
    assert "damaged or replaced" in error_text(result)
    [(captured,)] = world.rows("SELECT count(*) FROM capture.predictions")
    assert world.rows("SELECT version FROM registry.aliases") == [(1,)]

    file.write_bytes(good)
    result = scored(world, after(TRAINED, 1))
    assert result.success, error_text(result)
    assert world.rows("SELECT count(*) > $1 FROM capture.predictions", captured) == [(True,)]
    events = world.rows(
        "SELECT version, loaded, reason FROM registry.load_events ORDER BY loaded_at"
    )
    assert {(version, was) for version, was, _ in events} == {(1, False), (1, True)}
    assert "damaged or replaced" in events[0][2]
    assert events[-1][2] is None


def test_a_version_is_signed_by_the_run_that_registers_it(world, monkeypatch):
    (actor, hmac), *_ = world.rows(
        "SELECT actor, hmac FROM registry.version_signatures ORDER BY signed_at"
    )
    assert actor.startswith("run ")
    assert KEY not in hmac
    monkeypatch.setenv("MLOPS_ASSETS_SIGNING_KEY", KEY[::-1])
    result = scored(world, after(TRAINED, 2))
    assert not result.success
    assert "signed with the key" in error_text(result)


def command(world: Place, monkeypatch, *arguments: str, code: int = 0) -> str:
    monkeypatch.setenv("MLOPS_ASSETS_DATA_DIR", str(world.settings.data_dir))
    monkeypatch.setenv("COLUMNS", "250")
    done = CliRunner().invoke(app, [*arguments, "--use-case", REFERENCE])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def test_the_command_reproduces_a_version(world, monkeypatch):
    said = command(world, monkeypatch, "reproduce", "team", "1", "--anyway")
    [(digest,)] = world.rows("SELECT model_digest FROM registry.model_versions")
    assert f"team version 1 came out the same: model digest {digest}" in said
    said = command(world, monkeypatch, "reproduce", "team", "2", code=1)
    assert "no version 2" in said


def test_the_command_signs_a_version_with_a_new_key(world, monkeypatch):
    monkeypatch.setenv("MLOPS_ASSETS_SIGNING_KEY", KEY[::-1])
    said = command(world, monkeypatch, "sign", "team", "1")
    assert "team version 1 is signed with the key" in said
    result = scored(world, after(TRAINED, 2))
    assert result.success, error_text(result)
    monkeypatch.delenv("MLOPS_ASSETS_SIGNING_KEY")
    assert "no signing key" in command(world, monkeypatch, "sign", "team", "1", code=1)


def test_a_key_that_is_too_short_is_no_key(monkeypatch):
    monkeypatch.setenv("MLOPS_ASSETS_SIGNING_KEY", "secret")
    with pytest.raises(SettingsError, match=r"MLOPS_ASSETS_SIGNING_KEY.*32 characters"):
        signing_keys()
    with pytest.raises(SettingsError, match=r"SIGNING_KEY.*32 characters"):
        load_settings()
