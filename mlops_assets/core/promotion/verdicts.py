"""What a verdict is made of: rules with their outcome and numbers, and how they are written.

Which rules there are belongs in ``gate`` and ``holdout_rules``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rule:
    """One rule's outcome.

    Attributes
    ----------
    passed
        ``None``: the rule does not apply, or is not asked for.
    statistic, threshold
        The number that was judged, and what it was held against; ``None`` where the rule is
        not about one number, or it is not defined.
    p
        One-sided p-value, where the rule is a test; adjusted where it is several.
    """

    name: str
    passed: bool | None
    sentence: str
    statistic: float | None = None
    threshold: float | None = None
    p: float | None = None

    def __post_init__(self) -> None:
        for name in ("statistic", "threshold", "p"):
            value = getattr(self, name)
            if value is not None:
                # Undefined is None, as in JSON: a recorded rule equals the one it was made from.
                finite = float(value) if math.isfinite(value) else None
                object.__setattr__(self, name, finite)


@dataclass(frozen=True)
class Verdict:
    """``reasons`` has one sentence for each rule; ``rules`` the same with names and numbers."""

    promoted: bool
    reasons: list[str]
    rules: list[Rule] = field(default_factory=list)


def said(passed: bool) -> str:
    """Begin a rule's sentence."""
    return "Passed" if passed else "Refused"


def number(value: float, *, sign: bool = False) -> str:
    """Write a number with four digits."""
    return f"{value:+.4g}" if sign else f"{value:.4g}"


def probability(p: float | None) -> str:
    """Write a p-value in parentheses, nothing where there is none."""
    return "" if p is None or not math.isfinite(p) else f" (p {p:.2g})"


def holm(p_values: list[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method, in the given order."""
    count, highest = len(p_values), 0.0
    adjusted = [0.0] * count
    for rank, i in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (count - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
