"""How the ``monitoring`` tables are written: whole days of one model, in the caller's
transaction. What the rows mean belongs in ``drift``, ``performance`` and ``retraining``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage import sql
from mlops_assets.core.storage.relations import column_types, table_exists

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    import duckdb


def replace_days(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    day_column: str,
    model: str,
    start: date,
    end: date,
    rows: Sequence[Any],
) -> int:
    """Replace a model's rows of the days from ``start`` to before ``end``.

    Parameters
    ----------
    dataset
        One of the monitoring tables, such as ``"monitoring.drift"``.
    day_column
        Its column with the day.
    rows
        Dataclass objects with exactly the table's columns. Their order is kept.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    ValueError
        If a row is of another model or day: nothing is deleted then.
    """
    import pyarrow as pa

    for row in rows:
        if row.model != model or not start <= getattr(row, day_column) < end:
            raise ValueError(
                f"{dataset}: a row of model {row.model!r} on {getattr(row, day_column)} does not "
                f"belong to {model!r} from {start} to before {end}; nothing was written"
            )
    con.execute(
        f"DELETE FROM {sql.table(dataset)} WHERE model = $model "
        f"AND {sql.identifier(day_column)} >= $start AND {sql.identifier(day_column)} < $end",
        {"model": model, "start": start, "end": end},
    )
    if not rows:
        return 0
    names = list(vars(rows[0]))
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    con.register("monitoring_rows", pa.table(columns))
    try:
        con.execute(
            f"INSERT INTO {sql.table(dataset)} BY NAME SELECT {sql.identifiers(names)} "
            "FROM monitoring_rows"
        )
    finally:
        con.unregister("monitoring_rows")
    return len(rows)


def columns_of(con: duckdb.DuckDBPyConnection, dataset: str) -> dict[str, str]:
    """Return the columns of a table with their DuckDB types; empty if there is no table."""
    if not table_exists(con, dataset):
        return {}
    return column_types(con, sql.table(dataset))


def serving(
    con: duckdb.DuckDBPyConnection, model: str, days: Iterable[date]
) -> dict[date, int | None]:
    """Return the version of a model that serves each day; ``None`` where none does."""
    from mlops_assets.core import registry

    # ``registry.champion_for`` for all days at once: the last event in effect counts.
    events = registry.history(con, model)[::-1]
    return {
        day: next((e.to_version for e in events if e.effective_from <= day), None) for day in days
    }
