"""Reproducing a version: train it again from its record, and compare the models.

The snapshot, by its digest, and the declared estimator are all that goes in; a fresh process
(``retrain``) fits it, so that nothing that this process has seen or changed matters. The
models are compared by ``model_digest``: equal means equal in every parameter and every bit of
every array.

A comparison says something only where the code and the libraries are those of then, so others
are a reason not to begin, unless one is asked to go on anyway.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models import identity
from mlops_assets.core.storage.bound_values import bound_values
from mlops_assets.core.storage.store import content_digest

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.registry import ModelVersion

#: Libraries on whose version a fitted model may depend.
LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas", "skops", "duckdb", "pyarrow")


class NotReproducible(RuntimeError):
    """A version cannot be trained again from its record; the message says why."""


@dataclass(frozen=True)
class Reproduction:
    """What training a version again gave.

    Attributes
    ----------
    same
        Whether the model digests are equal.
    recorded_digest, digest
        Of the registered model, and of the one trained now.
    differences
        Of code, libraries and parameters between then and now; there are some only where
        one went on anyway, or where the models differ.
    seconds
        That it took, the start of the process included.
    """

    model: str
    version: int
    same: bool
    recorded_digest: str
    digest: str
    differences: tuple[str, ...]
    seconds: float


def reproduce(
    version: ModelVersion,
    snapshot: Path,
    use_case: str,
    checkout: Path,
    *,
    anyway: bool = False,
) -> Reproduction:
    """Train a version again in a fresh process and compare the two models.

    Parameters
    ----------
    version
        The version that was trained, not a copy (``registry.original``).
    snapshot
        Its training set, see ``snapshot_path``.
    use_case
        Where it is declared, as ``module:NAME``.
    checkout
        Folder whose git commit and lock file are compared with the recorded ones.
    anyway
        Go on though code or libraries differ.

    Raises
    ------
    NotReproducible
        If code or libraries differ, the snapshot is missing or not the recorded one, or the
        training fails.
    """
    began = time.perf_counter()
    if version.model_digest is None:
        raise NotReproducible(
            f"Version {version.version} of {version.model} was registered without a model "
            "digest: there is nothing to compare with."
        )
    differences = differing(version, checkout)
    if differences and not anyway:
        raise NotReproducible(
            f"Version {version.version} of {version.model} was trained otherwise: "
            + "; ".join(differences)
            + ". Check out that code and install those libraries, or go on anyway (--anyway)."
        )
    _require_snapshot(version, snapshot)
    said = _trained_again(version.model, snapshot, use_case)
    same = said["model_digest"] == version.model_digest
    if not same:
        differences += _other_parameters(version.parameters, said["parameters"])
    return Reproduction(
        model=version.model,
        version=version.version,
        same=same,
        recorded_digest=version.model_digest,
        digest=said["model_digest"],
        differences=tuple(differences),
        seconds=time.perf_counter() - began,
    )


def snapshot_path(con: duckdb.DuckDBPyConnection, version: ModelVersion, folder: Path) -> Path:
    """Return where the training set of a version is, in the folder of snapshots.

    Raises
    ------
    NotReproducible
        If no training set of that digest is recorded.
    """
    found = con.execute(
        "SELECT path FROM registry.training_sets WHERE digest = $digest LIMIT 1",
        {"digest": version.training_digest},
    ).fetchall()
    if not found:
        raise NotReproducible(
            f"Version {version.version} of {version.model} was trained on the snapshot "
            f"{version.training_digest[:12]}, which is not recorded in registry.training_sets."
        )
    return Path(folder) / found[0][0]


def differing(version: ModelVersion, checkout: Path) -> list[str]:
    """Return how code and libraries here differ from those that a version was trained with."""
    code, environment = identity.code_identity(checkout), identity.environment_identity(checkout)
    found = []
    if version.code.get("commit") != code["commit"]:
        found.append(f"its code was commit {version.code.get('commit')}, here is {code['commit']}")
    if version.code.get("dirty"):
        found.append("its code had changes that no commit has")
    if code["dirty"]:
        found.append("the code here has changes that no commit has")
    if version.code.get("package") != code["package"]:
        found.append(
            f"it was mlops-assets {version.code.get('package')}, here is {code['package']}"
        )
    then = version.environment
    if then.get("python") != environment["python"]:
        found.append(f"it was Python {then.get('python')}, here is {environment['python']}")
    recorded = then.get("libraries", {})
    for library in LIBRARIES:
        here = environment["libraries"].get(library)
        if recorded.get(library) != here:
            found.append(f"it was {library} {recorded.get(library)}, here is {here}")
    return found


def _require_snapshot(version: ModelVersion, snapshot: Path) -> None:
    import duckdb

    if not snapshot.is_file():
        raise NotReproducible(
            f"The training set {snapshot} of version {version.version} of {version.model} is "
            "gone. Restore it from a backup of the snapshot folder."
        )
    with duckdb.connect(":memory:") as con, bound_values(con) as bind:
        found = content_digest(con, f"FROM read_parquet({bind(str(snapshot))})")
    if found != version.training_digest:
        raise NotReproducible(
            f"The training set {snapshot} has the digest {found[:12]}, not "
            f"{version.training_digest[:12]}: it was changed. Restore it from a backup."
        )


def _trained_again(model: str, snapshot: Path, use_case: str) -> dict[str, Any]:
    request = {"use_case": use_case, "model": model, "snapshot": str(snapshot.absolute())}
    places = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mlops_assets.core.models.retrain"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": places},
        check=False,
    )
    try:
        said = json.loads(done.stdout)
    except ValueError:
        said = {"error": f"the process ended with status {done.returncode}: {done.stderr[-500:]}"}
    if "error" in said:
        raise NotReproducible(f"{model} could not be trained again: {said['error']}")
    return said


def _other_parameters(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = sorted({*then, *now})
    return [
        f"the parameter {name} was {then.get(name)!r}, and is declared as {now.get(name)!r}"
        for name in names
        if then.get(name) != now.get(name)
    ]
