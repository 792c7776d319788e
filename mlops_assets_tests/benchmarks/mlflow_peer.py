"""MLflow beside us: starts it in an environment of its own and asks it over a pipe.

What MLflow is asked to do is in ``mlflow_worker``. ``uv`` makes the environment, with the
libraries in the versions that are installed here; the first time that takes the network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

MLFLOW = "mlflow==3.17.*"
#: What a model's numbers depend on.
SAME = ("scikit-learn", "skops", "numpy", "pandas", "scipy")


class Peer:
    """MLflow in a process of its own; ``ask`` blocks until it has answered."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.versions = self.ask("version")

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """Return MLflow's answer to a function of ``mlflow_worker``.

        Raises
        ------
        RuntimeError
            With MLflow's own words, if it fails.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **command}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("MLflow's process has ended; its last words are above")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"MLflow: {answer['error']}")
        return answer


@contextmanager
def mlflow() -> Iterator[Peer]:
    """Start MLflow, and end it with the context. What it prints is kept from the terminal."""
    uv = Path(sys.executable).with_name("uv")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    worker = Path(__file__).with_name("mlflow_worker.py")
    wanted = [MLFLOW, *(f"{name}=={metadata.version(name)}" for name in SAME)]
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [
                *(str(uv), "run", "--isolated", "--no-project", "--quiet", "--python", python),
                *(word for package in wanted for word in ("--with", package)),
                *("python", str(worker)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            cwd=folder,
            env=dict(os.environ),
        ) as process,
    ):
        try:
            yield Peer(process)
        except BaseException:
            said.seek(0)
            sys.stderr.write("".join(said.readlines()[-15:]))
            raise
        finally:
            assert process.stdin is not None
            process.stdin.close()
