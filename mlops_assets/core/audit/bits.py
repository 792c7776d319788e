"""Whether two values are the same to the last bit; missing is missing, however it is written.

Only the comparison; which values there are to compare belongs in ``recompute``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def same_column(captured: pa.ChunkedArray, recomputed: pa.ChunkedArray) -> np.ndarray:
    """Return for each row whether the two values are the same, shape (n,).

    Floating numbers of one type are compared by their IEEE 754 bits, so that 0.0 is not
    -0.0; NULL and NaN are both missing, and equal. Values of different types (a view that
    counts in integers now) are the same where they are equal exactly.
    """
    import numpy as np
    import pyarrow as pa

    if captured.type == recomputed.type and pa.types.is_floating(captured.type):
        left, right = (
            column.to_numpy(zero_copy_only=False).astype(captured.type.to_pandas_dtype())
            for column in (captured, recomputed)
        )
        unsigned = f"u{left.dtype.itemsize}"
        both_missing = np.isnan(left) & np.isnan(right)
        return both_missing | (left.view(unsigned) == right.view(unsigned))
    pairs = zip(captured.to_pylist(), recomputed.to_pylist(), strict=True)
    return np.array([same(a, b) for a, b in pairs], dtype=bool)


def same(captured: Any, recomputed: Any) -> bool:
    """Whether two values are the same; see ``same_column``. Mappings: all their values."""
    if is_missing(captured) or is_missing(recomputed):
        return is_missing(captured) and is_missing(recomputed)
    if isinstance(captured, Mapping) and isinstance(recomputed, Mapping):
        return captured.keys() == recomputed.keys() and all(
            same(value, recomputed[name]) for name, value in captured.items()
        )
    if isinstance(captured, float) and isinstance(recomputed, float):
        return struct.pack("<d", captured) == struct.pack("<d", recomputed)
    return bool(captured == recomputed)


def is_missing(value: Any) -> bool:
    """Whether there is no value: NULL or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))
