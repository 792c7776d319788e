"""The rows that a model predicts, with what they are joined by, and their labels.

Features that are looked up belong in ``retrieval``, which puts all three together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.landing.history import rows_as_of, rows_known_before
from mlops_assets.core.storage.relations import TemporaryNames, column_types, utc
from mlops_assets.core.storage.sql import identifier, table
from mlops_assets.vocabulary import (
    DeclarationError,
    FeatureView,
    Model,
    OnDemandFeatures,
    Source,
    UseCase,
)

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.features.retrieval import FeatureColumn


def create_requests(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    columns: Sequence[FeatureColumn],
    start: date,
    end: date,
    into: str,
    known_before: datetime | None = None,
    only: str | None = None,
) -> None:
    """Make the table of rows: key, moment, day, join keys, on-demand features.

    On-demand features get names of our own, because a feature is often called like the
    source's column that it is. A row that was corrected is taken as it was at its moment;
    ``known_before``: only rows that were known before then (UTC) are there; ``only``: quoted
    name of a table, only rows whose ``partition_date`` and ``row_key`` it has.
    """
    source = use_case.source(model.rows.source)
    raw = table(f"raw.{source.name}")
    have = column_types(con, raw)
    kept = join_columns(use_case, model, columns, have)
    row_key = row_key_of(source)
    on_demand = [
        f"({column.view.features[column.name]}\n) AS on_demand_{number}"
        for number, column in enumerate(columns)
        if isinstance(column.view, OnDemandFeatures)
    ]
    as_of = f"({model.rows.as_of}\n)"
    moment_type = column_types(con, f"SELECT {as_of} AS as_of FROM {raw}")["as_of"]
    moment = utc(as_of, moment_type, f"Model {model.name!r}: rows.as_of")
    own = ", ".join(identifier(name) for name in have if name != "as_of")
    known = "true"
    if source.known_at_column is not None:
        known_type = have[source.known_at_column]
        known = f"{utc(identifier(source.known_at_column), known_type, 'known_at')} <= as_of"
    selected = [
        "row_number() OVER () AS row_ordinal",
        "request_key AS row_key",
        "as_of",
        "partition_date",
        *(identifier(name) for name in kept if name not in ("as_of", "partition_date")),
        *(f"on_demand_{n}" for n, c in enumerate(columns) if isinstance(c.view, OnDemandFeatures)),
    ]
    among = "true"
    if only is not None:
        among = f"(partition_date, {row_key}) IN (SELECT partition_date, row_key FROM {only})"
    versions = rows_as_of(con, source, moment, known_before)
    bounds: dict[str, Any] = {"start": start, "end": end}
    if "$known_before" in versions:
        bounds["known_before"] = known_before
    con.execute(
        f"CREATE TEMP TABLE {into} AS "
        f"WITH moments AS (SELECT {own}, {moment} AS as_of FROM ({versions}) "
        "WHERE partition_date >= $start AND partition_date < $end), "
        f"wanted AS (SELECT *, {', '.join([f'{row_key} AS request_key', *on_demand])} "
        f"FROM moments WHERE ({model.rows.where}\n) AND {known} AND {among}) "
        f"SELECT {', '.join(selected)} "
        "FROM (FROM wanted ORDER BY partition_date, as_of, request_key)",
        bounds,
    )


def row_key_of(source: Source) -> str:
    """Return the SQL of a row's key as text, over the source's columns."""
    parts = [f"CAST({identifier(name)} AS VARCHAR)" for name in source.key]
    # The text of a JSON list tells ("a", "b,c") from ("a,b", "c").
    return parts[0] if len(parts) == 1 else f"CAST(to_json([{', '.join(parts)}]) AS VARCHAR)"


def join_columns(
    use_case: UseCase, model: Model, columns: Sequence[FeatureColumn], have: Mapping[str, Any]
) -> list[str]:
    """Return the columns of the rows' source that views and label are joined by.

    Raises
    ------
    DeclarationError
        If the source, whose columns are ``have``, lacks one.
    """
    needed = {f"label: join with source {model.label.source!r}": model.label.join}
    for column in columns:
        if isinstance(column.view, FeatureView):
            entity = column.view.entity
            needed[f"features: entity {entity.name!r} of {column.view.name!r}"] = entity.keys
    for purpose, names in needed.items():
        missing = [name for name in names if name not in have]
        if missing:
            raise DeclarationError(
                f"Model {model.name!r}: {purpose} needs {', '.join(missing)}, which the rows of "
                f"{model.rows.source!r} do not have; they have {', '.join(have)}"
            )
    return list(dict.fromkeys(name for names in needed.values() for name in names))


def create_labels(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    requests: str,
    known_before: datetime | None,
    temporary: TemporaryNames,
) -> str:
    """Make the table of labels, one row for each row, in order, and return its name."""
    source = use_case.source(model.label.source)
    have = column_types(con, table(f"raw.{source.name}"))
    parameters: dict[str, Any] = {}
    if known_before is not None:
        parameters["known_before"] = known_before
    if source.known_at_column is None:
        known, condition = "nullif(valid_from, '-infinity'::TIMESTAMP)", "true"
    else:
        column = identifier(source.known_at_column)
        known = utc(column, have[source.known_at_column], f"{source.name}.known_at")
        condition = f"{known} IS NOT NULL"
        if known_before is not None:
            condition = f"{known} < $known_before"
        # A correction that does not say so itself was known when it came.
        known = f"greatest({known}, valid_from)"
    # The latest ingest is the last word; the rest makes the order total.
    ingest = "ingest_seq" if "ingest_seq" in have else "0"
    latest = "l.ingest DESC, l.known DESC NULLS LAST, l.label DESC NULLS LAST"
    keys = [f"{identifier(name)} AS k{n}" for n, name in enumerate(model.label.join)]
    equal = [f"l.k{n} = r.{identifier(name)}" for n, name in enumerate(model.label.join)]
    into = temporary("labels")
    con.execute(
        f"CREATE TEMP TABLE {into} AS WITH labels AS ("
        f"SELECT {', '.join(keys)}, {ingest} AS ingest, {known} AS known, true AS found, "
        f"({model.label.expression}\n) AS label "
        f"FROM ({rows_known_before(con, source, known_before)}) WHERE {condition}) "
        # What has no known time (a static source) has always been known.
        "SELECT r.row_ordinal, l.label, "
        "CASE WHEN l.found THEN coalesce(l.known, r.as_of) END AS label_known_at "
        f"FROM {requests} r LEFT JOIN labels l ON {' AND '.join(equal)} "
        f"QUALIFY row_number() OVER (PARTITION BY r.row_ordinal ORDER BY {latest}) = 1 "
        "ORDER BY r.row_ordinal",
        parameters,
    )
    return into
