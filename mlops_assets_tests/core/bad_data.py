"""Twelve ways in which a day's data break: pure functions from a frame to a frame.

Each takes the rows of a day as they would have landed, and returns what a broken provider would
have sent. Nothing is drawn at random but by the generator that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd


def unit_change(
    rows: pd.DataFrame, column: str, factor: float, offset: float = 0.0, decimals: int = 2
) -> pd.DataFrame:
    """Values in another unit, rounded as a provider would; whole numbers stay whole."""
    changed = (rows[column].astype(float) * factor + offset).round(decimals)
    whole = pd.api.types.is_integer_dtype(rows[column].dtype)
    return rows.assign(**{column: changed.round().astype(rows[column].dtype) if whole else changed})


def null_burst(rows: pd.DataFrame, column: str, start: float, share: float) -> pd.DataFrame:
    """No values in a stretch of the rows, which begins at ``start`` (a share of them)."""
    n = len(rows)
    at = np.arange(n)
    gone = (at >= int(start * (1 - share) * n)) & (
        at < int(start * (1 - share) * n) + round(share * n)
    )
    values = rows[column].astype(object).where(~gone, None)
    return rows.assign(**{column: _typed(values, rows[column])})


def stuck_sensor(
    rows: pd.DataFrame, column: str, where: pd.Series, first: int, readings: int
) -> pd.DataFrame:
    """One reading repeated, of the rows ``where``, from the ``first`` of them on."""
    values = rows[column].copy()
    own = rows.index[where.to_numpy()]
    stretch = own[first : first + readings]
    known = values.loc[own].dropna()
    values.loc[stretch] = (
        values.loc[stretch[0]] if pd.notna(values.loc[stretch[0]]) else known.iloc[0]
    )
    return rows.assign(**{column: values})


def category_rename(rows: pd.DataFrame, column: str, old: str, new: str) -> pd.DataFrame:
    """A category under another name."""
    return rows.assign(**{column: rows[column].where(rows[column] != old, new)})


def duplicate_load(
    rows: pd.DataFrame, again: Callable[[pd.DataFrame], pd.DataFrame] | None = None
) -> pd.DataFrame:
    """All rows twice; ``again`` changes the second time, such as its keys."""
    return pd.concat([rows, again(rows) if again else rows], ignore_index=True)


def timezone_shift(rows: pd.DataFrame, columns: Sequence[str], hours: int) -> pd.DataFrame:
    """Times that were written in another time zone."""
    return rows.assign(**{name: rows[name] + pd.Timedelta(hours=hours) for name in columns})


def half_volume(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every second row or so."""
    kept = np.sort(rng.permutation(len(rows))[: len(rows) // 2])
    return rows.iloc[kept].reset_index(drop=True)


def label_flip(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """True where it is false, and the reverse; missing stays missing."""
    values = rows[column]
    flipped = values.map({True: False, False: True}) if values.dtype == object else ~values
    return rows.assign(**{column: flipped})


def truncated_file(rows: pd.DataFrame, column: str, until: pd.Timestamp) -> pd.DataFrame:
    """No rows from a time on."""
    return rows[rows[column] < until].reset_index(drop=True)


def future_timestamps(
    rows: pd.DataFrame, column: str, share: float, days: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Some times that lie days ahead."""
    ahead = np.zeros(len(rows), bool)
    ahead[rng.permutation(len(rows))[: max(round(share * len(rows)), 1)]] = True
    values = rows[column].where(~ahead, rows[column] + pd.Timedelta(days=days))
    return rows.assign(**{column: values})


def constant_column(rows: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    """One value in all rows."""
    return rows.assign(**{column: pd.Series([value] * len(rows), dtype=rows[column].dtype)})


def schema_change(rows: pd.DataFrame, column: str, how: str) -> pd.DataFrame:
    """A column that is gone, renamed, of another type, or (named ``column``) new."""
    if how == "dropped":
        return rows.drop(columns=column)
    if how == "renamed":
        return rows.rename(columns={column: f"{column}_2"})
    if how == "retyped":
        return rows.assign(**{column: "n/a " + rows[column].astype(str)})
    if how == "added":
        return rows.assign(**{column: np.arange(len(rows))})
    raise ValueError(f"how a schema changes is dropped, renamed, retyped or added, not {how!r}")


def _typed(values: pd.Series, like: pd.Series) -> pd.Series:
    """Return values with some gone in the type they had, or the nearest that has gaps."""
    if pd.api.types.is_integer_dtype(like.dtype):
        return values.astype("Int64")
    if pd.api.types.is_float_dtype(like.dtype):
        return values.astype(float)
    if pd.api.types.is_datetime64_any_dtype(like.dtype):
        return pd.to_datetime(values).astype(like.dtype)
    return values
