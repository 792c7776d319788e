"""What the monitoring tables hold of one window, read once for its report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.monitoring import drift, drift_rows, estimates, findings, performance
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
