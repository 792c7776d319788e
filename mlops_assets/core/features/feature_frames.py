"""Features for a frame of any rows: what notebooks ask for.

The rows are the caller's, the rest is what training and scoring use: the declared views, the
tables of their current definitions, the point-in-time join, and the expressions of on-demand
features. Understanding the frame's columns belongs in ``row_frames``; the rows of a model in
``retrieval``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features import retrieval, view_tables
from mlops_assets.core.features.feature_views import KNOWN_AT, feature_names
from mlops_assets.core.features.join_spec import JoinSpec, status_column
from mlops_assets.core.features.point_in_time import point_in_time_join
from mlops_assets.core.storage.bound_values import BoundValues, bound_values
from mlops_assets.core.storage.days import local_day
from mlops_assets.core.storage.relations import column_types
from mlops_assets.core.storage.row_frames import (
    AS_OF,
    RowsError,
    as_table,
    key_expression,
    require_rows,
)
from mlops_assets.core.storage.sql import identifier, identifiers
from mlops_assets.vocabulary import DeclarationError, FeatureView, OnDemandFeatures, UseCase

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from mlops_assets.core.features.retrieval import FeatureColumn

_GIVEN = '"notebook_rows"'
_WHERE = "features asked for"


def wanted_features(use_case: UseCase, asked: Sequence[str]) -> list[FeatureColumn]:
    """Return the features that are meant by names of views, ``view.feature`` and of models.

    In the order in which they are asked for; what is asked for twice comes once.

    Raises
    ------
    DeclarationError
        If there is no such view, feature or model, or two features have one name.
    """
    if isinstance(asked, str) or not asked:
        raise DeclarationError(f"{_WHERE}: give a list such as ['view', 'view.feature', 'model']")
    views = {view.name: view for view in use_case.views}
    models = {model.name: model for model in use_case.models}
    single: dict[str, None] = {}
    for name in asked:
        if name in views and name in models:
            raise DeclarationError(
                f"{_WHERE}: {name!r} is a view and a model; name features as 'view.feature'"
            )
        for reference in models[name].features if name in models else [name]:
            view, _, feature = reference.partition(".")
            if view not in views:
                raise DeclarationError(
                    f"{_WHERE}: {reference!r} is no view and no model; there are the views "
                    f"{', '.join(views)} and the models {', '.join(models)}"
                )
            names = [feature] if feature else feature_names(views[view])
            single |= {f"{view}.{name}": None for name in names}
    return retrieval.resolve(use_case, single, _WHERE)


def with_features(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    rows: pd.DataFrame,
    features: Sequence[FeatureColumn],
    *,
    status: bool = False,
    known_before: datetime | None = None,
) -> pd.DataFrame:
    """Return ``rows`` with features as they were known at each row's ``as_of``.

    Parameters
    ----------
    con
        Connection with ``local_time`` defined. Nothing but temporary tables is made.
    rows
        With ``as_of``, the keys of the views and the columns that on-demand features use.
        Where ``as_of`` is missing, nothing is found.
    status
        Whether to add, after all features, ``<feature>__status`` of each; see
        ``point_in_time_join``.
    known_before
        Only values known before this moment (UTC) are used, whatever a row's ``as_of``.

    Returns
    -------
    DataFrame
        Order, index and columns of ``rows``, and the features in the order of ``features``.
        An on-demand feature that is a column of the rows as it stands is not added again.

    Raises
    ------
    RowsError
        If the rows do not fit.
    NotComputedError
        If a view has never been computed, or has been defined anew since.
    """
    import pandas as pd

    views = {c.view.name: c.view for c in features}
    stored = [view for view in views.values() if isinstance(view, FeatureView)]
    on_demand = [c for c in features if isinstance(c.view, OnDemandFeatures)]
    needed = {AS_OF: "the moment (UTC) of each row"}
    for view in stored:
        needed |= dict.fromkeys(view.entity.keys, f"a key of view {view.name!r}")
    require_rows(rows, needed)
    _require_new(rows, features, status)
    sent = _sent(rows, needed, on_demand)
    con.register(_GIVEN.strip('"'), sent)
    found = _computed(con, rows, on_demand, sent.column_names, status)
    as_of = sent.column(AS_OF).to_pandas()
    found |= _joined(con, use_case, stored, features, as_of, status, known_before)
    con.unregister(_GIVEN.strip('"'))
    names = [c.name for c in features if c.name in found]
    names += [status_column(c.name) for c in features if status]
    added = pd.DataFrame({name: found[name] for name in names}, index=range(len(rows)))
    return pd.concat([rows, added.set_axis(rows.index)], axis=1)


def _require_new(rows: pd.DataFrame, features: Sequence[FeatureColumn], status: bool) -> None:
    """Refuse rows that have a column of a name that is to be added."""
    for column in features:
        names = [] if isinstance(column.view, OnDemandFeatures) else [column.name]
        names += [status_column(column.name)] if status else []
        for name in names:
            if name in rows.columns:
                raise RowsError(
                    f"the rows have a column {name!r} already, the name of what view "
                    f"{column.view.name!r} adds: rename or drop it"
                )


def _sent(rows: pd.DataFrame, needed: Mapping[str, str], on_demand: Sequence[FeatureColumn]):
    """The columns that are needed, and those that an expression may mean."""
    text = "\n".join(c.view.features[c.name] for c in on_demand)  # type: ignore[union-attr]
    names = [
        name
        for name in rows.columns
        if name in needed
        or (isinstance(name, str) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.I))
    ]
    lower = [name.lower() for name in names]
    twice = [name for name in names if lower.count(name.lower()) > 1]
    if twice:
        raise RowsError(f"the rows' columns {', '.join(twice)} are one to SQL: rename or drop one")
    return as_table(rows, names)


def _computed(
    con: duckdb.DuckDBPyConnection,
    rows: pd.DataFrame,
    on_demand: Sequence[FeatureColumn],
    names: Sequence[str],
    status: bool,
) -> dict[str, Any]:
    """The on-demand features, without those that are columns of the rows, and their statuses."""
    import duckdb

    found: dict[str, Any] = {}
    for column in on_demand:
        assert isinstance(column.view, OnDemandFeatures)
        expression = column.view.features[column.name]
        where = f"feature {column.name!r} of view {column.view.name!r}"
        own = identifier(column.name) if column.name in names else "NULL"
        query = f"SELECT ({expression}\n) AS computed, {own} AS own FROM {_GIVEN}"
        try:
            frame = con.sql(query).df()
        except duckdb.BinderException as error:
            raise RowsError(
                f"{where} cannot be computed from the rows, which have "
                f"{', '.join(map(str, rows.columns))}: {error}"
            ) from error
        computed: Any = frame["computed"]
        if status:
            present = computed.notna().map({True: "present", False: "null"})
            found[status_column(column.name)] = present
        if column.name not in rows.columns:
            found[column.name] = computed
            continue
        same = (computed == frame["own"]) | frame.isna().all(axis=1)
        if column.name not in names or not same.all():
            raise RowsError(
                f"the rows' column {column.name!r} has other values than {where}, which has "
                "that name: ask for the view's other features by name ('view.feature')"
            )
    return found


def _joined(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    views: Sequence[FeatureView],
    features: Sequence[FeatureColumn],
    as_of: pd.Series,
    status: bool,
    known_before: datetime | None,
) -> dict[str, Any]:
    """The looked-up features and, if asked, their statuses."""
    found: dict[str, Any] = {}
    types = column_types(con, _GIVEN)
    with bound_values(con) as bind:
        for view in views:
            wanted = tuple(c.name for c in features if c.view is view)
            days = _days(use_case, view, as_of)
            tables = view_tables.datasets(con, use_case, "these rows", [view], *days)
            spec = retrieval.join_spec(view, wanted, tables[view.name])
            spec = _cut_off(spec, known_before, bind)
            facts = column_types(con, spec.table)
            keys = [
                f"{key_expression(con, _GIVEN, key, types[key], facts[key], view.name)} "
                f"AS {identifier(key)}"
                for key in spec.keys
            ]
            requests = f"SELECT {', '.join(keys)}, {identifier(AS_OF)} FROM {_GIVEN}"
            joined = point_in_time_join(con, requests, [spec], status=status)
            frame = joined.project(identifiers(spec.fetched(status=status))).df()
            found |= {str(name): frame[name] for name in frame.columns}
    return found


def _cut_off(spec: JoinSpec, known_before: datetime | None, bind: BoundValues) -> JoinSpec:
    if known_before is None:
        return spec
    known = f"{identifier(KNOWN_AT)} < {bind(known_before)}"
    return replace(spec, table=f"SELECT * FROM {spec.table} WHERE {known}")


def _days(use_case: UseCase, view: FeatureView, as_of: pd.Series) -> tuple[date, date]:
    """The first day whose values these moments may need, and the day after the last."""
    known = as_of.dropna()
    if known.empty:
        return use_case.start, use_case.start
    start = use_case.start
    if view.ttl is not None:
        # A moment before any datetime is before the first day.
        with suppress(OverflowError):
            earliest = known.min().to_pydatetime() - view.ttl
            start = max(start, local_day(earliest, use_case.timezone))
    last = local_day(known.max().to_pydatetime(), use_case.timezone)
    return start, last + timedelta(days=1)
