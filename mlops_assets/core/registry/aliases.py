"""Aliases: names that point to one version of a model, with their whole history.

What an alias is and what it pointed to when is here; moving one belongs in ``alias_moves``,
which versions there are in ``versions``. An alias is the last of its events, which are only
ever added; ``champion`` serves.

Two times
---------
An event has two. ``recorded_at`` is when the registry was told, by the clock:
``champion_at`` answers from it what the alias pointed to at a moment. ``effective_from`` is
the first day *of the data* that the version serves: ``champion_for`` answers from it who
serves a day, which is what scoring asks, on the day itself and in a backfill years later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from mlops_assets.core.storage.records import fetch

if TYPE_CHECKING:
    import duckdb

CHAMPION = "champion"

# The last event, without ORDER BY and LIMIT, which take DuckDB three times as long for few rows
# (0.7 against 2.1 ms). An aggregate of no rows is NULL, and max_by passes NULLs by: a removed
# alias is 0 in between.
_POINTS_TO = (
    "SELECT nullif(max_by(coalesce(to_version, 0), event_id), 0) FROM registry.alias_events "
    "WHERE model = $model AND alias = $alias"
)

_ALIAS = re.compile(r"[a-z][a-z0-9_\-]{0,62}")
#: Would be read as a version: ``latest`` and ``v3``.
_RESERVED = re.compile(r"latest|v[0-9]+")


@dataclass(frozen=True)
class AliasEvent:
    """A row of ``registry.alias_events``.

    Attributes
    ----------
    to_version
        ``None``: the alias was removed. The champion's never is.
    promotion_id
        Of the decision that allows the move, or, with ``override``, that was overridden.
    override
        Whether the move went past the gate.
    rollback_of
        The event that this one takes back.
    """

    event_id: int
    model: str
    alias: str
    from_version: int | None
    to_version: int | None
    effective_from: date
    actor: str
    reason: str
    promotion_id: str | None
    override: bool
    rollback_of: int | None
    recorded_at: datetime


def champion(con: duckdb.DuckDBPyConnection, model: str, alias: str = CHAMPION) -> int | None:
    """Return the version that the alias points to now; ``None`` if to none."""
    # Asked before every load. A plain scan, its maximum taken here: DuckDB shares an aggregate
    # among its threads, which on a machine with other work is six times as long (0.6, 4 ms).
    events = con.execute(
        "SELECT event_id, to_version FROM registry.alias_events "
        "WHERE model = $model AND alias = $alias",
        {"model": model, "alias": alias_name(alias)},
    ).fetchall()
    return max(events)[1] if events else None


def champion_for(
    con: duckdb.DuckDBPyConnection, model: str, day: date, alias: str = CHAMPION
) -> int | None:
    """Return the version that serves a day of the data, whenever that was decided.

    That of the last event that takes effect by then: what a backfill of the day scores with.
    For what the alias pointed to at a moment of the clock, see ``champion_at``. ``None`` for
    days before the first champion.
    """
    ((version,),) = con.execute(
        f"{_POINTS_TO} AND effective_from <= $day",
        {"model": model, "alias": alias_name(alias), "day": day},
    ).fetchall()
    return version


def champion_at(
    con: duckdb.DuckDBPyConnection, model: str, time: datetime, alias: str = CHAMPION
) -> int | None:
    """Return the version that the alias pointed to at a moment of the clock.

    That of the last event recorded by then, the moment of recording included; ``None`` if
    it pointed to none. For who serves a day of the data, see ``champion_for``.

    Parameters
    ----------
    time
        With a time zone, or naive in UTC.
    """
    ((version,),) = con.execute(
        f"{_POINTS_TO} AND recorded_at <= $time",
        {"model": model, "alias": alias_name(alias), "time": _utc(time)},
    ).fetchall()
    return version


def champions_at(
    con: duckdb.DuckDBPyConnection, model: str, times: Iterable[datetime], alias: str = CHAMPION
) -> list[int | None]:
    """Return ``champion_at`` of many moments, in their order, by one query."""
    rows = con.execute(
        "WITH asked AS (SELECT unnest($times::TIMESTAMP[]) AS time, "
        "unnest(range(len($times::TIMESTAMP[]))) AS ordinal), "
        "moved AS (SELECT recorded_at, to_version FROM registry.alias_events "
        "WHERE model = $model AND alias = $alias "
        "QUALIFY row_number() OVER (PARTITION BY recorded_at ORDER BY event_id DESC) = 1) "
        "SELECT to_version FROM asked ASOF LEFT JOIN moved ON asked.time >= moved.recorded_at "
        "ORDER BY ordinal",
        {"model": model, "alias": alias_name(alias), "times": [_utc(t) for t in times]},
    ).fetchall()
    return [version for (version,) in rows]


def aliases(con: duckdb.DuckDBPyConnection, model: str) -> dict[str, int]:
    """Return a model's aliases and the versions that they point to now, by name."""
    return dict(
        con.execute(
            "SELECT alias, version FROM registry.aliases WHERE model = $model ORDER BY alias",
            {"model": model},
        ).fetchall()
    )


def history(con: duckdb.DuckDBPyConnection, model: str, alias: str = CHAMPION) -> list[AliasEvent]:
    """Return an alias's events, the first one first."""
    rows = fetch(
        con,
        "SELECT * FROM registry.alias_events WHERE model = $model AND alias = $alias "
        "ORDER BY event_id",
        {"model": model, "alias": alias_name(alias)},
    )
    return [AliasEvent(**row) for row in rows]


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def alias_name(alias: str) -> str:
    """Return the name as it is kept: case-folded.

    Raises
    ------
    ValueError
        If it is no alias, or reads as a version (``3``, ``v3``, ``latest``).
    """
    folded = alias.casefold()
    if _ALIAS.fullmatch(folded) is None or _RESERVED.fullmatch(folded) is not None:
        raise ValueError(
            f"{alias!r} cannot be an alias: use letters, digits, '_' and '-', beginning with a "
            "letter, and nothing that reads as a version (3, v3, latest)"
        )
    return folded
