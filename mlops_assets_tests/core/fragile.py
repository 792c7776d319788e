"""Types of one's own that are trusted and still misbehave when they are loaded."""

from __future__ import annotations

import os
import signal
import time

import numpy as np


class Crashing:
    """Takes its process down."""

    def __setstate__(self, state: dict) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class Exiting:
    """Ends its process politely."""

    def __setstate__(self, state: dict) -> None:
        os._exit(3)


class Hoarding:
    """Wants more memory than there is a reason for."""

    def __setstate__(self, state: dict) -> None:
        self.hoard = np.ones(1 << 34)


class Hanging:
    """Does not come back."""

    def __setstate__(self, state: dict) -> None:
        time.sleep(600)


class Talkative:
    """Writes to the standard output, where answers go."""

    def __setstate__(self, state: dict) -> None:
        os.write(1, b'{"outputs": []}' * 10)
        print("{}" * 100, flush=True)
        self.__dict__.update(state)


NAMES = [f"{__name__}.{c.__name__}" for c in (Crashing, Exiting, Hoarding, Hanging, Talkative)]
