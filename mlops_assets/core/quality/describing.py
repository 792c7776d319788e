"""A column of one day in numpy: what ``ColumnProfile`` keeps of it.

Reading the rows belongs in ``measuring``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlops_assets.core.quality.profiles import (
    CATEGORY,
    FIRST_HOUR,
    FLAG,
    IDENTIFIER,
    KEPT_CATEGORIES,
    KEPT_NUMBERS,
    KEPT_RUNS,
    LAST_HOUR,
    NUMBER,
    OTHER,
    QUANTILES,
    TIME,
    ColumnProfile,
    Run,
)

if TYPE_CHECKING:
    import numpy as np

#: Groups of another column that a label's rate is kept for.
_MOST_GROUPS, _RANKS = 30, 5


@dataclass(frozen=True)
class Column:
    """A column of all days: numbers (of text: its number in ``names``), NaN where missing."""

    kind: str
    type: str
    numbers: np.ndarray
    names: Sequence[str] | None = None


def describe(
    column: Column,
    part: slice,
    pattern: tuple[np.ndarray, int] | None,
    hours: np.ndarray | None,
    group: tuple[np.ndarray, Sequence[str]],
) -> ColumnProfile:
    """Describe the rows ``part`` of a column.

    Parameters
    ----------
    pattern
        The combination of flags of each row, and how many there are.
    hours
        Event time of each row, in hours from the day's local midnight; ``None``: the rows are
        no readings that follow each other.
    group
        Each row's number in the list of groups: a run ends where its group does.
    """
    import numpy as np

    values = column.numbers[part]
    gone = np.isnan(values)
    missing = int(np.count_nonzero(gone))
    by: tuple[int, ...] = ()
    if missing and pattern is not None:
        by = tuple(np.bincount(pattern[0][part][gone], minlength=pattern[1]).tolist())
    empty = ColumnProfile(column.kind, column.type, missing=missing, missing_by=by)
    if column.kind in (IDENTIFIER, OTHER) or missing == len(values):
        return empty
    if column.kind in (CATEGORY, FLAG):
        return _categories(empty, column, values[~gone])
    finite = np.isfinite(values)
    ordered = np.sort(values[finite])
    n = len(ordered)
    empty = replace(empty, not_finite=len(values) - missing - n)
    if not n:
        return empty
    at = [max(math.ceil(q * n) - 1, 0) for q in QUANTILES]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = np.diff(np.r_[starts, n])
    top = np.argsort(-counts, kind="stable")[:KEPT_NUMBERS]
    with np.errstate(over="ignore"):
        squares = float(np.square(ordered).sum())
    numeric = column.kind == NUMBER
    return replace(
        empty,
        distinct=len(starts),
        minimum=float(ordered[0]),
        maximum=float(ordered[-1]),
        total=float(ordered.sum()),
        squares=squares if math.isfinite(squares) else None,
        quantiles=tuple(ordered[at].tolist()),
        values=tuple(
            zip(ordered[starts[top]].tolist(), counts[top].tolist(), strict=True)
            if numeric
            else [(float(ordered[starts[top[0]]]), int(counts[top[0]]))]
        ),
        runs=_runs(values, hours[part], group[0][part], group[1])
        if numeric and hours is not None
        else (),
        hours=_hours(ordered) if column.kind == TIME else {},
    )


def _categories(empty: ColumnProfile, column: Column, codes: np.ndarray) -> ColumnProfile:
    import numpy as np

    names = column.names or ()
    every = np.bincount(codes.astype(int))
    numbers = np.flatnonzero(every)
    counts = every[numbers]
    if len(numbers) > KEPT_CATEGORIES:
        return replace(empty, kind=IDENTIFIER, distinct=len(numbers))
    top = np.lexsort((numbers, -counts))
    return replace(
        empty,
        distinct=len(numbers),
        values=tuple((names[numbers[i]], int(counts[i])) for i in top),
    )


def _hours(hours: np.ndarray) -> dict[int, int]:
    import numpy as np

    whole = np.clip(np.floor(hours), FIRST_HOUR, LAST_HOUR).astype(int)
    counts = np.bincount(whole - FIRST_HOUR)
    return {int(at) + FIRST_HOUR: int(counts[at]) for at in np.flatnonzero(counts)}


def _runs(
    values: np.ndarray, hours: np.ndarray, group: np.ndarray, names: Sequence[str]
) -> tuple[Run, ...]:
    """Return the longest runs; a missing value does not end one, since sensors drop out."""
    import numpy as np

    there = np.flatnonzero(np.isfinite(values))
    v, g = values[there], group[there]
    starts = np.flatnonzero(np.r_[True, (v[1:] != v[:-1]) | (g[1:] != g[:-1])])
    lengths = np.diff(np.r_[starts, len(v)])
    found: dict[float, Run] = {}
    several = np.flatnonzero(lengths > 1)
    for at in several[np.argsort(-lengths[several], kind="stable")[: 8 * KEPT_RUNS]]:
        first, last = starts[at], starts[at] + lengths[at] - 1
        value = float(v[first])
        if len(found) == KEPT_RUNS:
            break
        if value not in found:
            times = [float(hours[there[i]]) for i in (first, last)]
            told = [round(t, 2) if math.isfinite(t) else None for t in times]
            found[value] = Run(value, int(lengths[at]), told[0], told[1], names[g[first]])
    return tuple(found.values())


def describe_label(
    told: ColumnProfile, columns: Mapping[str, Column], label: str, part: slice
) -> ColumnProfile:
    """Add the rates of a label with two values, for groups of the other columns.

    Groups are the categories, or fifths of the day's numbers by rank: the same on any day.
    """
    import numpy as np

    truth = columns[label].numbers[part]
    there = np.isfinite(truth)
    low_high = np.unique(truth[there])
    if len(low_high) > 2:
        return told
    names = columns[label].names
    greatest = 1.0 if told.kind == FLAG else low_high[-1] if len(low_high) else 1.0
    if names is not None and told.kind == CATEGORY and len(low_high):
        greatest = max(low_high, key=lambda code: names[int(code)])
    high = truth[there] == greatest
    rates: dict[str, dict[str, tuple[int, int]]] = {"": {"": (len(high), int(high.sum()))}}
    for name, column in columns.items():
        if name == label or column.kind in (IDENTIFIER, OTHER):
            continue
        groups, texts = _grouped(column, column.numbers[part][there])
        if len(texts) < 2:
            continue
        rows = np.bincount(groups[groups >= 0], minlength=len(texts))
        highs = np.bincount(groups[groups >= 0], high[groups >= 0], minlength=len(texts))
        rates[name] = {
            text: (int(rows[i]), int(highs[i])) for i, text in enumerate(texts) if rows[i]
        }
    return replace(told, rates=rates)


def _grouped(column: Column, values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    import numpy as np

    known = np.isfinite(values)
    groups = np.full(len(values), -1)
    if column.names is not None:
        codes = values[known].astype(int)
        counts = np.bincount(codes, minlength=1)
        if np.count_nonzero(counts) > KEPT_CATEGORIES:
            return groups, []
        largest = np.argsort(-counts, kind="stable")[:_MOST_GROUPS]
        largest = largest[counts[largest] > 0]
        place = np.full(len(counts), -1)
        place[largest] = np.arange(len(largest))
        groups[known] = place[codes]
        return groups, [column.names[i] for i in largest]
    if np.count_nonzero(known) < _RANKS:
        return groups, []
    numbers = values[known]
    at = np.arange(1, _RANKS) * len(numbers) // _RANKS
    groups[known] = np.searchsorted(np.partition(numbers, at)[at], numbers, "left")
    return groups, [f"fifth {n + 1}" for n in range(_RANKS)]
