"""Moving aliases: compare and swap, and the guard of the champion.

What aliases are belongs in ``aliases``, whether a version may serve is decided in
``promotion.gate`` and recorded in ``decisions``, taking a move back belongs in ``rollbacks``. A
move compares with what the caller believed, so that two movers cannot overwrite each other
unseen; the champion moves only with a decision that passed, back to what it was, or past the
gate by someone who says so.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from mlops_assets.core.registry.alias_events import add_event, compare, last_event, require_words
from mlops_assets.core.registry.aliases import CHAMPION, AliasEvent, alias_name
from mlops_assets.core.registry.deletions import require_bytes
from mlops_assets.core.storage.records import Conflict, NotFound, Protected, no_version

if TYPE_CHECKING:
    import duckdb


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
    override: bool = False,
    now: datetime | None = None,
) -> AliasEvent:
    """Move an alias to a version, if it still is where the caller believes it to be.

    Parameters
    ----------
    alias
        Lower-case letters, digits, ``_`` and ``-``, beginning with a letter, after
        case-folding. What could be read as a version (``3``, ``v3``, ``latest``) is refused.
    expected_from
        Version that the alias points to; ``None``: it does not exist.
    effective_from
        First day that the version serves. Not before the last event's, so that no day that
        may have been served already changes its version.
    promotion_id
        Of the decision that allows the move; ``champion`` needs one. Where that decision's
        move was the last one, it is returned and nothing is added: a re-run changes nothing.
    override
        Move the champion past the gate; kept with the event. A ``promotion_id`` is then that
        of the refusal that is overridden, if there is one.
    now
        When it happens (naive UTC); by default the clock's time. Should the clock have been
        set back, the event gets the time of the one before it.

    Raises
    ------
    NotFound
        If there is no such version or decision.
    BytesDeleted
        If the version's model file was deleted.
    Conflict
        If the alias points elsewhere, the day lies before the last event's, or the decision
        is a refusal or about another version.
    Protected
        If the alias is ``champion`` and there is neither decision nor override.
    ValueError
        If the alias is no alias, or actor or reason are empty.
    """
    alias = alias_name(alias)
    require_words(actor, reason)
    _require_version(con, model, to_version)
    last = last_event(con, model, alias)
    current = last.to_version if last else None
    if (
        last is not None
        and promotion_id is not None
        and current == to_version
        and last.promotion_id == promotion_id
    ):
        return last
    compare(model, alias, current, expected_from)
    if promotion_id is not None:
        _require_promotion(con, model, to_version, promotion_id, must_pass=not override)
    elif alias == CHAMPION and not override:
        raise Protected(
            f"{model}: {CHAMPION!r} serves, so it moves only with a promotion decision that "
            "passed the gate. Give its promotion_id, or override the gate expressly "
            "(`mlops-assets promote`, override=True), which is recorded."
        )
    return add_event(
        con,
        last,
        model,
        alias,
        to_version,
        effective_from,
        actor,
        reason,
        promotion_id=promotion_id,
        override=override,
        now=now,
    )


def remove_alias(
    con: duckdb.DuckDBPyConnection,
    model: str,
    alias: str,
    *,
    expected_from: int,
    actor: str,
    reason: str,
    now: datetime | None = None,
) -> AliasEvent:
    """Let an alias point to nothing; its history stays, and it may be set again.

    Raises
    ------
    NotFound
        If there is no such alias.
    Conflict
        If it points elsewhere than ``expected_from``.
    Protected
        If it is ``champion``: a model that serves goes on serving.
    ValueError
        If the alias is no alias, or actor or reason are empty.
    """
    alias = alias_name(alias)
    require_words(actor, reason)
    if alias == CHAMPION:
        raise Protected(f"{model}: {CHAMPION!r} cannot be removed; move it or roll it back")
    last = last_event(con, model, alias)
    if last is None or last.to_version is None:
        raise NotFound(f"{model} has no alias {alias!r}")
    compare(model, alias, last.to_version, expected_from)
    return add_event(con, last, model, alias, None, last.effective_from, actor, reason, now=now)


def _require_version(con: duckdb.DuckDBPyConnection, model: str, version: int) -> None:
    # One statement where all is well: half of a move's time are its statements.
    ((there, deleted),) = con.execute(
        "SELECT (SELECT count(*) FROM registry.model_versions "
        "WHERE model = $model AND version = $version), (SELECT count(*) "
        "FROM registry.artifact_events WHERE model = $model AND version = $version)",
        {"model": model, "version": version},
    ).fetchall()
    if not there:
        raise no_version(con, model, version)
    if deleted:
        require_bytes(con, model, version)


def _require_promotion(
    con: duckdb.DuckDBPyConnection,
    model: str,
    version: int,
    promotion_id: str,
    *,
    must_pass: bool,
) -> None:
    rows = con.execute(
        "SELECT model, version, promoted FROM registry.promotion_decisions "
        "WHERE promotion_id = $id",
        {"id": promotion_id},
    ).fetchall()
    if not rows:
        raise NotFound(f"There is no promotion decision {promotion_id!r}")
    about, its_version, promoted = rows[0]
    if (about, its_version) != (model, version) or (must_pass and not promoted):
        raise Conflict(
            f"Promotion decision {promotion_id!r} {'promotes' if promoted else 'refuses'} "
            f"{about} version {its_version}; it does not allow {model} version {version}"
        )
