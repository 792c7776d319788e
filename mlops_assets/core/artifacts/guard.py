"""Model files are tried in another process first, so that a crash is a refusal.

A file can be right in every respect that can be looked at and still crash whoever uses it.
The process that tries it is ``guard_process``; here it is started, asked and ended. There is
one for each process, started when it is first needed (two to six seconds, for it imports
scikit-learn), which goes on in parallel with the same imports here.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlops_assets.core.artifacts.refusal import ArtifactError

#: Time to load a small file and ask its golden rows, which takes a twentieth of a second, and
#: for each megabyte of a larger one.
SECONDS = 20.0
SECONDS_PER_MEGABYTE = 0.1
START_SECONDS = 120.0

_NEEDED = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ"})
_NUMERIC = ("OPENBLAS_", "MKL_", "BLIS_", "NPY_", "OMP_")

_lock = threading.Lock()
_guard: _Guard | None = None


def available() -> bool:
    """Whether there can be a guard: it forks, which only POSIX systems do."""
    return os.name == "posix"


def start() -> None:
    """Begin to start the guard, if there is none, without waiting for it."""
    with _lock:
        _running()


def outputs_of(
    data: bytes, allowed: Iterable[str], golden: Mapping[str, Any], seconds: float | None = None
) -> list[list[str]]:
    """Return what the model in a file says of the golden rows, having risked nothing here.

    Parameters
    ----------
    data
        The file, already taken apart by ``artifact_checks``.
    allowed
        Names of the types that it may hold.
    seconds
        Time that it may take.

    Raises
    ------
    ArtifactError
        If it cannot be loaded, holds other types, points outside of itself, or crashes or
        exhausts the process that tries it.
    """
    seconds = seconds or SECONDS + SECONDS_PER_MEGABYTE * len(data) / 1e6
    request = {"allowed": sorted(allowed), "golden": golden, "seconds": seconds}
    answer = _answer(json.dumps(request).encode(), data, seconds)
    if "outputs" in answer:
        return answer["outputs"]
    raise ArtifactError(_why(answer))


def close() -> None:
    """End the guard, if there is one."""
    with _lock:
        _end()


def _answer(head: bytes, data: bytes, seconds: float) -> dict[str, Any]:
    with _lock:
        for attempt in (1, 2):
            try:
                return _running().ask(head, data, seconds)
            except (OSError, ValueError) as error:
                _end()
                # It ends by itself when nobody has asked for a while, perhaps just now.
                if attempt == 2 or isinstance(error, TimeoutError):
                    raise ArtifactError(
                        f"the process that tries model files did not answer: {error}. Run the "
                        "step again; if this repeats, look for a lack of memory."
                    ) from error
    raise AssertionError("unreachable")


def _end() -> None:
    global _guard
    if _guard is not None:
        _guard.end()
        _guard = None


def _why(answer: Mapping[str, Any]) -> str:
    problem = answer.get("problem")
    if problem == "types":
        return (
            f"it holds types that are not trusted: {', '.join(answer['types'])}. If they are "
            "yours, name them in the model's trusted_types; otherwise do not use this file."
        )
    if problem == "crash":
        return f"it crashed the process that tried it ({answer['signal']}); do not use it"
    if problem == "time":
        return f"it was not loaded within {answer['seconds']:.0f} seconds"
    if problem == "memory":
        return "it takes more memory than a file of its size may"
    return f"it cannot be loaded: {answer.get('says')}"


class _Guard:
    """A started process and the pipes to it."""

    def __init__(self) -> None:
        self.ready = False
        self.process = subprocess.Popen(
            # -P: the folder it is started in is not a place to import from.
            [sys.executable, "-P", "-m", "mlops_assets.core.artifacts.guard_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            # A keyboard interrupt is for who asks, not for who is asked.
            start_new_session=True,
        )

    def ask(self, head: bytes, data: bytes, seconds: float) -> dict[str, Any]:
        """Return the answer to one request."""
        if not self.ready:
            self._receive(time.monotonic() + START_SECONDS)
            self.ready = True
        self._send(head)
        self._send(data)
        return self._receive(time.monotonic() + seconds + 5)

    def end(self) -> None:
        """End the process, whatever it does; it ends its forks, or they end by themselves."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        self.process.kill()
        self.process.wait()

    def _send(self, body: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(len(body).to_bytes(8, "big"))
        self.process.stdin.write(body)
        self.process.stdin.flush()

    def _receive(self, deadline: float) -> dict[str, Any]:
        size = int.from_bytes(self._read(8, deadline), "big")
        return json.loads(self._read(size, deadline))

    def _read(self, size: int, deadline: float) -> bytes:
        assert self.process.stdout is not None
        source, parts = self.process.stdout.fileno(), b""
        while len(parts) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([source], [], [], left)[0]:
                raise TimeoutError("it took too long")
            part = os.read(source, size - len(parts))
            if not part:
                raise OSError("it ended")
            parts += part
        return parts


def _running() -> _Guard:
    global _guard
    if _guard is not None and _guard.process.poll() is not None:
        _end()
    if _guard is None:
        _guard = _Guard()
    return _guard


def _environment() -> dict[str, str]:
    """Return what the guard needs to be the same Python, and no secret of this process."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _NEEDED or name.startswith(_NUMERIC)
    }
    # One thread: golden rows are few, and a process that forks must have no other.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        kept[name] = "1"
    kept["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    # Arrow's own allocator reserves a gigabyte of addresses, which is what a load may take.
    kept["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    # An empty entry means the folder that this process is in.
    kept["PYTHONPATH"] = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    return kept


def _after_fork() -> None:
    """A fork of this process has no guard yet: the other's pipes are not its own."""
    global _guard, _lock
    _guard, _lock = None, threading.Lock()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
