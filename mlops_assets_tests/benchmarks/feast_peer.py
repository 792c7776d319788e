"""Feast beside us: starts it in an environment of its own and asks it over a pipe.

What Feast is asked to do is in ``feast_worker``. ``uv`` makes the environment; the first time
that takes the network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: With the extra that its Postgres templates need in order to be imported.
FEAST = "feast[duckdb,postgres]==0.67.0"


@dataclass(frozen=True)
class View:
    """A Feast feature view over the Parquet file that ``facts`` (SQL) is written to."""

    name: str
    facts: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    event_time: str
    created: str | None
    ttl: timedelta | None


class Peer:
    """Feast in a process of its own; ``ask`` blocks until it has answered."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.versions = self._send({"do": "version"})

    def _send(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("Feast's process has ended; its last words are above")
        return json.loads(line)

    def ask(
        self,
        con: duckdb.DuckDBPyConnection,
        do: str,
        rows: str,
        views: Sequence[View],
        *,
        store: str = "duckdb",
        cutoff: bool = False,
    ) -> tuple[pa.Table, float | None]:
        """Return Feast's answer and the seconds it took, where it is timed.

        ``do`` is a function of ``feast_worker``. ``rows`` (SQL) has ``row_id``,
        ``event_timestamp`` and the keys.

        Raises
        ------
        RuntimeError
            With Feast's own words, if it fails.
        """
        import pyarrow.parquet as pq

        asked = self._folder / "rows.parquet"
        _to_parquet(con, rows, asked)
        told = []
        for view in views:
            path = self._folder / f"{view.name}.parquet"
            _to_parquet(con, view.facts, path)
            told.append(
                {
                    "name": view.name,
                    "path": str(path),
                    "keys": view.keys,
                    "features": view.features,
                    "event_time": view.event_time,
                    "created": view.created,
                    "ttl_us": None if view.ttl is None else view.ttl // timedelta(microseconds=1),
                }
            )
        out = self._folder / "out.parquet"
        command = {"do": do, "store": store, "cutoff": cutoff, "rows": str(asked), "views": told}
        answer = self._send({**command, "out": str(out)})
        if "error" in answer:
            raise RuntimeError(f"Feast: {answer['error']}")
        return pq.read_table(out), answer.get("seconds")


def _to_parquet(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    con.sql(query).write_parquet(str(path))


@contextmanager
def feast() -> Iterator[Peer]:
    """Start Feast, and end it with the context. What it prints is kept from the terminal."""
    uv = Path(sys.executable).with_name("uv")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    worker = Path(__file__).with_name("feast_worker.py")
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [
                *(str(uv), "run", "--isolated", "--no-project", "--quiet", "--python", python),
                *("--with", FEAST, "python", str(worker)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            cwd=folder,
            env={**os.environ, "FEAST_USAGE": "False"},
        ) as process,
    ):
        try:
            yield Peer(process, Path(folder))
        except BaseException:
            said.seek(0)
            sys.stderr.write("".join(said.readlines()[-15:]))
            raise
        finally:
            assert process.stdin is not None
            process.stdin.close()
