"""Aliases: names that point to one version of a model, with their whole history.

Which versions there are belongs in ``registry``, whether one may serve in ``gate``. An alias
is the last of its events, which are only ever added; ``champion`` serves. A move compares
with what the caller believed, so that two movers cannot overwrite each other unseen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from mlops_assets.core.storage.records import Conflict, NotFound, fetch, insert, no_version, utc_now

if TYPE_CHECKING:
    import duckdb

CHAMPION = "champion"

_ALIAS = re.compile(r"[a-z][a-z0-9_\-]{0,62}")
#: Would be read as a version: ``latest`` and ``v3``.
_RESERVED = re.compile(r"latest|v[0-9]+")


@dataclass(frozen=True)
class AliasEvent:
    """A row of ``registry.alias_events``."""

    event_id: int
    model: str
    alias: str
    from_version: int | None
    to_version: int
    effective_from: date
    actor: str
    reason: str
    promotion_id: str | None
    recorded_at: datetime


def champion(con: duckdb.DuckDBPyConnection, model: str, alias: str = CHAMPION) -> int | None:
    """Return the version that the alias was last moved to; ``None`` if it never was."""
    events = history(con, model, alias)
    return events[-1].to_version if events else None


def champion_for(
    con: duckdb.DuckDBPyConnection, model: str, day: date, alias: str = CHAMPION
) -> int | None:
    """Return the version that serves a day: of the last event that takes effect by then.

    ``None`` for days before the first champion.
    """
    rows = con.execute(
        "SELECT to_version FROM registry.alias_events "
        "WHERE model = $model AND alias = $alias AND effective_from <= $day "
        "ORDER BY event_id DESC LIMIT 1",
        {"model": model, "alias": _alias_name(alias), "day": day},
    ).fetchall()
    return rows[0][0] if rows else None


def history(con: duckdb.DuckDBPyConnection, model: str, alias: str = CHAMPION) -> list[AliasEvent]:
    """Return an alias's events, the first one first."""
    rows = fetch(
        con,
        "SELECT * FROM registry.alias_events WHERE model = $model AND alias = $alias "
        "ORDER BY event_id",
        {"model": model, "alias": _alias_name(alias)},
    )
    return [AliasEvent(**row) for row in rows]


def move_alias(
    con: duckdb.DuckDBPyConnection,
    model: str,
    alias: str,
    to_version: int,
    *,
    expected_from: int | None,
    effective_from: date,
    actor: str,
    reason: str,
    promotion_id: str | None = None,
    now: datetime | None = None,
) -> AliasEvent:
    """Move an alias to a version, if it still is where the caller believes it to be.

    Parameters
    ----------
    alias
        Lower-case letters, digits, ``_`` and ``-``, beginning with a letter, after
        case-folding. What could be read as a version (``3``, ``v3``, ``latest``) is refused.
    expected_from
        Version that the alias points to; ``None``: it does not exist yet.
    effective_from
        First day that the version serves. Not before the last event's, so that no day that
        may have been served already changes its version.
    promotion_id
        Of the decision that allows the move, if one does. Where that decision's move was
        the last one, it is returned and nothing is added: a re-run changes nothing.

    Raises
    ------
    NotFound
        If there is no such version or decision.
    Conflict
        If the alias points elsewhere, the day lies before the last event's, or the decision
        is a refusal or about another version.
    ValueError
        If the alias is no alias, or actor or reason are empty.
    """
    alias = _alias_name(alias)
    if not actor.strip() or not reason.strip():
        raise ValueError("Moving an alias needs an actor and a reason; both are kept for ever")
    _require_version(con, model, to_version)
    events = history(con, model, alias)
    current = events[-1].to_version if events else None
    if (
        promotion_id is not None
        and current == to_version
        and events[-1].promotion_id == promotion_id
    ):
        return events[-1]
    if current != expected_from:
        raise Conflict(
            f"{model}: alias {alias!r} points to {_named(current)}, not to "
            f"{_named(expected_from)}: it was moved in between. Read it again and decide anew."
        )
    if events and effective_from < events[-1].effective_from:
        raise Conflict(
            f"{model}: alias {alias!r} has been {_named(current)} from "
            f"{events[-1].effective_from}; taking effect on {effective_from} would change days "
            "that may have been served. Give that day or a later one."
        )
    if promotion_id is not None:
        _require_promotion(con, model, to_version, promotion_id)
    ((last,),) = con.execute(
        "SELECT coalesce(max(event_id), 0) FROM registry.alias_events"
    ).fetchall()
    event = AliasEvent(
        event_id=last + 1,
        model=model,
        alias=alias,
        from_version=current,
        to_version=to_version,
        effective_from=effective_from,
        actor=actor,
        reason=reason,
        promotion_id=promotion_id,
        recorded_at=now or utc_now(),
    )
    insert(con, "registry.alias_events", vars(event))
    return event


def _alias_name(alias: str) -> str:
    folded = alias.casefold()
    if _ALIAS.fullmatch(folded) is None or _RESERVED.fullmatch(folded) is not None:
        raise ValueError(
            f"{alias!r} cannot be an alias: use letters, digits, '_' and '-', beginning with a "
            "letter, and nothing that reads as a version (3, v3, latest)"
        )
    return folded


def _require_version(con: duckdb.DuckDBPyConnection, model: str, version: int) -> None:
    found = con.execute(
        "SELECT 1 FROM registry.model_versions WHERE model = $model AND version = $version",
        {"model": model, "version": version},
    ).fetchall()
    if not found:
        raise no_version(con, model, version)


def _require_promotion(
    con: duckdb.DuckDBPyConnection, model: str, version: int, promotion_id: str
) -> None:
    rows = con.execute(
        "SELECT model, version, promoted FROM registry.promotion_decisions "
        "WHERE promotion_id = $id",
        {"id": promotion_id},
    ).fetchall()
    if not rows:
        raise NotFound(f"There is no promotion decision {promotion_id!r}")
    about, its_version, promoted = rows[0]
    if (about, its_version) != (model, version) or not promoted:
        raise Conflict(
            f"Promotion decision {promotion_id!r} {'promotes' if promoted else 'refuses'} "
            f"{about} version {its_version}; it does not allow {model} version {version}"
        )


def _named(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
