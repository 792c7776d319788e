"""The fresh process of ``reproduce``: ``python -m`` this module, a request on standard input.

It fits the declared model on the rows of a snapshot, as any training does, and prints the
digest of what it got. It knows nothing of the version that this is to be compared with.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def retrain(use_case: str, model: str, snapshot: Path) -> dict[str, Any]:
    """Fit a declared model on a snapshot's training rows.

    Parameters
    ----------
    use_case
        Where it is declared, as ``module:NAME``.

    Returns
    -------
    dict
        ``model_digest``, ``parameters``, ``metrics`` and ``seconds`` of the fit.
    """
    from mlops_assets.core.artifacts import artifact_checks
    from mlops_assets.core.artifacts.model_digest import model_digest
    from mlops_assets.core.artifacts.writing import to_bytes
    from mlops_assets.core.models import snapshots, training

    module, _, name = use_case.partition(":")
    declared = getattr(importlib.import_module(module), name).model(model)
    fitted = training.fit_frame(declared, snapshots.read(snapshot, "train"))
    contents = artifact_checks.open_file(to_bytes(fitted.estimator))
    return {
        "model_digest": model_digest(contents.schema),
        "parameters": fitted.parameters,
        "seconds": fitted.seconds,
    }


def main() -> None:
    """Answer the request, or say why not, as one line of JSON."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    request = json.load(sys.stdin)
    try:
        said = retrain(request["use_case"], request["model"], Path(request["snapshot"]))
    except Exception as error:
        # Whatever a declaration raises, who asked is told; the traceback goes with it.
        said = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(said), file=answer, flush=True)


if __name__ == "__main__":
    main()
