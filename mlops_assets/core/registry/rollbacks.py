"""Rolling back: the champion before the present one serves again, on record.

Moving forward belongs in ``alias_moves``; when to roll back is decided by people, and by
``serving.probation``.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.registry.alias_events import add_event, compare, require_words
from mlops_assets.core.registry.aliases import CHAMPION, AliasEvent, history
from mlops_assets.core.registry.deletions import require_bytes
from mlops_assets.core.storage import store
from mlops_assets.core.storage.records import NotFound

if TYPE_CHECKING:
    import duckdb


def rollback(
    con: duckdb.DuckDBPyConnection,
    model: str,
    *,
    actor: str,
    reason: str,
    expected_from: int | None = None,
    effective_from: date | None = None,
    now: datetime | None = None,
) -> AliasEvent:
    """Let the champion before the present one serve again.

    Takes back the last move that was not taken back yet, so that rolling back twice goes two
    champions back, not to and fro. Needs no decision: the version had its own when it was
    promoted.

    Parameters
    ----------
    expected_from
        Version that is believed to serve; ``None``: whichever does.
    effective_from
        First day that it serves; by default the first one that is not yet scored.

    Raises
    ------
    NotFound
        If there is no earlier champion.
    BytesDeleted
        If the earlier champion's model file was deleted.
    Conflict
        If another version serves than was believed, or the day lies before the last event's.
    ValueError
        If actor or reason are empty.
    """
    require_words(actor, reason)
    events = history(con, model)
    standing = _not_taken_back(events)
    if expected_from is not None:
        current = events[-1].to_version if events else None
        compare(model, CHAMPION, current, expected_from)
    if not standing or standing[-1].from_version is None:
        raise NotFound(
            f"{model} has no earlier champion to go back to"
            + (f"; version {events[-1].to_version} is its first" if events else "")
        )
    taken_back = standing[-1]
    assert taken_back.from_version is not None
    require_bytes(con, model, taken_back.from_version)
    return add_event(
        con,
        events[-1],
        model,
        CHAMPION,
        taken_back.from_version,
        effective_from or first_unscored_day(con, model, events[-1].effective_from),
        actor,
        reason,
        rollback_of=taken_back.event_id,
        now=now,
    )


def first_unscored_day(con: duckdb.DuckDBPyConnection, model: str, otherwise: date) -> date:
    """Return the day after the last one with captured predictions, not before ``otherwise``."""
    scored = store.latest_day(con, f"capture.{model}__predictions")
    return otherwise if scored is None else max(scored + timedelta(days=1), otherwise)


def previous_champion(events: list[AliasEvent]) -> int | None:
    """Return the version to which a rollback after these events goes back."""
    standing = _not_taken_back(events)
    return standing[-1].from_version if standing else None


def _not_taken_back(events: list[AliasEvent]) -> list[AliasEvent]:
    standing: list[AliasEvent] = []
    for event in events:
        if event.rollback_of is None:
            standing.append(event)
        else:
            standing.pop()
    return standing
