"""The record of what features and labels derive from: ``registry.feature_lineage``.

Written once for each version of a view, when it is first computed, and once for each training
set: which features it has, and what its model adds to their lineage. So what a version was
trained on can be told whatever is declared today. Working lineage out belongs in
``column_lineage``, asking what a column reaches in ``impact``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features.feature_views import feature_names
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.lineage.column_lineage import model_lineage, view_lineage
from mlops_assets.core.storage.sql import identifiers
from mlops_assets.vocabulary import FeatureView, Model, UseCase

if TYPE_CHECKING:
    import duckdb


def record_view(con: duckdb.DuckDBPyConnection, use_case: UseCase, view: FeatureView) -> None:
    """Keep the lineage of a view's version in ``registry.feature_lineage``, once.

    Call it in the transaction in which the view is computed.
    """
    version = view_version(view)
    kept = con.execute(
        "SELECT 1 FROM registry.feature_lineage WHERE view = $view AND view_version = $version "
        "AND training_digest IS NULL LIMIT 1",
        {"view": view.name, "version": version},
    ).fetchall()
    if not kept:
        lineage = view_lineage(use_case, view)
        _insert(
            con,
            (
                (None, None, view.name, version, feature, derivation)
                for feature in feature_names(view)
                for derivation in lineage[feature]
            ),
        )


def record_training_set(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, digest: str
) -> None:
    """Keep which features a training set has, and what its model adds to their lineage, once.

    Every feature has at least one row for the training set: the known time of the rows to
    predict decides on all of them. Call it in the transaction that records the training set.
    """
    kept = con.execute(
        "SELECT 1 FROM registry.feature_lineage WHERE model = $model "
        "AND training_digest = $digest LIMIT 1",
        {"model": model.name, "digest": digest},
    ).fetchall()
    if kept:
        return
    lineage = model_lineage(use_case, model)
    rows = [
        (model.name, digest, view, view_version(use_case.view(view)), feature, derivation)
        for (view, feature), derivations in lineage.features.items()
        for derivation in derivations
    ]
    rows += [(model.name, digest, None, None, model.label.name, d) for d in lineage.label]
    _insert(con, rows)


def _insert(con: duckdb.DuckDBPyConnection, rows: Iterable[tuple[Any, ...]]) -> None:
    flat = [
        (*what, derivation.source, derivation.column, derivation.kind, derivation.assumed)
        for *what, derivation in rows
    ]
    names = (
        *("model", "training_digest", "view", "view_version", "feature"),
        *("source", "column_name", "kind", "assumed"),
    )
    con.execute(
        f"INSERT INTO registry.feature_lineage ({identifiers(names)}) "
        f"SELECT {', '.join(f'unnest(${name}::VARCHAR[])' for name in names)}",
        {name: [row[n] for row in flat] for n, name in enumerate(names)},
    )
