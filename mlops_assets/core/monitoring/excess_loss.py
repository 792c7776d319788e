"""Does the label still depend on the features as it did when the version was evaluated?

Each day's losses beyond what rows like these cost in the version's holdout, kept by day, and a
watch over them since the version began to serve. How a day's excess is taken and when a watch
raises an alarm belongs in ``concept_drift``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING

from mlops_assets.core.concept_drift import ExpectedLoss, Losses, Unit, Verdict, Watch, fit
from mlops_assets.core.concept_drift.expected import SCORE_LOSSES, under_score
from mlops_assets.core.models.scored import Scored, row_losses
from mlops_assets.core.monitoring import reference_rows
from mlops_assets.core.monitoring.learnt_once import LearntOnce
from mlops_assets.core.storage import sql
from mlops_assets.vocabulary import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb
    import numpy as np
    import pandas as pd

    from mlops_assets.core.monitoring.reference_rows import ReferenceRows
    from mlops_assets.core.monitoring.window_rows import Window, WindowRows
    from mlops_assets.core.registry import ModelVersion
    from mlops_assets.vocabulary import Model


DETECTOR = "page_hinkley"
_LEARNT: LearntOnce[Expected] = LearntOnce(most=8)


@dataclass(frozen=True)
class ExcessRow:
    """A row of ``monitoring.excess_loss``: one day of one version.

    Attributes
    ----------
    metric
        Whose row losses are meant, see ``loss_of``.
    n, total, squares, foreign_rows, uncertain
        See ``concept_drift.Unit``.
    """

    model: str
    version: int
    day: date
    metric: str
    n: int
    total: float
    squares: float
    foreign_rows: int
    uncertain: float

    @property
    def unit(self) -> Unit:
        """The day, as a watch takes it."""
        return Unit(
            self.day.isoformat(),
            self.n,
            self.total,
            self.squares,
            self.foreign_rows,
            self.uncertain,
        )


def loss_of(model: Model) -> str:
    """Return the metric whose row losses are looked at: the primary one, if it is a mean of rows.

    Otherwise the first of the problem's that is, and of which less is better.
    """
    of_rows = {
        "binary": ("log_loss", "brier"),
        "multiclass": ("log_loss",),
        "regression": ("mae",),
    }[model.problem]
    return model.metric if model.metric in of_rows else next(
        name for name in METRICS[model.problem] if name in of_rows
    )  # fmt: skip


def row_loss(model: Model, scored: Scored) -> np.ndarray:
    """Return what each row's prediction has cost, shape (n,); NaN where the label is missing."""
    losses = row_losses(model.problem, loss_of(model), scored)
    assert losses is not None
    return losses


@dataclass(frozen=True)
class Expected:
    """What rows cost in a version's holdout, and how its days varied."""

    model: Model
    learnt: ExpectedLoss
    days: Sequence[Unit]

    @classmethod
    def of(cls, model: Model, reference: ReferenceRows) -> Expected:
        """Learn it from the holdout."""
        days = _iso_days(reference.day)
        learnt, own = fit(_losses(model, days, reference.scored, reference.features))
        return cls(model, learnt, own)

    def rows(self, window: Window, rows: WindowRows) -> list[ExcessRow]:
        """Return the excess of each day of a window."""
        known = rows.labelled
        found = self.learnt.excess(
            _losses(
                self.model,
                _iso_days(rows.day[known]),
                rows.scored.take(known),
                rows.features[known],
            )
        )
        return [
            ExcessRow(
                model=self.model.name,
                version=window.version,
                day=date.fromisoformat(str(unit.when)),
                metric=loss_of(self.model),
                n=unit.n,
                total=unit.total,
                squares=unit.squares,
                foreign_rows=unit.foreign,
                uncertain=unit.uncertain,
            )
            for unit in found
        ]

    def verdict(self, days: Sequence[ExcessRow]) -> Verdict | None:
        """Return what is known after the last of a version's days; ``None``: there is none."""
        if not days:
            return None
        watch = Watch.begin(self.days, self.learnt.mean_loss, detector=DETECTOR)
        verdicts = watch.run(row.unit for row in sorted(days, key=lambda row: row.day))
        # A day that cannot be judged leaves what is known as it was.
        return next((said for said in reversed(verdicts) if said.status == "ok"), verdicts[-1])


def expected(folder: Path, model: Model, version: ModelVersion) -> Expected | None:
    """Return what a version's holdout says rows cost; ``None``: it was not kept.

    Learnt once in a process: many windows are held against the same holdout.

    Parameters
    ----------
    folder
        Of the snapshots.
    """
    path = reference_rows.file_of(folder, model.name, version.version)

    def learn() -> Expected | None:
        holdout = reference_rows.read(folder, model, version, "holdout")
        return None if holdout is None else Expected.of(model, holdout)

    return _LEARNT.get((path, version.artifact_sha256), learn)


def read(
    con: duckdb.DuckDBPyConnection, model: Model, version: int, before: date
) -> list[ExcessRow]:
    """Return a version's stored days before a day, in order."""
    names = [f.name for f in fields(ExcessRow)]
    found = con.execute(
        f"SELECT {sql.identifiers(names)} FROM monitoring.excess_loss "
        "WHERE model = $model AND version = $version AND day < $before ORDER BY day",
        {"model": model.name, "version": version, "before": before},
    ).fetchall()
    return [ExcessRow(*row) for row in found]


def _losses(model: Model, days: np.ndarray, scored: Scored, features: pd.DataFrame) -> Losses:
    name, said = loss_of(model), scored.prediction
    expects = None
    if scored.score is not None:
        said = scored.score
        if name in SCORE_LOSSES:
            expects = under_score(name, scored.score)
    elif scored.scores is not None:
        said = scored.scores.max(axis=1)
    return Losses(days, row_loss(model, scored), said, features, expects)


def _iso_days(numbers: np.ndarray) -> np.ndarray:
    """Return days since 1970 as ISO dates, which order as they do."""
    import numpy as np

    return np.asarray(numbers).astype("datetime64[D]").astype(str)
