"""What a comparison tells: of each method, of each column, of all columns together.

The rows of a report hold every value, alarm or not. How the numbers are found belongs in
``measuring``; the alarm over consecutive windows belongs to who keeps the windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlops_assets.core.drift_methods.multiplicity import adjust
from mlops_assets.core.drift_methods.statuses import Finding, Kind, Status


@dataclass(frozen=True)
class MethodValue:
    """One method on one column.

    ``value`` is ``None`` where ``status`` says why; ``null_quantile`` and ``p`` are ``None``
    for the definitions of other libraries and where nothing can be judged.
    """

    method: str
    status: Status
    value: float | None = None
    threshold: float | None = None
    null_quantile: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class SideSummary:
    """One side of a column: its rows, and how many of them hold no finite value."""

    rows: int
    values: int
    missing: int
    infinite: int
    mean: float | None = None
    std: float | None = None


@dataclass(frozen=True)
class ColumnShift:
    """One column: its alarm, decided by one method, and every method's value.

    ``new_categories`` and ``lost_categories`` name at most ``NAMED_CATEGORIES``, the most
    frequent first.
    """

    column: str
    kind: Kind
    status: Status
    decided_by: str | None
    reference: SideSummary
    current: SideSummary
    methods: tuple[MethodValue, ...] = ()
    findings: tuple[Finding, ...] = ()
    new_categories: tuple[str, ...] = ()
    lost_categories: tuple[str, ...] = ()
    adjusted_p: float | None = None
    drifted: bool = False

    @property
    def decision(self) -> MethodValue | None:
        """The value of the method that decides; ``None`` where nothing could be measured."""
        return next((m for m in self.methods if m.method == self.decided_by), None)

    def of(self, method: str) -> MethodValue:
        """Return one method's value.

        Raises
        ------
        KeyError
            If that method was not asked for.
        """
        for measured in self.methods:
            if measured.method == method:
                return measured
        asked = [measured.method for measured in self.methods]
        raise KeyError(f"{method!r} was not measured on column {self.column!r}, only {asked}")


#: Most new or lost categories that are named.
NAMED_CATEGORIES = 10


@dataclass(frozen=True)
class Report:
    """All columns of one comparison."""

    columns: tuple[ColumnShift, ...]
    alpha: float

    @property
    def drifted(self) -> list[str]:
        """Names of the columns with an alarm."""
        return [shift.column for shift in self.columns if shift.drifted]

    def of(self, column: str) -> ColumnShift:
        """Return one column's shift.

        Raises
        ------
        KeyError
            If that column was not compared.
        """
        for shift in self.columns:
            if shift.column == column:
                return shift
        raise KeyError(f"{column!r} was not compared, only {[s.column for s in self.columns]}")

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a row for each column and method, ready for a table; enums as text."""
        return [
            {
                "column_name": shift.column,
                "kind": shift.kind.value,
                "method": measured.method,
                "value": measured.value,
                "threshold": measured.threshold,
                "null_quantile": measured.null_quantile,
                "p": measured.p,
                "decides": measured.method == shift.decided_by,
                "adjusted_p": shift.adjusted_p if measured.method == shift.decided_by else None,
                "drifted": shift.drifted and measured.method == shift.decided_by,
                "n_reference": shift.reference.values,
                "n_current": shift.current.values,
                "missing_reference": shift.reference.missing,
                "missing_current": shift.current.missing,
                "status": (shift.status if measured.status is Status.OK else measured.status).value,
            }
            for shift in self.columns
            for measured in shift.methods or (MethodValue("none", shift.status),)
        ]


def judge(shifts: Sequence[ColumnShift], alpha: float) -> Report:
    """Decide which columns have drifted.

    A column has if its deciding method's value reaches the practical threshold *and* chance
    gives so much with probability below ``alpha``, adjusted over the columns (Benjamini and
    Hochberg, 1995). Where nothing has changed, a report raises any alarm with probability at
    most ``alpha``.
    """
    judged = [
        shift for shift in shifts if shift.decision is not None and shift.decision.p is not None
    ]
    adjusted = adjust([shift.decision.p for shift in judged])  # pyright: ignore
    by_column = {shift.column: q for shift, q in zip(judged, adjusted, strict=True)}
    return Report(
        tuple(_decided(shift, by_column.get(shift.column), alpha) for shift in shifts), alpha
    )


def _decided(shift: ColumnShift, adjusted_p: float | None, alpha: float) -> ColumnShift:
    deciding = shift.decision
    if deciding is None or adjusted_p is None:
        return shift
    matters = (
        deciding.value is not None
        and deciding.threshold is not None
        and deciding.value >= deciding.threshold
    )
    return replace(shift, adjusted_p=adjusted_p, drifted=matters and adjusted_p < alpha)
