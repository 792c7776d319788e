"""skops' reader, with the arrays of a file read faster.

Boosted trees keep three arrays each, and of the time that skops takes for them half goes into
numpy parsing their headers, as Python text, one by one. They are the same text but for the
length, so a data type is parsed once here. Nothing else is decided here: which types a file may
hold, and how objects are made of nodes, is skops', and what is not an array as the store writes
it is left to numpy.
"""

from __future__ import annotations

import functools
import io
import math
import re
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_MAGIC = b"\x93NUMPY\x01\x00"
_START = len(_MAGIC) + 2
#: numpy's own cap, against headers that take long to parse.
_MAX_HEADER_BYTES = 10_000
_HEADER = re.compile(
    rb"\{'descr': (.+), 'fortran_order': False, 'shape': \((\d+,|\d+(?:, \d+)+)\), \} *\n"
)


def loads(data: bytes, trusted: Sequence[str]) -> Any:
    """Return what ``skops.io.loads`` does, and raise what it raises."""
    from skops import io as skops_io

    try:
        from skops.io._audit import audit_tree, get_tree
        from skops.io._numpy import NdArrayNode
        from skops.io._utils import read_schema
    except ImportError:  # of another skops: its own way, only slower
        return skops_io.loads(data, trusted=trusted)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema, context = read_schema(archive)
        tree = get_tree(schema, context, trusted=trusted)
        audit_tree(tree, trusted=trusted)
        for node in context.memo.values():
            buffer = getattr(node, "buffer", None)
            if type(node) is NdArrayNode and node.class_name == "ndarray" and buffer is not None:
                array = array_of(buffer.getvalue())
                if array is not None:
                    node._constructed = array
        return tree.construct()


def array_of(data: bytes) -> np.ndarray | None:
    """Return the array of an ``.npy`` file, ``None`` where ``numpy.load`` should look at it.

    That is so for what is of Fortran's order, of no dimension, of another version of the format,
    of objects, cut off, or followed by something.
    """
    import numpy as np

    end = _START + int.from_bytes(data[len(_MAGIC) : _START], "little")
    if not data.startswith(_MAGIC) or end > _START + _MAX_HEADER_BYTES:
        return None
    header = _HEADER.fullmatch(data[_START:end])
    if header is None:
        return None
    dtype = _dtype(header[1])
    shape = tuple(int(n) for n in header[2].rstrip(b",").split(b", "))
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - end:
        return None
    # A copy that may be written to, with the bytes between the fields of a record as they are.
    return np.ndarray(shape, dtype, bytearray(data[end:]))


@functools.lru_cache(maxsize=256)
def _dtype(described: bytes) -> np.dtype:
    """Return a data type as numpy reads it from a header."""
    from numpy.lib import format as npy

    header = b"{'descr': %b, 'fortran_order': False, 'shape': (1,), }\n" % described
    size = len(header).to_bytes(2, "little")
    return npy.read_array_header_1_0(io.BytesIO(size + header))[2]
