"""A finished replay of the flights, week by week: what was estimated before the labels were known.

Reads ``data/nyc_flights.duckdb`` and the files beside it and writes nothing. Each served week is
estimated from what had matured before it began, and then measured. Three references are compared:

* ``holdout``: the serving version's own 14 days;
* ``version``: those, and what it has served since, of the last 56 days;
* ``captured``: all that was served in the last 56 days, by whichever version (in the first weeks,
  the first version's holdout too).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from mlops_assets.core.estimation import (
    Matured,
    Method,
    Sample,
    estimate,
    expected,
    fit,
    validate,
)
from mlops_assets.core.models import metrics, snapshots
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.scoring import scoring
from mlops_assets.core.storage import sql

REFERENCES = ("holdout", "version", "captured")
#: Days that a reference goes back.
BACK = 56
#: Rows of a week that is measured: not the few days at the end of the year.
LEAST = 3000
CLASSES = ("log_loss", "brier", "accuracy", "roc_auc")


@dataclass(frozen=True)
class Week:
    """A week's estimate of a metric by a method from a reference, and how it turned out."""

    model: str
    version: int
    start: str
    reference: str
    method: str
    metric: str
    estimated: float
    low: float
    high: float
    realised: float
    unchanged: float

    @property
    def error(self) -> float:
        """Estimated minus realised."""
        return self.estimated - self.realised


def replay(folder: Path, model: str, problem: str) -> list[Week]:
    """Estimate and measure every week of a model in the replay in this folder."""
    rows, features = _rows(folder, model, problem)
    weeks = []
    for version, start, now in _windows(rows):
        window = _sample(problem, rows, features, now)
        for name in REFERENCES:
            reference = _sample(problem, rows, features, _before(rows, version, start, name))
            weeks += _week(problem, model, version, start, name, reference, window)
        print(f"{model} {start}: {len(now)} rows", flush=True)
    return weeks


def summary(weeks: list[Week], bound: float | None = None) -> Iterator[dict[str, Any]]:
    """Yield the errors of each reference, method and metric; wins are over ``cbpe``.

    ``validated`` counts the weeks before which the last four had a mean absolute error of at most
    ``bound``.
    """
    table = pd.DataFrame([{**w.__dict__, "error": w.error} for w in weeks])
    for (reference, metric), group in table.groupby(["reference", "metric"], sort=False):
        base = group[group["method"].isin(["cbpe"])].set_index("start")["error"].abs()
        for method, own in group.groupby("method", sort=False):
            own = own.set_index("start")
            off = own["error"].abs()
            naive = (own["unchanged"] - own["realised"]).abs()
            told: dict[str, Any] = {
                "reference": reference,
                "metric": metric,
                "method": method,
                "weeks": len(own),
                "mae": round(float(off.mean()), 5),
                "bias": round(float(own["error"].mean()), 5),
                "unchanged_mae": round(float(naive.mean()), 5),
            }
            if np.isfinite(own["low"]).all():
                within = (own["low"] <= own["realised"]) & (own["realised"] <= own["high"])
                told["coverage"] = round(float(within.mean()), 3)
            if len(base) and method != "cbpe":
                won = off <= base.loc[own.index]
                told["wins"] = round(float(won.mean()), 3)
                half = len(won) // 2
                told["wins_by_half"] = [round(float(p.mean()), 2) for p in (won[:half], won[half:])]
            if bound is not None:
                matured = [Matured(w.estimated, w.low, w.high, w.realised, w.unchanged)
                           for w in own.itertuples()]  # fmt: skip
                told["validated"] = sum(
                    validate(matured[max(at - 4, 0) : at], bound).validated
                    for at in range(len(matured))
                )
            yield told


def _week(
    problem: str, model: str, version: int, start: date, name: str, reference: Sample,
    window: Sample,
) -> Iterator[Week]:  # fmt: skip
    methods: tuple[Method, ...] = ("cbpe", "pape") if problem == "binary" else ("dle",)
    asked = CLASSES if problem == "binary" else ("mae", "rmse")
    real = {m: metrics.value(problem, m, window.scored) for m in asked}
    past = {m: metrics.value(problem, m, reference.scored) for m in asked}
    for method in methods:
        for found in estimate(fit(problem, reference, method), window, asked):
            yield Week(model, version, str(start), name, method, found.metric, found.value,
                       found.low, found.high, real[found.metric], past[found.metric])  # fmt: skip
    if problem == "binary":
        # What the scores promise if nothing is calibrated at all.
        assert window.scored.score is not None
        p = window.scored.score
        for metric in asked:
            value = expected.binary(metric, p, window.scored.prediction, p)[0]
            yield Week(model, version, str(start), name, "scores", metric, value, np.nan, np.nan,
                       real[metric], past[metric])  # fmt: skip


def _windows(rows: pd.DataFrame) -> Iterator[tuple[int, date, np.ndarray]]:
    served = rows[rows["served"]]
    for version, own in served.groupby("version"):
        start, last = own["day"].min(), own["day"].max()
        while start <= last:
            now = own.index[(own["day"] >= start) & (own["day"] < start + timedelta(days=7))]
            if len(now) >= LEAST:
                yield int(version), start, now.to_numpy()
            start += timedelta(days=7)


def _before(rows: pd.DataFrame, version: int, start: date, reference: str) -> np.ndarray:
    past = rows["day"] < start
    own, served = rows["version"] == version, rows["served"]
    if reference == "holdout":
        return np.flatnonzero(own & ~served & past)
    recent = past & (rows["day"] >= start - timedelta(days=BACK))
    if reference == "version":
        return np.flatnonzero(own & recent)
    return np.flatnonzero((served | (rows["version"] == rows["version"].min())) & recent)


def _sample(problem: str, rows: pd.DataFrame, features: list[str], at: np.ndarray) -> Sample:
    part = rows.iloc[at]
    label = part["label"].to_numpy(float)
    if problem == "binary":
        said = part["prediction"].to_numpy(float) == 1
        scored = Scored(label == 1, said, part["score"].to_numpy(float))
    else:
        scored = Scored(label, part["prediction"].to_numpy(float))
    return Sample(scored, part[features], part["day"].to_numpy())


def _rows(folder: Path, model: str, problem: str) -> tuple[pd.DataFrame, list[str]]:
    """All labelled rows: what was served, and each version's holdout, scored again."""
    with duckdb.connect(str(folder / "nyc_flights.duckdb"), read_only=True) as con:
        versions = con.execute(
            "SELECT version, artifact_sha256, signature, training_digest "
            "FROM registry.model_versions WHERE model = $model ORDER BY version",
            {"model": model},
        ).fetchall()
        tables = [sql.table(f"capture.{model}__{name}") for name in ("predictions", "outcomes")]
        served = con.execute(
            f"SELECT p.*, o.label FROM {tables[0]} p JOIN {tables[1]} o USING (prediction_id) "
            "WHERE o.label IS NOT NULL ORDER BY p.partition_date, p.row_key"
        ).df()
    served = served.rename(columns={"partition_date": "day", "model_version": "version"})
    parts = [served.assign(served=True)]
    features: list[str] = []
    for version, artifact, signature, digest in versions:
        told = json.loads(signature)
        features = [column["name"] for column in told["inputs"]]
        held = snapshots.read(folder / "snapshots/nyc_flights" / f"{digest}.parquet", "holdout")
        said = scoring.outputs(
            problem,
            _estimator(folder / "artifacts/nyc_flights" / artifact[:2] / f"{artifact}.skops"),
            scoring.prepare(held, told),
            told["output"]["classes"],
        )
        own = held[[*features, "label"]].assign(
            day=held["partition_date"],
            version=version,
            prediction=said.prediction.astype(float),
            score=np.nan if said.score is None else said.score,
            served=False,
        )
        parts.append(own)
    columns = [*features, "score", "prediction", "label", "day", "version", "served"]
    rows = pd.concat([part[columns] for part in parts], ignore_index=True)
    rows["day"] = pd.to_datetime(rows["day"]).dt.date
    numbers = ["prediction", "label", "score"]
    return rows.astype(dict.fromkeys(numbers, float)), features


def _estimator(path: Path) -> Any:
    import skops.io

    # Files of this machine's own replay.
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
