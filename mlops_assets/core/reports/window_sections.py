"""The parts of a window's report, each a question, its table and its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_assets.core.documents import Column, Section, Severity, Status, Table
from mlops_assets.core.reports import parts
from mlops_assets.core.reports.drift import METHOD_NAMES, WHY_NOT, distributions, ranked
from mlops_assets.core.reports.performance import calibrations, metric_curve

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.monitoring.drift_rows import DriftRow
    from mlops_assets.core.monitoring.findings import FindingRow
    from mlops_assets.core.reports.window_known import Known

#: Columns whose distributions are drawn.
MOST_DRAWN = 8


def what_to_look_at(known: Known) -> Section:
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


def performance(con: duckdb.DuckDBPyConnection, known: Known) -> Section:
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


def drift(con: duckdb.DuckDBPyConnection, known: Known) -> Section:
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


def together(known: Known) -> Section:
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
