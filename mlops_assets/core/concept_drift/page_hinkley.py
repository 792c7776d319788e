"""Page-Hinkley: the sum of what values exceed their mean by (Page, 1954; Hinkley, 1971).

    m_t = sum over i <= t of (x_i - mean_i - delta)
    alarm if m_t - min over i <= t of m_i > threshold

for a rise, and likewise with the signs changed for a fall. ``mean_i`` is the mean of the values up
to then, or a known one, which makes it Page's CUSUM. An aggregate counts as its values arriving at
once, each as their mean, looked at when they are in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlops_assets.core.concept_drift.aggregates import Aggregate, Change, parameters


class PageHinkley:
    """The detector; ``update`` it with values or with aggregates, in order of time.

    Parameters
    ----------
    threshold
        Of the sum, in the units of the values.
    delta
        What a value may exceed the mean by.
    mean
        The mean where nothing has changed; ``None``: that of the values so far.
    rise, fall
        Which changes are looked for.
    forgetting
        What the sum is multiplied by at each update; 1 in the papers.
    warm_up
        Values that are taken before the first alarm.
    """

    def __init__(
        self,
        threshold: float,
        delta: float = 0.005,
        mean: float | None = None,
        rise: bool = True,
        fall: bool = True,
        forgetting: float = 1.0,
        warm_up: int = 0,
    ) -> None:
        if not (threshold > 0 and delta >= 0 and 0 < forgetting <= 1 and (rise or fall)):
            raise ValueError(
                "Page-Hinkley takes a positive threshold, delta >= 0, 0 < forgetting <= 1 and at "
                f"least one direction, not {threshold}, {delta}, {forgetting}, {rise}, {fall}"
            )
        self.threshold, self.delta, self.mean = threshold, delta, mean
        self.rise, self.fall = rise, fall
        self.forgetting, self.warm_up = forgetting, warm_up
        self.updates = 0
        #: The larger sum at the last look, as a multiple of the threshold.
        self.evidence = 0.0
        self._restart()

    def _restart(self) -> None:
        self._seen = Aggregate(0.0, 0.0)
        #: Of a rise and of a fall: the sum, its extreme, the update of that, the aggregate since.
        self._sums = [0.0, 0.0]
        self._least = [math.inf, math.inf]
        self._least_at = [self.updates, self.updates]
        self._since = [Aggregate(0.0, 0.0), Aggregate(0.0, 0.0)]

    def begin(self, seen: Aggregate) -> None:
        """Take values in which nothing has changed as a beginning of the running mean."""
        self._seen = seen

    @property
    def statistics(self) -> tuple[float, float]:
        """What is compared with the threshold: of a rise and of a fall."""
        rise, fall = (
            one - least if least < math.inf else 0.0
            for one, least in zip(self._sums, self._least, strict=True)
        )
        return rise, fall

    def update(self, item: Aggregate | float) -> Change | None:
        """Take the next value, or the next aggregate; return a change if it shows one.

        Of two directions, the one that is further beyond the threshold. After a change everything
        begins anew.
        """
        one = item if isinstance(item, Aggregate) else Aggregate.of_value(item)
        self.updates += 1
        self._seen = one if not self._seen.n else self._seen + one
        off = one.mean - (self._seen.mean if self.mean is None else self.mean)
        for way, sign in enumerate((1, -1)):
            self._sums[way] = self.forgetting * self._sums[way] + one.n * (sign * off - self.delta)
            if self._sums[way] < self._least[way]:
                self._least[way] = self._sums[way]
                self._least_at[way] = self.updates
                self._since[way] = Aggregate(0.0, 0.0)
            else:
                since = self._since[way]
                self._since[way] = one if not since.n else since + one
        self.evidence = 0.0
        if self._seen.n < self.warm_up:
            return None
        ways = [way for way, looked_for in enumerate((self.rise, self.fall)) if looked_for]
        furthest = max(ways, key=lambda way: self.statistics[way])
        self.evidence = self.statistics[furthest] / self.threshold
        return self._changed(furthest) if self.evidence > 1 else None

    def _changed(self, way: int) -> Change:
        after = self._since[way]
        n = self._seen.n - after.n
        before = (self._seen.n * self._seen.mean - after.n * after.mean) / n if n else math.nan
        found = Change(
            at=self.updates,
            since=self._least_at[way] + 1,
            rise=way == 0,
            before=before if self.mean is None else self.mean,
            after=after.mean,
        )
        self._restart()
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return parameters and state as plain values, to be stored and continued from."""
        return {
            **{name: getattr(self, name) for name in _PARAMETERS},
            "updates": self.updates,
            "seen": [self._seen.n, self._seen.mean, self._seen.squares],
            "sums": list(self._sums),
            # JSON has no infinity.
            "least": [None if one == math.inf else one for one in self._least],
            "least_at": list(self._least_at),
            "since": [[one.n, one.mean, one.squares] for one in self._since],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> PageHinkley:
        """Return the detector that ``to_dict`` has described.

        Raises
        ------
        ValueError
            If this is the state of something else.
        """
        made = cls(**parameters(state, *_PARAMETERS))
        kept = parameters(state, "updates", "seen", "sums", "least", "least_at", "since")
        made.updates = kept["updates"]
        made._seen = Aggregate(*kept["seen"])
        made._sums = list(kept["sums"])
        made._least = [math.inf if one is None else one for one in kept["least"]]
        made._least_at = list(kept["least_at"])
        made._since = [Aggregate(*one) for one in kept["since"]]
        return made


_PARAMETERS = ("threshold", "delta", "mean", "rise", "fall", "forgetting", "warm_up")
