"""A peer in a process and an environment of its own, asked over a pipe.

``uv`` makes the environment; the first time that takes the network. Which packages, and what the
peer is asked, belongs to the module of each peer; what it does then to its worker, a script that
reads a line of JSON and answers with one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

#: Peers that tell their makers what they do are asked not to.
SILENT = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "FEAST_USAGE": "False"}


def as_installed(*names: str) -> list[str]:
    """Return requirements of the versions that are installed here."""
    return [f"{name}=={metadata.version(name)}" for name in names]


def run(packages: Sequence[str]) -> list[str]:
    """Return the command that runs what follows it in an environment of its own."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [
        str(Path(sys.executable).with_name("uv")),
        *("run", "--isolated", "--no-project", "--quiet", "--python", python),
        *(word for package in packages for word in ("--with", package)),
    ]


class Process:
    """A peer's process; ``send`` blocks until it has answered."""

    def __init__(self, name: str, process: subprocess.Popen[str], folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._process = process
        self.versions = self.send({"do": "version"})

    def send(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return the worker's answer.

        Raises
        ------
        RuntimeError
            With the peer's own words, if it fails.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}'s process has ended; its last words are above")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """Return the answer to one of the worker's functions; raises as ``send``."""
        return self.send({"do": do, **command})


@contextmanager
def started(name: str, packages: Sequence[str], worker: str, *arguments: str) -> Iterator[Process]:
    """Start a peer, and end it with the context. What it prints is kept from the terminal.

    Parameters
    ----------
    name
        As it is called in messages.
    worker
        Script beside this one.
    """
    script = Path(__file__).with_name(worker)
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [*run(packages), "python", str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            cwd=folder,
            env={**os.environ, **SILENT},
        ) as process,
    ):
        try:
            yield Process(name, process, Path(folder))
        except BaseException:
            said.seek(0)
            sys.stderr.write("".join(said.readlines()[-15:]))
            raise
        finally:
            assert process.stdin is not None
            process.stdin.close()
