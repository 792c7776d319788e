"""Frames of rows to look up, as DuckDB is to see them: moments in UTC, plain columns.

What people have in a frame differs from what the pipeline writes: times of other resolutions
or with a time zone, categories, integers that became floats where one is missing. Here they
become what stored facts are made of, or are refused. The frame itself is never changed. What
is done with the rows belongs in ``feature_frames``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage.sql import identifier

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

AS_OF = "as_of"
#: Integers of a larger magnitude are not all different as floats.
_EXACT = {"DOUBLE": 2**53, "FLOAT": 2**24}
_TEXT = ("VARCHAR", "ENUM", "UUID")
_INTEGERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")}
_INTEGERS |= {"INTEGER", "UINTEGER"}


class RowsError(ValueError):
    """Rows to look up cannot be understood. The message says which column and what to do."""


def moment(value: Any, what: str) -> datetime:
    """Return one moment as naive UTC.

    A ``datetime``, a pandas or NumPy time, ISO text, or a date (its midnight, UTC). One with a
    time zone is converted; what is finer than a microsecond is cut off.

    Raises
    ------
    RowsError
        If it is no such thing. ``what`` says in the message what it was given as.
    """
    import pandas as pd

    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if not isinstance(value, date) and not hasattr(value, "dtype"):
            raise TypeError(f"{type(value).__name__} is no moment")
        found: Any = moments(pd.Series([value]), what).iloc[0]
    except (TypeError, ValueError, OverflowError) as error:
        raise RowsError(
            f"{what} is {value!r}, which is no moment ({error}): give a datetime, or ISO text such "
            "as '2024-03-01 17:00', in UTC or with its time zone"
        ) from error
    if pd.isna(found):
        raise RowsError(f"{what} is missing: give a moment")
    return found.to_pydatetime()


def moments(values: pd.Series, what: str) -> pd.Series:
    """Return times as naive UTC of microseconds; see ``moment``. What is missing stays so.

    Raises
    ------
    RowsError
        If they are no times, have a time zone in part only, or lie outside the years 1 to 9998.
    """
    import pandas as pd
    import pyarrow as pa

    if isinstance(values.dtype, pd.ArrowDtype):
        values = pa.Array.from_pandas(values).to_pandas().set_axis(values.index)
    if not values.notna().any():
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[us]")
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind not in ("datetime64", "datetime", "date"):
        raise RowsError(
            f"{what} holds {kind}, not moments: convert it, for instance with "
            "pd.to_datetime(..., utc=True), and say what time zone it is in if that is not UTC"
        )
    try:
        if values.dtype == object:
            values = pd.to_datetime(values, utc=_aware(values))
        if values.dt.tz is not None:
            values = values.dt.tz_convert("UTC").dt.tz_localize(None)
        if values.dt.unit == "ns":
            # Down: a row must not see what was known within its last microsecond.
            values = values.dt.floor("us")
        values = values.astype("datetime64[us]")
    except (TypeError, ValueError, OverflowError) as error:
        raise RowsError(
            f"{what} cannot be converted to moments in UTC ({error}): give all of it with a time "
            "zone, or all of it in UTC without one"
        ) from error
    if not values.dropna().dt.year.between(1, 9998).all():
        raise RowsError(f"{what} has moments outside the years 1 to 9998")
    return values


def _aware(values: pd.Series) -> bool:
    """Whether moments that are objects have a time zone."""
    without = {getattr(value, "tzinfo", None) is None for value in values.dropna()}
    if len(without) > 1:
        raise ValueError("some have a time zone and some have none")
    return without == {False}


def require_rows(rows: Any, needed: Mapping[str, str]) -> None:
    """Refuse what is no frame, or lacks a column; ``needed`` is column to who needs it.

    Raises
    ------
    RowsError
        With all that is missing.
    """
    import pandas as pd

    if not isinstance(rows, pd.DataFrame):
        raise RowsError(f"the rows are a {type(rows).__name__}: give a DataFrame")
    missing = [name for name in needed if name not in rows.columns]
    if missing:
        reasons = "; ".join(f"{name!r}, {needed[name]}" for name in missing)
        raise RowsError(f"the rows lack {reasons}; they have {', '.join(map(str, rows.columns))}")
    twice = sorted({str(n) for n in rows.columns[rows.columns.duplicated()]})
    if twice:
        raise RowsError(f"the rows have {', '.join(twice)} more than once; rename or drop one")


def as_table(rows: pd.DataFrame, names: Iterable[str]) -> pa.Table:
    """Return the columns ``names``, of which all times are naive UTC.

    Raises
    ------
    RowsError
        If a column holds what no table can, such as values of different types.
    """
    import pandas as pd
    import pyarrow as pa

    columns = {}
    for name in names:
        values: Any = rows[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(values.cat.categories.dtype)
        kind = pd.api.types.infer_dtype(values, skipna=True)
        if name == AS_OF or kind in ("datetime64", "datetime"):
            values = moments(values, f"column {name!r} of the rows")
        try:
            columns[name] = pa.Array.from_pandas(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise RowsError(
                f"column {name!r} of the rows holds values that no table can: {error}"
            ) from error
    return pa.table(columns)


def key_expression(
    con: duckdb.DuckDBPyConnection, given: str, name: str, have: str, want: str, view: str
) -> str:
    """Return the key column ``name`` of ``given`` so that comparing it with a fact's is exact.

    ``have`` and ``want`` are the DuckDB types of the column and of the facts' key. Text is not
    compared with numbers: whether 7 is '007' is not for us to say. Floats that are integers
    become integers again.

    Raises
    ------
    RowsError
        If the types do not fit.
    """
    column = identifier(name)
    counts = f"count({column}), 0"
    if have in _EXACT:
        integral = f"{column} = trunc({column}) AND abs({column}) <= {_EXACT[have]}"
        counts = f"count({column}), count({column}) FILTER (NOT ({integral}))"
    ((present, odd),) = con.execute(f"SELECT {counts} FROM {given}").fetchall()
    if not present:
        return f"CAST(NULL AS {want})"
    if have.startswith(_TEXT) != want.startswith(_TEXT):
        raise RowsError(
            f"column {name!r} of the rows is {have}, but the key {name!r} of view {view!r} is "
            f"{want}: convert it"
        )
    if have in _EXACT and want in _INTEGERS:
        if odd:
            raise RowsError(
                f"column {name!r} of the rows is {have} with {odd} values that are no exact "
                f"integers, but the key {name!r} of view {view!r} is {want}: convert it"
            )
        return f"CAST({column} AS HUGEINT)"
    return column
