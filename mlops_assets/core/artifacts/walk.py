"""All objects that a fitted estimator is made of.

What is asked of them belongs to whoever walks: ``golden`` (threads) and ``fitted_checks``
(whether they would crash).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

_LEAVES = (str, bytes, int, float, complex, type, types.ModuleType)


def parts_of(estimator: Any) -> Iterator[Any]:
    """Yield the estimator and every object that it holds, each once.

    Looked into are attributes, lists, tuples, sets, dictionaries and arrays of objects.
    """
    import numpy as np

    seen: set[int] = set()
    waiting = [estimator]
    while waiting:
        part = waiting.pop()
        if part is None or isinstance(part, _LEAVES) or id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, np.ndarray):
            if part.dtype == object:
                waiting.extend(part.ravel().tolist())
            continue
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set | frozenset):
            waiting.extend(part)
        else:
            yield part
            waiting.extend(getattr(part, "__dict__", {}).values())
            if isinstance(part, functools.partial):
                waiting.extend([part.func, part.args, part.keywords])
            elif isinstance(part, types.MethodType):
                waiting.append(part.__self__)
