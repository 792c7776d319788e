"""Feast beside us: facts are handed to it as Parquet files, and its answer is read from one.

What Feast is asked to do is in ``feast_worker``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets_tests.benchmarks.isolated import Process, started

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

    def __init__(self, process: Process) -> None:
        self._process = process
        self.versions = process.versions

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

        asked = self._process.folder / "rows.parquet"
        _to_parquet(con, rows, asked)
        told = []
        for view in views:
            path = self._process.folder / f"{view.name}.parquet"
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
        out = self._process.folder / "out.parquet"
        command = {"do": do, "store": store, "cutoff": cutoff, "rows": str(asked), "views": told}
        answer = self._process.send({**command, "out": str(out)})
        return pq.read_table(out), answer.get("seconds")


def _to_parquet(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    con.sql(query).write_parquet(str(path))


@contextmanager
def feast() -> Iterator[Peer]:
    """Start Feast, and end it with the context."""
    with started("Feast", [FEAST], "feast_worker.py") as process:
        yield Peer(process)
