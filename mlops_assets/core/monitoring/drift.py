"""Has what the model sees moved away from what it was trained on?

For every captured feature, the prediction and, where known, the label: the population
stability index (PSI) between the serving version's training profile and a window of
captured predictions. A column has *drifted* only if the index passes a practical threshold
and is also larger than chance at the sizes at hand, adjusted over the report's columns.
Either condition alone cries wolf: a fixed threshold on few rows (PSI >= 0.1 on identical
distributions: 24 % of the time at 300 rows, 86 % at 100), a p-value on many.

Here: reports over days. The statistic and what chance gives are in ``psi``, how columns are
binned in ``profiles``; whether a drift matters enough to retrain belongs in ``retraining``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.monitoring import profiles
from mlops_assets.core.monitoring.drift_rows import DriftRow, importance_share, lasting, read
from mlops_assets.core.monitoring.monitoring import columns_of, replace_days, serving
from mlops_assets.core.monitoring.profiles import profile
from mlops_assets.core.monitoring.psi import adjust, psi
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.days import days

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import duckdb
    import numpy as np
    import pandas as pd

    from mlops_assets.vocabulary import DriftPolicy, Model, UseCase

__all__ = [
    "DriftRow",
    "adjust",
    "current_counts",
    "importance_share",
    "lasting",
    "measure_range",
    "profile",
    "psi",
    "read",
    "report",
    "write_range",
]

METHOD = "psi"


def measure_range(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, start: date, end: date
) -> list[DriftRow]:
    """Report every day from ``start`` to before ``end``.

    A day's window is the last ``model.drift.window`` days up to that day, and of those the
    predictions of the version serving that day, against that version's training data. A
    day without champion has no rows.
    """
    from mlops_assets.core import registry

    rows: list[DriftRow] = []
    served = serving(con, model.name, days(start, end))
    for version in sorted({v for v in served.values() if v is not None}):
        known = registry.get(con, model.name, version)
        its_days = [day for day, v in served.items() if v == version]
        counts = _Counts.load(con, model, version, known.reference, its_days)
        for day in its_days:
            rows += counts.report(day, known.importance)
    return sorted(rows, key=lambda row: row.window_end)


def report(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    model_version: int,
    reference: Mapping[str, Any],
    importance: Mapping[str, float],
    day: date,
) -> list[DriftRow]:
    """Report one day, of one version, against a profile."""
    return _Counts.load(con, model, model_version, reference, [day]).report(day, importance)


def current_counts(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    model_version: int,
    reference: Mapping[str, Any],
    day: date,
) -> dict[str, list[int]]:
    """Return the window's counts in the reference's bins, the missing last, for plots."""
    counts = _Counts.load(con, model, model_version, reference, [day])
    return {name: [int(n) for n in counts.window(name, day)] for name in counts.by_day}


def write_range(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    start: date,
    end: date,
    rows: Sequence[DriftRow],
) -> int:
    """Replace the stored reports of these days, in the caller's transaction."""
    return replace_days(con, "monitoring.drift", "window_end", model.name, start, end, rows)


@dataclass(frozen=True)
class _Counts:
    """Captured values of one version, counted by day in the bins of its profile."""

    model: Model
    version: int
    reference: Mapping[str, Any]
    first: date
    by_day: Mapping[str, np.ndarray]  # column -> (days, bins + 1)

    @classmethod
    def load(
        cls,
        con: duckdb.DuckDBPyConnection,
        model: Model,
        version: int,
        reference: Mapping[str, Any],
        wanted: Sequence[date],
    ) -> _Counts:
        """Count the days wanted and the windows before them."""
        import numpy as np

        first = min(wanted) - timedelta(days=model.drift.window - 1)
        size = (max(wanted) - first).days + 1
        frame = _captured(con, model, version, reference, first, max(wanted))
        by_day = {}
        for name, column in reference["columns"].items():
            if name in frame.columns:
                width = profiles.bins(column) + 1
                part = frame if column["role"] != "label" else frame[frame["labelled"]]
                ordinal = part["day"].to_numpy(int)
                bin_of = profiles.assign(column, part[name])
                flat = np.bincount(ordinal * width + bin_of, minlength=size * width)
                by_day[name] = flat.reshape(size, width)
        return cls(model, version, reference, first, by_day)

    def window(self, name: str, day: date) -> np.ndarray:
        """Return the counts of the window that ends on ``day``, shape (bins + 1,)."""
        last = (day - self.first).days
        return self.by_day[name][last - self.model.drift.window + 1 : last + 1].sum(axis=0)

    def report(self, day: date, importance: Mapping[str, float]) -> list[DriftRow]:
        rows = [
            self._row(name, column, day, importance)
            for name, column in self.reference["columns"].items()
        ]
        # Labels come later and may change. As a family of their own they leave the other
        # columns' adjusted p as it was on the day.
        labels = [pair for pair in rows if pair[0].role == "label"]
        others = [pair for pair in rows if pair[0].role != "label"]
        return _judge(others, self.model.drift) + _judge(labels, self.model.drift)

    def _row(
        self, name: str, column: Mapping[str, Any], day: date, importance: Mapping[str, float]
    ) -> tuple[DriftRow, float | None]:
        import numpy as np

        policy = self.model.drift
        reference = np.array([*column["counts"], column["nulls"]])
        current = self.window(name, day) if name in self.by_day else np.zeros_like(reference)
        shift = psi(reference, current, policy.alpha)
        row = DriftRow(
            model=self.model.name,
            version=self.version,
            window_start=day - timedelta(days=policy.window - 1),
            window_end=day,
            column_name=name,
            role=column["role"],
            slice="all",
            method=METHOD,
            value=shift.value,
            threshold=policy.columns.get(name, policy.threshold),
            null_quantile=shift.null_quantile,
            adjusted_p=None,
            drifted=False,
            importance=importance.get(name) if column["role"] == "feature" else None,
            n_reference=int(reference.sum()),
            n_current=int(current.sum()),
            status=shift.status,
        )
        return row, shift.p


def _judge(pairs: Sequence[tuple[DriftRow, float | None]], policy: DriftPolicy) -> list[DriftRow]:
    """Say which of a family of columns have drifted."""
    adjusted = iter(adjust([p for _, p in pairs if p is not None]))
    judged = []
    for row, p in pairs:
        if p is None or row.value is None or row.threshold is None:
            judged.append(row)
            continue
        q = next(adjusted)
        drifted = row.value >= row.threshold and q < policy.alpha
        judged.append(replace(row, adjusted_p=q, drifted=drifted))
    return judged


def _captured(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    version: int,
    reference: Mapping[str, Any],
    first: date,
    last: date,
) -> pd.DataFrame:
    """Read the profiled columns of a version's captured rows, with ``day`` from 0.

    The label, under its name in the profile, comes from the joined outcomes; ``labelled``
    says where it is known.
    """
    predictions = predictions_table(model)
    outcomes = f"capture.{model.name}__outcomes"
    there = columns_of(con, predictions)
    columns = reference["columns"]
    features = [n for n, c in columns.items() if c["role"] != "label" and n in there]
    labels = [n for n, c in columns.items() if c["role"] == "label"]
    if not there:
        import pandas as pd

        return pd.DataFrame({"day": [], "labelled": []}, dtype=object)
    selected = "".join(f", p.{sql.identifier(n)}" for n in features)
    join = ""
    if labels and columns_of(con, outcomes):
        selected += "".join(f", o.label AS {sql.identifier(n)}" for n in labels[:1])
        selected += ", o.label IS NOT NULL AS labelled"
        join = (
            f"LEFT JOIN {sql.table(outcomes)} o ON o.prediction_id = p.prediction_id "
            "AND o.partition_date = p.partition_date"
        )
    return con.execute(
        f"SELECT p.partition_date - $first::DATE AS day{selected} "
        f"FROM {sql.table(predictions)} p {join} "
        "WHERE p.partition_date BETWEEN $first AND $last AND p.model_version = $version",
        {"first": first, "last": last, "version": version},
    ).df()
