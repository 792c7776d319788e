"""What looking at a window's rows whole has found: each finding once, in one table.

A finding answers a question about a window as a whole: have the rows moved together, has the
relation of features and label changed, where is the model worst. How each is measured belongs in
``multivariate``, ``concept_drift`` and ``attention``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.attention import LargestError, SliceSearch, largest_errors, worst_slices
from mlops_assets.core.monitoring import excess_loss, reference_rows, window_rows
from mlops_assets.core.monitoring.monitoring import replace_days
from mlops_assets.core.multivariate import compare
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.records import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from mlops_assets.core.concept_drift import Verdict
    from mlops_assets.core.monitoring.window_rows import Window, WindowRows
    from mlops_assets.core.registry import ModelVersion
    from mlops_assets.vocabulary import Model, UseCase

#: Single errors that are kept of a window.
LARGEST = 10


@dataclass(frozen=True)
class FindingRow:
    """A row of ``monitoring.findings``: one answer about one window.

    Attributes
    ----------
    question
        ``rows_moved``, ``concept_changed``, ``worst_slice`` or ``largest_error``.
    method
        Of measuring; of a slice or an error its rank.
    subject
        What was found: a slice in words, the id of a prediction; empty for the window itself.
    value, threshold, null_quantile, adjusted_p
        Where the question has them; of a slice and an error ``value`` is the loss.
    n
        Rows that the answer rests on.
    alarm
        Whether it is one.
    status
        Whether it could be answered, and if not, why.
    details
        JSON, whatever else is known.
    """

    model: str
    version: int
    window_start: date
    window_end: date
    question: str
    method: str
    subject: str
    value: float | None
    threshold: float | None
    null_quantile: float | None
    adjusted_p: float | None
    n: int
    alarm: bool
    status: str
    details: str

    @property
    def known(self) -> dict[str, Any]:
        """The details."""
        return json.loads(self.details)


def update(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    folder: Path,
) -> list[FindingRow]:
    """Look at every window that closes from ``start`` to before ``end``, and replace what is
    stored of these days, in the caller's transaction.

    Parameters
    ----------
    folder
        Of the snapshots, beside which a version's reference rows are.
    """
    found: list[FindingRow] = []
    stored = read(con, model, start, end - timedelta(days=1))
    for window in window_rows.closed(con, use_case, model, start, end):
        before = [row for row in stored if row.window_end == window.closes]
        found += _window(con, model, window, folder, before)
    replace_days(con, "monitoring.findings", "window_end", model.name, start, end, found)
    return found


def read(con: duckdb.DuckDBPyConnection, model: Model, first: date, last: date) -> list[FindingRow]:
    """Return the findings of the windows that closed from ``first`` to ``last``, inclusive."""
    names = [f.name for f in fields(FindingRow)]
    found = con.execute(
        f"SELECT {sql.identifiers(names)} FROM monitoring.findings WHERE model = $model "
        "AND window_end BETWEEN $first AND $last ORDER BY window_end, question, method, subject",
        {"model": model.name, "first": first, "last": last},
    ).fetchall()
    return [FindingRow(*row) for row in found]


def _window(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    window: Window,
    folder: Path,
    before: Sequence[FindingRow],
) -> list[FindingRow]:
    from mlops_assets.core import registry

    version = registry.get(con, model.name, window.version)
    rows = window_rows.load(con, model, version, window)
    expected = excess_loss.expected(folder, model, version)
    if expected is None or not len(rows):
        return []
    days = expected.rows(window, rows)
    replace_days(
        con, "monitoring.excess_loss", "day", model.name,
        window.opens, window.closes + timedelta(days=1), days,
    )  # fmt: skip
    days = [*excess_loss.read(con, model, window.version, window.opens), *days]
    made = _Made(model, window)
    return [
        *(_unchanged(before, window, len(rows)) or made.rows_moved(folder, version, rows)),
        *made.concept_changed(expected.verdict(days)),
        *made.looked_at(rows, version.importance),
    ]


def _unchanged(before: Sequence[FindingRow], window: Window, rows: int) -> list[FindingRow]:
    """Return what was found of the same rows before: captured rows never change, and labels,
    which come later, are not looked at.
    """
    found = [row for row in before if row.question == "rows_moved"]
    same = all((row.version, row.known["rows"]) == (window.version, rows) for row in found)
    return found if same else []


@dataclass(frozen=True)
class _Made:
    """Makes the rows of one window."""

    model: Model
    window: Window

    def _row(self, question: str, method: str, subject: str = "", **found: Any) -> FindingRow:
        details = found.pop("details", {})
        empty = dict.fromkeys(("value", "threshold", "null_quantile", "adjusted_p"))
        return FindingRow(
            model=self.model.name,
            version=self.window.version,
            window_start=self.window.opens,
            window_end=self.window.closes,
            question=question,
            method=method,
            subject=subject,
            details=json.dumps(plain(details), sort_keys=True),
            **{**empty, "alarm": False, "status": "ok", **found},
        )

    def rows_moved(self, folder: Path, version: ModelVersion, rows: WindowRows) -> list[FindingRow]:
        train = reference_rows.read(folder, self.model, version, "train")
        if train is None:
            return []
        shift = compare(
            train.features.assign(_day=train.day),
            rows.features.assign(_day=rows.day),
            blocks="_day",
            alpha=self.model.drift.alpha,
        )
        separating = [
            {"column": one.column, "share": one.share, "with": one.with_column}
            for one in shift.separating
        ]
        return [
            self._row(
                "rows_moved",
                one.method,
                value=one.value,
                threshold=one.threshold,
                null_quantile=one.null_quantile,
                adjusted_p=one.adjusted_p,
                n=one.n_current,
                alarm=one.drifted,
                status=one.status.value,
                details={
                    "separating": separating,
                    "n_reference": one.n_reference,
                    "rows": len(rows),
                },
            )
            for one in shift.detections
        ]

    def concept_changed(self, verdict: Verdict | None) -> list[FindingRow]:
        if verdict is None:
            return [self._row("concept_changed", excess_loss.DETECTOR, n=0, status="no_labels")]
        return [
            self._row(
                "concept_changed",
                excess_loss.DETECTOR,
                value=verdict.evidence,
                threshold=None if verdict.evidence is None else 1.0,
                n=verdict.n,
                alarm=verdict.drifted,
                status=verdict.status.value,
                details={
                    "worse": verdict.worse,
                    "since": verdict.since,
                    "relative": verdict.relative,
                    "metric": excess_loss.loss_of(self.model),
                },
            )
        ]

    def looked_at(self, rows: WindowRows, importance: Mapping[str, float]) -> list[FindingRow]:
        """The worst slices, and the largest single errors."""
        known = rows.labelled
        if not known.any():
            return [self._row("worst_slice", "none", n=0, status="no_labels")]
        loss = excess_loss.row_loss(self.model, rows.scored.take(known))
        # What a model relies on is searched first, and paired.
        columns = sorted(rows.features.columns, key=lambda name: -importance.get(name, 0.0))
        search = worst_slices(rows.features[known], loss, columns, day=rows.day[known])
        keys = rows.keys[known].assign(
            prediction=rows.scored.prediction[known],
            label=rows.scored.label[known],
            score=None if rows.scored.score is None else rows.scored.score[known],
        )
        said = None if rows.scored.score is None else "score"
        largest = largest_errors(keys, loss, LARGEST, score=said)
        return [*self._slices(search), *self._errors(largest)]

    def _slices(self, search: SliceSearch) -> list[FindingRow]:
        about = {"searched": search.searched, "days": search.days}
        if not search.slices:
            return [
                self._row(
                    "worst_slice", "none", n=search.rows, status=search.status,
                    details={**about, "reason": search.reason},
                )
            ]  # fmt: skip
        return [
            self._row(
                "worst_slice",
                str(rank),
                found.text,
                value=found.mean,
                adjusted_p=found.p,
                n=found.rows,
                alarm=True,
                details={
                    **about,
                    "rest": found.rest,
                    "excess": found.excess,
                    "low": found.low,
                    "high": found.high,
                    "share": found.share,
                    "explained": found.explained,
                },
            )
            for rank, found in enumerate(search.slices, 1)
        ]

    def _errors(self, errors: Sequence[LargestError]) -> list[FindingRow]:
        return [
            self._row(
                "largest_error",
                f"{one.rank:02}",
                one.prediction_id,
                value=one.loss,
                n=1,
                details={
                    "row_key": one.row_key,
                    "prediction": one.prediction,
                    "score": one.score,
                    "truth": one.truth,
                },
            )
            for one in errors
        ]
