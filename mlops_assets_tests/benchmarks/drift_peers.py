"""Evidently and NannyML beside us, and ``make bench-drift-parity``: their values, kept as golden.

Each runs in an environment of its own that ``uv`` makes; the first time that takes the network.
Neither can be imported as it installs itself: Evidently needs pandas before 3, NannyML
statsmodels, which it does not declare. What they are asked to do is in ``drift_worker``, on
which columns in ``drift_cases``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SAME = ("numpy==2.4.*", "scipy==1.17.*", "pandas>=2.3,<3", "pyarrow")
WANTED = {
    "evidently": ("evidently==0.7.23", *SAME),
    "nannyml": ("nannyml==0.13.1", "statsmodels", *SAME),
}
#: Beside the tests, which compare our values with it where no peer is installed.
GOLDEN = Path(__file__).parents[1] / "core" / "drift_golden.json"


class Peer:
    """A peer in a process of its own; ``ask`` blocks until it has answered."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process
        self.versions = self.ask("version")

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """Return the peer's answer to a function of ``drift_worker``.

        Raises
        ------
        RuntimeError
            With the peer's own words, if it fails.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **command}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}'s process has ended; its last words are above")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        return answer


@contextmanager
def peer(name: str) -> Iterator[Peer]:
    """Start ``evidently`` or ``nannyml``, and end it with the context. Keeps what it prints."""
    uv = Path(sys.executable).with_name("uv")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    worker = Path(__file__).with_name("drift_worker.py")
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [
                *(str(uv), "run", "--isolated", "--no-project", "--quiet", "--python", python),
                *(word for package in WANTED[name] for word in ("--with", package)),
                *("python", str(worker), name),
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
            yield Peer(name, process)
        except BaseException:
            said.seek(0)
            sys.stderr.write("".join(said.readlines()[-15:]))
            raise
        finally:
            assert process.stdin is not None
            process.stdin.close()


def main() -> int:
    """Ask both for every method on every case and keep what they say."""
    values: dict[str, dict[str, float | str]] = {}
    versions: dict[str, str] = {}
    for name in WANTED:
        with peer(name) as asked:
            versions |= asked.versions
            for case, found in asked.ask("golden")["values"].items():
                values.setdefault(case, {}).update(found)
    GOLDEN.write_text(json.dumps({"versions": versions, "values": values}, indent=1) + "\n")
    said = [value for found in values.values() for value in found.values()]
    numbers = sum(isinstance(value, float) for value in said)
    print(f"{numbers} values and {len(said) - numbers} refusals of {versions}")
    print(f"Kept in {GOLDEN.relative_to(Path(__file__).parents[2])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
