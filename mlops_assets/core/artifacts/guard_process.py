"""The process in which a model file is tried before it is loaded: ``python -m`` this module.

It reads requests from its standard input and has a fork answer each one. The fork loads the file
under limits of memory and time, looks at what it got, asks the golden rows, and says how it went;
whatever happens to it, even a segmentation fault, is an answer to the request. No fork ever sees
two files. This process itself reads no model file but one of its own making, has one thread
(which makes forking safe), and ends with its input, so never outlives who started it.

A fork pays for what it does first: imports that libraries put off until they are needed, and a
copy of each page of memory that it writes to. That took three times as long as the rest. So this
process loads a model of its own before it forks, and the fork for the next request is made before
that comes, and has loaded the same.

It holds back crashes, memory and time. Code of a file is held back by the allow-list alone.
The other side of the pipe is ``guard``.

Messages
--------
Eight bytes of length, big-endian, then JSON; in a request the model file follows in the same
form. The first message is this process' own, ``{}``, when it has imported what loads need. One
request is answered before the next is sent.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import struct
import sys
import time
import warnings
from pathlib import Path
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">Q")
#: Virtual memory that a load may add: enough for a small file's predictions, and several
#: times what a large file holds.
MEMORY_FLOOR = 1 << 30
MEMORY_FACTOR = 8
#: A guard that nobody asks anything holds memory for nothing; it is started again on demand.
IDLE_SECONDS = 120
ANSWER_BYTES = 16 << 20


def read_message(source: BinaryIO) -> bytes | None:
    """Return the next message, ``None`` at the end of the input."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    body = source.read(size)
    return body if len(body) == size else None


def write_message(target: BinaryIO, body: bytes) -> None:
    """Write a message."""
    target.write(_LENGTH.pack(len(body)))
    target.write(body)
    target.flush()


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer requests until the input ends or nobody asks for a while."""
    _import_what_loads_need()
    rehearsal = _rehearsal()
    try_to_load(*rehearsal)
    # A fork copies what it touches, and collecting garbage touches everything.
    gc.collect()
    gc.freeze()
    gc.disable()
    write_message(target, b"{}")
    fork = _Fork(rehearsal)
    try:
        while select.select([source], [], [], IDLE_SECONDS)[0]:
            head, data = read_message(source), read_message(source)
            if head is None or data is None:
                return
            if fork.gone():  # it was killed while it waited, which is no file's fault
                fork = _Fork(rehearsal)
            fork.send(head, data)
            del data  # it may be large
            answer = fork.answer(json.loads(head)["seconds"])
            write_message(target, json.dumps(answer).encode())
            fork = _Fork(rehearsal)
    finally:
        fork.end()


def _import_what_loads_need() -> None:
    """Import before forking, so that each fork has it for nothing."""
    import pandas  # noqa: F401
    import skops.io  # noqa: F401  (which imports all of scikit-learn)

    from mlops_assets.core.artifacts import golden

    golden.thread_pools()  # found in the process' map of memory, which a fork's limit may hide


def _rehearsal() -> tuple[dict[str, Any], bytes]:
    """Return a request and a model file such as this process is asked about, made here."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    from mlops_assets.core.artifacts import golden
    from mlops_assets.core.artifacts.trusted_types import allowed_types
    from mlops_assets.core.artifacts.writing import to_bytes

    place = np.arange(48) % 3
    text = pd.Series(place.astype(str), dtype=object)
    rows = pd.DataFrame({"number": place + 0.5, "text": text})
    columns = make_column_transformer(
        (OrdinalEncoder(), make_column_selector(dtype_exclude="number")), remainder="passthrough"
    )
    estimator = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=1))
    estimator.fit(rows, place > 0)
    kept = golden.golden("binary", estimator, rows)
    return {"allowed": sorted(allowed_types()), "golden": kept}, to_bytes(estimator)


class _Fork:
    """A process that tries one file, and is gone with its answer.

    It does the ``rehearsal`` first, while nobody waits for it.
    """

    def __init__(self, rehearsal: tuple[dict[str, Any], bytes]) -> None:
        asked, self._requests = os.pipe()
        self._answers, answering = os.pipe()
        self._ended: int | None = None
        self._child = os.fork()
        if not self._child:
            os.close(self._requests)
            os.close(self._answers)
            _answer_and_exit(rehearsal, asked, answering)
        os.close(asked)
        os.close(answering)

    def gone(self) -> bool:
        """Whether it has ended, without having been asked."""
        child, status = os.waitpid(self._child, os.WNOHANG)
        if child:
            self._close(status)
        return bool(child)

    def send(self, head: bytes, data: bytes) -> None:
        """Ask it. If it ends before it has read everything, ``answer`` says so."""
        with contextlib.suppress(BrokenPipeError), open(self._requests, "wb", closefd=False) as to:
            write_message(to, head)
            write_message(to, data)

    def answer(self, seconds: float) -> dict[str, Any]:
        """Return what it says, or what became of it; in either case it is gone."""
        said = _read_until(self._answers, time.monotonic() + seconds)
        status = self.end()
        if said is None:
            return {"problem": "time", "seconds": seconds}
        with contextlib.suppress(ValueError):
            found = json.loads(said)
            if isinstance(found, dict):
                return found
        if os.WIFSIGNALED(status):
            return {"problem": "crash", "signal": signal.Signals(os.WTERMSIG(status)).name}
        return {"problem": "crash", "signal": f"exit status {os.waitstatus_to_exitcode(status)}"}

    def end(self) -> int:
        """End it, if it has not ended, and return its status."""
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            self._close(os.waitpid(self._child, 0)[1])
        return self._ended or 0

    def _close(self, status: int) -> None:
        os.close(self._requests)
        os.close(self._answers)
        self._ended = status


def _read_until(source: int, deadline: float) -> bytes | None:
    """Return all that is written to a pipe, ``None`` if that takes too long."""
    parts: list[bytes] = []
    size = 0
    while size < ANSWER_BYTES:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([source], [], [], left)[0]:
            return None
        part = os.read(source, 1 << 16)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _answer_and_exit(rehearsal: tuple[dict[str, Any], bytes], asked: int, answering: int) -> None:
    """Runs in the fork, and never returns to the loop that it was forked from."""
    try:
        try_to_load(*rehearsal)
        with open(asked, "rb") as source:
            head, data = read_message(source), read_message(source)
        if head is None or data is None:
            return  # nobody asks any more
        request = json.loads(head)
        _limit(len(data), request["seconds"])
        try:
            answer = try_to_load(request, data)
        except MemoryError:
            answer = {"problem": "memory"}
        except BaseException as error:
            # Whatever a file makes its reader do, it was not loaded: the answer says so.
            answer = {"problem": "error", "says": f"{type(error).__name__}: {error}"[:2000]}
        body = json.dumps(answer).encode()
        while body:
            body = body[os.write(answering, body) :]
    finally:
        os._exit(0)


def _limit(size: int, seconds: float) -> None:
    """Limit memory and time of this process; no core dump of a crash."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # If the guard itself is killed meanwhile, this process ends by itself.
    signal.alarm(int(seconds) + 1)
    with contextlib.suppress(OSError, ValueError), Path("/proc/self/statm").open() as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
        limit = used + MEMORY_FLOOR + MEMORY_FACTOR * size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def try_to_load(request: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Load a file and return what it says of the golden rows, or the problem."""
    from sklearn.exceptions import InconsistentVersionWarning
    from skops import io as skops_io
    from skops.io.exceptions import UntrustedTypesFoundException

    from mlops_assets.core.artifacts import fitted_checks, golden, reading

    warnings.simplefilter("ignore")
    warnings.simplefilter("error", InconsistentVersionWarning)
    try:
        estimator = reading.loads(data, request["allowed"])
    except UntrustedTypesFoundException:
        unknown = set(skops_io.get_untrusted_types(data=data)) - set(request["allowed"])
        return {"problem": "types", "types": sorted(unknown)}
    fitted_checks.refuse_what_would_crash(estimator)
    kept = request["golden"]
    return {"outputs": golden.outputs(kept["problem"], estimator, golden.frame(kept))}


if __name__ == "__main__":
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no message
    serve(sys.stdin.buffer, pipe)
