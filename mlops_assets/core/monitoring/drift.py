"""Has what the model sees moved away from what it was trained on?

For every captured feature, the prediction and, where known, the label: the serving version's
training data against a window of captured predictions. When a column has *drifted* is said by
``DriftPolicy``; a fixed threshold alone cries wolf on few rows (PSI >= 0.1 on identical
distributions: 24 % of the time at 300 rows, 86 % at 100), a p-value alone on many, and both
whenever a season comes round.

Here: reports over days. How two columns are compared, and what chance gives, belongs in
``drift_methods``, what is known of the training data in ``training_profile``; whether a drift
matters enough to retrain in ``retraining``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.drift_methods import ColumnShift, Status, compare
from mlops_assets.core.monitoring.drift_rows import DriftRow
from mlops_assets.core.monitoring.monitoring import columns_of, replace_days, serving
from mlops_assets.core.monitoring.training_profile import TrainingProfile
from mlops_assets.core.serving.captured import ALL
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.days import days

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    import duckdb
    import numpy as np
    import pandas as pd

    from mlops_assets.vocabulary import DriftPolicy, Model, UseCase

TRAINING = "training"


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
        profile = TrainingProfile.from_json(registry.training_profile(con, model.name, version))
        importance = registry.get(con, model.name, version).importance
        its_days = [day for day, v in served.items() if v == version]
        first = its_days[0] - timedelta(days=model.drift.window - 1)
        seen = Seen.load(con, model, version, profile, first, its_days[-1])
        for day in its_days:
            rows += report(model, version, profile, seen, importance, day)
    return sorted(rows, key=lambda row: row.window_end)


def report(
    model: Model,
    version: int,
    profile: TrainingProfile,
    seen: Seen,
    importance: Mapping[str, float],
    day: date,
) -> list[DriftRow]:
    """Report one day, of one version, against its training data."""
    policy = model.drift
    opens = day - timedelta(days=policy.window - 1)
    rows = []
    # Labels come later and may change. As a family of their own they leave the other
    # columns' adjusted p as it was on the day.
    for labels in (False, True):
        shifts = compare(
            profile.columns,
            seen.between(opens, day, labels=labels),
            columns=profile.names(labels=labels),
            methods=policy.methods,
            decide=policy.decide,
            thresholds=_thresholds(profile, policy),
            alpha=policy.alpha,
            chance_of_all=False,
            threads=1,
        )
        for shift in shifts.columns:
            for row in _rows(shift, profile, policy):
                rows.append(
                    DriftRow(
                        model=model.name,
                        version=version,
                        window_start=opens,
                        window_end=day,
                        slice=ALL,
                        reference=TRAINING,
                        importance=importance.get(shift.column),
                        **row,
                    )
                )
    return rows


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
class Seen:
    """What one version was given, said and turned out to face, in order of days.

    Attributes
    ----------
    first
        The first day.
    day
        Days since the first, ascending, shape (n,).
    frame
        The profiled columns that were captured, one row for each prediction.
    labelled
        Whether the label is known, shape (n,).
    """

    first: date
    day: np.ndarray
    frame: pd.DataFrame
    labelled: np.ndarray
    label: str | None

    @classmethod
    def load(
        cls,
        con: duckdb.DuckDBPyConnection,
        model: Model,
        version: int,
        profile: TrainingProfile,
        first: date,
        last: date,
    ) -> Seen:
        """Read the days from ``first`` to ``last``, both inclusive."""
        import pandas as pd

        frame = _captured(con, model, version, profile, first, last)
        day, labelled = frame.pop("day").to_numpy(int), frame.pop("labelled").to_numpy(bool)
        for name in frame.columns:
            if pd.api.types.is_object_dtype(frame[name]) or isinstance(
                frame[name].dtype, pd.StringDtype
            ):
                # Told apart once, not for every day that a window passes over.
                frame[name] = frame[name].astype("category")
        labels = profile.names(labels=True)
        return cls(first, day, frame, labelled, labels[0] if labels else None)

    def between(self, opens: date, closes: date, *, labels: bool) -> pd.DataFrame:
        """Return the rows of some days, both inclusive: their label, or all but it."""
        low, high = self.day.searchsorted(
            [(opens - self.first).days, (closes - self.first).days + 1], "left"
        )
        if not labels:
            kept = [name for name in self.frame.columns if name != self.label]
            return self.frame[kept].iloc[low:high]
        kept = [name for name in self.frame.columns if name == self.label]
        return self.frame[kept].iloc[low:high][self.labelled[low:high]]


def _rows(
    shift: ColumnShift, profile: TrainingProfile, policy: DriftPolicy
) -> Iterator[dict[str, object]]:
    """Yield what ``monitoring.drift`` holds of a column's comparison, one row for each method."""
    usual = profile.usual.get(shift.column) if policy.beyond_training else None
    common = {
        "column_name": shift.column,
        "role": profile.role(shift.column),
        "n_reference": shift.reference.values,
        "n_current": shift.current.values,
    }
    if not shift.methods:
        yield common | {
            "method": "none",
            "decides": True,
            "value": None,
            "threshold": None,
            "usual": usual,
            "null_quantile": None,
            "adjusted_p": None,
            "drifted": False,
            "status": shift.status.value,
        }
    for found in shift.methods:
        decides = found.method == shift.decided_by
        more = usual is None or (found.value is not None and found.value > usual)
        # Of a column's own state the method says nothing: constant, too few rows.
        status = shift.status if found.status is Status.OK else found.status
        yield common | {
            "method": found.method,
            "decides": decides,
            "value": found.value,
            "threshold": found.threshold,
            "usual": usual if decides else None,
            "null_quantile": found.null_quantile,
            "adjusted_p": shift.adjusted_p if decides else None,
            "drifted": decides and shift.drifted and more,
            "status": status.value,
        }


def _thresholds(profile: TrainingProfile, policy: DriftPolicy) -> dict[str, float]:
    """Return the declared threshold of each column that has one, by its name or its kind."""
    found = {}
    for name, side in profile.columns.columns.items():
        declared = policy.thresholds.get(name, policy.thresholds.get(side.kind.value))
        if declared is not None:
            found[name] = declared
    return found


def _captured(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    version: int,
    profile: TrainingProfile,
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
    features = [name for name in profile.names(labels=False) if name in there]
    labels = profile.names(labels=True)
    if not there:
        import pandas as pd

        return pd.DataFrame({"day": [], "labelled": []}, dtype=object)
    selected = "".join(f", p.{sql.identifier(n)}" for n in features)
    join, labelled = "", "false"
    if labels and columns_of(con, outcomes):
        selected += "".join(f", o.label AS {sql.identifier(n)}" for n in labels[:1])
        labelled = "o.label IS NOT NULL"
        join = (
            f"LEFT JOIN {sql.table(outcomes)} o ON o.prediction_id = p.prediction_id "
            "AND o.partition_date = p.partition_date"
        )
    return con.execute(
        f"SELECT p.partition_date - $first::DATE AS day, {labelled} AS labelled{selected} "
        f"FROM {sql.table(predictions)} p {join} "
        "WHERE p.partition_date BETWEEN $first AND $last AND p.model_version = $version "
        "ORDER BY p.partition_date",
        {"first": first, "last": last, "version": version},
    ).df()
