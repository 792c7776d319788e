"""How well is the version probably doing where labels are missing, and can that be believed?

For each window that has closed: what every method estimates, what came out once labels are known,
and the method's own error on the windows before. The methods belong in ``estimation``; an
estimate that has not been validated is shown and triggers nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from mlops_assets.core.estimation import (
    ESTIMABLE,
    Matured,
    Sample,
    ValidatedError,
    estimate,
    fit,
    validate,
)
from mlops_assets.core.models import metrics
from mlops_assets.core.monitoring import reference_rows, window_rows
from mlops_assets.core.monitoring.learnt_once import LearntOnce
from mlops_assets.core.monitoring.monitoring import replace_days
from mlops_assets.core.monitoring.performance import ESTIMATED, PerformanceRow
from mlops_assets.core.serving.captured import ALL
from mlops_assets.core.storage import sql
from mlops_assets.vocabulary import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from pathlib import Path

    import duckdb

    from mlops_assets.core.estimation import Fitted, Method
    from mlops_assets.core.monitoring.window_rows import Window, WindowRows
    from mlops_assets.core.registry import ModelVersion
    from mlops_assets.vocabulary import Model, UseCase

#: By problem, the one that is shown first where it has an estimate.
METHODS: dict[str, tuple[Method, ...]] = {
    "binary": ("pape", "cbpe"),
    "multiclass": ("pape", "cbpe"),
    "regression": ("dle",),
}

#: Some megabytes each.
_LEARNT: LearntOnce[_Learnt] = LearntOnce(most=4)


@dataclass(frozen=True)
class EstimateRow:
    """A row of ``monitoring.estimates``: one method's estimate of one metric of one window.

    Attributes
    ----------
    value, low, high
        As estimated; ``None`` where ``status`` says why.
    unchanged
        The metric on the version's holdout: what one would expect without an estimator.
    realised
        What came out, on the labels known so far.
    validated, mae, bias, coverage, windows
        The method's own error on the model's windows before this one.
    """

    model: str
    version: int
    window_start: date
    window_end: date
    metric: str
    method: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    reference_n: int
    status: str
    reason: str
    unchanged: float | None
    realised: float | None = None
    realised_n: int = 0
    validated: bool = False
    mae: float | None = None
    bias: float | None = None
    coverage: float | None = None
    windows: int = 0


def update(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    folder: Path,
) -> list[PerformanceRow]:
    """Estimate the windows that close in some days, replace the stored estimates of these days,
    and return those that are shown, as rows of performance. See ``measure_range``.
    """
    rows = measure_range(con, use_case, model, start, end, folder)
    replace_days(con, "monitoring.estimates", "window_end", model.name, start, end, rows)
    return [_performance(row) for row in shown(model, rows)]


def measure_range(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    folder: Path,
) -> list[EstimateRow]:
    """Estimate every window that closes from ``start`` to before ``end``.

    Parameters
    ----------
    folder
        Of the snapshots, beside which a version's reference rows are.
    """
    windows = window_rows.closed(con, use_case, model, start, end)
    stored = read(con, model, first=start)
    before = read(con, model, before=start)
    for window in windows:
        made = [row for row in stored if row.window_end == window.closes]
        before += _window(con, model, window, folder, before, made)
    return [row for row in before if row.window_end >= start]


def read(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    *,
    first: date | None = None,
    before: date | None = None,
) -> list[EstimateRow]:
    """Return the stored estimates, from ``first`` on and before ``before`` where given."""
    names = [f.name for f in fields(EstimateRow)]
    found = con.execute(
        f"SELECT {sql.identifiers(names)} FROM monitoring.estimates WHERE model = $model "
        "AND window_end >= coalesce($first, window_end) "
        "AND window_end < coalesce($before, window_end + 1) "
        "ORDER BY window_end, version, method, metric",
        {"model": model.name, "first": first, "before": before},
    ).fetchall()
    return [EstimateRow(*row) for row in found]


def shown(model: Model, rows: Sequence[EstimateRow]) -> list[EstimateRow]:
    """Return one estimate of the primary metric for each window: of the first method with one."""
    windows: dict[tuple[date, int], list[EstimateRow]] = {}
    for row in rows:
        if row.metric == model.metric:
            windows.setdefault((row.window_end, row.version), []).append(row)
    ranked = METHODS[model.problem]
    return [
        min(found, key=lambda row: (row.value is None, ranked.index(row.method)))  # type: ignore
        for found in windows.values()
    ]


def _performance(row: EstimateRow) -> PerformanceRow:
    status = "validated" if row.validated else "unvalidated"
    return PerformanceRow(
        model=row.model,
        version=row.version,
        window_start=row.window_start,
        window_end=row.window_end,
        slice=ALL,
        metric=row.metric,
        kind=ESTIMATED,
        value=row.value,
        low=row.low,
        high=row.high,
        n=row.n,
        label_join_rate=row.realised_n / row.n if row.n else None,
        status=row.status if row.value is None else status,
    )


def _window(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    window: Window,
    folder: Path,
    before: Sequence[EstimateRow],
    stored: Sequence[EstimateRow],
) -> list[EstimateRow]:
    from mlops_assets.core import registry

    version = registry.get(con, model.name, window.version)
    rows = window_rows.load(con, model, version, window)
    # Captured rows never change, and labels, which come later, are not estimated from.
    estimated = [row for row in stored if (row.version, row.n) == (window.version, len(rows))]
    if not estimated:
        estimated = _estimated(model, window, version, rows, folder)
    realised = (
        metrics.compute(model.problem, rows.scored.take(rows.labelled))
        if rows.labelled.any()
        else {}
    )
    made = []
    for row in estimated:
        error = _error(model, before, row)
        made.append(
            replace(
                row,
                realised=_known(realised.get(row.metric)),
                realised_n=int(rows.labelled.sum()),
                reason=row.reason if row.value is None else error.reason,
                validated=row.value is not None and error.validated,
                mae=_known(error.mae),
                bias=_known(error.bias),
                coverage=_known(error.coverage),
                windows=error.windows,
            )
        )
    return made


def _estimated(
    model: Model, window: Window, version: ModelVersion, rows: WindowRows, folder: Path
) -> list[EstimateRow]:
    """Return what each method estimates, before anything is known of how near it is."""
    learnt = _learnt(folder, model, version)
    if learnt is None:
        return []
    now = Sample(rows.scored, rows.features, rows.day)
    return [
        EstimateRow(
            model=model.name,
            version=window.version,
            window_start=window.opens,
            window_end=window.closes,
            metric=found.metric,
            method=found.method,
            value=_known(found.value),
            low=_known(found.low),
            high=_known(found.high),
            n=found.n,
            reference_n=found.reference_n,
            status=found.status,
            reason=found.reason,
            unchanged=_known(learnt.unchanged.get(found.metric)),
        )
        for method, fitted in learnt.methods.items()
        for found in estimate(fitted, now, _metrics(model, method))
    ]


@dataclass(frozen=True)
class _Learnt:
    """What a version's holdout has taught: its metrics, and each method fitted on it."""

    unchanged: Mapping[str, float]
    methods: Mapping[Method, Fitted]


def _learnt(folder: Path, model: Model, version: ModelVersion) -> _Learnt | None:
    """Return it; ``None``: no holdout was kept.

    Learnt once in a process: many windows are held against the same holdout.
    """
    path = reference_rows.file_of(folder, model.name, version.version)

    def learn() -> _Learnt | None:
        reference = reference_rows.read(folder, model, version, "holdout")
        if reference is None:
            return None
        known = Sample(reference.scored, reference.features, reference.day)
        return _Learnt(
            metrics.compute(model.problem, reference.scored),
            {method: fit(model.problem, known, method) for method in METHODS[model.problem]},
        )

    return _LEARNT.get((path, version.artifact_sha256), learn)


def _metrics(model: Model, method: Method) -> list[str]:
    """Return the metrics that are also realised, and that a method estimates."""
    return [m for m in METRICS[model.problem] if m in ESTIMABLE[method, model.problem]]


def _error(model: Model, before: Sequence[EstimateRow], now: EstimateRow) -> ValidatedError:
    """Return the method's error so far; what it may be is the worsening one wants to see."""
    usual = now.unchanged
    bound = None if usual is None else model.retrain.performance_drop * abs(usual)
    return validate(
        [
            Matured(*(math.nan if v is None else v for v in values))
            for row in before
            if (row.method, row.metric) == (now.method, now.metric)
            for values in [(row.value, row.low, row.high, row.realised, row.unchanged)]
        ],
        bound,
    )


def _known(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)
