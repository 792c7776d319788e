"""Golden rows: a few inputs and what the model said of them when it was registered.

A file whose bytes are right may still say something else here: another processor, another
build of a library, a change that no version number tells. So each version keeps a few prepared
rows with their outputs, and whoever loads it must get them again: to the last bit where the
numeric libraries compute with the same kernels as then, else within ``TOLERANCE``.

Outputs are computed on one thread. Forests add up the votes of their trees in the order in
which threads finish: the last bit is chance otherwise (``n_jobs=2``).
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlops_assets.core.artifacts.refusal import ArtifactError
from mlops_assets.core.artifacts.walk import parts_of

if TYPE_CHECKING:
    import pandas as pd
    from threadpoolctl import ThreadpoolController

#: How many rows are kept with a version.
ROWS = 16
#: Of outputs from another kernel, relative to the larger of 1 and the value.
TOLERANCE = 1e-9


def golden(problem: str, estimator: Any, prepared: pd.DataFrame) -> dict[str, Any]:
    """Return up to ``ROWS`` rows, evenly spread over ``prepared``, and what is said of them.

    Parameters
    ----------
    prepared
        Rows as ``scoring.prepare`` makes them.

    Returns
    -------
    dict
        JSON: ``problem``, ``inputs`` (name, whether a category, and values; numbers in
        hexadecimal, so that no bit is lost), ``outputs`` (a list for each row) and the
        ``kernels`` that computed them.
    """
    from mlops_assets.core.models.importance import spread

    rows = prepared.iloc[spread(len(prepared), ROWS)]
    return {
        "problem": problem,
        "inputs": [
            {
                "name": str(name),
                "category": rows[name].dtype == object,
                "values": [_text(v) for v in rows[name]],
            }
            for name in rows.columns
        ],
        "outputs": outputs(problem, estimator, rows),
        "kernels": kernels(),
    }


def frame(kept: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows as an estimator takes them."""
    import pandas as pd

    return pd.DataFrame(
        {
            column["name"]: pd.Series(
                [_value(v, column["category"]) for v in column["values"]],
                dtype=object if column["category"] else float,
            )
            for column in kept["inputs"]
        }
    )


def outputs(problem: str, estimator: Any, rows: pd.DataFrame) -> list[list[str]]:
    """Return what the estimator says of each row, as hexadecimal numbers, on one thread."""
    import numpy as np

    if not len(rows):
        return []
    method = estimator.predict if problem == "regression" else estimator.predict_proba
    with thread_pools().limit(limits=1), one_job(estimator):
        said = np.asarray(method(rows), dtype=float).reshape(len(rows), -1)
    return [[v.hex() for v in row] for row in said.tolist()]


@functools.cache
def thread_pools() -> ThreadpoolController:
    """Return the numeric libraries of this process, looked up once; import them before."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def kernels() -> list[str]:
    """Return what decides the last bits of linear algebra: the machine, and BLAS' choice."""
    found = {
        f"{library.get('internal_api')} {library.get('version')} {library.get('architecture')}"
        for library in thread_pools().info()
        if library.get("user_api") == "blas"
    }
    return [platform.system(), platform.machine(), *sorted(found)]


def refuse_other_outputs(kept: Mapping[str, Any], said: Sequence[Sequence[str]]) -> None:
    """Raise unless what is said now is what was kept.

    Raises
    ------
    ArtifactError
        If a row's output differs, with the row and both values.
    """
    wanted = kept["outputs"]
    if [list(row) for row in said] == wanted:
        return
    exact = kept["kernels"] == kernels()
    for i, (row, row_now) in enumerate(zip(wanted, said, strict=False)):
        then, now = [float.fromhex(v) for v in row], [float.fromhex(v) for v in row_now]
        if len(then) != len(now) or any(
            a != b and (exact or not abs(a - b) <= TOLERANCE * max(1.0, abs(a)))
            for a, b in zip(then, now, strict=True)
            if not (a != a and b != b)
        ):
            raise ArtifactError(
                f"it says {now} of golden row {i}, of which it said {then} when it was registered"
            )
    if len(wanted) != len(said):
        raise ArtifactError(f"it answers {len(said)} of {len(wanted)} golden rows")


@contextmanager
def one_job(estimator: Any) -> Iterator[None]:
    """Let an estimator and all its parts use one thread, and give back what they had."""
    changed = []
    for part in parts_of(estimator):
        had = getattr(part, "__dict__", {}).get("n_jobs")
        if had is not None:
            changed.append((part, had))
            part.n_jobs = None
    try:
        yield
    finally:
        for part, had in changed:
            part.n_jobs = had


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    number = float(value)
    return None if number != number else number.hex()


def _value(value: str | None, category: bool) -> Any:
    if value is None:
        return float("nan")
    return value if category else float.fromhex(value)
