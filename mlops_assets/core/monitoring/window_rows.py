"""The captured rows of one version in one window, whole: for what looks at rows, not columns.

Days on which a window *closes* follow each other by the length of a window from the use case's
first day on, so that windows do not overlap and each row is looked at once. What is measured
column by column, every day, is in ``drift``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.monitoring.monitoring import columns_of, serving
from mlops_assets.core.scoring import scoring
from mlops_assets.core.serving.captured import scored_by
from mlops_assets.core.serving.outcomes import outcomes_table
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.days import days

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd

    from mlops_assets.core.models.scored import Scored
    from mlops_assets.core.registry import ModelVersion
    from mlops_assets.vocabulary import Model, UseCase


@dataclass(frozen=True)
class Window:
    """A window that has closed, and the version that served its last day."""

    opens: date
    closes: date
    version: int


@dataclass(frozen=True)
class WindowRows:
    """Rows in order of days; of each its features as used, what was said, and what came true.

    Attributes
    ----------
    keys
        ``prediction_id``, ``row_key`` and ``as_of``.
    day
        Days since 1970, shape (n,).
    features
        As the version takes them.
    scored
        A label that is not known is None, or NaN in a regression.
    labelled
        Whether it is known, shape (n,).
    """

    keys: pd.DataFrame
    day: np.ndarray
    features: pd.DataFrame
    scored: Scored
    labelled: np.ndarray

    def __len__(self) -> int:
        return len(self.day)


def closed(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, start: date, end: date
) -> list[Window]:
    """Return the windows that close from ``start`` to before ``end`` with a champion serving."""
    length = model.drift.window
    served = serving(con, model.name, days(start, end))
    return [
        Window(day - timedelta(days=length - 1), day, version)
        for day, version in served.items()
        if version is not None and ((day - use_case.start).days + 1) % length == 0
    ]


def load(
    con: duckdb.DuckDBPyConnection, model: Model, version: ModelVersion, window: Window
) -> WindowRows:
    """Read the rows that a version predicted in a window."""
    predictions, outcomes = predictions_table(model), outcomes_table(model)
    names = [given["name"] for given in version.signature["inputs"]]
    there = columns_of(con, predictions)
    selected = [name for name in ("prediction", "score", "scores") if name in there]
    label, join = "NULL", ""
    if columns_of(con, outcomes):
        label = "o.label"
        join = (
            f"LEFT JOIN {sql.table(outcomes)} o ON o.prediction_id = p.prediction_id "
            "AND o.partition_date = p.partition_date"
        )
    frame = con.execute(
        "SELECT p.prediction_id, p.row_key, p.as_of, p.partition_date - DATE '1970-01-01' AS day, "
        f"{sql.identifiers(selected, 'p.')}, {label} AS label, {sql.identifiers(names, 'p.')} "
        f"FROM {sql.table(predictions)} p {join} WHERE p.model_version = $version "
        "AND p.partition_date BETWEEN $opens AND $closes ORDER BY p.partition_date, p.row_key",
        {"version": version.version, "opens": window.opens, "closes": window.closes},
    ).df()
    return WindowRows(
        keys=frame[["prediction_id", "row_key", "as_of"]],
        day=frame["day"].to_numpy(int),
        features=scoring.prepare(frame[names], version.signature),
        scored=scored_by(con, model, version.version, frame),
        labelled=frame["label"].notna().to_numpy(),
    )
