"""Predictions made again: features from what was known at their moment, scores by their version.

Many at once: the features of all predictions that share their versions' definitions are looked
up by one query, and each version scores its rows in one call. What is compared is every bit.

The features are looked up as a training set would have them, by the definitions that the
version was trained on (``pinned_views``), and, where a time to live bounds what a row may use,
by the join for few rows, which is written otherwise than that of scoring. So two ways of
computing the same thing have to agree.

Trees give a row the same score in whatever company. Where numbers are summed by a linear
algebra library (linear models, nets, kernels) the last bits can depend on how many rows are
scored at once. So what comes out differently is scored again among the rows it was captured
with, all of which are kept; ``in_batch`` says where that was needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core import registry
from mlops_assets.core.audit import bits
from mlops_assets.core.audit.predictions import LoadVersion, Prediction, find
from mlops_assets.core.features import consistency
from mlops_assets.core.features.retrieval import create_feature_rows, features
from mlops_assets.core.features.view_definitions import ViewChangedError
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.frames import exact_frame
from mlops_assets.core.storage.relations import temporary_tables

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from mlops_assets.vocabulary import Model, UseCase

IDENTICAL, DIFFERENT, NOT_RECOMPUTABLE = "identical", "different", "not_recomputable"


@dataclass(frozen=True)
class Difference:
    """A feature, ``prediction``, ``score`` or ``scores`` that comes out otherwise."""

    name: str
    captured: Any
    recomputed: Any


@dataclass(frozen=True)
class Recomputed:
    """A prediction made again.

    Attributes
    ----------
    status
        ``identical``: every feature and the score are the same bit for bit; ``different``;
        ``not_recomputable``: see ``reason``.
    features
        Name to value as computed again, empty where that is not possible.
    prediction, score, scores
        As computed again.
    in_batch
        Rows that it had to be scored with, those that it was captured with, to come out the
        same; ``None``: it came out the same without them, or not at all.
    """

    prediction_id: str
    model: str
    version: int
    status: str
    features: Mapping[str, Any]
    prediction: Any = None
    score: float | None = None
    scores: Mapping[str, float] | None = None
    differences: tuple[Difference, ...] = ()
    in_batch: int | None = None
    reason: str | None = None

    @property
    def differs(self) -> str:
        """Names of what comes out otherwise."""
        return ", ".join(difference.name for difference in self.differences)


def verify(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, ids: Sequence[str], load: LoadVersion
) -> list[Recomputed]:
    """Make captured predictions again and compare, in the order of ``ids``.

    Raises
    ------
    NotFound
        If an id is no captured prediction's.
    ArtifactError
        If a version's file is missing or refused.
    """
    return list(recompute(con, use_case, find(con, use_case, ids), load).values())


def recompute(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    predictions: Mapping[str, Prediction],
    load: LoadVersion,
) -> dict[str, Recomputed]:
    """Make captured predictions again; see ``verify``. ``predictions`` are those of ``find``."""
    made: dict[str, Recomputed] = {}
    for model in use_case.models:
        own = [p for p in predictions.values() if p.model == model.name]
        alike: dict[tuple[str, ...], tuple[UseCase, Model, list[Prediction]]] = {}
        for version in sorted({p.version for p in own}):
            mine = [p for p in own if p.version == version]
            record = registry.get(con, model.name, version)
            try:
                trained_on = consistency.definitions_of(con, use_case, model, record)
            except ViewChangedError as error:
                made |= {p.prediction_id: _not_recomputable(p, str(error)) for p in mine}
                continue
            # Versions of the same definitions are computed together.
            names = [column.name for column in features(*trained_on)]
            key = (*names, *sorted(map(str, record.view_versions.items())))
            alike.setdefault(key, (*trained_on, []))[2].extend(mine)
        for served_case, served_model, theirs in alike.values():
            try:
                made |= _again(con, served_case, served_model, theirs, load)
            except NotComputedError as error:
                made |= {p.prediction_id: _not_recomputable(p, str(error)) for p in theirs}
    return {one: made[one] for one in predictions}


def _not_recomputable(prediction: Prediction, reason: str) -> Recomputed:
    return Recomputed(
        prediction_id=prediction.prediction_id,
        model=prediction.model,
        version=prediction.version,
        status=NOT_RECOMPUTABLE,
        features={},
        reason=reason,
    )


def _again(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    predictions: Sequence[Prediction],
    load: LoadVersion,
) -> dict[str, Recomputed]:
    """Make predictions of versions with the same definitions again."""
    names = [column.name for column in features(use_case, model)]
    own = [f"f{n}" for n in range(len(names))]
    by_id = {p.prediction_id: p for p in predictions}
    days = [p.partition_date for p in predictions]
    bounds = {"first": min(days), "last": max(days)}
    captured = (
        f"FROM {sql.table(predictions_table(model))} c "
        "WHERE c.partition_date BETWEEN $first AND $last "
        "AND c.prediction_id IN (SELECT unnest($ids::VARCHAR[]))"
    )
    with temporary_tables(con) as temporary:
        asked, again = temporary("asked"), temporary("again")
        con.execute(
            f"CREATE TEMP TABLE {asked} AS SELECT c.prediction_id, c.partition_date, c.row_key, "
            "c.as_of, c.model_version, "
            + ", ".join(f"c.{sql.identifier(n)} AS {f}" for n, f in zip(names, own, strict=True))
            + f" {captured}",
            {**bounds, "ids": list(by_id)},
        )
        until = bounds["last"] + timedelta(days=1)
        create_feature_rows(con, use_case, model, bounds["first"], until, again, only=asked)
        both = (
            f"FROM {asked} s JOIN {again} r ON r.row_key = s.row_key "
            "AND r.partition_date = s.partition_date AND r.as_of = s.as_of "
            "ORDER BY s.partition_date, s.as_of, s.row_key"
        )
        ids = con.sql(f"SELECT s.prediction_id {both}").to_arrow_table().column(0).to_pylist()
        old = con.sql(f"SELECT {sql.identifiers(own, 's.')} {both}").to_arrow_table()
        new = con.sql(f"SELECT {sql.identifiers(names, 'r.')} {both}").to_arrow_table()
        frame = exact_frame(con, f"SELECT {sql.identifiers(names, 'r.')} {both}")
    differing: dict[str, list[Difference]] = {one: [] for one in ids}
    for name, mine in zip(names, own, strict=True):
        left, right = old.column(mine), new.column(name)
        for at in (~bits.same_column(left, right)).nonzero()[0].tolist():
            difference = Difference(name, left[at].as_py(), right[at].as_py())
            differing[ids[at]].append(difference)
    values = new.to_pylist()
    made = {
        p.prediction_id: _not_recomputable(
            p,
            f"Row {p.row_key!r} of {model.rows.source!r} is no longer there on "
            f"{p.partition_date}, or is of another moment than {p.as_of}: see "
            f"raw.{model.rows.source}, its history, and the model's rows.as_of.",
        )
        for p in predictions
    }
    for version in sorted({p.version for p in predictions}):
        rows = [at for at, one in enumerate(ids) if by_id[one].version == version]
        estimator, signature = load(model.name, version)
        said = _say(model, estimator, frame.iloc[rows], signature)
        results = {
            ids[at]: _result(by_id[ids[at]], values[at], differing[ids[at]], answer)
            for at, answer in zip(rows, said, strict=True)
        }
        # Features are what they were, and only the company of other rows is another.
        alone = [
            by_id[one]
            for one, result in results.items()
            if result.status == DIFFERENT and not differing[one]
        ]
        for members in _batches(alone):
            in_batch = _score_batch(con, model, members[0], names, estimator, signature)
            for p in members:
                result = _result(
                    p, results[p.prediction_id].features, [], in_batch[p.partition_date, p.row_key]
                )
                results[p.prediction_id] = replace(result, in_batch=len(in_batch))
        made |= results
    return made


def _say(
    model: Model, estimator: Any, frame: pd.DataFrame, signature: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what the version says about each row, as it is captured."""
    from mlops_assets.core.scoring import scoring

    frame = frame.reset_index(drop=True)
    said = scoring.predict(model.problem, estimator, frame, signature)
    # Objects, as DuckDB gives them back: no scalars of NumPy.
    return [
        {"prediction": prediction, "score": score, "scores": scores}
        for prediction, score, scores in zip(
            said["prediction"].tolist(),
            said["score"].tolist(),
            said["scores"].tolist(),
            strict=True,
        )
    ]


def _result(
    prediction: Prediction,
    values: Mapping[str, Any],
    differing: Sequence[Difference],
    said: Mapping[str, Any],
) -> Recomputed:
    found = [
        *differing,
        *(
            Difference(name, getattr(prediction, name), again)
            for name, again in said.items()
            if not bits.same(getattr(prediction, name), again)
        ),
    ]
    return Recomputed(
        prediction_id=prediction.prediction_id,
        model=prediction.model,
        version=prediction.version,
        status=DIFFERENT if found else IDENTICAL,
        features=values,
        prediction=said["prediction"],
        score=None if bits.is_missing(said["score"]) else said["score"],
        scores=said["scores"],
        differences=tuple(found),
    )


def _batches(predictions: Sequence[Prediction]) -> list[list[Prediction]]:
    """Group predictions of one version by the call in which they were scored."""
    grouped: dict[tuple[Any, ...], list[Prediction]] = {}
    for p in predictions:
        grouped.setdefault((p.run_id, p.predicted_at), []).append(p)
    return list(grouped.values())


def _score_batch(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    member: Prediction,
    names: Sequence[str],
    estimator: Any,
    signature: Mapping[str, Any],
) -> dict[tuple[date, str], dict[str, Any]]:
    """Score all rows that a prediction was captured with, in their order; by day and row key."""
    batch = exact_frame(
        con,
        f"SELECT partition_date, row_key, {sql.identifiers(names)} "
        f"FROM {sql.table(predictions_table(model))} "
        "WHERE run_id = $run AND predicted_at = $at AND model_version = $version "
        # The order in which they were scored, see core.serving.capture.
        "ORDER BY partition_date, as_of, row_key",
        {"run": member.run_id, "at": member.predicted_at, "version": member.version},
    )
    said = _say(model, estimator, batch, signature)
    keys = zip(batch["partition_date"].dt.date, batch["row_key"], strict=True)
    return dict(zip(keys, said, strict=True))
