"""The warehouse: the only door to a use case's DuckDB file.

DuckDB lets one process at a time open a file that is written, readers included. So a
connection is made as late as possible, closed in any case, and waited for when another
process has it. What is read and written belongs in ``mlops_assets.core``, which is given
the open connection.

This replaces ``DuckDBResource.get_connection`` because that one does not close the
connection after an error, waits without jitter, and waits 102 seconds also for a file that
is corrupt (dagster-duckdb 0.29).
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_duckdb import DuckDBResource
from pydantic import Field

from mlops_assets.core.features import kept_rows
from mlops_assets.core.storage.sql import define_local_time
from mlops_assets.core.storage.store import initialise

if TYPE_CHECKING:
    import duckdb

# All connections of a process to one file must be opened with the same settings. Nothing
# is fetched from the network behind the back of a query.
_CONFIG = {
    "custom_user_agent": "mlops_assets",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}

_LOCKED = re.compile(
    r"Conflicting lock is held(?: in (?P<command>.+?))?(?: \(PID (?P<pid>\d+)\))?\.?(?:\s|$)"
    r"|being used by another process"
)
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0  # seconds

# Prepared connections that nobody uses, by file and time zone, of files that are kept open.
_idle: dict[tuple[str, str], list[duckdb.DuckDBPyConnection]] = {}

# Files whose tables this process has made sure of, as (path, device, inode).
_initialised: set[tuple[str, int, int]] = set()
_initialising = threading.Lock()

# Held by the thread that is in a transaction, by file. DuckDB lets threads of one process write
# side by side and finds out only that they changed the same row, not that what one decided on
# was changed by the other: the highest version number, the place of an alias.
_writing: dict[str, threading.RLock] = {}


class WarehouseError(RuntimeError):
    """The database file cannot be opened. The message says what to do."""


class LockTimeout(WarehouseError):
    """Another process kept the database file for longer than the time allowed."""


class Warehouse(DuckDBResource):
    """Connections to one use case's DuckDB file.

    Attributes
    ----------
    database
        Path of the file. It and its folder are made when they are missing.
    timezone
        IANA name of the zone that ``local_time(ts)`` converts UTC timestamps to.
    lock_timeout_seconds
        How long to wait for another process to let go of the file.
    connection_config
        More settings of DuckDB. With ``{"access_mode": "READ_ONLY"}`` nothing is ever written,
        not even tables that are missing, and processes that do so read side by side.

    Examples
    --------
    >>> warehouse = Warehouse(database="data/shop.duckdb", timezone="Europe/Berlin")
    >>> with warehouse.transaction() as con:  # doctest: +SKIP
    ...     con.execute("INSERT INTO ...")  # committed at the end, rolled back on an error
    """

    timezone: str = Field(default="UTC", description="Time zone of local_time(ts).")
    lock_timeout_seconds: float = Field(
        default=60.0, gt=0, description="How long to wait for another process, in seconds."
    )

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file and see it as it is now; writing to it is an error.

        Temporary tables and views may be made. Everything read belongs to one moment. Do not
        begin transactions on the connection.

        Raises
        ------
        LockTimeout
            If another process kept the file.
        WarehouseError
            If the file cannot be opened for another reason.
        """
        with self.get_connection() as con:
            con.execute("BEGIN TRANSACTION READ ONLY")
            try:
                yield con
            finally:
                _rollback(con)

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file for one transaction: all of it is kept, or, on any error, nothing.

        Hold it for reading and writing only; fit models and send messages outside. One thread
        at a time is in a transaction on a file, as one process is; readers do not wait.

        Raises
        ------
        LockTimeout
            If another process kept the file, or another thread its transaction.
        WarehouseError
            If the file cannot be opened for another reason.
        """
        with self._alone(), self.get_connection() as con:
            con.execute("BEGIN TRANSACTION")
            try:
                yield con
            except BaseException:
                _rollback(con)
                raise
            con.execute("COMMIT")

    @contextmanager
    def keep_open(self) -> Iterator[None]:
        """Hold the file, and hand out the same connections again and again.

        Without it, closing the last connection writes a checkpoint, and each opening reads
        the file's catalogue again (15 ms); also beside an open one, opening, preparing and
        closing a connection take 10 ms. For a process that has the file to itself, such as
        a replay: all others are locked out until the end.
        """
        with self.get_connection() as con:
            # With a checkpoint for every 16 MB of log, the default, commits were 7 % of a
            # replay's samples, and 1 % with this (two profiles, under different load).
            con.execute("SET GLOBAL checkpoint_threshold = '256MB'")
            key = str(self.path), self.timezone
            idle = _idle[key] = []
            try:
                yield
            finally:
                del _idle[key]
                for kept in idle:
                    kept.close()

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file without a transaction: each statement is committed by itself.

        For maintenance (``CHECKPOINT``, ``VACUUM``) and code that needs a plain
        ``DuckDBResource``; otherwise use ``read`` or ``transaction``.
        """
        key = str(self.path), self.timezone
        idle = _idle.get(key)
        if idle:
            con = idle.pop()
        else:
            con = self._connect()
            try:
                con.execute("SET TimeZone = 'UTC'")
                define_local_time(con, self.timezone)
                if self.connection_config.get("access_mode") != "READ_ONLY":
                    self._initialise(con)
                if idle is not None:
                    kept_rows.allow(con)
            except BaseException:
                con.close()
                raise
        try:
            yield con
        except BaseException:
            con.close()
            raise
        # As it was taken, unless something went wrong: whoever makes temporary tables and
        # views drops them.
        if idle is not None and _idle.get(key) is idle:
            idle.append(con)
        else:
            con.close()

    @property
    def path(self) -> Path:
        """Absolute path of the file."""
        return Path(self.database).expanduser().absolute()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = _writing.setdefault(str(self.path), threading.RLock())
        if not lock.acquire(timeout=self.lock_timeout_seconds):
            raise LockTimeout(
                f"Another thread of this process has been in a transaction on {self.path} for "
                f"more than {self.lock_timeout_seconds:g} s. Wait for it, or look what it does: "
                "models are fitted and messages sent outside of transactions."
            )
        try:
            yield
        finally:
            lock.release()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        if self.database.startswith(":memory:") or not self.database:
            raise WarehouseError(
                "The warehouse needs a file: with ':memory:' every step would see a database of "
                "its own. Give the path of a file in a temporary folder instead."
            )
        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self.lock_timeout_seconds
        wait = _FIRST_WAIT
        while True:
            try:
                return duckdb.connect(str(path), config={**_CONFIG, **self.connection_config})
            except duckdb.IOException as error:
                held = _LOCKED.search(str(error))
                if held is None:
                    raise WarehouseError(_unusable(path, error)) from error
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LockTimeout(self._held(held)) from error
            except duckdb.ConnectionException as error:
                raise WarehouseError(
                    f"{path} is open in this process with other settings ({error}). Open it only "
                    "through Warehouse, and close connections made by duckdb.connect."
                ) from error
            except duckdb.Error as error:
                raise WarehouseError(_unusable(path, error)) from error
            # Jitter, so that processes that wait for the same holder do not wake together.
            time.sleep(min(left, wait * random.uniform(0.5, 1.5)))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _held(self, held: re.Match[str]) -> str:
        pid = held["pid"]
        holder = _command(pid) or held["command"] or "another process"
        remedy = "Wait until it has finished" + (f", or end it (kill {pid})" if pid else "")
        return (
            f"The database {self.path} is held by {holder}{f' (PID {pid})' if pid else ''}; gave "
            f"up after {self.lock_timeout_seconds:g} s. DuckDB lets one process at a time open a "
            f"file, readers included. {remedy}, then run this again; MLOPS_ASSETS_"
            "LOCK_TIMEOUT_SECONDS sets how long to wait. A copy made meanwhile may not open."
        )

    def _initialise(self, con: duckdb.DuckDBPyConnection) -> None:
        import duckdb

        stat = self.path.stat()
        key = (str(self.path), stat.st_dev, stat.st_ino)
        with _initialising:
            if key in _initialised:
                try:
                    con.execute("FROM ops.partitions LIMIT 0").fetchall()
                    return
                except duckdb.CatalogException:
                    # Deleted and made again; the new file got the inode of the old one.
                    _initialised.discard(key)
            con.execute("BEGIN TRANSACTION")
            try:
                initialise(con)
            except BaseException:
                _rollback(con)
                raise
            con.execute("COMMIT")
            _initialised.add(key)


def _rollback(con: duckdb.DuckDBPyConnection) -> None:
    import duckdb

    try:
        con.execute("ROLLBACK")
    except duckdb.Error:
        # The error that led here is the one to be seen. A connection that cannot roll back
        # (the disk is full, the database was invalidated) loses its transaction on close.
        return


def _command(pid: str | None) -> str | None:
    """Return the command line of a process, where the system tells."""
    if pid is None or not os.access(f"/proc/{pid}/cmdline", os.R_OK):
        return None
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    text = b" ".join(word for word in words if word).decode(errors="replace")
    return f"'{text[:200]}'" if text else None


def _unusable(path: Path, error: Exception) -> str:
    remedy = (
        "Move it away and restore a backup, or let the pipeline build it again from the landed "
        "files."
    )
    if path.is_dir():
        remedy = "It is a folder; name a file."
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        remedy = "Make it and its folder writable for this user."
    elif "No space left" in str(error):
        remedy = "Free some disk space; committed data is safe."
    return f"The database {path} cannot be opened: {error} {remedy}"
