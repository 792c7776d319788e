"""The rows of a model with their features, and their labels: one function for all uses.

Training and scoring call the same ``feature_rows``; the SQL they run is the same, so a
feature cannot differ between them. Only what was known at a row's ``as_of`` is used. The
rows and labels themselves belong in ``model_rows``, the join in ``point_in_time``; what is
done with the result belongs in ``snapshots`` and ``capture``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from mlops_assets.core.features import kept_rows
from mlops_assets.core.features.feature_views import EVENT_TIME, KNOWN_AT, feature_names
from mlops_assets.core.features.few_rows import is_bounded, look_up_few
from mlops_assets.core.features.model_rows import create_labels, create_requests, join_columns
from mlops_assets.core.features.point_in_time import JoinSpec, look_up, side_by_side
from mlops_assets.core.features.revisions import REVISION
from mlops_assets.core.features.view_tables import datasets, require_written
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.storage.relations import (
    TemporaryNames,
    column_types,
    detached,
    missing_tables,
    temporary_tables,
)
from mlops_assets.core.storage.sql import identifier, table
from mlops_assets.vocabulary import (
    DeclarationError,
    FeatureView,
    Model,
    OnDemandFeatures,
    UseCase,
)

if TYPE_CHECKING:
    import duckdb


#: Columns of ``feature_rows`` besides the features; no feature can have these names.
ROW_COLUMNS = ("row_key", "as_of", "partition_date", "label", "label_known_at")
_RESERVED = frozenset({*ROW_COLUMNS, "row_ordinal", "split", "prediction", "score", "scores"})


@dataclass(frozen=True)
class FeatureColumn:
    """A model's feature: its name and the view that has it."""

    name: str
    view: FeatureView | OnDemandFeatures


def features(use_case: UseCase, model: Model) -> list[FeatureColumn]:
    """Return the features of ``model`` in the declared order.

    Raises
    ------
    DeclarationError
        If a feature does not exist, two have one name, or one has a name that the rows'
        own columns need.
    """
    return resolve(use_case, model.features, f"Model {model.name!r}: features")


def resolve(use_case: UseCase, references: Iterable[str], where: str) -> list[FeatureColumn]:
    """Return the features that ``view`` and ``view.feature`` name; see ``features``.

    ``where`` says in errors who asks.
    """
    found: dict[str, FeatureColumn] = {}
    for reference in references:
        view_name, _, wanted = reference.partition(".")
        view = use_case.view(view_name)
        names = feature_names(view)
        if wanted and wanted not in names:
            raise DeclarationError(
                f"{where}: view {view_name!r} has no feature {wanted!r}; it has {', '.join(names)}"
            )
        for name in (wanted,) if wanted else names:
            if name in found:
                raise DeclarationError(
                    f"{where}: {name!r} comes from {found[name].view.name!r} and again from "
                    f"{view_name!r}; name the features one by one ('view.feature'), or rename one"
                )
            if name in _RESERVED:
                raise DeclarationError(
                    f"{where}: {name!r} of view {view_name!r} is the name of a column that every "
                    "row has; rename the feature"
                )
            found[name] = FeatureColumn(name, view)
    return list(found.values())


def feature_columns(use_case: UseCase, model: Model) -> list[str]:
    """Return the names of the model's features, in the declared order; see ``features``."""
    return [column.name for column in features(use_case, model)]


def feature_rows(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    *,
    label: bool = False,
    label_known_before: datetime | None = None,
) -> duckdb.DuckDBPyRelation:
    """Return the rows that ``model`` predicts on the days from ``start`` to before ``end``.

    One row for each row of the source that fulfils ``model.rows.where`` and is known by
    its ``as_of``. Nothing known later than ``as_of`` has any influence on a feature.

    Parameters
    ----------
    con
        Connection with ``local_time`` defined.
    label
        Whether to add ``label`` and ``label_known_at``.
    label_known_before
        Only rows and labels known before this moment (UTC) are given; later corrections
        are not seen either.

    Returns
    -------
    DuckDBPyRelation
        ``row_key``, ``as_of``, ``partition_date``, the features in declared order,
        [``label``, ``label_known_at``], in order of day, ``as_of`` and key. Held in
        memory. ``label`` is NULL where there is none; then ``label_known_at`` tells whether
        that is known (there never will be one) or nothing is known yet (NULL).

    Raises
    ------
    DeclarationError
        If the declarations do not fit together, for instance a view's key is no column of
        the rows.
    NotComputedError
        If a source or view has never been materialised.
    """
    with temporary_tables(con) as temporary:
        query = _query(con, use_case, model, start, end, label, label_known_before, temporary)
        return detached(con, con.sql(query))


def create_feature_rows(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    into: str,
    *,
    label: bool = False,
    label_known_before: datetime | None = None,
    only: str | None = None,
) -> None:
    """Make the temporary table ``into`` (a quoted name) with what ``feature_rows`` returns.

    ``only``: quoted name of a table; of the rows, the few whose ``partition_date`` and
    ``row_key`` it has, their features looked up by ``few_rows``.
    """
    with temporary_tables(con) as temporary:
        query = _query(con, use_case, model, start, end, label, label_known_before, temporary, only)
        con.execute(f"CREATE TEMP TABLE {into} AS {query}")


def _query(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    label: bool,
    label_known_before: datetime | None,
    temporary: TemporaryNames,
    only: str | None = None,
) -> str:
    """Make the tables of rows, features and labels, and return the query over them."""
    columns = features(use_case, model)
    views = {c.view.name: c.view for c in columns}
    stored = {name: view for name, view in views.items() if isinstance(view, FeatureView)}
    needed = [f"raw.{model.rows.source}", *([f"raw.{model.label.source}"] if label else [])]
    reader = f"model {model.name!r}"
    require_written(use_case, reader, missing_tables(con, needed))
    have = column_types(con, table(f"raw.{model.rows.source}"))
    joined_by = join_columns(use_case, model, columns, have)
    tables = datasets(con, use_case, reader, stored.values(), start, end)

    def look(temporary: TemporaryNames) -> list[str]:
        """Make the table of rows, and one of features for each stored view."""
        requests = temporary("rows")
        create_requests(
            con, use_case, model, columns, start, end, requests, label_known_before, only
        )
        first, last = None, None
        if only is not None:
            [(first, last)] = con.execute(
                f"SELECT min(as_of), max(as_of) FROM {requests}"
            ).fetchall()
        made = [requests]
        for name, view in stored.items():
            made.append(temporary(name))
            wanted = tuple(c.name for c in columns if c.view is view)
            spec = join_spec(view, wanted, tables[name])
            if only is not None and is_bounded(spec):
                look_up_few(con, requests, spec, made[-1], first, last)
            else:
                look_up(con, requests, spec, made[-1])
        return made

    if only is not None:
        requests, *found = look(temporary)
    else:
        source = use_case.source(model.rows.source)
        about = {
            "rows": (model.rows, source.key, source.known_at_column),
            "joined_by": joined_by,
            "features": [(c.name, view_version(c.view)) for c in columns],
            "tables": tables,
            "days": (start, end),
            "known_before": label_known_before,
        }
        read = [f"raw.{model.rows.source}", *tables.values()]
        requests, *found = kept_rows.tables(con, about, read, look, temporary)
    aliases = {name: f"v{number}" for number, name in enumerate(stored)}
    beside = list(zip(found, aliases.values(), strict=True))
    selected = ["r.row_key", "r.as_of", "r.partition_date"]
    for number, column in enumerate(columns):
        if isinstance(column.view, FeatureView):
            selected.append(f"{aliases[column.view.name]}.{identifier(column.name)}")
        else:
            selected.append(f"r.on_demand_{number} AS {identifier(column.name)}")
    if label:
        labels = create_labels(con, use_case, model, requests, label_known_before, temporary)
        beside.append((labels, "y"))
        selected += ["y.label", "y.label_known_at"]
    return f"SELECT {', '.join(selected)} {side_by_side(requests, beside)}"


def join_spec(view: FeatureView, wanted: tuple[str, ...], dataset: str) -> JoinSpec:
    """How the features ``wanted`` of a stored view are looked up in its table."""
    return JoinSpec(
        name=view.name,
        table=table(dataset),
        keys=tuple(view.entity.keys),
        features=wanted,
        # What holds at all times is known in revisions too: of those the latest counts.
        event_time=EVENT_TIME if view.partitioned else KNOWN_AT,
        known_at=KNOWN_AT,
        ttl=view.ttl,
        tie_breaker=REVISION,
    )
