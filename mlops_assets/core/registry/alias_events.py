"""Alias events as they are added: after the last one, with words, from where one believed.

Who may move what belongs in ``alias_moves`` and ``rollbacks``, reading in ``aliases``.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from mlops_assets.core.registry.aliases import AliasEvent
from mlops_assets.core.storage.records import Conflict, insert, utc_now

if TYPE_CHECKING:
    import duckdb


def last_event(con: duckdb.DuckDBPyConnection, model: str, alias: str) -> AliasEvent | None:
    """Return the last event of an alias, its name as it is kept."""
    ((found,),) = con.execute(
        "SELECT max_by(e, event_id) FROM registry.alias_events e "
        "WHERE model = $model AND alias = $alias",
        {"model": model, "alias": alias},
    ).fetchall()
    return None if found is None else AliasEvent(**found)


def add_event(
    con: duckdb.DuckDBPyConnection,
    last: AliasEvent | None,
    model: str,
    alias: str,
    to_version: int | None,
    effective_from: date,
    actor: str,
    reason: str,
    *,
    promotion_id: str | None = None,
    override: bool = False,
    rollback_of: int | None = None,
    now: datetime | None,
) -> AliasEvent:
    """Add the event that follows ``last``.

    Raises
    ------
    Conflict
        If the day lies before that of ``last``.
    """
    if last is not None and effective_from < last.effective_from:
        raise Conflict(
            f"{model}: alias {alias!r} has been {_named(last.to_version)} from "
            f"{last.effective_from}; taking effect on {effective_from} would change days "
            "that may have been served. Give that day or a later one."
        )
    ((newest,),) = con.execute(
        "SELECT coalesce(max(event_id), 0) FROM registry.alias_events"
    ).fetchall()
    at = now or utc_now()
    event = AliasEvent(
        event_id=newest + 1,
        model=model,
        alias=alias,
        from_version=last.to_version if last else None,
        to_version=to_version,
        effective_from=effective_from,
        actor=actor,
        reason=reason,
        promotion_id=promotion_id,
        override=override,
        rollback_of=rollback_of,
        recorded_at=max(at, last.recorded_at) if last else at,
    )
    insert(con, "registry.alias_events", vars(event))
    return event


def require_words(actor: str, reason: str) -> None:
    """Raise a ``ValueError`` if actor or reason are empty."""
    if not actor.strip() or not reason.strip():
        raise ValueError("Moving an alias needs an actor and a reason; both are kept for ever")


def compare(model: str, alias: str, current: int | None, expected: int | None) -> None:
    """Raise a ``Conflict`` if an alias points elsewhere than was believed."""
    if current != expected:
        raise Conflict(
            f"{model}: alias {alias!r} points to {_named(current)}, not to "
            f"{_named(expected)}: it was moved in between. Read it again and decide anew."
        )


def _named(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
