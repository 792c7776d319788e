"""NannyML's CBPE beside ours, and ``make bench-estimation-parity``: its values, kept as golden.

It runs in an environment of its own that ``uv`` makes, with statsmodels, which it does not declare,
and with the libraries in the versions that are installed here; the first time that takes the
network. What it is asked to do is in ``estimation_worker``, on which rows in ``estimation_cases``.
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

NANNYML = ("nannyml==0.13.1", "statsmodels")
#: What its numbers depend on.
SAME = ("numpy", "scipy", "scikit-learn")
#: Beside the tests, which compare our values with it where NannyML is not installed.
GOLDEN = Path(__file__).parents[1] / "core" / "estimation_golden.json"


class Peer:
    """NannyML in a process of its own; ``ask`` blocks until it has answered."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.versions = self.ask("version")

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """Return its answer to a function of ``estimation_worker``.

        Raises
        ------
        RuntimeError
            With NannyML's own words, if it fails.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **command}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("NannyML's process has ended; its last words are above")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"NannyML: {answer['error']}")
        return answer


@contextmanager
def nannyml() -> Iterator[Peer]:
    """Start NannyML, and end it with the context. What it prints is kept from the terminal."""
    uv = Path(sys.executable).with_name("uv")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    worker = Path(__file__).with_name("estimation_worker.py")
    wanted = [*NANNYML, *(f"{name}=={metadata.version(name)}" for name in SAME)]
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
            env={**os.environ, "DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"},
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


def main() -> int:
    """Ask for every metric of every case and keep what it says."""
    with nannyml() as peer:
        answer = peer.ask("golden")
        GOLDEN.write_text(json.dumps({"versions": peer.versions, **answer}, indent=1) + "\n")
        count = sum(len(values) for values in answer["values"].values())
        print(f"{count} values of {peer.versions}, kept in {GOLDEN.name} beside the tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
