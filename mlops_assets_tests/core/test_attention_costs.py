"""What predictions cost is what was declared, row by row, and never a silent zero."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets import CostMatrix
from mlops_assets.core.estimation import Sample, estimate, fit
from mlops_assets.core.models import costs
from mlops_assets.core.models.scored import Scored
from mlops_assets.vocabulary import DeclarationError
from mlops_assets_tests.support_tickets import USE_CASE

ALARMS = CostMatrix.binary(false_positive=1.0, false_negative=5.0, true_positive=-2.0)
ANIMALS = CostMatrix(
    costs={(a, b): float(10 * i + j) for i, a in enumerate("cde") for j, b in enumerate("cde")
           if a != b}
)  # fmt: skip


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: CostMatrix(), ["CostMatrix", "costs: give either"]),
        (lambda: replace(ALARMS, over=1.0, under=1.0), ["costs: give either"]),
        (lambda: CostMatrix(over=1.0), ["under: must be a number"]),
        (lambda: CostMatrix(over=-1.0, under=1.0), ["over: must be a number", "not negative"]),
        (lambda: CostMatrix(over=1.0, under=1.0, threshold=0.5), ["threshold: a regression"]),
        (lambda: CostMatrix(costs={}), ["costs: must map (truth, decision)"]),
        (lambda: CostMatrix(costs={"a": 1.0}), ["costs: must map"]),  # type: ignore[dict-item]
        (lambda: CostMatrix(costs={("a", "a"): 1.0}), ["costs: name at least two classes"]),
        (lambda: CostMatrix(costs={("a", "b"): 1.0}), ["every wrong decision", "('b', 'a')"]),
        (lambda: CostMatrix(costs={("a", "b"): math.nan}), ["finite number", "('a', 'b')"]),
        (lambda: replace(ALARMS, threshold=1.5), ["threshold: must be a score"]),
        (lambda: replace(ANIMALS, threshold=0.5), ["threshold: is for two classes"]),
        (lambda: replace(USE_CASE.model("team"), costs=CostMatrix(over=1, under=1)), ["costs: a "]),
    ],
)
def test_costs_that_are_declared_wrongly(declare, said):
    with pytest.raises(DeclarationError) as raised:
        declare()
    for part in said:
        assert part in str(raised.value)


def test_a_right_decision_costs_nothing_unless_it_is_said():
    assert ANIMALS.costs is not None
    assert ANIMALS.costs["c", "c"] == 0.0


labels = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(rows=labels, threshold=st.floats(0, 1), kind=st.sampled_from([bool, int, object]))
def test_a_binary_cost_is_the_sum_over_the_rows(rows, threshold, kind):
    truth = np.array([t for t, _ in rows], dtype=kind)
    score = np.array([s for _, s in rows])
    declared = replace(ALARMS, threshold=threshold)
    table = {(False, True): 1.0, (True, False): 5.0, (True, True): -2.0, (False, False): 0.0}
    expected = [table[t, s >= threshold] for t, s in rows]
    scored = Scored(truth, score >= 0.5, score)
    assert costs.row_costs(declared, "binary", scored).tolist() == expected
    assert costs.cost(declared, "binary", scored) == pytest.approx(np.mean(expected))
    as_predicted = [table[t, s >= 0.5] for t, s in rows]
    assert costs.row_costs(ALARMS, "binary", scored).tolist() == as_predicted


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("cde"), st.sampled_from("cde")), min_size=1))
def test_a_multiclass_cost_is_the_sum_over_the_rows(rows):
    assert ANIMALS.costs is not None
    scored = Scored(np.array([t for t, _ in rows]), np.array([d for _, d in rows], dtype=object))
    assert costs.row_costs(ANIMALS, "multiclass", scored).tolist() == [
        ANIMALS.costs[row] for row in rows
    ]


numbers = st.floats(-1e6, 1e6)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(numbers, numbers), min_size=1), over=st.floats(0, 9))
def test_a_regression_costs_by_the_unit_and_by_the_side(rows, over):
    truth, said = np.array(rows).T
    declared = CostMatrix(over=over, under=2.0)
    found = costs.row_costs(declared, "regression", Scored(truth, said))
    expected = [over * (s - t) if s > t else 2.0 * (t - s) for t, s in rows]
    assert found.tolist() == pytest.approx(expected)
    same = CostMatrix(over=1.0, under=1.0)
    assert costs.cost(same, "regression", Scored(truth, said)) == pytest.approx(
        np.abs(said - truth).mean()
    )


@settings(max_examples=20, deadline=None)
@given(alarm=st.floats(0.01, 9), miss=st.floats(0.01, 9))
def test_the_least_cost_threshold_costs_least_where_scores_are_probabilities(alarm, miss):
    declared = CostMatrix.binary(false_positive=alarm, false_negative=miss)
    best = declared.least_cost_threshold()
    p = np.linspace(0.005, 0.995, 100)

    def expected(threshold: float) -> float:
        return float(np.where(p >= threshold, (1 - p) * alarm, p * miss).sum())

    assert all(expected(best) <= expected(t) + 1e-9 for t in p)


def test_no_threshold_where_one_decision_is_never_worse():
    with pytest.raises(ValueError, match="never worse"):
        CostMatrix.binary(false_positive=1.0, false_negative=-1.0).least_cost_threshold()
    with pytest.raises(ValueError, match="only two classes"):
        ANIMALS.least_cost_threshold("c")


def test_what_is_missing_or_unknown_has_no_cost_and_is_not_free():
    scored = Scored(
        np.array([True, None, False], dtype=object),
        np.array([True, True, None], dtype=object),
        np.array([0.9, 0.9, math.nan]),
    )
    for declared in (ALARMS, replace(ALARMS, threshold=0.5)):
        found = costs.row_costs(declared, "binary", scored)
        assert found[0] == -2.0
        assert np.isnan(found[1:]).all()
        assert math.isnan(costs.cost(declared, "binary", scored))
    stranger = Scored(np.array(["c", "x"], dtype=object), np.array(["d", "d"], dtype=object))
    assert np.isnan(costs.row_costs(ANIMALS, "multiclass", stranger)).tolist() == [False, True]
    gap = Scored(np.array([1.0, math.nan]), np.array([2.0, 2.0]))
    assert np.isnan(costs.row_costs(CostMatrix(over=1, under=1), "regression", gap))[1]


def test_no_row_has_no_cost():
    empty = Scored(np.array([], bool), np.array([], bool), np.array([]))
    assert math.isnan(costs.cost(ALARMS, "binary", empty))
    assert costs.cost_interval(ALARMS, "binary", empty).n == 0


def test_costs_of_another_problem_or_without_scores_are_refused():
    row = Scored(np.array([True]), np.array([True]))
    with pytest.raises(ValueError, match="needs over and under"):
        costs.cost(ALARMS, "regression", row)
    with pytest.raises(ValueError, match="rows without score"):
        costs.cost(replace(ALARMS, threshold=0.5), "binary", row)


def test_an_interval_is_that_of_a_mean():
    rng = np.random.default_rng(0)
    score = rng.random(400)
    scored = Scored(rng.random(400) < score, score >= 0.5, score)
    found = costs.cost_interval(ALARMS, "binary", scored)
    rows = costs.row_costs(ALARMS, "binary", scored)
    assert found.value == pytest.approx(rows.mean())
    assert found.standard_error == pytest.approx(rows.std(ddof=1) / 20)
    assert found.low < found.value < found.high


def test_the_estimate_of_business_value_is_the_negative_of_the_cost():
    rng = np.random.default_rng(1)
    score = rng.uniform(0.02, 0.98, 6000)
    scored = Scored(rng.random(6000) < score, score >= 0.5, score)
    declared = replace(ALARMS, threshold=ALARMS.least_cost_threshold())
    told = costs.decided(declared, scored)
    told = replace(told, prediction=told.prediction.astype(bool))
    (found,) = estimate(
        fit("binary", Sample(told.take(np.arange(3000))), "cbpe"),
        Sample(told.take(np.arange(3000, 6000))),
        ["business_value"],
        costs=costs.worth(declared, [False, True]),
    )
    realised = -costs.cost(declared, "binary", scored.take(np.arange(3000, 6000)))
    assert found.low <= realised <= found.high
    with pytest.raises(ValueError, match="not \\['x'\\]"):
        costs.worth(declared, [False, "x"])
