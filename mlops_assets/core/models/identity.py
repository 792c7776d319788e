"""Which code and which environment: recorded with every model version.

What is recorded where belongs in ``registry``. Nothing here fails: what cannot be found
out is the word ``unknown``, never an exception, because a missing git must not stop a
retrain. Answers are found once per process: a process does not change its own code.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"

#: Libraries whose versions can change what a model is or says.
LIBRARIES = (
    "duckdb",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "skops",
    "dagster",
    "mlops-assets",
)
LOCK_FILE = "requirements.lock"
_GIT_SECONDS = 10


def code_identity(root: Path) -> dict[str, Any]:
    """Return ``{"commit", "dirty", "package"}`` of the checkout around ``root``.

    ``commit`` is the full hash, or ``unknown`` outside a git checkout, without git, or
    before the first commit. ``dirty`` says whether anything that git does not ignore
    differs from the commit; ``None`` where that is unknown. ``package`` is the version of
    mlops-assets. The dictionary is the caller's own.
    """
    return dict(_code_identity(Path(root).absolute()))


def environment_identity(root: Path) -> dict[str, Any]:
    """Return ``{"python", "platform", "libraries", "lock_sha256"}``.

    ``libraries`` maps each of ``LIBRARIES`` to its installed version; ``lock_sha256`` is of
    the ``requirements.lock`` in ``root`` or the nearest folder above that has one.
    """
    found = _environment_identity(Path(root).absolute())
    return {**found, "libraries": dict(found["libraries"])}


@functools.cache
def library_version(name: str) -> str:
    """Return the installed version of a library, ``unknown`` if it is not installed."""
    return _version(name)


@functools.lru_cache(maxsize=8)
def _code_identity(root: Path) -> dict[str, Any]:
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    status = _git(root, "status", "--porcelain") if commit is not None else None
    return {
        "commit": commit or UNKNOWN,
        "dirty": None if status is None else bool(status),
        "package": _version("mlops-assets"),
    }


@functools.lru_cache(maxsize=8)
def _environment_identity(root: Path) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "lock_sha256": _lock_sha256(root),
    }


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, or ``None`` where it cannot say."""
    try:
        done = subprocess.run(
            # Not even the index is refreshed: recording an identity writes nothing.
            ["git", "--no-optional-locks", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return UNKNOWN


def _lock_sha256(root: Path) -> str:
    for folder in (root, *root.parents):
        try:
            return hashlib.sha256((folder / LOCK_FILE).read_bytes()).hexdigest()
        except OSError:
            continue
    return UNKNOWN
