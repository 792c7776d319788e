"""How many rows there are to predict: counted from the source alone, to check capture by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.storage import sql

if TYPE_CHECKING:
    from datetime import date

    import duckdb

    from mlops_assets.vocabulary import Model, UseCase


def expected_rows(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, start: date, end: date
) -> dict[date, int]:
    """Count, by day from ``start`` to before ``end``, the rows that need a prediction.

    Those are the rows of the model's source that satisfy its condition and are known when
    their prediction is made. Deliberately not by way of ``retrieval``: this is the count
    that what was captured is checked against.
    """
    source = use_case.source(model.rows.source)
    known = source.known_at_column
    found = con.execute(
        f"SELECT partition_date, count(*) FROM {sql.table(f'raw.{source.name}')} "
        f"WHERE partition_date >= $start AND partition_date < $end AND ({model.rows.where}) "
        + (f"AND {sql.identifier(known)} <= ({model.rows.as_of}) " if known else "")
        + "GROUP BY partition_date",
        {"start": start, "end": end},
    ).fetchall()
    return dict(found)
