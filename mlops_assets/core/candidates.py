"""Which facts can win in a point-in-time join, as SQL.

The rules and why this is right are told in ``point_in_time``, which joins what these
queries leave. Their columns are ``k0, k1, ...`` (keys), ``f0, f1, ...`` (features),
``event_us`` (event time in microseconds), ``usable`` (from when the fact can be used) and,
where declared, ``known`` and ``tie``: names of our own, so that no declared name can
collide with them.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mlops_assets.core.relations import from_item, utc
from mlops_assets.core.sql import identifier

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.point_in_time import JoinSpec


def facts_query(
    spec: JoinSpec,
    types: dict[str, str],
    first: datetime | None,
    last: datetime | None,
    *,
    keep_expired: bool,
) -> tuple[str, dict[str, object]]:
    """Query, and its parameters, for the facts that a row from ``first`` to ``last`` may use.

    ``types`` are those of the facts' columns. ``keep_expired``: also what no row may use
    because of its age, to tell it from what does not exist.
    """
    assert spec.event_time is not None
    event = utc(identifier(spec.event_time), types[spec.event_time], f"{spec.name}.event_time")
    known = event
    if spec.known_at is not None:
        known = utc(identifier(spec.known_at), types[spec.known_at], f"{spec.name}.known_at")
    selected = [f"{identifier(key)} AS k{n}" for n, key in enumerate(spec.keys)]
    selected += [f"{identifier(name)} AS f{n}" for n, name in enumerate(spec.features)]
    selected += [f"epoch_us({event}) AS event_us", f"greatest({event}, {known}) AS usable"]
    if spec.known_at is not None:
        selected.append(f"{known} AS known")
    if spec.tie_breaker is not None:
        selected.append(f"{identifier(spec.tie_breaker)} AS tie")
    where = [f"{identifier(key)} IS NOT NULL" for key in spec.keys]
    # Compared with constants, so that DuckDB can skip row groups by their least and greatest.
    where += [f"{event} <= $last", f"{known} <= $last", f"isfinite({event})"]
    parameters: dict[str, object] = {"last": last}
    if spec.ttl is not None and first is not None and not keep_expired:
        try:
            parameters["oldest"] = first - spec.ttl
            where.append(f"{event} >= $oldest")
        except OverflowError:
            pass  # older than any datetime: no bound
    query = f"SELECT {', '.join(selected)} FROM {from_item(spec.table)} WHERE {' AND '.join(where)}"
    return query, parameters


def not_outdated(spec: JoinSpec, facts: str) -> str:
    """Query over ``facts`` without those that are outdated at the first row's moment.

    The latest event usable by then stays usable, so an older one of the same key cannot
    win for any row. Over a long history this leaves little to sort: it pays where rows
    span less time than facts.
    """
    keys = ", ".join(f"k{n}" for n in range(len(spec.keys)))
    return (
        f"WITH facts AS ({facts}), latest AS (SELECT {keys}, "
        f"max(event_us) FILTER (usable <= $first) AS latest_us FROM facts GROUP BY {keys}) "
        f"SELECT facts.* FROM facts JOIN latest USING ({keys}) "
        "WHERE latest_us IS NULL OR event_us >= latest_us"
    )


def candidates_query(
    con: duckdb.DuckDBPyConnection, spec: JoinSpec, facts: str, parameters: dict[str, object]
) -> str:
    """Query over ``facts`` for those that can win, at most one for a key and ``usable``.

    Most tables need less than the general form, and its running maximum costs several
    times the join itself (5 s against 1 s for 2 million facts); one pass over keys and
    times tells what is needed.
    """
    partition = "PARTITION BY " + ", ".join(f"k{n}" for n in range(len(spec.keys)))
    bitemporal = spec.known_at is not None
    times = ["usable", "event_us", "known"] if bitemporal else ["usable"]
    order = ", ".join(times)
    late = "lag(event_us) OVER w > event_us" if bitemporal else "false"
    same_known = "lag(known) OVER w = known" if bitemporal else "true"
    probe = con.execute(
        f"WITH facts AS ({facts}), neighbours AS (SELECT {late} AS late, "
        f"lag(usable) OVER w = usable AS level, "
        f"lag(event_us) OVER w = event_us AND {same_known} AS tied "
        f"FROM facts WINDOW w AS ({partition} ORDER BY {order})) "
        "SELECT bool_or(late), bool_or(level), bool_or(level AND tied) FROM neighbours",
        parameters,
    ).fetchall()
    late_facts, level_facts, tied_facts = probe[0]
    if not (late_facts or level_facts):
        return "FROM facts"
    if tied_facts:
        ranks = ["tie"] if spec.tie_breaker else []
        ranks += [f"f{n}" for n in range(len(spec.features))]
        order += "".join(f", {rank} ASC NULLS FIRST" for rank in ranks)
    # The last of those usable from one moment on; and, of facts that became known in
    # another order than they happened, only those not older than any known before.
    keep = ["lead(usable) OVER w IS DISTINCT FROM usable"]
    if late_facts:
        keep.append("max(event_us) OVER w = event_us")
    return (
        f"SELECT * FROM facts WINDOW w AS ({partition} ORDER BY {order} "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) "
        f"QUALIFY {' AND '.join(keep)}"
    )
