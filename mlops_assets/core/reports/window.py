"""The report of a window that has closed: what to look at first, then all that was measured.

Put together from what the monitoring tables hold, so that it can be made again at any time.
Nothing is measured here; how a report looks belongs in ``documents``, what is said in its first
lines in ``attention``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from mlops_assets.core.documents import (
    Column,
    Document,
    Fact,
    Link,
    Section,
    Severity,
    Status,
    Table,
)
from mlops_assets.core.monitoring import drift, drift_rows, estimates, findings, performance
from mlops_assets.core.reports import parts
from mlops_assets.core.reports.drift import METHOD_NAMES, WHY_NOT, distributions, ranked
from mlops_assets.core.reports.performance import calibrations, metric_curve
from mlops_assets.core.serving.captured import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from mlops_assets.core.monitoring.drift_rows import DriftRow
    from mlops_assets.core.monitoring.estimates import EstimateRow
    from mlops_assets.core.monitoring.findings import FindingRow
    from mlops_assets.core.monitoring.performance import PerformanceRow
    from mlops_assets.core.monitoring.window_rows import Window
    from mlops_assets.vocabulary import Model, UseCase

#: Columns whose distributions are drawn.
MOST_DRAWN = 8


@dataclass(frozen=True)
class Known:
    """What the tables hold of one window.

    Attributes
    ----------
    performance
        The primary metric of the version over the window.
    drift
        Deciding rows of the last day.
    """

    model: Model
    window: Window
    performance: PerformanceRow
    estimates: Sequence[EstimateRow]
    drift: Sequence[DriftRow]
    findings: Sequence[FindingRow]

    @classmethod
    def read(
        cls, con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, window: Window
    ) -> Known:
        """Read it."""
        return cls(
            model=model,
            window=window,
            performance=performance.measure_window(
                con, use_case, model, window.version, window.opens, window.closes
            ),
            estimates=[
                row
                for row in estimates.read(con, model, first=window.closes)
                if row.window_end == window.closes and row.version == window.version
            ],
            drift=[
                row
                for row in drift_rows.read(
                    con, model, window.closes, window.closes, slice=ALL, reference=drift.TRAINING
                )
                if row.version == window.version
            ],
            findings=findings.read(con, model, window.closes, window.closes),
        )

    def answers(self, question: str) -> list[FindingRow]:
        """Return the findings that answer a question, in order."""
        return [row for row in self.findings if row.question == question]


def document(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, window: Window, run_id: str
) -> Document:
    """Return the report of a window."""
    known = Known.read(con, use_case, model, window)
    severity, lines = _conclusion(known)
    return Document(
        kind="monitoring",
        title=f"{model.name}, {window.opens:%d %B} to {window.closes:%d %B %Y}",
        model=model.name,
        version=window.version,
        window_start=window.opens,
        window_end=window.closes,
        severity=severity,
        conclusion=lines,
        sections=[
            _what_to_look_at(known),
            _performance(con, known),
            _drift(con, known),
            _together(known),
        ],
        links=[Link("Row of the JSON form of this report", f"{window.closes.isoformat()}.json")],
        facts=[Fact("run", run_id)],
    )


def _what_to_look_at(known: Known) -> Section:
    slices = [row for row in known.answers("worst_slice") if row.subject]
    searched = next(iter(known.answers("worst_slice")), None)
    metric = known.model.metric
    why = "No slice is surely worse than the rest."
    if searched is not None and searched.status not in ("ok", "searched"):
        why = searched.known.get("reason") or f"Not searched: {searched.status}."
    return Section(
        "What to look at",
        "Slices were searched over the model's features and pairs of them; what is named is worse "
        "than the other rows by more than the search itself would find by chance.",
        tables=[
            Table(
                "Worst slices",
                [
                    Column("slice"),
                    Column("rows", "number"),
                    Column("loss", "number", description="mean loss of a row in the slice"),
                    Column("elsewhere", "number"),
                    Column("worse by", "interval", description="95 % interval, by day"),
                    Column("explains", "percent", description="of all loss"),
                ],
                [
                    [
                        row.subject,
                        row.n,
                        row.value,
                        row.known["rest"],
                        (row.known["low"], row.known["high"]),
                        row.known["explained"],
                    ]
                    for row in slices
                ],
                empty=why,
            ),
            Table(
                "Largest single errors",
                [
                    Column("predicted", "number"),
                    Column("came true"),
                    Column("loss", "number"),
                    Column("row"),
                    Column("explain it", "code"),
                ],
                [
                    [
                        _number(row.known["prediction"] if row.known["score"] is None
                                else row.known["score"]),
                        str(row.known["truth"]),
                        row.value,
                        row.known["row_key"],
                        f"mlops-assets explain {row.subject}",
                    ]
                    for row in known.answers("largest_error")
                ],
                note=f"{metric} of single rows.",
                empty="No label is known yet.",
            ),
        ],
    )  # fmt: skip


def _performance(con: duckdb.DuckDBPyConnection, known: Known) -> Section:
    model, window = known.model, known.window
    drawn = metric_curve(con, model, window.closes)
    figures = [] if drawn is None else [drawn]
    figures += calibrations(con, model, window.opens, window.closes)
    return Section(
        "Performance",
        "Realised on the labels known so far, estimated where they are missing. An estimate is "
        "validated once its method was near enough on windows that have matured; only then it may "
        "trigger anything.",
        tables=[
            Table(
                "This window, estimated and realised",
                [
                    Column("metric"),
                    Column("method"),
                    Column("estimated", "number"),
                    Column("may be", "interval"),
                    Column("realised", "number"),
                    Column("on the holdout", "number"),
                    Column("own error", "number", description="mean absolute, windows before"),
                    Column("trust", "status"),
                ],
                [
                    [
                        row.metric,
                        row.method.upper(),
                        row.value,
                        None if row.low is None or row.high is None else (row.low, row.high),
                        row.realised,
                        row.unchanged,
                        row.mae,
                        Status(Severity.OK, "validated")
                        if row.validated
                        else Status(Severity.UNKNOWN, row.reason),
                    ]
                    for row in known.estimates
                ],
                empty="The version's holdout was not kept: nothing is estimated.",
            )
        ],
        figures=figures,
    )


def _drift(con: duckdb.DuckDBPyConnection, known: Known) -> Section:
    moved = [row for row in known.drift if row.drifted]
    shown = ranked(list(known.drift))
    policy = known.model.drift
    return Section(
        "Columns that have moved",
        "Training data of the version against this window. A column has drifted if it moved far "
        "enough to matter, further than chance allows over all columns"
        + (
            ", and further than any window of the training data itself."
            if policy.beyond_training
            else "."
        ),
        tables=[
            Table(
                "Columns",
                [
                    Column("column"),
                    Column("role"),
                    Column("moved by", "number", bar=True),
                    Column("measured as"),
                    Column("limit", "number"),
                    Column("usual", "number", description="most among the training's windows"),
                    Column("by chance", "number"),
                    Column("adjusted p", "number"),
                    Column("importance", "percent", description="for the model"),
                    Column("verdict", "status"),
                ],
                [
                    [
                        row.column_name,
                        row.role,
                        row.value,
                        METHOD_NAMES.get(row.method, row.method),
                        row.threshold,
                        row.usual,
                        row.null_quantile,
                        row.adjusted_p,
                        row.importance,
                        _verdict(row),
                    ]
                    for row in shown
                ],
                empty="Nothing was predicted in this window.",
            )
        ],
        figures=distributions(con, known.model, ranked(moved)[:MOST_DRAWN] or shown[:1]),
    )


def _verdict(row: DriftRow) -> Status:
    if row.drifted:
        return Status(Severity.WARNING, "drifted")
    if None not in (row.value, row.threshold, row.usual) and (
        row.threshold <= row.value <= row.usual  # type: ignore[operator]
    ):
        return Status(Severity.OK, "as training weeks")
    if row.status in ("ok", "constant"):
        return Status(Severity.OK, WHY_NOT.get(row.status, "as before"))
    return Status(Severity.UNKNOWN, WHY_NOT.get(row.status, row.status))


def _together(known: Known) -> Section:
    names = {
        "domain_classifier": "can new rows be told from training rows?",
        "pca_reconstruction": "do columns still go together?",
        "page_hinkley": "do rows like these still cost what they cost?",
    }
    rows = [*known.answers("rows_moved"), *known.answers("concept_changed")]
    separating = next((row.known["separating"] for row in known.answers("rows_moved")), [])
    points = [
        f"{one['column']} tells new rows from training rows"
        + (f", together with {one['with']}" if one["with"] else "")
        + f" ({parts.percent(one['share'])} of the difference)."
        for one in separating
    ]
    return Section(
        "Columns together, and what they mean",
        "Rows as a whole may move where no column does; and the same rows may come to mean "
        "something else, which only labels show.",
        points=points,
        tables=[
            Table(
                "Questions",
                [
                    Column("question"),
                    Column("measured by"),
                    Column("value", "number"),
                    Column("limit", "number"),
                    Column("by chance", "number"),
                    Column("rows", "number"),
                    Column("answer", "status"),
                ],
                [
                    [
                        names.get(row.method, row.question),
                        row.method.replace("_", " "),
                        row.value,
                        row.threshold,
                        row.null_quantile,
                        row.n,
                        _answer(row),
                    ]
                    for row in rows
                ],
                empty="Not looked at: the version's reference rows were not kept.",
            )
        ],
    )


def _answer(row: FindingRow) -> Status:
    if row.status != "ok":
        return Status(Severity.UNKNOWN, row.status.replace("_", " "))
    if not row.alarm:
        return Status(Severity.OK, "no change")
    if row.question == "concept_changed":
        since, worse = row.known["since"], row.known["worse"]
        return Status(Severity.PROBLEM, f"{'worse' if worse else 'better'} since {since}")
    return Status(Severity.WARNING, "moved")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _conclusion(known: Known) -> tuple[Severity, tuple[str, ...]]:
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
