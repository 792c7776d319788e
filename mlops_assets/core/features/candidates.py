"""Which facts can win in a point-in-time join, as SQL.

The rules and why this is right are told in ``point_in_time``, which joins what these
queries leave. Their columns are ``k0, k1, ...`` (keys), ``f0, f1, ...`` (features),
``event_us`` (event time in microseconds), ``usable`` (from when the fact can be used) and,
where declared, ``known`` and ``tie``: names of our own, so that no declared name can
collide with them. Values are variables of the connection (``bound_values``).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_assets.core.features.join_spec import JoinSpec
from mlops_assets.core.storage.bound_values import BoundValues
from mlops_assets.core.storage.relations import from_item, utc
from mlops_assets.core.storage.sql import identifier

if TYPE_CHECKING:
    import duckdb

#: About as many facts of a key are compared with one another.
_FACTS_IN_BLOCK = 100


def facts_query(
    spec: JoinSpec,
    types: dict[str, str],
    first: datetime | None,
    last: datetime | None,
    bind: BoundValues,
    *,
    keep_expired: bool,
) -> str:
    """Query for the facts that a row from ``first`` to ``last`` may use.

    ``types`` are those of the facts' columns. ``keep_expired``: also what no row may use
    because of its age, to tell it from what does not exist.
    """
    assert spec.event_time is not None
    event = utc(identifier(spec.event_time), types[spec.event_time], f"{spec.name}.event_time")
    known = event
    if spec.known_at is not None:
        known = utc(identifier(spec.known_at), types[spec.known_at], f"{spec.name}.known_at")
        if spec.null_known_at == "event_time":
            known = f"coalesce({known}, {event})"
    selected = [f"{identifier(key)} AS k{n}" for n, key in enumerate(spec.keys)]
    selected += [f"{identifier(name)} AS f{n}" for n, name in enumerate(spec.features)]
    selected += [f"epoch_us({event}) AS event_us", f"greatest({event}, {known}) AS usable"]
    if spec.known_at is not None:
        selected.append(f"{known} AS known")
    if spec.tie_breaker is not None:
        selected.append(f"{identifier(spec.tie_breaker)} AS tie")
    where = [f"{identifier(key)} IS NOT NULL" for key in spec.keys]
    # Compared with constants, so that DuckDB can skip row groups by their least and greatest.
    bound = f"CAST({bind(last)} AS TIMESTAMP)"
    where += [f"{event} <= {bound}", f"{known} <= {bound}", f"isfinite({event})"]
    if spec.ttl is not None and first is not None and not keep_expired:
        # A bound before any datetime is no bound.
        with suppress(OverflowError):
            where.append(f"{event} >= {bind(first - spec.ttl)}")
    return f"SELECT {', '.join(selected)} FROM {from_item(spec.table)} WHERE {' AND '.join(where)}"


def not_outdated(spec: JoinSpec, facts: str, first: str) -> str:
    """Query over ``facts`` without those that are outdated at the first row's moment.

    ``first`` is that moment as SQL. The latest event usable by then stays usable, so an
    older one of the same key cannot win for any row. Over a long history this leaves little
    to sort: it pays where rows span less time than facts.
    """
    keys = ", ".join(f"k{n}" for n in range(len(spec.keys)))
    return (
        f"WITH facts AS ({facts}), latest AS (SELECT {keys}, "
        f"max(event_us) FILTER (usable <= {first}) AS latest_us FROM facts GROUP BY {keys}) "
        f"SELECT facts.* FROM facts JOIN latest USING ({keys}) "
        "WHERE latest_us IS NULL OR event_us >= latest_us"
    )


def candidates_query(
    con: duckdb.DuckDBPyConnection, spec: JoinSpec, facts: str, bind: BoundValues
) -> str:
    """Query for those of ``facts`` (a query) that can win, at most one for a key and ``usable``.

    Most tables need less than the general form, and its running maximum costs several
    times the join itself (5 s against 1 s for 2 million facts); one pass over keys and
    times tells what is needed.
    """
    keys = ", ".join(f"k{n}" for n in range(len(spec.keys)))
    bitemporal = spec.known_at is not None
    order = "usable, event_us" if bitemporal else "usable"
    late = "lag(event_us) OVER w > event_us" if bitemporal else "false"
    ((late_facts, level_facts, tied_facts, n_facts, n_keys, start, end),) = con.execute(
        f"WITH facts AS ({facts}), neighbours AS (SELECT usable, {late} AS late, "
        f"lag(usable) OVER w = usable AS level, "
        "lag(event_us) OVER w = event_us AS tied "
        f"FROM facts WINDOW w AS (PARTITION BY {keys} ORDER BY {order})) "
        "SELECT bool_or(late), bool_or(level), bool_or(level AND tied), "
        "count(*), count(*) FILTER (level IS NULL), "
        "epoch_us(min(usable)), epoch_us(max(usable)) FROM neighbours"
    ).fetchall()
    if not (late_facts or level_facts):
        return facts
    if tied_facts:
        ranks = ["known"] if bitemporal else []
        ranks += ["tie"] if spec.tie_breaker else []
        ranks += [f"f{n}" for n in range(len(spec.features))]
        order += "".join(f", {rank} ASC NULLS FIRST" for rank in ranks)
    # The last of those usable from one moment on; and, of facts that became known in
    # another order than they happened, only those not older than any known before.
    keep = ["lead(usable) OVER w IS DISTINCT FROM usable"]
    if late_facts:
        keep.append("max(event_us) OVER w = event_us")
    blocks = n_facts // n_keys // _FACTS_IN_BLOCK
    if not late_facts or blocks < 2:
        return (
            f"WITH facts AS ({facts}) SELECT * FROM facts {_window(keys, order)} "
            f"QUALIFY {' AND '.join(keep)}"
        )
    # The running maximum costs more the more facts a key has (7 s with 100, 20 s with 10,000,
    # of 10 million). So time is cut into blocks: a fact must not be older than any of the
    # blocks before, and than any before it in its own block. Level facts share a block. What
    # happened in its own block is not older than any of those before: only the rest, known
    # late, is compared with them.
    first, width = bind(start), bind(max((end - start) // blocks, 1))
    block = f"CAST((epoch_us(usable) - {first}) // {width} AS UINTEGER)"
    begun = f"{first} + block * {width}"
    return (
        f"WITH placed AS NOT MATERIALIZED (SELECT *, {block} AS block FROM ({facts})), "
        f"blocks AS (SELECT {keys}, block, max(max(event_us)) OVER "
        f"(PARTITION BY {keys} ORDER BY block ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) "
        f"AS before_us FROM placed GROUP BY {keys}, block), "
        f"timely AS NOT MATERIALIZED (FROM placed WHERE event_us >= {begun} "
        f"UNION ALL SELECT placed.* FROM placed JOIN blocks USING ({keys}, block) "
        f"WHERE event_us < {begun} AND (before_us IS NULL OR event_us >= before_us)) "
        f"SELECT * FROM timely {_window(f'{keys}, block', order)} QUALIFY {' AND '.join(keep)}"
    )


def _window(partition: str, order: str) -> str:
    return (
        f"WINDOW w AS (PARTITION BY {partition} ORDER BY {order} "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    )
