"""ADWIN: a window that drops what lies before a change (Bifet and Gavaldà, SDM 2007).

The window is cut in two at every place it remembers; where the means of the two parts differ by
more than chance allows, its oldest part is dropped. The second version of the paper (section 3.2)
is implemented: old values are kept in buckets whose sizes double, at most ``buckets`` of a size, so
that time and memory grow with the logarithm of the window. The bound is the paper's for a variance
that is small beside the range (section 3.1):

    eps = sqrt(2 v / m * ln(2 / d)) + 2 r / (3 m) * ln(2 / d),  1/m = 1/n0 + 1/n1,  d = delta / ln n

with the window's variance v and the range r of the values, which is 1 in the paper. It assumes
values that are independent: days of rows are not, and what that does is dealt with in ``watch``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

from mlops_assets.core.concept_drift.aggregates import Aggregate, Change, parameters, plain

DELTA = 0.002
BUCKETS = 5


class Adwin:
    """The detector; ``update`` it with values or with aggregates, in order of time.

    Parameters
    ----------
    delta
        Bound on the probability, at each look, of dropping values where nothing has changed.
    buckets
        Of a size that are kept.
    span
        Largest less smallest value that can occur. 0 leaves the second part of the bound out: for
        values that are means of many, and near normal.
    clock
        Look for a change at every so many updates.
    warm_up
        Values that are taken before the first look.
    """

    def __init__(
        self,
        delta: float = DELTA,
        buckets: int = BUCKETS,
        span: float = 1.0,
        clock: int = 1,
        warm_up: int = 0,
    ) -> None:
        if not (0 < delta < 1 and buckets >= 1 and span >= 0 and clock >= 1):
            raise ValueError(
                "ADWIN takes 0 < delta < 1, at least one bucket of a size, span >= 0 and a "
                f"clock of at least 1, not {delta}, {buckets}, {span}, {clock}"
            )
        self.delta, self.buckets, self.span = delta, buckets, span
        self.clock, self.warm_up = clock, warm_up
        self.updates = 0
        #: The largest difference of means at the last look, as a multiple of its bound.
        self.evidence = 0.0
        #: Of each size, from single updates on, the oldest bucket first.
        self._sizes: list[list[Aggregate]] = [[]]
        #: What is in the window; ``None`` before the first update.
        self.window: Aggregate | None = None

    @property
    def bucket_sizes(self) -> list[int]:
        """How many updates each bucket holds, the oldest first."""
        sizes = [[1 << level] * len(size) for level, size in enumerate(self._sizes)]
        return [one for size in reversed(sizes) for one in size]

    def update(self, item: Aggregate | float) -> Change | None:
        """Take the next value, or the next aggregate; return a change if it shows one."""
        self.updates += 1
        one = item if isinstance(item, Aggregate) else Aggregate.of_value(item)
        self._sizes[0].append(one)
        self.window = one if self.window is None else self.window + one
        self._merge()
        if self.updates % self.clock:
            return None
        found: Change | None = None
        strongest = 0.0
        while (cut := self._cut()) is not None:
            strongest = max(strongest, self.evidence)
            before, after = cut
            self._drop_oldest()
            found = Change(
                at=self.updates,
                since=self.updates - sum(self.bucket_sizes) + 1,
                rise=bool(after.mean > before.mean),
                before=before.mean if found is None else found.before,
                after=after.mean,
            )
        self.evidence = max(self.evidence, strongest)
        return found

    def _merge(self) -> None:
        level = 0
        while level < len(self._sizes) and len(self._sizes[level]) > self.buckets:
            if level + 1 == len(self._sizes):
                self._sizes.append([])
            size = self._sizes[level]
            self._sizes[level + 1].append(size.pop(0) + size.pop(0))
            level += 1

    def _cut(self) -> tuple[Aggregate, Aggregate] | None:
        """Return both parts of the first cut, from the oldest on, that chance does not explain."""
        kept = [one for size in reversed(self._sizes) for one in size]
        self.evidence = 0.0
        window = self.window
        # Below e values the logarithm of the logarithm would make the bound a lax one.
        if window is None or len(kept) < 2 or window.n <= max(self.warm_up, math.e):
            return None
        log_of = math.log(2 * math.log(window.n) / self.delta)
        spread, least = 2 * window.variance * log_of, 2 / 3 * self.span * log_of
        n0, total0, total = 0.0, 0.0, window.n * window.mean
        for at, one in enumerate(kept[:-1]):
            n0 += one.n
            total0 += one.n * one.mean
            n1 = window.n - n0
            inverse = 1 / n0 + 1 / n1
            bound = math.sqrt(spread * inverse) + least * inverse
            apart = abs(total0 / n0 - (total - total0) / n1)
            if bound > 0 and apart > self.evidence * bound:
                self.evidence = apart / bound
            if apart > bound:
                return reduce(add, kept[: at + 1]), reduce(add, kept[at + 1 :])
        return None

    def _drop_oldest(self) -> None:
        for size in reversed(self._sizes):
            if size:
                size.pop(0)
                break
        while len(self._sizes) > 1 and not self._sizes[-1]:
            self._sizes.pop()
        self.window = reduce(add, [one for size in reversed(self._sizes) for one in size])

    def to_dict(self) -> dict[str, Any]:
        """Return parameters and state as plain values, to be stored and continued from."""
        return {
            "delta": self.delta,
            "buckets": self.buckets,
            "span": self.span,
            "clock": self.clock,
            "warm_up": self.warm_up,
            "updates": self.updates,
            "window": None if self.window is None else plain(self.window),
            "sizes": [[plain(one) for one in size] for size in self._sizes],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Adwin:
        """Return the detector that ``to_dict`` has described.

        Raises
        ------
        ValueError
            If this is the state of something else.
        """
        made = cls(**parameters(state, "delta", "buckets", "span", "clock", "warm_up"))
        kept = parameters(state, "updates", "window", "sizes")
        made.updates = kept["updates"]
        made.window = None if kept["window"] is None else Aggregate(*kept["window"])
        made._sizes = [[Aggregate(*one) for one in size] for size in kept["sizes"]]
        return made
