"""What can stand against a retrain: pure functions of policy and evidence.

What asks for one is in ``retraining``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_assets.core.retraining.evidence import Evidence
    from mlops_assets.vocabulary import RetrainPolicy

#: The cool-down is at most this many times the declared one.
MOST_COOL_DOWNS = 4


@dataclass(frozen=True)
class Guard:
    """Whether something stands against a retrain. ``passed`` is False then."""

    name: str
    passed: bool
    sentence: str


def data_quality(policy: RetrainPolicy, evidence: Evidence) -> Guard:
    """Broken data are to be repaired, not learnt."""
    problem = evidence.quality_problem
    return Guard("data_quality", problem is None, problem or "no data problem is known")


def cool_down(policy: RetrainPolicy, evidence: Evidence) -> Guard:
    """Attempts need time between them, and more after each that changed nothing."""
    last = evidence.last_attempt
    if last is None:
        return Guard("cool_down", True, "nothing was trained before")
    # Without a champion nothing is served: that is no reason to wait longer.
    doublings = evidence.unpromoted if evidence.champion is not None else 0
    until = last + policy.cool_down * min(2**doublings, MOST_COOL_DOWNS)
    if evidence.day >= until:
        return Guard("cool_down", True, f"the last attempt was on {last}")
    without = f", {evidence.unpromoted} in a row without a promotion" if doublings else ""
    return Guard(
        "cool_down", False, f"the last attempt was on {last}{without}: cooling down until {until}"
    )


def new_labels(policy: RetrainPolicy, evidence: Evidence) -> Guard:
    """Training again on the same labels gives the same model."""
    if evidence.champion is None:
        return Guard("new_labels", True, "does not apply to a first model")
    n, least = evidence.new_labels, policy.min_new_labels
    return Guard(
        "new_labels",
        n >= least,
        f"{'only ' if n < least else ''}{n} labels are new since the last training "
        f"({least} are needed)",
    )


GUARDS: Sequence[Callable[[RetrainPolicy, Evidence], Guard]] = (
    data_quality,
    cool_down,
    new_labels,
)
