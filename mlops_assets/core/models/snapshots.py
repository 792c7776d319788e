"""Training sets: immutable Parquet files named after the digest of their content.

A training set holds what was known at a moment (the ``cutoff``) and no more: rows and
features as of each row, training labels known before the holdout begins, holdout labels
known before the cutoff. Building it again from the same facts, whatever has arrived since,
gives the same digest. Fitting belongs in ``training``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.core.features import view_definitions
from mlops_assets.core.features.retrieval import create_feature_rows, features
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.storage.days import day_start
from mlops_assets.core.storage.frames import exact_frame
from mlops_assets.core.storage.relations import temporary_tables
from mlops_assets.core.storage.store import content_digest
from mlops_assets.vocabulary import Model, OnDemandFeatures, UseCase

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


@dataclass(frozen=True)
class TrainingSet:
    """A written training set.

    Attributes
    ----------
    digest
        Of all rows, columns and types, whatever the order of rows.
    path
        The Parquet file: the columns of ``feature_rows`` and ``split``, which is ``train``
        or ``holdout``.
    cutoff
        Only what was known when this day began was used.
    train_start, train_end, holdout_end
        Days; the ends are exclusive, and the holdout begins at ``train_end``.
    view_versions
        Name to version of every view that the features come from.
    holdout_digest
        Of the holdout rows alone, with the split. ``None``: recorded before it was kept.
    """

    model: str
    digest: str
    path: Path
    cutoff: date
    train_start: date
    train_end: date
    holdout_end: date
    train_rows: int
    holdout_rows: int
    view_versions: dict[str, str]
    decision_id: str | None = None
    holdout_digest: str | None = None


@dataclass(frozen=True)
class NotEnoughData:
    """Why there is no training set, with the numbers."""

    reason: str


def build_training_set(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    cutoff: date,
    folder: Path,
    run_id: str | None = None,
) -> TrainingSet | NotEnoughData:
    """Write the training set of ``model`` as of the beginning of day ``cutoff``.

    The holdout is the ``model.holdout`` before ``cutoff``; trained is on up to
    ``model.training_window`` before that, not before ``use_case.start``. Rows without a
    label that was known in time are left out.

    Parameters
    ----------
    con
        Connection with ``local_time`` defined. Definitions of on-demand features that are
        new are recorded; all else that is written are temporary tables.
    folder
        Where the file goes, as ``<digest>.parquet``; a file of that name is left as it is.
    """
    train_end = cutoff - model.holdout
    train_start = max(use_case.start, train_end - model.training_window)
    days = (train_end - train_start).days
    if days < model.min_training.days:
        return NotEnoughData(
            f"{model.name} needs {model.min_training.days} days to train on before the "
            f"{model.holdout.days} days of holdout; from {train_start} to {cutoff} there are "
            f"{max(days, 0)} and {(cutoff - max(train_end, train_start)).days}."
        )
    with temporary_tables(con) as temporary:
        parts, counts = [], {}
        for split, start, end in (
            ("train", train_start, train_end),
            ("holdout", train_end, cutoff),
        ):
            rows = temporary(split)
            create_feature_rows(
                con,
                use_case,
                model,
                start,
                end,
                rows,
                label=True,
                label_known_before=day_start(end, use_case.timezone),
            )
            parts.append(f"SELECT *, '{split}' AS split FROM {rows} WHERE label IS NOT NULL")
            counts[split] = con.execute(
                f"SELECT count(*), count(label), count(DISTINCT label) FROM {rows}"
            ).fetchall()[0]
        problem = _problem(model, counts)
        if problem is not None:
            return NotEnoughData(problem)
        both = " UNION ALL ".join(parts)
        digest = content_digest(con, both)
        holdout_digest = content_digest(con, parts[-1])
        views = {c.view.name: c.view for c in features(use_case, model)}
        for view in views.values():
            if isinstance(view, OnDemandFeatures):
                view_definitions.make_current(con, view, run_id)
        path = _write(con, both, folder / f"{digest}.parquet")
    return TrainingSet(
        model=model.name,
        digest=digest,
        path=path,
        cutoff=cutoff,
        train_start=train_start,
        train_end=train_end,
        holdout_end=cutoff,
        train_rows=counts["train"][1],
        holdout_rows=counts["holdout"][1],
        view_versions={name: view_version(view) for name, view in views.items()},
        holdout_digest=holdout_digest,
    )


def _problem(model: Model, counts: dict[str, tuple[int, int, int]]) -> str | None:
    for split, (rows, labelled, distinct) in counts.items():
        if labelled == 0:
            return f"{model.name} has {rows} {split} rows and 0 of them have a known label."
        if split == "train" and distinct < 2 and model.problem != "regression":
            return (
                f"{model.name} has {labelled} labelled training rows, all of one class; "
                "at least 2 classes are needed."
            )
    return None


def _write(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> Path:
    """Write once and durably: a file under its final name is complete."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        # Not zstd: a file a third larger is written in 60 % of the time and read as fast.
        con.sql(query).write_parquet(str(partial), compression="lz4_raw")
        _fsync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _fsync(path.parent)
    return path


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, split: str) -> pd.DataFrame:
    """Return the rows of a training set's ``split``, ``train`` or ``holdout``, in order."""
    import duckdb

    if split not in ("train", "holdout"):
        raise ValueError(f"split must be 'train' or 'holdout', not {split!r}")
    if not path.exists():
        raise FileNotFoundError(
            f"The training set {path} is gone. Restore it from a backup of the snapshot folder, "
            "or materialise training_set again for the same day, which writes the same content."
        )
    with duckdb.connect(":memory:") as con:
        return exact_frame(
            con,
            "SELECT * EXCLUDE (split) FROM read_parquet($path) WHERE split = $split",
            {"path": str(path), "split": split},
        )


def record(
    con: duckdb.DuckDBPyConnection,
    training_set: TrainingSet,
    *,
    reason: str,
    decision_id: str | None,
    run_id: str,
    now: datetime | None = None,
) -> None:
    """Enter a training set in ``registry.training_sets``, with why it was asked for."""
    con.execute(
        "INSERT INTO registry.training_sets (model, digest, path, cutoff, train_start, train_end, "
        "holdout_end, train_rows, holdout_rows, view_versions, reason, decision_id, run_id, "
        "created_at, holdout_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            training_set.model,
            training_set.digest,
            training_set.path.name,
            training_set.cutoff,
            training_set.train_start,
            training_set.train_end,
            training_set.holdout_end,
            training_set.train_rows,
            training_set.holdout_rows,
            json.dumps(training_set.view_versions, sort_keys=True),
            reason,
            decision_id,
            run_id,
            now or datetime.now(UTC).replace(tzinfo=None),
            training_set.holdout_digest,
        ],
    )


def latest(
    con: duckdb.DuckDBPyConnection, model: str, folder: Path | None = None
) -> TrainingSet | None:
    """Return the training set of ``model`` that was recorded last, ``None`` if there is none.

    ``path`` is relative to the snapshot folder unless that is given as ``folder``.
    """
    found = con.execute(
        "SELECT model, digest, path, cutoff, train_start, train_end, holdout_end, train_rows, "
        "holdout_rows, view_versions, decision_id, holdout_digest "
        "FROM registry.training_sets WHERE model = ? "
        "ORDER BY created_at DESC, rowid DESC LIMIT 1",
        [model],
    ).fetchall()
    if not found:
        return None
    row = found[0]
    path = Path(row[2]) if folder is None else folder / row[2]
    return TrainingSet(
        row[0],
        row[1],
        path,
        *row[3:9],
        view_versions=json.loads(row[9]),
        decision_id=row[10],
        holdout_digest=row[11],
    )
