"""What a model version is served where views have been defined anew since it was trained.

A version records the versions of the views that it was trained on. As long as today's
definitions are those, it is served like any other. Otherwise, as the model declares, it is
served the features of its own definitions, computed further into their own tables, or
refused; never the new definition's. Which table has which definition is in
``view_definitions``; scoring in ``capture``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.features import feature_views, view_definitions
from mlops_assets.core.features.retrieval import create_feature_rows, features
from mlops_assets.core.features.view_definitions import ViewChangedError
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.storage import store
from mlops_assets.core.storage.frames import exact_frame
from mlops_assets.core.storage.relations import temporary_tables
from mlops_assets.vocabulary import FeatureView, Model, UseCase

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from mlops_assets.core.registry import ModelVersion

_ASKED = "holdout_rows_asked"


def served(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, version: ModelVersion
) -> tuple[UseCase, Model]:
    """Return use case and model as ``version`` has to be served: with its views and features.

    They are the declared ones, the same objects, where nothing has changed.

    Raises
    ------
    ViewChangedError
        If a view has been defined anew and the model's ``on_view_change`` is ``"refuse"``, or
        its former definition is not known.
    """
    moved = _moved(use_case, model, version)
    if moved and model.on_view_change == "refuse":
        raise ViewChangedError(
            f"Version {version.version} of {model.name!r} was trained on other definitions of "
            f"{', '.join(moved)} than today's, and on_view_change is 'refuse': nothing was "
            "predicted. Train and promote a version on today's definitions (materialise "
            f"{model.name}/training_set and what follows it), roll the definition back, or declare "
            "on_view_change='pinned'."
        )
    return as_trained(con, use_case, model, version)


def _moved(use_case: UseCase, model: Model, version: ModelVersion) -> list[str]:
    """Views of the version that are defined otherwise today, or that the model has no more."""
    declared = {c.view.name: c.view for c in features(use_case, model)}
    return sorted(
        name
        for name, trained_on in version.view_versions.items()
        if name not in declared or view_version(declared[name]) != trained_on
    )


def as_trained(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, version: ModelVersion
) -> tuple[UseCase, Model]:
    """Return use case and model with the views and features that ``version`` was trained on.

    Raises
    ------
    ViewChangedError
        If a former definition is not known.
    """
    moved = _moved(use_case, model, version)
    if not moved:
        return use_case, model
    declared = {c.view.name: c.view for c in features(use_case, model)}
    views = {
        name: view_definitions.pinned(con, name, trained_on) if name in moved else declared[name]
        for name, trained_on in version.view_versions.items()
    }
    owner = {
        feature: name
        for name, view in views.items()
        for feature in feature_views.feature_names(view)
    }
    wanted = [column["name"] for column in version.signature["inputs"]]
    lost = [name for name in wanted if name not in owner]
    if lost:
        raise ViewChangedError(
            f"Version {version.version} of {model.name!r} needs {', '.join(lost)}, which none of "
            f"the views that it records has ({', '.join(views)}). Train a new version."
        )
    pinned_model = replace(model, features=[f"{owner[name]}.{name}" for name in wanted])
    others = [view for view in use_case.views if view.name not in views]
    return replace(use_case, views=[*views.values(), *others], models=[pinned_model]), pinned_model


def holdout_features(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    version: ModelVersion,
    holdout: pd.DataFrame,
    run_id: str,
) -> pd.DataFrame | None:
    """Return what ``version`` is served for the rows of a holdout; ``None``: what they have.

    In the holdout's order. A row is its day, key and moment: a key may come again. Of rows that
    are not there any more, or are of another moment, the key is all that is returned.

    Call it in a transaction: former definitions may have to be computed further.

    Parameters
    ----------
    holdout
        As ``snapshots.read`` returns it.

    Raises
    ------
    ViewChangedError
        As ``as_trained`` and ``catch_up``.
    """
    import pyarrow as pa

    trained_on = as_trained(con, use_case, model, version)
    if trained_on == (use_case, model):
        return None
    days = holdout["partition_date"].dt.date
    start, end = days.min(), days.max() + timedelta(days=1)
    catch_up(con, *trained_on, end, run_id)
    with temporary_tables(con) as temporary:
        rows, asked = temporary("rows"), temporary("asked")
        create_feature_rows(con, *trained_on, start, end, rows)
        given = {name: pa.array(holdout[name]) for name in ("partition_date", "row_key", "as_of")}
        con.register(_ASKED, pa.table({"ordinal": range(len(holdout)), **given}))
        try:
            con.execute(f"CREATE TEMP TABLE {asked} AS FROM {_ASKED}")
        finally:
            con.unregister(_ASKED)
        return exact_frame(
            con,
            f"SELECT a.row_key, r.* EXCLUDE (row_key) FROM {asked} a LEFT JOIN {rows} r "
            "ON r.partition_date = a.partition_date AND r.row_key = a.row_key "
            "AND r.as_of = a.as_of ORDER BY a.ordinal",
        )


def catch_up(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, end: date, run_id: str
) -> None:
    """Compute former definitions' values of the days since, up to and without ``end``.

    Parameters
    ----------
    use_case, model
        Of ``served``.

    Raises
    ------
    ViewChangedError
        If the values cannot be computed any more, or break the contract's types.
    """
    views = {c.view.name: c.view for c in features(use_case, model)}
    stored = [view for view in views.values() if isinstance(view, FeatureView)]
    for view in stored:
        dataset = view_definitions.past(view.name, view_version(view))
        if view_definitions.stored(con, [view])[view.name].dataset != dataset:
            continue  # today's definition, which the view's own asset computes
        first: date | None = None
        last: date | None = None
        if view.partitioned:
            computed = [day for day in store.partitions(con, dataset) if day is not None]
            first, last = max(computed, default=use_case.start) + timedelta(days=1), end
            if first >= end:
                continue
        report = feature_views.compute(con, use_case, view, first, last, run_id, into=dataset)
        if report.problems:
            raise ViewChangedError(
                f"The features of view {view.name!r} as model {model.name!r} was trained on them "
                f"cannot be computed any more: {'; '.join(report.problems)} Train a new version."
            )
