"""What a retraining decision rests on, read from the tables as it was when the day ended.

A decision can be taken again at any time with the same result: labels count only if they
were known when the day ended, the champion is the one that served that day, an attempt is
an earlier decision to retrain, and it has failed as long as no promotion has taken effect.
That an attempt was refused at some hour of the clock is not looked at, since a range of days
is decided before the first of its attempts is made.

What follows from the evidence belongs in ``retraining``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from mlops_assets.core import registry
from mlops_assets.core.monitoring import drift_rows
from mlops_assets.core.monitoring.monitoring import serving
from mlops_assets.core.retraining.evidence import Drifted, Evidence, Realised, worsening
from mlops_assets.core.serving.captured import Captured
from mlops_assets.core.serving.outcomes import outcomes_table
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.days import day_start, days
from mlops_assets.core.storage.relations import table_exists

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    from mlops_assets.vocabulary import Model, UseCase

CONFIDENCE = 0.95


def gather(con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, day: date) -> Evidence:
    """Return the evidence of one day."""
    return Gathered.load(con, use_case, model, day, day + timedelta(days=1)).evidence(day)


@dataclass(frozen=True)
class _Holdout:
    """Where a version stood when it was promoted."""

    cutoff: date | None
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Gathered:
    """What the evidence of a range of days needs, read once.

    ``attempts`` grows while the days are decided in order.
    """

    use_case: UseCase
    model: Model
    first_rows: date | None
    served: dict[date, int | None]
    holdouts: dict[int, _Holdout]
    captured: Captured
    known: np.ndarray  # times at which labels became known, in microseconds, ascending
    drift: dict[tuple[date, int], Drifted]
    attempts: list[date]  # ascending; grows while days are decided
    promotions: list[date]

    @classmethod
    def load(
        cls,
        con: duckdb.DuckDBPyConnection,
        use_case: UseCase,
        model: Model,
        start: date,
        end: date,
    ) -> Gathered:
        """Read what the days from ``start`` to before ``end`` need."""
        served = serving(con, model.name, days(start, end))
        holdouts = {v: _holdout(con, model, v) for v in {*served.values()} if v is not None}
        cutoffs = [h.cutoff for h in holdouts.values() if h.cutoff is not None]
        opens = start - timedelta(days=model.retrain.window - 1 + _late(model))
        return cls(
            use_case=use_case,
            model=model,
            first_rows=_first_rows(con, model),
            served=served,
            holdouts=holdouts,
            captured=Captured.load(con, model, opens, end - timedelta(days=1)),
            known=_known_since(con, use_case, model, min(cutoffs) if cutoffs else None),
            drift=_drift(con, model, start, end),
            attempts=_attempts(con, model, start, end),
            promotions=[
                event.effective_from
                for event in registry.history(con, model.name)
                if event.rollback_of is None
            ],
        )

    def evidence(self, day: date, quality_problem: str | None = None) -> Evidence:
        """Return the evidence of one of the days."""
        tomorrow = day + timedelta(days=1)
        model, champion = self.model, self.served[day]
        opened = max(self.use_case.start, self.first_rows) if self.first_rows else tomorrow
        attempts = sorted(a for a in self.attempts if a < day)
        holdout = self.holdouts.get(champion) if champion is not None else None
        cutoff = holdout.cutoff if holdout else None
        trained = [*([cutoff] if cutoff else []), *(a + timedelta(days=1) for a in attempts)]
        return Evidence(
            day=day,
            champion=champion,
            data_days=max(0, (tomorrow - opened).days),
            needed_days=(model.min_training + model.holdout).days,
            data_age=tomorrow - cutoff if cutoff else None,
            realised=self._realised(day, champion, holdout) if holdout else None,
            drift=tuple(self._drifted(day, champion)) if champion is not None else (),
            drift_windows=model.drift.consecutive,
            new_labels=self._labels(max(trained), tomorrow) if trained else 0,
            last_attempt=attempts[-1] if attempts else None,
            unpromoted=self._unpromoted(attempts, day),
            quality_problem=quality_problem,
        )

    def _unpromoted(self, attempts: Sequence[date], day: date) -> int:
        count = 0
        until = day
        for attempt in reversed(attempts):
            if any(attempt < effective <= until for effective in self.promotions):
                break
            count, until = count + 1, attempt
        return count

    def _labels(self, since: date, before: date) -> int:
        import numpy as np

        zone = self.use_case.timezone
        bounds = [_micros(day_start(since, zone)), _micros(day_start(before, zone))]
        low, high = np.searchsorted(self.known, bounds, "left")
        return max(0, int(high - low))

    def _drifted(self, day: date, version: int) -> Iterator[Drifted]:
        """Yield the reports of this version without a gap up to this day, oldest first."""
        found = []
        for back in range(self.model.drift.consecutive):
            report = self.drift.get((day - timedelta(days=back), version))
            if report is None:
                break
            found.append(report)
        yield from reversed(found)

    def _realised(self, day: date, version: int | None, holdout: _Holdout) -> Realised | None:
        import numpy as np
        from scipy.special import stdtrit

        from mlops_assets.core.models import scored

        model = self.model
        last = day - timedelta(days=_late(model))
        first = last - timedelta(days=model.retrain.window - 1)
        rows = self.captured.on(first, last)
        ended = np.datetime64(day_start(day + timedelta(days=1), self.use_case.timezone), "us")
        rows = rows[
            (self.captured.version[rows] == version)
            & self.captured.labelled[rows]
            & (self.captured.known_at[rows] < ended)
        ]
        if version is None or not len(rows):
            return None
        value, contributions = scored.estimate(
            model.problem, model.metric, self.captured.scored[version].take(rows)
        )
        # Rows of one day share weather and traffic: days are taken as independent, not rows
        # (the cluster-robust variance, Liang and Zeger, Biometrika 73, 1986).
        _, at = np.unique(self.captured.day[rows], return_inverse=True)
        of_day = np.bincount(at, weights=contributions)
        clusters = len(of_day)
        reach = math.nan
        if clusters > 1:
            error = math.sqrt(float(np.sum(of_day**2)) * clusters / (clusters - 1))
            reach = float(stdtrit(clusters - 1, (1 + CONFIDENCE) / 2)) * error
        worse, at_least = worsening(
            model.metric, value, reach, (holdout.value, holdout.low, holdout.high)
        )
        return Realised(
            metric=model.metric,
            first=first,
            last=last,
            n=len(rows),
            value=value if math.isfinite(value) else None,
            reference=holdout.value,
            worse=worse,
            worse_at_least=at_least,
        )


def _late(model: Model) -> int:
    """Return how many days back the last day lies whose labels have had their time."""
    return ceil(model.label.matures_after / timedelta(days=1))


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def _first_rows(con: duckdb.DuckDBPyConnection, model: Model) -> date | None:
    [(day,)] = con.execute(
        "SELECT min(partition_date) FROM ops.partitions WHERE dataset = $dataset AND rows > 0",
        {"dataset": f"raw.{model.rows.source}"},
    ).fetchall()
    return day


def _holdout(con: duckdb.DuckDBPyConnection, model: Model, version: int) -> _Holdout:
    # The first evaluation is the one that the version was promoted on, and the first
    # cutoff the one at which it was trained: later ones cannot change old decisions.
    [(cutoff,)] = con.execute(
        "SELECT min(t.cutoff) FROM registry.training_sets t JOIN registry.model_versions v "
        "ON v.training_digest = t.digest AND v.model = t.model "
        "WHERE v.model = $model AND v.version = $version",
        {"model": model.name, "version": version},
    ).fetchall()
    found = con.execute(
        "SELECT report FROM registry.evaluations WHERE model = $model AND version = $version "
        "ORDER BY created_at, evaluation_id LIMIT 1",
        {"model": model.name, "version": version},
    ).fetchall()
    measured: dict[str, Any] = {}
    if found:
        measured = json.loads(found[0][0])["challenger"].get(model.metric) or {}
    return _Holdout(cutoff, measured.get("value"), measured.get("low"), measured.get("high"))


def _known_since(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, since: date | None
) -> np.ndarray:
    import numpy as np

    dataset = outcomes_table(model)
    if since is None or not table_exists(con, dataset):
        return np.empty(0, np.int64)
    return con.execute(
        f"SELECT epoch_us(label_known_at) AS known FROM {sql.table(dataset)} "
        "WHERE label_known_at >= $since ORDER BY known",
        {"since": day_start(since, use_case.timezone)},
    ).fetchnumpy()["known"]


def _attempts(con: duckdb.DuckDBPyConnection, model: Model, start: date, end: date) -> list[date]:
    """Return the days of earlier decisions to retrain, and of trainings by hand."""
    found = con.execute(
        "SELECT partition_date FROM monitoring.retrain_decisions "
        "WHERE model = $model AND decision = 'retrain' AND partition_date < $start "
        "UNION SELECT CAST(cutoff - INTERVAL 1 DAY AS DATE) FROM registry.training_sets "
        "WHERE model = $model AND decision_id IS NULL AND cutoff <= $end ORDER BY 1",
        {"model": model.name, "start": start, "end": end},
    ).fetchall()
    return [day for (day,) in found]


def _drift(
    con: duckdb.DuckDBPyConnection, model: Model, start: date, end: date
) -> dict[tuple[date, int], Drifted]:
    opens = start - timedelta(days=model.drift.consecutive - 1)
    reports: dict[tuple[date, int], list[drift_rows.DriftRow]] = {}
    for row in drift_rows.read(
        con, model, opens, end - timedelta(days=1), slice="all", reference="training"
    ):
        # Labels come later and may change: they are no evidence on the day itself.
        if row.role != "label":
            reports.setdefault((row.window_end, row.version), []).append(row)
    return {key: _summary(key[0], rows) for key, rows in reports.items()}


def _summary(day: date, rows: Sequence[drift_rows.DriftRow]) -> Drifted:
    moved = [row for row in rows if row.drifted and row.role == "feature"]
    ranked = sorted(
        moved, key=lambda row: (-(row.importance or 0.0) * (row.value or 0.0), row.column_name)
    )
    return Drifted(
        day=day,
        share=drift_rows.importance_share(moved, rows),
        prediction=any(row.drifted for row in rows if row.role == "prediction"),
        columns=tuple(row.column_name for row in ranked),
    )
