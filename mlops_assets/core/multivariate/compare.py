"""``compare``: a kept reference and current rows, by a domain classifier and by PCA's error.

The one way in. Rows that differ in a way that no column shows alone, such as two that no longer
go together, are found here; which columns have moved by themselves is ``core.drift_methods``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlops_assets.core.multivariate import arrangement, classifier, reconstruction
from mlops_assets.core.multivariate.canonical import Canonical, row_numbers
from mlops_assets.core.multivariate.features import Design, design
from mlops_assets.core.multivariate.joining import joined_columns
from mlops_assets.core.multivariate.keeping import FOLDING, KEEPING, USING, ranked, unique_names
from mlops_assets.core.multivariate.results import (
    CLASSIFIER,
    MIN_ROWS,
    RECONSTRUCTION,
    Detection,
    MultivariateShift,
    Separating,
    Status,
    judged,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Practical thresholds. A row of the current ones has a higher score than one of the reference
#: three times in five: what a single normal column gives that has moved by 0.36 standard
#: deviations, or four that have moved by 0.18 each. The reconstruction's is that of a column's
#: normalised Wasserstein distance (``drift_methods``).
THRESHOLDS: Mapping[str, float] = {CLASSIFIER: 0.6, RECONSTRUCTION: 0.1}
#: Rows of a side that are used at most.
ROWS = 5_000
#: Columns named that tell the sides apart.
NAMED = 5


def compare(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    blocks: str | None = None,
    rows: int = ROWS,
) -> MultivariateShift:
    """Compare the current rows with the reference's.

    Parameters
    ----------
    reference
        A sample that ``keep`` has made, or any frame. Of more than ``rows`` a sample is used.
    current
        Any frame; a sample of it likewise.
    columns
        Names to look at; all of the reference's by default (but ``blocks``).
    thresholds
        Practical thresholds of ``"domain_classifier"`` and ``"pca_reconstruction"``, where not
        those of ``THRESHOLDS``.
    alpha
        Probability of any alarm where nothing has changed, at most.
    blocks
        A column that says which rows belong together, such as the day: rows that share weather
        and the like are no independent witnesses. Days are then what chance deals, no day is
        both learnt from and scored, and of each day at most as many rows are used as the
        reference has of its typical one. It is not compared itself.

    Returns
    -------
    MultivariateShift
        With a typed status instead of a value where there is none: data do not raise.

    Raises
    ------
    KeyError
        If a column of ``columns`` is on neither side, or ``blocks`` is not on both.
    ValueError
        If two columns have one name, or a threshold is of no method.
    """
    limits = _limits(thresholds)
    names = _names(reference, current, columns, blocks)
    given = (len(reference), len(current))
    status = _rows_status(given)
    if status is not Status.OK:
        return _nothing(status, limits, {}, given, given, alpha)
    sides = (
        _used(reference, names, blocks, rows, KEEPING),
        _used(current, names, blocks, rows, USING),
    )
    if blocks is not None:
        sides = _thinned(sides, blocks)
    used = (len(sides[0]), len(sides[1]))
    status = _rows_status(used)
    joined, skipped = joined_columns(names, *sides)
    if status is Status.OK and not joined:
        only_constant = skipped and set(skipped.values()) <= {"constant"}
        status = Status.CONSTANT if only_constant else Status.NO_COLUMNS
    if status is not Status.OK:
        return _nothing(status, limits, skipped, given, used, alpha)
    arranged = _arranged(joined, sides, used, blocks, alpha)
    if arranged is None:
        return _nothing(Status.TOO_FEW_BLOCKS, limits, skipped, given, used, alpha)
    read = [replace(one, values=one.values[arranged.order]) for one in joined.values()]
    seen = design(read)
    if seen is None:
        return _nothing(Status.CONSTANT, limits, skipped, given, used, alpha)
    told = classifier.tell_apart(seen, arranged)
    moved = reconstruction.measure(read, arranged)
    empty = [_empty(method, limits, Status.OK, used) for method in (CLASSIFIER, RECONSTRUCTION)]
    by_classifier, by_error = judged(
        [_with(empty[0], told.areas, alpha), _with_errors(empty[1], moved, alpha)], alpha
    )
    return MultivariateShift(
        by_classifier,
        by_error,
        _separating(seen, told.gaps, list(joined)) if by_classifier.drifted else (),
        skipped,
        *given,
        alpha,
    )


def _limits(thresholds: Mapping[str, float] | None) -> dict[str, float]:
    for method in thresholds or {}:
        if method not in THRESHOLDS:
            raise ValueError(f"{method!r} is no method with a threshold: {sorted(THRESHOLDS)}")
    return {**THRESHOLDS, **(thresholds or {})}


def _names(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    columns: Sequence[str] | None,
    blocks: str | None,
) -> list[str]:
    for frame in (reference, current):
        unique_names(frame)
    there = [set(reference.columns), set(current.columns)]
    if blocks is not None and not (blocks in there[0] and blocks in there[1]):
        raise KeyError(f"blocks {blocks!r} must be a column of both sides, to deal rows by it")
    names = list(columns) if columns is not None else list(reference.columns)
    for name in names:
        if name not in there[0] | there[1]:
            raise KeyError(
                f"cannot compare column {name!r}: the reference has {sorted(map(str, there[0]))}, "
                f"the current rows have {sorted(map(str, there[1]))}"
            )
    return [name for name in names if name != blocks]


def _rows_status(counts: tuple[int, int]) -> Status:
    if not counts[0]:
        return Status.NO_ROWS_REFERENCE
    if not counts[1]:
        return Status.NO_ROWS_CURRENT
    return Status.TOO_FEW if min(counts) < MIN_ROWS else Status.OK


def _used(
    frame: pd.DataFrame, names: list[str], blocks: str | None, rows: int, purpose: int
) -> pd.DataFrame:
    """Return the rows and columns that are used. Which rows is decided by their content."""
    there = [name for name in names if name in frame.columns]
    wanted = frame[[*there, blocks] if blocks is not None else there]
    if blocks is not None:  # a row without a day belongs to none
        wanted = wanted[wanted[blocks].notna()]
    return wanted if len(wanted) <= rows else ranked(wanted, purpose, rows)


def _thinned(
    sides: tuple[pd.DataFrame, pd.DataFrame], blocks: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return no more rows of a day than the reference's typical day has."""
    most = int(sides[0][blocks].value_counts().median()) if len(sides[0]) else 0
    thinned = []
    for side in sides:
        if len(side) and side[blocks].value_counts().max() > most:
            side = ranked(side, FOLDING, len(side))
            side = side[side.groupby(blocks).cumcount() < most]
        thinned.append(side)
    return thinned[0], thinned[1]


def _arranged(
    joined: dict[str, Canonical],
    sides: tuple[pd.DataFrame, pd.DataFrame],
    used: tuple[int, int],
    blocks: str | None,
    alpha: float,
) -> arrangement.Arrangement | None:
    import pandas as pd

    if blocks is not None:
        days = pd.factorize(pd.concat([side[blocks] for side in sides]), sort=True)[0]
        return arrangement.of_blocks((days[: used[0]], days[used[0] :]), alpha)
    numbers = [
        row_numbers([(name, _part(column, rows)) for name, column in joined.items()], size, FOLDING)
        for rows, size in ((slice(0, used[0]), used[0]), (slice(used[0], None), used[1]))
    ]
    return arrangement.of_rows((numbers[0], numbers[1]))


def _part(column: Canonical, rows: slice) -> Canonical:
    return replace(column, values=column.values[rows])


def _with(empty: Detection, values: np.ndarray, alpha: float) -> Detection:
    value = float(values[0])
    p, quantile = arrangement.by_chance(value, values[1:], alpha)
    return replace(empty, value=value, p=p, null_quantile=quantile)


def _with_errors(empty: Detection, moved: reconstruction.Moved | None, alpha: float) -> Detection:
    if moved is None:
        return replace(empty, status=Status.TOO_FEW_COLUMNS)
    measured = {
        "current_error": moved.current_error,
        "reference_error": moved.reference_error,
        "components": moved.components,
    }
    return replace(_with(empty, moved.shifts, alpha), measured=measured)


def _separating(seen: Design, gaps: np.ndarray, names: list[str]) -> tuple[Separating, ...]:
    """Return the columns that add most to the distance; half of a product to each of its two."""
    import numpy as np

    share = np.zeros((len(names), len(names)))
    np.add.at(share, (seen.owners[:, 0], seen.owners[:, 1]), gaps / 2)
    np.add.at(share, (seen.owners[:, 1], seen.owners[:, 0]), gaps / 2)
    total = share.sum()
    if not total > 0:
        return ()
    share /= total
    by_column = share.sum(axis=1)
    told = []
    for at in np.argsort(-by_column, kind="stable")[:NAMED]:
        if by_column[at] <= 0:
            break
        most = int(np.argmax(share[at]))
        other = names[most] if most != at else None
        told.append(Separating(str(names[at]), float(by_column[at]), other))
    return tuple(told)


def _empty(
    method: str, limits: Mapping[str, float], status: Status, used: tuple[int, int]
) -> Detection:
    return Detection(method, status, limits[method], n_reference=used[0], n_current=used[1])


def _nothing(
    status: Status,
    limits: Mapping[str, float],
    skipped: Mapping[str, str],
    given: tuple[int, int],
    used: tuple[int, int],
    alpha: float,
) -> MultivariateShift:
    found = [_empty(method, limits, status, used) for method in (CLASSIFIER, RECONSTRUCTION)]
    return MultivariateShift(found[0], found[1], (), skipped, *given, alpha)
