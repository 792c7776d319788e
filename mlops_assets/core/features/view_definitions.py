"""Definitions of feature views, kept: which table holds the values of which version.

``features.<view>`` holds the values of the definition it was last computed with. When a view
is computed under another definition, the table of the former becomes
``features.<view>__<version>``, and the new one begins empty: values of two definitions never
mix. Each definition is recorded in ``registry.feature_views``, complete enough to compute
further days by it (SQL only: code of functions is not kept), so that a model version can go on
being served the features it was trained on.

What makes a version is in ``view_versions``; computing in ``feature_views``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features.view_versions import remember, view_version
from mlops_assets.core.storage.contracts import schema_of
from mlops_assets.core.storage.relations import missing_tables
from mlops_assets.core.storage.sql import identifier, table
from mlops_assets.vocabulary import Entity, FeatureView, OnDemandFeatures

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb
    import pandera.pandas as pa

    View = FeatureView | OnDemandFeatures

_MICROSECOND = timedelta(microseconds=1)


class ViewChangedError(RuntimeError):
    """A version's features are not those of today's definitions. Says what to do."""


@dataclass(frozen=True)
class Stored:
    """Where the values of a definition are.

    Attributes
    ----------
    dataset
        Table with them; ``None``: the view was never computed by this definition.
    former
        Tables with the values of other definitions.
    """

    dataset: str | None
    former: tuple[str, ...]


def stored(con: duckdb.DuckDBPyConnection, views: Iterable[FeatureView]) -> dict[str, Stored]:
    """Return where the values of each of these definitions are, by the view's name."""
    wanted = {view.name: view_version(view) for view in views}
    tables: dict[str, dict[str, str]] = {name: {} for name in wanted}
    for name, version, current in con.execute(
        "SELECT view, version, current FROM registry.feature_views "
        "WHERE view IN (SELECT unnest($names::VARCHAR[])) ORDER BY recorded_at",
        {"names": list(wanted)},
    ).fetchall():
        tables[name][version] = f"features.{name}" if current else past(name, version)
    return {
        name: Stored(
            tables[name].get(version),
            tuple(dataset for v, dataset in tables[name].items() if v != version),
        )
        for name, version in wanted.items()
    }


def make_current(con: duckdb.DuckDBPyConnection, view: View, run_id: str | None) -> bool:
    """Let ``features.<view>`` be the table of this definition; return whether it was another's.

    The table and the ledger of the definition before are kept under its version's name; if
    this one had been in use earlier, its own come back. Call it in a transaction, before the
    view is computed.
    """
    version = view_version(view)
    known = dict(
        con.execute(
            "SELECT version, current FROM registry.feature_views WHERE view = ?", [view.name]
        ).fetchall()
    )
    if known.get(version):
        return False
    before = next((v for v, current in known.items() if current), None)
    if before is not None and isinstance(view, FeatureView):
        _rename(con, f"features.{view.name}", past(view.name, before))
    if version in known and isinstance(view, FeatureView):
        _rename(con, past(view.name, version), f"features.{view.name}")
    con.execute("UPDATE registry.feature_views SET current = false WHERE view = ?", [view.name])
    if version in known:
        con.execute(
            "UPDATE registry.feature_views SET current = true WHERE view = ? AND version = ?",
            [view.name, version],
        )
    else:
        con.execute(
            "INSERT INTO registry.feature_views (view, version, definition, current, run_id, "
            "recorded_at) VALUES (?, ?, ?, true, ?, ?)",
            [
                view.name,
                version,
                json.dumps(_definition(view)),
                run_id,
                datetime.now(UTC).replace(tzinfo=None),
            ],
        )
    return before is not None


def pinned(con: duckdb.DuckDBPyConnection, name: str, version: str) -> View:
    """Return the view as it was defined in a version, to be served from its own table.

    Raises
    ------
    ViewChangedError
        If the definition was never recorded.
    """
    found = con.execute(
        "SELECT definition FROM registry.feature_views WHERE view = ? AND version = ?",
        [name, version],
    ).fetchall()
    if not found:
        raise ViewChangedError(
            f"Version {version} of view {name!r} is not in registry.feature_views, so that its "
            "features cannot be computed. Retrain the model on today's definition."
        )
    view = _restore(name, json.loads(found[0][0]))
    remember(view, version)
    return view


def past(name: str, version: str) -> str:
    """Return the name of the table of a definition that is not the current one."""
    return f"features.{name}__{version}"


def _rename(con: duckdb.DuckDBPyConnection, old: str, new: str) -> None:
    if missing_tables(con, [old]):
        return
    name = new.partition(".")[2]
    con.execute(f"ALTER TABLE {table(old)} RENAME TO {identifier(name)}")
    con.execute("UPDATE ops.partitions SET dataset = ? WHERE dataset = ?", [new, old])


def _definition(view: View) -> dict[str, Any]:
    """What computing the view needs, in JSON types."""
    if isinstance(view, OnDemandFeatures):
        return {"kind": "on_demand", "features": dict(view.features)}
    return {
        "kind": "view",
        "entity": [view.entity.name, list(view.entity.keys)],
        "sources": list(view.sources),
        # A function's code may call other code: it cannot be kept whole.
        "sql": view.sql,
        "event_time": view.event_time,
        "known_at": view.known_at,
        "ttl": None if view.ttl is None else view.ttl // _MICROSECOND,
        "lookback": view.lookback // _MICROSECOND,
        "schema": [
            [name, str(column.dtype), column.nullable]
            for name, column in schema_of(view).columns.items()
        ],
    }


def _restore(name: str, definition: Mapping[str, Any]) -> View:
    if definition["kind"] == "on_demand":
        return OnDemandFeatures(name=name, features=definition["features"])

    def schema() -> pa.DataFrameSchema:
        import pandera.pandas as pa

        return pa.DataFrameSchema(
            {
                column: pa.Column(dtype, nullable=nullable)
                for column, dtype, nullable in definition["schema"]
            }
        )

    def gone(*_: Any) -> Any:
        raise ViewChangedError(
            f"View {name!r} was computed by a Python function that has changed since; further "
            "days cannot be computed as they were. Retrain the model on today's definition, or "
            "restore the function."
        )

    entity, keys = definition["entity"]
    return FeatureView(
        name=name,
        entity=Entity(name=entity, keys=keys),
        sources=definition["sources"],
        schema=schema,
        sql=definition["sql"],
        function=None if definition["sql"] is not None else gone,
        event_time=definition["event_time"],
        known_at=definition["known_at"],
        ttl=None if definition["ttl"] is None else definition["ttl"] * _MICROSECOND,
        lookback=definition["lookback"] * _MICROSECOND,
    )
