"""What the champion before would have said: scored beside the new one, never served.

For as long as a new champion is on probation, ``capture.<model>__shadow_predictions`` has a
row for each of its rows: what the version that it replaced says of the same features, which
are kept with the served predictions only. What follows from the two belongs in ``probation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from mlops_assets.core import registry
from mlops_assets.core.features.view_definitions import ViewChangedError
from mlops_assets.core.monitoring.monitoring import serving
from mlops_assets.core.serving.capture import CaptureReport, Into, capture_days
from mlops_assets.core.storage.days import days

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.serving.scored_rows import Load
    from mlops_assets.vocabulary import Model, UseCase


@dataclass(frozen=True)
class Watch:
    """A champion on probation.

    Attributes
    ----------
    event_id
        Of the alias event that made it champion.
    version, previous_version
        The champion, and the one before, which scores in shadow.
    start, end
        First day, and the day after the last one. It ends early where the alias moves on.
    """

    event_id: int
    version: int
    previous_version: int
    start: date
    end: date

    def covers(self, day: date) -> bool:
        """Whether the day is one of its days."""
        return self.start <= day < self.end


def shadow_table(model: Model) -> str:
    """Return the dataset's name."""
    return f"capture.{model.name}__shadow_predictions"


def watches(con: duckdb.DuckDBPyConnection, model: Model) -> list[Watch]:
    """Return the probations of a model's champions, the first one first.

    The first champion has none, and neither has one that is served again after a rollback.
    """
    events = registry.history(con, model.name)
    length = timedelta(days=model.probation.windows * model.probation.window)
    found = []
    for number, event in enumerate(events):
        following = [later.effective_from for later in events[number + 1 :]]
        end = min([event.effective_from + length, *following])
        if (
            event.from_version is not None
            and event.to_version not in (None, event.from_version)
            and event.rollback_of is None
            and event.effective_from < end
        ):
            assert event.to_version is not None
            found.append(
                Watch(
                    event.event_id, event.to_version, event.from_version, event.effective_from, end
                )
            )
    return found


def shadowing(
    con: duckdb.DuckDBPyConnection, model: Model, wanted: Iterable[date]
) -> dict[date, int]:
    """Return the version that scores each day in shadow; days without one are left out."""
    watched = watches(con, model)
    return {day: watch.previous_version for day in wanted for watch in watched if watch.covers(day)}


def capture_shadow(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    load: Load,
    run_id: str,
    now: datetime | None = None,
) -> tuple[dict[date, CaptureReport], str | None]:
    """Score in shadow the rows of the days from ``start`` to before ``end`` that are not yet.

    Call it after ``capture_predictions`` of the same days, in its transaction.

    Parameters
    ----------
    load, now
        As for ``capture_predictions``.

    Returns
    -------
    tuple
        What happened to each day that is on probation, and why the champion before cannot
        score its rows, if it cannot: serving must not suffer from that.
    """
    from mlops_assets.core.artifacts.artifacts import ArtifactError
    from mlops_assets.core.scoring.scoring import ScoringError, SignatureError

    versions = shadowing(con, model, days(start, end))
    if not versions:
        return {}, None
    served = [day for day, version in serving(con, model.name, days(start, end)).items() if version]
    into = Into(
        shadow_table(model), features=False, look_up=(min(served), max(served) + timedelta(days=1))
    )
    try:
        return capture_days(con, use_case, model, versions, into, load, run_id, now), None
    except (ArtifactError, ScoringError, SignatureError, ViewChangedError) as error:
        return {}, str(error)
