"""Estimators that this process has loaded, so that it need not load them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mlops_assets.core.storage.records import identifier

#: Estimators kept by a process: champion and challenger of a few models.
CACHED = 8

_Key = tuple[str, frozenset[str], str]
_cache: OrderedDict[_Key, Any] = OrderedDict()
_cache_lock = threading.Lock()


def key_of(
    sha256: str, allowed: frozenset[str], digest: str | None, kept: Mapping[str, Any] | None
) -> _Key:
    """Identify an estimator in memory by all that a load would have compared it with."""
    return sha256, allowed, identifier(digest, kept)


def recall(key: _Key) -> Any | None:
    """Return the estimator of that key, ``None`` if it is not kept."""
    with _cache_lock:
        if key in _cache:
            _cache.move_to_end(key)
        return _cache.get(key)


def remember(key: _Key, estimator: Any) -> None:
    """Keep an estimator; the one that was asked for longest ago goes."""
    with _cache_lock:
        _cache[key] = estimator
        _cache.move_to_end(key)
        while len(_cache) > CACHED:
            _cache.popitem(last=False)


def forget_loaded() -> None:
    """Empty the cache of loaded estimators."""
    with _cache_lock:
        _cache.clear()
