"""How much a window matters, and what is said of it first; the words are ``attention``'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.attention.facts import (
    DriftFacts,
    EstimateFacts,
    Facts,
    PerformanceFacts,
    SliceFacts,
)
from mlops_assets.core.attention.largest import LargestError
from mlops_assets.core.attention.ranking import NEGLIGIBLE
from mlops_assets.core.attention.summary import summary
from mlops_assets.core.documents import Severity
from mlops_assets.core.monitoring import estimates
from mlops_assets.core.reports.drift import ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_assets.core.monitoring.drift_rows import DriftRow
    from mlops_assets.core.monitoring.findings import FindingRow
    from mlops_assets.core.reports.window_known import Known


def conclusion(known: Known) -> tuple[Severity, tuple[str, ...]]:
    """Return how much the window matters, and what is said of it first."""
    facts = _facts(known)
    moved = [facts.concept_drift, facts.prediction_drift, facts.multivariate_drift]
    real, drifted = facts.performance, facts.drift
    if facts.incidents or (real is not None and real.verdict == "worse") or facts.concept_drift:
        severity = Severity.PROBLEM
    elif any(moved) or facts.worst_slice or (drifted is not None and drifted.any):
        severity = Severity.WARNING
    elif real is None or real.value is None:
        severity = Severity.UNKNOWN
    else:
        severity = Severity.OK
    return severity, summary(facts)


def _facts(known: Known) -> Facts:
    model, window, row = known.model, known.window, known.performance
    shown = next(iter(estimates.shown(model, known.estimates)), None)
    reference = None if shown is None else shown.unchanged
    slices = [found for found in known.answers("worst_slice") if found.subject]
    errors = known.answers("largest_error")
    return Facts(
        model=model.name,
        window=f"{window.opens:%-d %b} to {window.closes:%-d %b %Y}",
        rows=max((found.n_current for found in known.drift if found.role != "label"), default=None),
        performance=PerformanceFacts(
            metric=row.metric,
            value=row.value,
            low=row.low,
            high=row.high,
            reference=reference,
            mature=row.status == "mature",
            labelled=row.label_join_rate,
            rows=row.n,
        ),
        # Where labels are there, what came out is said and not what was expected.
        estimate=None
        if shown is None or shown.realised is not None
        else EstimateFacts(
            metric=shown.metric,
            value=shown.value,
            low=shown.low,
            high=shown.high,
            reference=reference,
            validated=shown.validated,
            reason=shown.reason,
        ),
        drift=_drift_facts([found for found in known.drift if found.role == "feature"]),
        prediction_drift=_any_drifted(known.drift, "prediction"),
        label_drift=_any_drifted(known.drift, "label"),
        multivariate_drift=_alarm(known.answers("rows_moved")),
        concept_drift=_alarm(known.answers("concept_changed")),
        worst_slice=None
        if not slices
        else SliceFacts(
            text=slices[0].subject,
            **{name: slices[0].known[name] for name in
               ("share", "excess", "low", "high", "explained")},
        ),
        largest_error=None
        if not errors
        else LargestError(
            rank=1,
            prediction_id=errors[0].subject,
            row_key=errors[0].known["row_key"],
            prediction=errors[0].known["prediction"],
            truth=errors[0].known["truth"],
            loss=errors[0].value or 0.0,
            score=errors[0].known["score"],
        ),
    )  # fmt: skip


def _drift_facts(rows: Sequence[DriftRow]) -> DriftFacts | None:
    if not rows:
        return None
    drifted = ranked([row for row in rows if row.drifted])
    known = [row for row in drifted if row.importance is not None]
    return DriftFacts(
        matters=tuple(r.column_name for r in known if (r.importance or 0.0) >= NEGLIGIBLE),
        unimportant=tuple(r.column_name for r in known if (r.importance or 0.0) < NEGLIGIBLE),
        unknown_importance=tuple(r.column_name for r in drifted if r.importance is None),
        compared=sum(row.status == "ok" for row in rows),
    )


def _any_drifted(rows: Sequence[DriftRow], role: str) -> bool | None:
    found = [row.drifted for row in rows if row.role == role and row.status == "ok"]
    return any(found) if found else None


def _alarm(rows: Sequence[FindingRow]) -> bool | None:
    found = [row.alarm for row in rows if row.status == "ok"]
    return any(found) if found else None
