"""The process in which a model file is tried before it is loaded: ``python -m`` this module.

It reads requests from its standard input and forks for each one. The fork loads the file under
limits of memory and time, looks at what it got, asks the golden rows, and says how it went;
whatever happens to it, even a segmentation fault, is an answer to the request. This process
itself reads no model file, has one thread (which makes forking safe), is ready for the next
request at once, and ends with its input, so never outlives who started it.

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
    # A fork copies what it touches, and collecting garbage touches everything.
    gc.collect()
    gc.freeze()
    gc.disable()
    write_message(target, b"{}")
    while select.select([source], [], [], IDLE_SECONDS)[0]:
        head, data = read_message(source), read_message(source)
        if head is None or data is None:
            return
        write_message(target, json.dumps(_tried(json.loads(head), data)).encode())


def _import_what_loads_need() -> None:
    """Import before forking, so that each fork has it for nothing."""
    import pandas  # noqa: F401
    import skops.io  # noqa: F401  (which imports all of scikit-learn)

    from mlops_assets.core.artifacts import golden

    golden.thread_pools()  # found in the process' map of memory, which a fork's limit may hide


def _tried(request: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Try a file in a fork, and return its answer or what became of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _answer_and_exit(request, data, writing)
    os.close(writing)
    try:
        answer = _read_until(reading, time.monotonic() + request["seconds"])
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if answer is None:
        return {"problem": "time", "seconds": request["seconds"]}
    with contextlib.suppress(ValueError):
        found = json.loads(answer)
        if isinstance(found, dict):
            return found
    if os.WIFSIGNALED(status):
        return {"problem": "crash", "signal": signal.Signals(os.WTERMSIG(status)).name}
    return {"problem": "crash", "signal": f"exit status {os.waitstatus_to_exitcode(status)}"}


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


def _answer_and_exit(request: dict[str, Any], data: bytes, writing: int) -> None:
    """Runs in the fork, and never returns to the loop that it was forked from."""
    try:
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
            body = body[os.write(writing, body) :]
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

    from mlops_assets.core.artifacts import fitted_checks, golden

    warnings.simplefilter("ignore")
    warnings.simplefilter("error", InconsistentVersionWarning)
    try:
        estimator = skops_io.loads(data, trusted=request["allowed"])
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
