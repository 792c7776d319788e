"""Which drifted columns matter to the model: how far each has moved, times what it is relied on.

How far columns have moved, and which have drifted, is decided in ``core.drift_methods``; what a
model relies on is measured in ``core.models.importance``. Nothing here is decided anew: a column
without an alarm never stands before one with an alarm, whatever its importance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mlops_assets.core.drift_methods.statuses import Status

if TYPE_CHECKING:
    from mlops_assets.core.drift_methods.shifts import ColumnShift, MethodValue

#: Share of what the model relies on below which a drifted column is not what to look at first.
NEGLIGIBLE = 0.01
#: Standard deviations beyond chance at which rows are where the model has seen hardly any: its
#: importance was measured elsewhere and says little there.
FAR = 1.0
#: What methods show of a normal column whose mean has moved by one standard deviation, for small
#: moves (``drift_methods.methods``); ``l_infinity`` is at most ``total_variation``.
_PER_SD = {
    "wasserstein_normalised": 1.0,
    "kolmogorov_smirnov": 0.4,
    "total_variation": 0.4,
    "l_infinity": 0.4,
    "jensen_shannon": 0.42,
    "hellinger": 0.35,
}
_QUIET = {Status.CONSTANT}
_UNJUDGED = {Status.TOO_FEW, Status.UNSUPPORTED, Status.NO_ROWS_REFERENCE, Status.NO_ROWS_CURRENT}


class Standing(StrEnum):
    """What follows from a column's shift and its importance, the first to look at first."""

    #: It has drifted, and the model relies on it.
    MATTERS = "matters"
    #: It has drifted, and nobody knows what the model relies on it.
    UNKNOWN_IMPORTANCE = "unknown_importance"
    #: It has drifted, and the model hardly relies on it.
    UNIMPORTANT = "unimportant"
    #: No alarm.
    UNCHANGED = "unchanged"
    #: Too few rows, or of a type that is not compared.
    NOT_JUDGED = "not_judged"
    #: It is gone, empty or of another kind: for the data-quality checks, no drift.
    BROKEN = "broken"


@dataclass(frozen=True)
class RankedColumn:
    """One column of a ranking.

    Attributes
    ----------
    rank
        From 1.
    score
        ``importance * excess``; ``None`` where either is not known.
    excess
        How far it has moved beyond what chance explains, in standard deviations of a normal
        column that would show as much; ``None`` where nothing was measured.
    importance
        Share of what the model relies on, from 0 to 1; ``None``: not known.
    far
        Whether it has moved so far that its importance, which was measured on rows like the
        reference's, may say too little.
    """

    column: str
    rank: int
    standing: Standing
    score: float | None
    excess: float | None
    importance: float | None
    drifted: bool
    far: bool
    status: Status


@dataclass(frozen=True)
class Ranking:
    """Columns of one report in the order in which to look at them."""

    columns: tuple[RankedColumn, ...]

    @property
    def first(self) -> RankedColumn | None:
        """The first column with an alarm; ``None``: there is no alarm."""
        return next((column for column in self.columns if column.drifted), None)

    def of(self, *standings: Standing) -> list[str]:
        """Return the names of the columns of these standings, in order."""
        return [column.column for column in self.columns if column.standing in standings]

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a row for each column, ready for a table; enums as text."""
        return [
            {
                "column_name": column.column,
                "rank": column.rank,
                "standing": column.standing.value,
                "score": column.score,
                "excess": column.excess,
                "importance": column.importance,
                "drifted": column.drifted,
                "far": column.far,
                "status": column.status.value,
            }
            for column in self.columns
        ]


def rank_columns(
    shifts: Iterable[ColumnShift],
    importance: Mapping[str, float] | None,
    *,
    negligible: float = NEGLIGIBLE,
) -> Ranking:
    """Rank columns by how far they have moved times what the model relies on them.

    Parameters
    ----------
    shifts
        ``Report.columns`` of a comparison (``drift_methods.compare``).
    importance
        Column to what the model relies on it (``models.importance``), in any unit: shares are
        taken of the sum. Columns that are missing or NaN have an unknown importance. ``None``:
        none is known.
    negligible
        Share below which a drifted column is ``UNIMPORTANT``.

    Returns
    -------
    Ranking
        Columns with an alarm first: those that matter by score, those of unknown importance and
        those of none by how far they have moved; then the others, by score. A column that has
        drifted alone is therefore first, whatever its importance; whether that is a reason to
        act is its standing.

    Notes
    -----
    Methods have scales of their own; all are brought to standard deviations, in which they agree
    for small moves (``drift_methods.methods``). From the value what chance alone exceeds once in
    20 times is taken off. Importance by permutation is small for each of several columns that
    say the same: a drifted group of them can stand as unimportant, each one.
    """
    shares = _shares(importance or {})
    ranked = [_standing(shift, shares.get(shift.column), negligible) for shift in shifts]
    order = list(Standing)
    ranked.sort(
        key=lambda c: (order.index(c.standing), -(c.score or 0.0), -(c.excess or 0.0), c.column)
    )
    return Ranking(
        tuple(
            RankedColumn(**{**column.__dict__, "rank": at}) for at, column in enumerate(ranked, 1)
        )
    )


def size(shift: ColumnShift, measured: MethodValue, value: float | None) -> float | None:
    """Return a method's value as standard deviations of a normal column that shows as much.

    ``None`` where there is no value, or none that can be brought to this scale.
    """
    if value is None or not math.isfinite(value):
        return None
    if measured.method == "psi":
        return math.sqrt(max(value, 0.0))
    if measured.method == "chi_square":
        rows = shift.reference.values, shift.current.values
        return math.sqrt(max(value, 0.0) * sum(1 / n for n in rows)) if min(rows) else None
    if measured.method == "wasserstein":
        return value / shift.reference.std if shift.reference.std else None
    per_sd = _PER_SD.get(measured.method)
    return None if per_sd is None else value / per_sd


def _standing(shift: ColumnShift, share: float | None, negligible: float) -> RankedColumn:
    excess = _excess(shift)
    known = share is not None and excess is not None
    if shift.drifted and share is None:
        standing = Standing.UNKNOWN_IMPORTANCE
    elif shift.drifted:
        standing = Standing.MATTERS if share >= negligible else Standing.UNIMPORTANT  # pyright: ignore
    elif shift.status in _QUIET or (shift.decision is not None and shift.decision.p is not None):
        standing = Standing.UNCHANGED
    elif shift.status in _UNJUDGED or shift.decision is not None:
        standing = Standing.NOT_JUDGED
    else:
        standing = Standing.BROKEN
    return RankedColumn(
        column=shift.column,
        rank=0,
        standing=standing,
        score=share * excess if known else None,  # pyright: ignore
        excess=excess,
        importance=share,
        drifted=shift.drifted,
        far=shift.drifted and excess is not None and excess >= FAR,
        status=shift.status,
    )


def _excess(shift: ColumnShift) -> float | None:
    deciding = shift.decision
    if deciding is None:
        return None
    moved = size(shift, deciding, deciding.value)
    by_chance = size(shift, deciding, deciding.null_quantile)
    return None if moved is None else max(0.0, moved - (by_chance or 0.0))


def _shares(importance: Mapping[str, float]) -> dict[str, float]:
    known = {name: max(float(v), 0.0) for name, v in importance.items() if math.isfinite(v)}
    total = sum(known.values())
    return {name: value / total if total > 0 else 0.0 for name, value in known.items()}
