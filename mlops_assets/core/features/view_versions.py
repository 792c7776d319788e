"""Versions of feature views: what tells that a view's values may have changed.

Which versions a model was trained on is recorded by ``snapshots`` and ``registry``.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import marshal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from mlops_assets.core.storage.contracts import schema_of
from mlops_assets.vocabulary import FeatureView, OnDemandFeatures

#: Versions that are known, by the object; the object is kept, so that its id stays its own.
_known: dict[int, tuple[FeatureView | OnDemandFeatures, str]] = {}


def view_version(view: FeatureView | OnDemandFeatures) -> str:
    """Return 12 hex digits that change whenever the view's values may.

    It covers SQL or function source, sources, keys, times, ttl, lookback and the schema's
    names, types and checks. Descriptions, owners and tags are left out. Of a function it
    sees the function itself, not what that calls.
    """
    if id(view) not in _known:
        remember(view, _version(view))
    return _known[id(view)][1]


def remember(view: FeatureView | OnDemandFeatures, version: str) -> None:
    """Let ``view``, made again from a stored definition, have that definition's version."""
    _known[id(view)] = (view, version)


def _version(view: FeatureView | OnDemandFeatures) -> str:
    if isinstance(view, OnDemandFeatures):
        parts: dict[str, Any] = {"features": list(view.features.items())}
    else:
        parts = {
            "sql": None if view.sql is None else inspect.cleandoc(view.sql),
            "function": None if view.function is None else _source_of(view.function),
            "sources": view.sources,
            "keys": view.entity.keys,
            "event_time": view.event_time,
            "known_at": view.known_at,
            "ttl": None if view.ttl is None else view.ttl // timedelta(microseconds=1),
            "lookback": view.lookback // timedelta(microseconds=1),
            "schema": _schema_identity(view),
        }
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _source_of(function: Callable[..., Any]) -> str:
    try:
        return inspect.cleandoc(inspect.getsource(function))
    except (OSError, TypeError):  # typed at a prompt, or a callable object
        code = getattr(function, "__code__", None)
        return repr(function) if code is None else marshal.dumps(code).hex()


def _schema_identity(view: FeatureView) -> list[Any]:
    return [
        (
            name,
            str(column.dtype),
            column.nullable,
            sorted(
                (str(check.name), json.dumps(check.statistics, sort_keys=True, default=str))
                for check in column.checks or []
            ),
        )
        for name, column in schema_of(view).columns.items()
    ]
