"""Which tables have the values of feature views, and the refusal where none has.

What the tables of former definitions are is in ``view_definitions``; looking features up in
them belongs in ``retrieval``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from mlops_assets.core.features import view_definitions
from mlops_assets.vocabulary import FeatureView, UseCase

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.features.view_definitions import Stored


class NotComputedError(RuntimeError):
    """A table that is to be read has never been written. The message says what to run."""


def require_written(use_case: UseCase, reader: str, missing: Sequence[str]) -> None:
    """Refuse where the datasets ``missing`` are needed for ``reader``.

    Raises
    ------
    NotComputedError
        If there are any.
    """
    if missing:
        names = [name.replace(".", "/") for name in missing]
        raise NotComputedError(
            f"{', '.join(names)}, needed for {reader}, has never been written: "
            f"materialise {', '.join(f'{use_case.name}/{name}' for name in names)} first."
        )


def datasets(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    reader: str,
    views: Iterable[FeatureView],
    start: date,
    end: date,
) -> dict[str, str]:
    """Return the tables with the views' values by today's definitions, by the views' names.

    ``reader`` says in errors for whom values of the days from ``start`` to before ``end`` are
    needed.

    Raises
    ------
    NotComputedError
        If a view has never been computed, or has been defined anew since it was for these days.
    """
    stored = view_definitions.stored(con, views)
    never = [f"features.{n}" for n, v in stored.items() if v.dataset is None and not v.former]
    require_written(use_case, reader, never)
    return {
        name: _dataset(con, use_case, reader, name, view, start, end)
        for name, view in stored.items()
    }


def _dataset(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    reader: str,
    name: str,
    view: Stored,
    start: date,
    end: date,
) -> str:
    """Return the table of a view's values; refuse days that only earlier definitions have.

    Their values would all look missing otherwise.
    """
    if view.former:
        ((days, first, last),) = con.execute(
            "SELECT count(DISTINCT partition_date), min(partition_date), max(partition_date) "
            "FROM ops.partitions WHERE dataset IN (SELECT unnest($former::VARCHAR[])) "
            "AND partition_date >= $start AND partition_date < $end AND partition_date NOT IN "
            "(SELECT partition_date FROM ops.partitions WHERE dataset = $dataset "
            "AND partition_date IS NOT NULL)",
            {"former": list(view.former), "dataset": view.dataset, "start": start, "end": end},
        ).fetchall()
        if days or view.dataset is None:
            which = f"{first} to {last}" if days else "all that are needed"
            raise NotComputedError(
                f"View {name!r}, needed for {reader}, has been defined anew, and its values "
                f"from {start} to before {end} are those of an earlier definition: materialise "
                f"{use_case.name}/features/{name} for these days first ({which})."
            )
    return str(view.dataset)
