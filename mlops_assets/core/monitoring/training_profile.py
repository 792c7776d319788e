"""What a model's training data looked like: kept with the version, compared for ever after.

A daily drift report never reads the training data again. Beside the profile of each column, it
holds how far the training period's *own* windows lie from the whole of it: rows of one week share
their weather and their season, and a week that differs as much as training weeks did among
themselves is nothing new, however surely it differs. How columns are profiled and compared
belongs in ``drift_methods``, the reports over days in ``drift``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_assets.core.drift_methods import Profile, compare, profile
from mlops_assets.core.models.importance import spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mlops_assets.vocabulary import DriftPolicy

FORMAT = "mlops-assets/training-profile/1"
#: With fewer windows in the training period it says nothing about what is usual.
LEAST_WINDOWS = 4


@dataclass(frozen=True)
class TrainingProfile:
    """A version's training data, in brief.

    Attributes
    ----------
    columns
        What is known of each column.
    roles
        Column to ``"prediction"`` or ``"label"``; the others are features.
    windows
        How many windows of the training period were compared with the whole of it.
    usual
        Column to the largest value of its deciding method among them that chance does not
        explain; 0: chance explains all of them.
    """

    columns: Profile
    roles: Mapping[str, str] = field(default_factory=dict)
    windows: int = 0
    usual: Mapping[str, float] = field(default_factory=dict)

    def names(self, *, labels: bool) -> list[str]:
        """Return the columns that are labels, or those that are not."""
        return [n for n in self.columns.columns if (self.role(n) == "label") == labels]

    def role(self, name: str) -> str:
        """Return ``"feature"``, ``"prediction"`` or ``"label"``."""
        return self.roles.get(name, "feature")

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads, of lists, numbers and text only."""
        return {
            "format": FORMAT,
            "roles": dict(self.roles),
            "windows": self.windows,
            "usual": dict(self.usual),
            "profile": self.columns.to_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> TrainingProfile:
        """Read a stored profile.

        Raises
        ------
        ValueError
            If it is in another format.
        """
        if stored.get("format") != FORMAT:
            raise ValueError(
                f"cannot read a training profile of format {stored.get('format')!r}: this version "
                f"reads {FORMAT!r}; train the model again"
            )
        return cls(
            Profile.from_json(stored["profile"]),
            stored["roles"],
            stored["windows"],
            stored["usual"],
        )


def make(
    frame: pd.DataFrame,
    policy: DriftPolicy,
    roles: Mapping[str, str] | None = None,
    days: np.ndarray | None = None,
) -> TrainingProfile:
    """Profile all columns of a frame.

    Parameters
    ----------
    frame
        Training rows, or an even sample of them.
    roles
        Column name to ``"prediction"`` or ``"label"``; the others are features.
    days
        Each row's day as a number, shape (n,); ``None``: nothing is said of what is usual.
    """
    made = profile(frame, threads=1)
    windows, usual = _usual(frame, made, policy, days)
    return TrainingProfile(made, roles or {}, windows, usual)


def _usual(
    frame: pd.DataFrame, whole: Profile, policy: DriftPolicy, days: np.ndarray | None
) -> tuple[int, dict[str, float]]:

    if days is None or not len(days):
        return 0, {}
    rows = _windows((days - days.min()) // policy.window)
    if len(rows) < LEAST_WINDOWS:
        return len(rows), {}
    usual = dict.fromkeys(whole.columns, 0.0)
    by_chance: dict[str, float] = {}
    for own in rows:
        report = compare(
            whole,
            frame.iloc[own],
            methods=[],
            decide=policy.decide,
            alpha=None if by_chance else policy.alpha,
            threads=1,
        )
        for shift in report.columns:
            found = shift.decision
            if found is None or found.value is None:
                continue
            if found.null_quantile is not None:
                by_chance[shift.column] = found.null_quantile
            # The window is part of the whole, so that it lies a little nearer to it than the
            # same window would if it came later.
            if found.value > by_chance.get(shift.column, math.inf):
                usual[shift.column] = max(usual[shift.column], found.value)
    return len(rows), usual


def _windows(window: np.ndarray) -> list[np.ndarray]:
    """Return row numbers of each window, as many of each, so that chance gives each the same.

    A window of which there is less than half, at an end, is left out.
    """
    import numpy as np

    counts = np.bincount(window)
    whole = np.flatnonzero(counts >= max(np.median(counts) / 2, 1))
    least = int(counts[whole].min()) if len(whole) else 0
    return [np.flatnonzero(window == n)[spread(int(counts[n]), least)] for n in whole]
