"""Where a replay stands, kept in the Dagster instance between its steps.

A replay that was interrupted reads it to go on; whether what it finds fits together (the
instance, the database, the days asked for) is checked here.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

    from mlops_assets.settings import Settings
    from mlops_assets.vocabulary import UseCase


class ReplayError(RuntimeError):
    """The replay cannot begin or go on. The message says what to do."""


@dataclass
class Standing:
    """Where a replay stands; kept in the instance.

    Attributes
    ----------
    start
        First day that is replayed.
    next_day
        First day that has not landed yet; before it everything is done.
    seconds
        Time that the replay has taken so far.
    runs
        Runs executed so far.
    failures
        What failed so far.
    """

    start: date
    next_day: date
    seconds: float = 0.0
    runs: int = 0
    failures: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, instance: dg.DagsterInstance, use_case: UseCase) -> Standing | None:
        """Read it; ``None`` if there was no replay yet."""
        key = _key(use_case)
        text = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
        if not text:
            return None
        values = json.loads(text)
        days = {name: date.fromisoformat(values.pop(name)) for name in ("start", "next_day")}
        return cls(**days, **values)

    def save(self, instance: dg.DagsterInstance, use_case: UseCase) -> None:
        """Keep it."""
        text = json.dumps(
            {
                "start": self.start.isoformat(),
                "next_day": self.next_day.isoformat(),
                "seconds": self.seconds,
                "runs": self.runs,
                "failures": self.failures,
            }
        )
        instance.daemon_cursor_storage.set_cursor_values({_key(use_case): text})


def _key(use_case: UseCase) -> str:
    return f"mlops_assets/replay/{use_case.name}"


def resume(
    instance: dg.DagsterInstance, use_case: UseCase, settings: Settings, begin: date
) -> Standing:
    """Return where the replay stands; a new one stands at ``begin``.

    Raises
    ------
    ReplayError
        If the instance, the database and the days do not belong together.
    """
    standing = Standing.load(instance, use_case)
    database = settings.database(use_case.name)
    if standing is None:
        if database.exists():
            raise ReplayError(
                f"{database} exists, but the Dagster instance in {os.environ['DAGSTER_HOME']} "
                "knows of no replay: the two would not fit together. Move the file and "
                f"{settings.landing(use_case.name)} away, or set DAGSTER_HOME to the folder that "
                "belongs to them."
            )
        standing = Standing(begin, begin)
        standing.save(instance, use_case)
        return standing
    if standing.start != begin:
        raise ReplayError(
            f"The replay in {os.environ['DAGSTER_HOME']} began on {standing.start}, not on "
            f"{begin}. Go on with it (--from {standing.start}), or begin with an empty "
            "MLOPS_ASSETS_DATA_DIR and DAGSTER_HOME."
        )
    if standing.next_day > begin and not database.exists():
        raise ReplayError(
            f"The replay has come to {standing.next_day}, but {database} is gone. Empty "
            f"{os.environ['DAGSTER_HOME']} and {settings.landing(use_case.name)} to begin anew."
        )
    return standing
