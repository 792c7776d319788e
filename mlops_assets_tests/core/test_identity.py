"""Identity: true where it can be known, ``unknown`` where not, never an error."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from mlops_assets.core.models import identity


@pytest.fixture(autouse=True)
def _fresh():
    identity._code_identity.cache_clear()
    identity._environment_identity.cache_clear()
    yield
    identity._code_identity.cache_clear()
    identity._environment_identity.cache_clear()


def git(folder, *arguments):
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_a_folder_without_git_is_unknown_and_no_error(tmp_path):
    found = identity.code_identity(tmp_path)
    assert (found["commit"], found["dirty"]) == ("unknown", None)


def test_a_machine_without_git_is_unknown_and_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert identity.code_identity(tmp_path)["commit"] == "unknown"


def test_a_checkout_before_its_first_commit_is_unknown(tmp_path):
    git(tmp_path, "init", "-q")
    assert identity.code_identity(tmp_path)["commit"] == "unknown"


def test_uncommitted_changes_are_seen(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one", "--no-verify")
    clean = identity.code_identity(tmp_path)
    assert clean["commit"] == git(tmp_path, "rev-parse", "HEAD")
    assert clean["dirty"] is False
    (tmp_path / "more.py").write_text("2")
    identity._code_identity.cache_clear()
    assert identity.code_identity(tmp_path)["dirty"] is True


def test_the_lock_file_is_found_from_a_folder_below(tmp_path):
    (tmp_path / "requirements.lock").write_text("numpy==2.0\n")
    (tmp_path / "package").mkdir()
    found = identity.environment_identity(tmp_path / "package")
    assert found["lock_sha256"] == hashlib.sha256(b"numpy==2.0\n").hexdigest()


def test_the_environment_is_json_and_names_what_decides_a_model(tmp_path):
    found = identity.environment_identity(tmp_path)
    assert json.loads(json.dumps(found)) == found
    assert found["libraries"]["scikit-learn"] != "unknown"
    assert set(found["libraries"]) == set(identity.LIBRARIES)


def test_what_a_caller_adds_does_not_reach_the_next_one(tmp_path):
    identity.code_identity(tmp_path)["commit"] = "mine"
    identity.environment_identity(tmp_path)["libraries"]["numpy"] = "mine"
    assert identity.code_identity(tmp_path)["commit"] == "unknown"
    assert identity.environment_identity(tmp_path)["libraries"]["numpy"] != "mine"
