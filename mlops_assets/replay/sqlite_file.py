"""A SQLite file of Dagster's, kept open: one connection for SQLAlchemy and plain statements.

Dagster's storages open a SQLAlchemy engine for every statement, so that any process can use
the files at any time. A replay is one process that runs thousands of statements a minute.
What they say belongs in ``event_log`` and ``instance``.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as db
from sqlalchemy.dialects import sqlite

BUSY_TIMEOUT_SECONDS = 30

_NAMED = sqlite.dialect(paramstyle="named")


class SqliteFile:
    """An open file. Commits do not wait for the disk.

    Parameters
    ----------
    path
        The file; it is made when missing.

    Attributes
    ----------
    raw
        The connection, for plain statements.
    """

    def __init__(self, path: str | Path) -> None:
        self.raw = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False)
        self.raw.execute("PRAGMA synchronous=OFF")
        self._path = path
        self._connection: db.Connection | None = None
        self._lock = threading.RLock()

    @cached_property
    def _engine(self) -> db.Engine:
        return db.create_engine(
            f"sqlite:///{self._path}", creator=lambda: self.raw, poolclass=db.pool.StaticPool
        )

    @contextmanager
    def begin(self) -> Iterator[db.Connection]:
        """A transaction through SQLAlchemy; within another one, a part of that."""
        with self._lock:
            # Making a connection object takes longer than most of the statements.
            if self._connection is None:
                self._connection = self._engine.connect()
            if self._connection.in_transaction():
                yield self._connection
                return
            with self._connection.begin():
                yield self._connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction in plain statements, which no other process can write in between."""
        with self._lock:
            self.raw.execute("BEGIN IMMEDIATE")
            try:
                yield self.raw
            except BaseException:
                self.raw.rollback()
                raise
            self.raw.commit()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._engine.dispose()
            self.raw.close()


class Present:
    """What a file has: tables, columns, finished migrations. They do not go away again.

    The storages ask for them with every statement.
    """

    def __init__(self) -> None:
        self._found: set[str] = set()

    def __call__(self, name: str, look: Callable[[], bool]) -> bool:
        """Whether it is there, looking only as long as it is not."""
        if name in self._found:
            return True
        if not look():
            return False
        self._found.add(name)
        return True


@cache
def insert(table: db.Table, columns: tuple[str, ...]) -> str:
    """The statement that inserts a row, with a parameter named like each column."""
    return str(table.insert().compile(dialect=_NAMED, column_keys=columns))


@cache
def update(table: db.Table, columns: tuple[str, ...], key: str) -> str:
    """The statement that updates rows by the column ``key``, a parameter like the others."""
    changed = table.update().values({name: db.bindparam(name) for name in columns})
    return str(changed.where(table.c[key] == db.bindparam(key)).compile(dialect=_NAMED))


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as SQLAlchemy would store it: times are text, in UTC where they have a zone."""
    return {
        name: value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        if isinstance(value, datetime)
        else value
        for name, value in row.items()
    }
