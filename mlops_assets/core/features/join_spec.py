"""What a point-in-time join looks up: one table of facts, and by which rules.

Only the declaration and its checks; the join itself belongs in ``point_in_time``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

#: What is done with a fact whose known time is NULL: it is never used, or it counts as known
#: from its event time on.
NullKnownAt = Literal["never", "event_time"]


@dataclass(frozen=True)
class JoinSpec:
    """A table of facts and how to look them up.

    Parameters
    ----------
    name
        What the facts are called in errors.
    table
        Quoted relation or SQL query.
    keys
        Columns that the facts share with the rows.
    features
        Columns to fetch.
    event_time
        Column with the time (UTC) the values are about; ``None``: they hold at all times
        and are joined by their keys alone.
    known_at
        Column with the time (UTC) from which they may be used; ``None``: the event time.
    ttl
        How old the event time may be at ``as_of``, inclusive, to the microsecond; ``None``:
        any age.
    tie_breaker
        Column that decides between facts of one key with equal event and known time, the
        greatest first, NULL last: an ingest sequence. Where it is unique, the order of the
        facts is total whatever their values.
    null_known_at
        What is done with a fact whose ``known_at`` is NULL: ``"never"`` used, or known from
        its ``"event_time"`` on.

    Raises
    ------
    ValueError
        If the declaration contradicts itself.
    """

    name: str
    table: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    event_time: str | None
    known_at: str | None
    ttl: timedelta | None
    tie_breaker: str | None = None
    null_known_at: NullKnownAt = "never"

    def __post_init__(self) -> None:
        if not self.keys or not self.features:
            raise ValueError(f"JoinSpec {self.name!r}: name at least one key and one feature")
        if self.ttl is not None and self.ttl <= timedelta(0):
            raise ValueError(
                f"JoinSpec {self.name!r}: ttl must be positive; None means any age is good"
            )
        if self.event_time is None and (self.known_at or self.ttl):
            raise ValueError(
                f"JoinSpec {self.name!r}: without event_time there can be no known_at and no ttl"
            )
        if self.null_known_at not in get_args(NullKnownAt):
            raise ValueError(
                f"JoinSpec {self.name!r}: null_known_at is {self.null_known_at!r}; it must be "
                "'never' or 'event_time'"
            )

    def fetched(self, *, status: bool) -> tuple[str, ...]:
        """Names of the columns that are looked up: the features, then their statuses."""
        return (*self.features, *(map(status_column, self.features) if status else ()))


def status_column(feature: str) -> str:
    """Name of the column that tells why a feature's value is there or not."""
    return f"{feature}__status"
