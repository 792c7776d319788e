"""Replay of a use case's archive through the real graph, sensors, schedules and gate.

``replay`` is all that others need; ``Display`` shows its progress.
"""

from mlops_assets.replay.archive import ArchiveError
from mlops_assets.replay.engine import Report, replay
from mlops_assets.replay.instance import ReplayInstanceError
from mlops_assets.replay.progress import Display, Progress
from mlops_assets.replay.standing import ReplayError

__all__ = [
    "ArchiveError",
    "Display",
    "Progress",
    "ReplayError",
    "ReplayInstanceError",
    "Report",
    "replay",
]
