"""The reference as a bounded sample: a report need not read the training data again.

Which reference belongs to which model version, and where the bytes lie, belongs to who stores
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops_assets.core.multivariate.canonical import canonical, row_numbers

if TYPE_CHECKING:
    import pandas as pd

#: Rows that are kept of a reference.
KEPT = 5_000
#: Purposes of row numbers (``canonical.row_numbers``): which rows are kept, which of the current
#: ones are used, and in which fold a row is.
KEEPING, USING, FOLDING = 0, 1, 2


def keep(
    frame: pd.DataFrame, most: int = KEPT, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return at most ``most`` of the rows, each as likely as any other.

    Which ones depends on the rows' content alone: the same rows in another order, or read from
    another place, give the same sample in the same order.

    Parameters
    ----------
    columns
        Names to keep; all by default.

    Raises
    ------
    KeyError
        If a column is not there.
    ValueError
        If two columns have one name.
    """
    chosen = frame if columns is None else frame[list(columns)]
    return ranked(chosen, KEEPING, most)


def ranked(frame: pd.DataFrame, purpose: int, most: int) -> pd.DataFrame:
    """Return the ``most`` rows with the smallest numbers, in their order."""
    import numpy as np

    unique_names(frame)
    read = [(str(name), canonical(frame[name])) for name in frame.columns]
    numbers = row_numbers(read, len(frame), purpose)
    order = np.argsort(numbers, kind="stable")[:most]
    return frame.iloc[order].reset_index(drop=True)


def unique_names(frame: pd.DataFrame) -> None:
    """Raise ``ValueError`` if two columns have one name."""
    names = list(frame.columns)
    if len(set(names)) < len(names):
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        raise ValueError(
            f"column names must be unique to be compared, but there are two of {twice}"
        )


def to_arrow(sample: pd.DataFrame) -> bytes:
    """Return the sample as an Arrow stream: the same bytes for the same rows."""
    import pyarrow as pa

    arrays = {str(name): _array(sample[name]) for name in sample.columns}
    table = pa.table(arrays)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def from_arrow(kept: bytes) -> pd.DataFrame:
    """Return the sample that ``to_arrow`` has written."""
    import pyarrow as pa

    with pa.ipc.open_stream(pa.py_buffer(kept)) as reader:
        return reader.read_all().to_pandas()


def _array(series: pd.Series) -> Any:
    import pyarrow as pa

    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # of several types: what is compared is the text
        return pa.array([None if v is None or v != v else str(v) for v in series])
