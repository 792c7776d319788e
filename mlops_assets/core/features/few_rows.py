"""The point-in-time join for few rows: each row's own facts, instead of all facts in order.

``point_in_time`` sorts the facts of the whole time in question, which many rows pay for
together. Few rows are joined with facts by their keys, and the winner is taken of those that
a row may use: for 700 rows of a week against six views that takes a third of the time. It is
the same join made in another way, so whoever compares the results of both compares more than
one query with itself. The rules of the join are told in ``point_in_time``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage.sql import identifier, identifiers

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.features.join_spec import JoinSpec

_MICROSECOND = timedelta(microseconds=1)


def is_bounded(spec: JoinSpec) -> bool:
    """Whether a row has few facts: its ttl bounds them, or they do not change with time."""
    return spec.ttl is not None or spec.event_time == spec.known_at


def look_up_few(
    con: duckdb.DuckDBPyConnection,
    requests: str,
    spec: JoinSpec,
    into: str,
    first: datetime | None,
    last: datetime | None,
) -> None:
    """Make the temporary table ``into`` as ``point_in_time.look_up`` does.

    Parameters
    ----------
    spec
        Of a feature view's table: times are TIMESTAMP in UTC, and there is a tie-breaker
        that makes its facts unique.
    first, last
        Earliest and latest ``as_of`` of ``requests``.
    """
    assert spec.event_time is not None
    assert spec.known_at is not None
    assert spec.tie_breaker is not None
    event, known = f"f.{identifier(spec.event_time)}", f"f.{identifier(spec.known_at)}"
    keys = " AND ".join(f"r.{identifier(key)} = f.{identifier(key)}" for key in spec.keys)
    usable = [f"{event} <= r.as_of", f"{known} <= r.as_of", f"isfinite({event})"]
    # Compared with constants too, so that DuckDB can skip row groups.
    usable += [f"{event} <= $last::TIMESTAMP", f"{known} <= $last::TIMESTAMP"]
    bounds: dict[str, Any] = {"last": last}
    if spec.ttl is not None:
        # Where the winner has expired, so has every other fact: none is left, none is found.
        usable.append(f"epoch_us({event}) >= epoch_us(r.as_of) - $ttl")
        usable.append(f"{event} >= $first::TIMESTAMP")
        bounds["ttl"] = spec.ttl // _MICROSECOND
        bounds["first"] = None if first is None else _back(first, spec.ttl)
    # The winner's place and not its values: as values that are compared arg_max makes 0.0 of -0.0.
    order = f"row({event}, {known}, coalesce(f.{identifier(spec.tie_breaker)}, -1))"
    con.execute(
        f"CREATE TEMP TABLE {into} AS WITH winners AS (SELECT r.row_ordinal, "
        f"arg_max(f.rowid, {order}) AS place FROM {requests} r "
        f"JOIN {spec.table} f ON {keys} WHERE {' AND '.join(usable)} GROUP BY r.row_ordinal) "
        f"SELECT r.row_ordinal, {identifiers(spec.features, 'f.')} FROM {requests} r "
        f"LEFT JOIN winners USING (row_ordinal) LEFT JOIN {spec.table} f "
        "ON f.rowid = winners.place ORDER BY r.row_ordinal",
        bounds,
    )


def _back(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment - by
    except OverflowError:  # before any datetime: no bound
        return datetime.min
