"""The gate over many holdouts: chance promotes as rarely as declared, what is better gets through.

A small version of ``make bench-gate``, which makes 2,000 gates of each kind; bounds allow for
the number of gates.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlops_assets.core.promotion.differences import paired_difference
from mlops_assets_tests.benchmarks.gate_simulation import World, learnt, simulate

GATES = 160
#: Most of the gates that are promoted at 5 %, but for one run in ten thousand: 19, or 12 %.
MOST = int(stats.binom.ppf(1 - 1e-4, GATES, 0.05))


def promoted(world: World, gates: int = GATES, seed: int = 0, worse: float = 0.0, **gate) -> int:
    return sum(outcome.promoted for outcome in simulate(world, gates, seed, worse, **gate))


@pytest.mark.parametrize("world", [World(), World(rows=500, days=7)], ids=["two weeks", "a week"])
def test_equal_models_are_promoted_by_chance_no_more_often_than_declared(world):
    assert promoted(world) <= MOST


def test_days_are_the_reason_for_comparing_by_day():
    """Taking rows as independent, equal models win by chance twice as often as declared."""
    won, world = 0, World(rows=4_000)
    for number in range(100):
        drawn = world.draw(np.random.default_rng([0, number]))
        found = paired_difference("binary", "log_loss", drawn.ours, drawn.theirs, 0.9, method="t")
        won += found.high < 0
    assert won >= 10


def test_a_challenger_from_shuffled_labels_is_never_promoted():
    assert not any(learnt(n, shuffled=True, champion=True).promoted for n in range(30))


def test_a_first_model_has_to_have_learnt_something():
    assert all(learnt(n, shuffled=False, champion=False).promoted for n in range(10))
    assert not any(learnt(n, shuffled=True, champion=False, rows=2_000).promoted for n in range(10))


def test_a_challenger_that_is_better_by_three_errors_mostly_gets_through():
    """At 2.9 standard errors of the difference; see the curve in docs/gate.md."""
    assert promoted(World(), 50, worse=3.5) >= 35
