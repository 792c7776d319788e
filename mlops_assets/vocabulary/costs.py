"""What decisions cost: the declared cost matrix, for business value beside the metrics.

What a model's predictions cost is computed in ``core.models.costs``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_assets.vocabulary.validation import freeze, require


@dataclass(frozen=True, kw_only=True)
class CostMatrix:
    """What it costs to decide one thing where another is true. A gain is a negative cost.

    Parameters
    ----------
    costs
        Binary and multiclass: ``(truth, decision)`` to the cost of such a row, for every pair of
        classes; right decisions, ``(a, a)``, cost 0 unless they are named. For binary labels see
        ``CostMatrix.binary``.
    threshold
        Binary: the score of the positive class from which it is decided for. ``None``: the
        model's own prediction decides. ``least_cost_threshold`` is the one that costs least
        where scores are probabilities.
    over, under
        Regression: cost of each unit by which a prediction is too high, or too low.
    """

    costs: Mapping[tuple[Any, Any], float] | None = None
    threshold: float | None = None
    over: float | None = None
    under: float | None = None

    @classmethod
    def binary(
        cls,
        *,
        false_positive: float,
        false_negative: float,
        true_positive: float = 0.0,
        true_negative: float = 0.0,
        threshold: float | None = None,
    ) -> CostMatrix:
        """Return the costs of a binary label that is boolean, or 0 and 1."""
        return cls(
            costs={
                (False, True): false_positive,
                (True, False): false_negative,
                (True, True): true_positive,
                (False, False): true_negative,
            },
            threshold=threshold,
        )

    def __post_init__(self) -> None:
        units = {"over": self.over, "under": self.under}
        require(
            (self.costs is None) != (self.over is None and self.under is None),
            self,
            "costs",
            "give either costs by truth and decision, or over and under for a regression",
        )
        for name, value in units.items():
            require(
                self.costs is not None or (_is_number(value) and value >= 0),  # pyright: ignore
                self,
                name,
                "must be a number, the cost of one unit, not negative",
            )
        if self.costs is None:
            require(self.threshold is None, self, "threshold", "a regression has none; leave it")
            return
        require(
            isinstance(self.costs, Mapping)
            and len(self.costs) > 0
            and all(isinstance(pair, tuple) and len(pair) == 2 for pair in self.costs),
            self,
            "costs",
            "must map (truth, decision) to a cost",
        )
        for pair, value in self.costs.items():
            require(
                _is_number(value), self, "costs", f"of {pair} must be a finite number, not {value}"
            )
        classes = self.classes
        require(len(classes) >= 2, self, "costs", "name at least two classes")
        absent = [(a, b) for a in classes for b in classes if a != b and (a, b) not in self.costs]
        require(
            not absent,
            self,
            "costs",
            f"give a cost for every wrong decision; missing are {absent[:5]}",
        )
        kept = {(a, b): float(self.costs.get((a, b), 0.0)) for a in classes for b in classes}
        freeze(self, costs=kept)
        if self.threshold is not None:
            require(
                _is_number(self.threshold) and 0 <= self.threshold <= 1,
                self,
                "threshold",
                "must be a score, from 0 to 1",
            )
            require(len(classes) == 2, self, "threshold", "is for two classes; leave it out")

    @property
    def classes(self) -> tuple[Any, ...]:
        """The classes that costs name, in the order of their names; none of a regression."""
        named = dict.fromkeys(c for pair in self.costs or () for c in pair)
        return tuple(sorted(named, key=lambda c: (str(type(c)), c)))

    def least_cost_threshold(self, positive: Any = True) -> float:
        """Return the probability from which deciding for the positive class costs less.

        Elkan (2001): what a false alarm costs more than rest, over that plus what a miss costs
        more than a hit.

        Raises
        ------
        ValueError
            If there are not two classes, or one decision is never the dearer one.
        """
        if self.costs is None or len(self.classes) != 2 or positive not in self.classes:
            raise ValueError(
                f"only two classes have a threshold, and one must be {positive!r}; "
                f"these costs have {list(self.classes)}"
            )
        (negative,) = (c for c in self.classes if c != positive)
        alarm = self.costs[negative, positive] - self.costs[negative, negative]
        miss = self.costs[positive, negative] - self.costs[positive, positive]
        if alarm < 0 or miss < 0 or alarm + miss == 0:
            raise ValueError(
                "by these costs one of the decisions is never worse, whatever is true: "
                "no score need be looked at"
            )
        return alarm / (alarm + miss)

    def problem_with(self, problem: str) -> str | None:
        """Return why these costs are not for a problem, and the remedy; ``None``: they are."""
        if problem == "regression":
            return None if self.costs is None else "a regression needs over and under, not costs"
        if self.costs is None:
            return f"a {problem} problem needs costs by (truth, decision), not over and under"
        if problem == "binary" and len(self.classes) != 2:
            return f"a binary problem has two classes, but costs name {list(self.classes)}"
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
