"""Model files: content-addressed, written whole or not at all, read without trust.

How an estimator becomes bytes and comes back belongs here; which bytes are which version
belongs in ``registry``. The format is skops' (a zip of JSON and arrays); there is no pickle
path. What a file may contain is decided by ``TRUSTED_TYPES`` here and by the declaration's
``trusted_types``, never by the file.

A load refuses, in this order: a file that is too large, one whose SHA-256 is not the
recorded one, one that unpacks to too much, one that names a type outside the allow-list,
one that another scikit-learn version wrote.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
import threading
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_assets.core.models.threads import wait_passively

#: Types that fitted scikit-learn estimators hold and skops 0.16 does not trust by itself,
#: measured over 60 estimators with scikit-learn 1.9.1. Plain data or pure functions: none
#: reads a file, connects or runs code given as data (``functools.partial`` can only hold a
#: function that is itself trusted).
TRUSTED_TYPES = frozenset(
    {
        "builtins.object",
        "functools.partial",
        "numpy.dtype",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.model_selection._split.TimeSeriesSplit",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils.validation.check_array",
    }
)

MAX_BYTES = 1 << 30
MAX_UNPACKED_BYTES = 4 << 30
#: Loaded estimators kept by a process: champion and challenger of a few models.
CACHED = 8

_SHA256 = re.compile(r"[0-9a-f]{64}")
_cache: OrderedDict[tuple[str, frozenset[str]], Any] = OrderedDict()
_cache_lock = threading.Lock()


class ArtifactError(RuntimeError):
    """A model file cannot be written or must not be loaded; the message says what to do."""


@dataclass(frozen=True)
class Artifact:
    """A stored model file."""

    sha256: str
    size_bytes: int


class ArtifactStore:
    """Model files in a folder, each under the SHA-256 of its bytes.

    Parameters
    ----------
    root
        The folder; it is made at the first save.
    max_bytes
        Larger files are neither written nor read.
    """

    def __init__(self, root: Path, max_bytes: int = MAX_BYTES) -> None:
        self.root = Path(root)
        self.max_bytes = max_bytes

    def path(self, sha256: str) -> Path:
        """Where the file of that digest is or would be."""
        if _SHA256.fullmatch(sha256) is None:
            raise ArtifactError(f"{sha256!r} is no SHA-256: 64 lower-case hexadecimal digits")
        return self.root / sha256[:2] / f"{sha256}.skops"

    def save(self, estimator: Any, trusted_types: Iterable[str] = ()) -> Artifact:
        """Write a fitted estimator and prove that it can be read back.

        The bytes of equal estimators differ (skops names arrays by memory address), so
        saving twice makes two files.

        Raises
        ------
        ArtifactError
            If the estimator holds what a later run could not load: a lambda, a function or
            class of the main program or of inside a function, or a type that is not trusted.
        """
        from skops import io as skops_io

        try:
            data = skops_io.dumps(estimator)
        except Exception as error:
            raise ArtifactError(
                f"{type(estimator).__name__} cannot be written as a skops file: {error}. "
                "Build it from scikit-learn estimators, or from classes of an importable module."
            ) from error
        if len(data) > self.max_bytes:
            raise ArtifactError(
                f"{type(estimator).__name__} takes {len(data)} bytes, more than the cap of "
                f"{self.max_bytes}: make the model smaller or raise the cap"
            )
        allowed = TRUSTED_TYPES | frozenset(trusted_types)
        _refuse_unregistrable(data, allowed)
        try:
            loaded = _construct(data, allowed)
        except ArtifactError:
            raise
        except Exception as error:
            raise ArtifactError(
                f"{type(estimator).__name__} was written but cannot be read back: {error}. "
                "A function or class inside a function is the usual cause: move it to the top "
                "level of an importable module."
            ) from error
        sha256 = hashlib.sha256(data).hexdigest()
        _write_durably(self.path(sha256), data)
        _remember((sha256, allowed), loaded)
        return Artifact(sha256, len(data))

    def load(self, sha256: str, trusted_types: Iterable[str] = ()) -> Any:
        """Return the estimator of that digest.

        The last ``CACHED`` estimators stay in memory, so that scoring every day does not
        read the champion every day; the same object is returned, so do not change it.

        Raises
        ------
        ArtifactError
            If the file is missing or refused; see the module.
        """
        path, allowed = self.path(sha256), TRUSTED_TYPES | frozenset(trusted_types)
        cached = _recall((sha256, allowed))
        if cached is not None:
            return cached
        wait_passively()
        data = self._read(path)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise ArtifactError(
                f"{path} has SHA-256 {found}, not the registered one: it was damaged or "
                "replaced. Restore it from a backup, or roll back to another version."
            )
        try:
            estimator = _construct(data, allowed)
        except ArtifactError as error:
            raise ArtifactError(f"{path}: {error}") from error
        except Exception as error:
            raise ArtifactError(
                f"{path} is no model file that skops can load: {type(error).__name__}: {error}. "
                "Roll back to another version or train a new one."
            ) from error
        _remember((sha256, allowed), estimator)
        return estimator

    def _read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(self.max_bytes + 1)
        except OSError as error:
            raise ArtifactError(
                f"Model file {path} cannot be read ({error.strerror}). Restore it from a "
                "backup, or roll back to a version whose file is there."
            ) from error
        if len(data) > self.max_bytes:
            raise ArtifactError(f"{path} is larger than the cap of {self.max_bytes} bytes")
        return data


def _construct(data: bytes, allowed: frozenset[str]) -> Any:
    """Load bytes whose origin is verified; refuse types outside ``allowed``."""
    from sklearn.exceptions import InconsistentVersionWarning
    from skops import io as skops_io

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES:
        raise ArtifactError(f"it would unpack to {unpacked} bytes, over {MAX_UNPACKED_BYTES}")
    unknown = sorted(set(skops_io.get_untrusted_types(data=data)) - allowed)
    if unknown:
        raise ArtifactError(
            f"it holds types that are not trusted: {', '.join(unknown)}. If they are yours, "
            "name them in the model's trusted_types; otherwise do not use this file."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return skops_io.loads(data, trusted=sorted(allowed))
        except InconsistentVersionWarning as skew:
            raise ArtifactError(
                f"it was written by scikit-learn {skew.original_sklearn_version}, here is "
                f"{skew.current_sklearn_version}, which may predict something else. Install "
                "the recorded version, or retrain."
            ) from skew


def _refuse_unregistrable(data: bytes, allowed: frozenset[str]) -> None:
    from skops import io as skops_io

    found = sorted(skops_io.get_untrusted_types(data=data))
    for name in found:
        if "<lambda>" in name:
            raise ArtifactError(
                f"The estimator holds a lambda ({name}), which no later run can load. Write it "
                "as a named function at the top level of an importable module, and name it in "
                "the model's trusted_types."
            )
        if name.startswith("__main__.") or "<locals>" in name:
            raise ArtifactError(
                f"The estimator holds {name}, which exists only in the running program. Move "
                "it to the top level of an importable module, and name it in the model's "
                "trusted_types."
            )
    unknown = [name for name in found if name not in allowed]
    if unknown:
        raise ArtifactError(
            f"The estimator holds types that are not trusted: {', '.join(unknown)}. If they "
            f"are yours, declare the model with trusted_types={unknown!r}."
        )


def _write_durably(path: Path, data: bytes) -> None:
    """Make the file appear whole, and stay after a crash: fsync, rename, fsync the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _recall(key: tuple[str, frozenset[str]]) -> Any | None:
    with _cache_lock:
        if key in _cache:
            _cache.move_to_end(key)
        return _cache.get(key)


def _remember(key: tuple[str, frozenset[str]], estimator: Any) -> None:
    with _cache_lock:
        _cache[key] = estimator
        _cache.move_to_end(key)
        while len(_cache) > CACHED:
            _cache.popitem(last=False)


def forget_loaded() -> None:
    """Empty the cache of loaded estimators."""
    with _cache_lock:
        _cache.clear()
