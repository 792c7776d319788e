"""A version as an MLflow model directory, so that nobody is locked in.

What MLflow 3.17 loads is written here without MLflow: the model file as it is (skops), and
``MLmodel``, which says how to load it and what goes in and comes out. Both of MLflow's
flavours are there: ``sklearn`` gives the estimator, ``python_function`` its probabilities, or
a regression's numbers. Which version is exported and to where belongs in ``cli.registry``.

MLflow reads the types that may be loaded from ``MLmodel``, that is from the model's own
folder, and loads nothing when ``MLFLOW_ALLOW_PICKLE_DESERIALIZATION`` is false. So only a
file that this package's own loading has accepted is exported, and those types are the ones
that the file holds, all of them on this package's list or the declaration's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models.identity import UNKNOWN
from mlops_assets.core.scoring import widening

if TYPE_CHECKING:
    from mlops_assets.core.artifacts.artifacts import ArtifactStore
    from mlops_assets.core.registry.versions import ModelVersion

#: The MLflow release whose format this is, and the oldest that is asked for.
MLFLOW = "3.17.2"
MODEL_FILE = "model.skops"

#: What a feature is here, and MLflow's column type for it: that of what the estimator gets.
#: MLflow's own boolean and long would reach the estimator as other types than in training.
COLUMN_TYPES = {**dict.fromkeys(widening.TYPES, "double"), widening.CATEGORY: "string"}
#: What MLflow's environment needs beside MLflow, if it is recorded.
_REQUIREMENTS = ("scikit-learn", "skops", "numpy", "pandas", "scipy")


class ExportError(RuntimeError):
    """A version cannot be exported there; the message says why and what to do."""


def export(
    version: ModelVersion,
    artifacts: ArtifactStore,
    folder: Path,
    trusted_types: Iterable[str] = (),
) -> list[str]:
    """Write a version as an MLflow model directory; all of it appears at once.

    ``mlflow.sklearn.load_model(folder)`` then gives the estimator, and
    ``mlflow.pyfunc.load_model(folder).predict(frame)`` what it says: for classification the
    probabilities in the order of ``metadata.classes``, for regression numbers.

    Returns
    -------
    list of str
        Types in the file that neither skops nor scikit-learn brings: their modules must be
        importable where MLflow loads it.

    Raises
    ------
    ArtifactError
        If the model file is missing or refused.
    ExportError
        If the folder is there and not empty.
    """
    from skops import io as skops_io

    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} is not empty. Give a folder that does not exist yet.")
    trusted = frozenset(trusted_types)
    artifacts.check(version, trusted)  # refuses what must not leave
    data = artifacts.path(version.artifact_sha256).read_bytes()
    if hashlib.sha256(data).hexdigest() != version.artifact_sha256:
        raise ExportError(
            f"{artifacts.path(version.artifact_sha256)} is not the registered file any more. "
            "Restore it from a backup."
        )
    types = sorted(skops_io.get_untrusted_types(data=data))
    python = version.environment.get("python", UNKNOWN)
    requirements = _requirements(version.environment.get("libraries", {}))
    files: dict[str, bytes] = {
        MODEL_FILE: data,
        "MLmodel": yaml(mlmodel(version, types, len(data))).encode(),
        "requirements.txt": "".join(f"{line}\n" for line in requirements).encode(),
        "python_env.yaml": yaml(
            {
                "python": python,
                "build_dependencies": ["pip", "setuptools", "wheel"],
                "dependencies": ["-r requirements.txt"],
            }
        ).encode(),
        "conda.yaml": yaml(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", "pip", {"pip": requirements}],
            }
        ).encode(),
    }
    _write_at_once(folder, files)
    return [name for name in types if name in trusted]


def mlmodel(version: ModelVersion, types: list[str], size_bytes: int) -> dict[str, Any]:
    """Return the content of ``MLmodel`` for a version whose file holds these types."""
    output = version.signature["output"]
    libraries = version.environment.get("libraries", {})
    classes = output["classes"]
    shape = [-1] if classes is None else [-1, len(classes)]
    return {
        "flavors": {
            "python_function": {
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.sklearn",
                "model_path": MODEL_FILE,
                "predict_fn": "predict" if classes is None else "predict_proba",
                "python_version": version.environment.get("python", UNKNOWN),
            },
            "sklearn": {
                "code": None,
                "pickled_model": MODEL_FILE,
                "serialization_format": "skops",
                "sklearn_version": libraries.get("scikit-learn", UNKNOWN),
                "skops_trusted_types": types or None,
            },
        },
        "metadata": {
            "model": version.model,
            "version": version.version,
            "artifact_sha256": version.artifact_sha256,
            "training_digest": version.training_digest,
            "train_start": str(version.train_start),
            "train_end": str(version.train_end),
            "code": dict(version.code),
            "problem": output.get("problem"),
            "classes": classes,
        },
        "mlflow_version": MLFLOW,
        "model_size_bytes": size_bytes,
        "model_uuid": version.artifact_sha256[:32],
        "signature": {
            "inputs": json.dumps(
                [
                    {"type": COLUMN_TYPES[column["type"]], "name": column["name"], "required": True}
                    for column in version.signature["inputs"]
                ]
            ),
            "outputs": json.dumps(
                [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": shape}}]
            ),
            "params": None,
        },
        "utc_time_created": f"{version.created_at:%Y-%m-%d %H:%M:%S.%f}",
    }


def yaml(value: Any, indent: int = 0) -> str:
    """Return YAML of mappings, lists and scalars. Scalars are JSON's, which YAML includes."""
    pad = " " * indent
    if isinstance(value, Mapping) and value:
        lines = [(f"{key}:", item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        lines = [("-", item) for item in value]
    else:
        return f"{pad}{json.dumps(value)}\n"
    return "".join(
        f"{pad}{head}\n{yaml(item, indent + 2)}"
        if isinstance(item, Mapping | list) and item
        else f"{pad}{head} {json.dumps(item)}\n"
        for head, item in lines
    )


def _requirements(libraries: Mapping[str, str]) -> list[str]:
    pinned = [
        f"{name}=={libraries[name]}"
        for name in _REQUIREMENTS
        if libraries.get(name, UNKNOWN) != UNKNOWN
    ]
    return [f"mlflow>={MLFLOW}", *pinned]


def _write_at_once(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for name, content in files.items():
            with (partial / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        partial.chmod(0o755)
        partial.replace(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
