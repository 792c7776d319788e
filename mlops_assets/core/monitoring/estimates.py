"""How well is the version probably doing where labels are missing, and can that be believed?

For each window that has closed: what every method estimates, what came out once labels are known,
and the method's own error on the windows before. The methods belong in ``estimation``; an
estimate that has not been validated is shown and triggers nothing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from mlops_assets.core.estimation import Matured, Sample, ValidatedError, estimate, fit, validate
from mlops_assets.core.models import metrics
from mlops_assets.core.monitoring import reference_rows, window_rows
from mlops_assets.core.monitoring.monitoring import replace_days
from mlops_assets.core.monitoring.performance import ESTIMATED, PerformanceRow
from mlops_assets.core.serving.captured import ALL
from mlops_assets.core.storage import sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    import duckdb

    from mlops_assets.core.estimation import Estimate, Method
    from mlops_assets.core.monitoring.window_rows import Window
    from mlops_assets.vocabulary import Model, UseCase

#: By problem, the one that is shown first where it has an estimate.
METHODS: dict[str, tuple[Method, ...]] = {
    "binary": ("pape", "cbpe"),
    "multiclass": ("pape", "cbpe"),
    "regression": ("dle",),
}


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
    realised: float | None
    realised_n: int
    validated: bool
    mae: float | None
    bias: float | None
    coverage: float | None
    windows: int


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
    before = read(con, model, before=start)
    for window in windows:
        before += _window(con, model, window, folder, before)
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
) -> list[EstimateRow]:
    from mlops_assets.core import registry

    version = registry.get(con, model.name, window.version)
    reference = reference_rows.read(folder, model, version, "holdout")
    if reference is None:
        return []
    rows = window_rows.load(con, model, version, window)
    realised = (
        metrics.compute(model.problem, rows.scored.take(rows.labelled))
        if rows.labelled.any()
        else {}
    )
    unchanged = metrics.compute(model.problem, reference.scored)
    known = Sample(reference.scored, reference.features, reference.day)
    now = Sample(rows.scored, rows.features, rows.day)
    made = []
    for method in METHODS[model.problem]:
        errors = {
            metric: _error(model, before, method, metric, unchanged.get(metric))
            for metric in unchanged
        }
        for found in estimate(fit(model.problem, known, method), now, errors=errors):
            made.append(
                EstimateRow(
                    model=model.name,
                    version=window.version,
                    window_start=window.opens,
                    window_end=window.closes,
                    realised=_known(realised.get(found.metric)),
                    realised_n=int(rows.labelled.sum()),
                    unchanged=_known(unchanged.get(found.metric)),
                    **_columns(found),
                )
            )
    return made


def _error(
    model: Model, before: Sequence[EstimateRow], method: str, metric: str, usual: float | None
) -> ValidatedError:
    """Return a method's error so far; what it may be is the worsening one wants to see."""
    bound = None if usual is None else model.retrain.performance_drop * abs(usual)
    return validate(
        [
            Matured(*(math.nan if v is None else v for v in values))
            for row in before
            if (row.method, row.metric) == (method, metric)
            for values in [(row.value, row.low, row.high, row.realised, row.unchanged)]
        ],
        bound,
    )


def _columns(found: Estimate) -> dict[str, object]:
    error = found.error
    return {
        "metric": found.metric,
        "method": found.method,
        "value": _known(found.value),
        "low": _known(found.low),
        "high": _known(found.high),
        "n": found.n,
        "reference_n": found.reference_n,
        "status": found.status,
        "reason": found.reason or error.reason,
        "validated": found.validated,
        **{name: _known(asdict(error)[name]) for name in ("mae", "bias", "coverage")},
        "windows": error.windows,
    }


def _known(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)
