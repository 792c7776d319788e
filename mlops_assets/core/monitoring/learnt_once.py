"""What has been learnt of a version's reference rows, kept in memory for the windows to come.

Many windows in a row are held against one version, in a replay all in one process. What is learnt
belongs in ``estimates`` and ``excess_loss``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class LearntOnce(Generic[T]):
    """Keeps what was learnt last, by key.

    Parameters
    ----------
    most
        How many to keep.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[Hashable, T] = {}

    def get(self, key: Hashable, learn: Callable[[], T | None]) -> T | None:
        """Return what is kept under a key, or else learn and keep it; ``None`` is not kept."""
        found = self._kept.pop(key, None)
        if found is None:
            found = learn()
        if found is not None:
            self._kept[key] = found  # the last to go
            for old in list(self._kept)[: -self._most]:
                del self._kept[old]
        return found
