"""The values that a prediction was given: for each view the row found for its keys and moment.

Found by the point-in-time join that scoring uses, with what it found beside the values: status,
event time, known time, revision. The rows of sources behind it belong in ``source_rows``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features.feature_views import EVENT_TIME, KNOWN_AT
from mlops_assets.core.features.join_spec import JoinSpec, status_column
from mlops_assets.core.features.point_in_time import point_in_time_join
from mlops_assets.core.features.retrieval import features, join_spec
from mlops_assets.core.features.revisions import REVISION
from mlops_assets.core.features.view_tables import datasets
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.relations import column_types, temporary_tables
from mlops_assets.vocabulary import FeatureView, OnDemandFeatures

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.audit.predictions import Prediction
    from mlops_assets.core.audit.request import Request
    from mlops_assets.vocabulary import Model, UseCase


@dataclass(frozen=True)
class Fact:
    """What a view knew of a prediction's entity at its moment; times are UTC.

    Attributes
    ----------
    dataset
        Table that was looked in; ``None``: computed from the row to predict.
    keys
        Of the entity, as the row to predict has them.
    statuses
        Feature to ``present``; ``null`` (there is a value, and it is NULL); ``expired`` (the
        last one was older than the view's ttl); ``not_found``; ``computed`` from the row.
    event_time, known_at, revision
        Of the row that was found, also where it had expired; ``None``: there was none, or
        the view has no event time.
    values
        Of that row, by feature. Expired ones were not used.
    """

    view: str
    view_version: str
    dataset: str | None
    keys: Mapping[str, Any]
    statuses: Mapping[str, str]
    event_time: datetime | None
    known_at: datetime | None
    revision: int | None
    values: Mapping[str, Any]

    @property
    def found(self) -> bool:
        """Whether there was a row, be it too old."""
        return self.known_at is not None


def facts(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    prediction: Prediction,
    request: Request,
    computed: Mapping[str, Any],
) -> list[Fact]:
    """Return what each view of the model knew, in the order of its features.

    Parameters
    ----------
    use_case, model
        With the definitions of the version, see ``consistency.definitions_of``.
    computed
        Features as computed again, for those that come from the row itself.

    Raises
    ------
    NotComputedError
        If the values of a view are not there.
    """
    columns = features(use_case, model)
    views = {column.view.name: column.view for column in columns}
    found = []
    for view in views.values():
        wanted = tuple(column.name for column in columns if column.view is view)
        if isinstance(view, OnDemandFeatures):
            found.append(
                Fact(
                    view=view.name,
                    view_version=view_version(view),
                    dataset=None,
                    keys={},
                    statuses=dict.fromkeys(wanted, "computed"),
                    event_time=prediction.as_of,
                    known_at=request.known_at,
                    revision=None,
                    values={name: computed.get(name) for name in wanted},
                )
            )
        else:
            found.append(_fact(con, use_case, view, wanted, prediction, request))
    return found


def _fact(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    view: FeatureView,
    wanted: Sequence[str],
    prediction: Prediction,
    request: Request,
) -> Fact:
    day = prediction.partition_date
    reader = f"prediction {prediction.prediction_id}"
    ((_, dataset),) = datasets(con, use_case, reader, [view], day, day + timedelta(days=1)).items()
    times = [KNOWN_AT, REVISION, *([EVENT_TIME] if view.partitioned else [])]
    spec = join_spec(view, (*wanted, *times), dataset)
    keys = {key: request.values.get(key) for key in view.entity.keys}
    with temporary_tables(con) as temporary:
        row = temporary("row")
        types = column_types(con, sql.table(f"raw.{request.source}"))
        typed = ", ".join(
            f"${n}::{types[key]} AS {sql.identifier(key)}" for n, key in enumerate(keys, start=2)
        )
        con.execute(
            f"CREATE TEMP TABLE {row} AS SELECT $1::TIMESTAMP AS as_of, {typed}",
            [prediction.as_of, *keys.values()],
        )
        used = latest = _joined(con, row, spec)
        if "expired" in {used[status_column(name)] for name in wanted}:
            latest = _joined(con, row, replace(spec, ttl=None))  # as it was, to be told
    return Fact(
        view=view.name,
        view_version=view_version(view),
        dataset=dataset,
        keys=keys,
        statuses={name: used[status_column(name)] for name in wanted},
        event_time=latest.get(EVENT_TIME),
        known_at=latest[KNOWN_AT],
        revision=latest[REVISION],
        values={name: latest[name] for name in wanted},
    )


def _joined(con: duckdb.DuckDBPyConnection, row: str, spec: JoinSpec) -> dict[str, Any]:
    joined = point_in_time_join(con, row, [spec], status=True)
    return dict(zip(joined.columns, joined.fetchall()[0], strict=True))
