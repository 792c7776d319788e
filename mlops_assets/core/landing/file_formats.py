"""Reading one landed file, by its extension or by the source's own loader.

Values stay as they are in the file: CSV fields are text until ``coercion`` gives them the
declared type, so that ``007`` stays text where text is declared. An empty field is missing.
"""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlops_assets.vocabulary import Source

EXTENSIONS = (".parquet", ".csv", ".jsonl")


class Unreadable(ValueError):
    """A file cannot be read. The message says why, without naming the file."""


def read_file(source: Source, path: Path, content: bytes) -> pd.DataFrame | pa.Table:
    """Return the rows of a file, those of Parquet in Arrow: ``as_frame`` makes a frame of them.

    Parameters
    ----------
    source
        Its ``loader`` is called with ``path``, if it has one.
    path
        Decides the format by its extension.
    content
        What is in the file.

    Raises
    ------
    Unreadable
        If the file is empty, cut off, or not what its extension says.
    """
    import pandas as pd

    if source.loader is not None:
        try:
            frame = source.loader(path)
        except Exception as error:  # whatever a loader raises over a bad file, the day says it
            raise Unreadable(
                f"the source's loader cannot read it: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(frame, pd.DataFrame):
            raise Unreadable(f"the source's loader returned {type(frame).__name__}, not a frame")
        return frame
    if not content:
        raise Unreadable("is empty (0 bytes)")
    readers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise Unreadable(f"is of an unknown kind; there is {', '.join(EXTENSIONS)}")
    return reader(content)


def as_frame(rows: pd.DataFrame | pa.Table) -> pd.DataFrame:
    """Return what ``read_file`` returned as a frame.

    Raises
    ------
    Unreadable
        If pandas cannot hold a value.
    """
    import pandas as pd
    import pyarrow as pa

    if isinstance(rows, pd.DataFrame):
        return rows
    try:
        # The pandas metadata is ignored: an index kept in the file is a column like others.
        return rows.to_pandas(ignore_metadata=True)
    except pa.ArrowException as error:
        raise Unreadable(f"is no complete Parquet file ({_first_line(error)})") from error


def _parquet(content: bytes) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not read_table: what it does for folders of files takes longer than reading one.
        return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"is no complete Parquet file ({_first_line(error)})") from error


def _csv(content: bytes) -> pd.DataFrame:
    import pandas as pd

    # Not pandas' reader: it drops or fills fields where a line has more or fewer than the
    # header, which is how a file that was cut off looks.
    try:
        lines = csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(lines, [])
        records = []
        for record in lines:
            if record and len(record) != len(header):
                raise Unreadable(
                    f"line {lines.line_num} has {len(record)} fields, the header {len(header)}"
                )
            if record:
                records.append([value or None for value in record])
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unreadable(f"is no CSV file in UTF-8 ({error})") from error
    return pd.DataFrame(records, columns=pd.Index(header), dtype=object)


def _jsonl(content: bytes) -> pd.DataFrame:
    import pandas as pd

    records = []
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not in UTF-8 ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise Unreadable(f"line {number} is no JSON ({error})") from error
        if not isinstance(record, dict):
            raise Unreadable(f"line {number} is no JSON object")
        records.append(record)
    # dtype=object: whole numbers stay whole where others are missing.
    return pd.DataFrame(records, dtype=object)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
