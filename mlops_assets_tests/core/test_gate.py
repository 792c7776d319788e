"""The gate: what must refuse refuses, and chance promotes no more often than declared."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_assets.core.models import gate, metrics
from mlops_assets.core.models.evaluation import EvaluationReport, SliceResult
from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.models.scored import Scored
from mlops_assets.vocabulary import PromotionGate

NAN = math.nan


def between(value: float, half=0.01, n=5000) -> Interval:
    return Interval(value, value - half, value + half, n, half / 1.96)


def part(name="origin=A", rows=500, challenger=0.40, champion=0.40, error=0.004) -> SliceResult:
    difference = challenger - champion
    return SliceResult(
        name,
        rows,
        between(challenger),
        between(0.6),
        between(champion),
        Interval(difference, difference - 2 * error, difference + 2 * error, rows, error),
    )


def report(**changes) -> EvaluationReport:
    """A challenger that beats champion and baseline clearly."""
    good = EvaluationReport(
        model="m",
        problem="binary",
        metric="log_loss",
        rows=5000,
        confidence=0.95,
        challenger_version=2,
        champion_version=1,
        challenger={"log_loss": between(0.40), "roc_auc": between(0.75)},
        baseline={"log_loss": between(0.50), "roc_auc": between(0.5)},
        versus_baseline=between(-0.10),
        champion={"log_loss": between(0.45), "roc_auc": between(0.70)},
        versus_champion=between(-0.05),
        slices=[part()],
    )
    return replace(good, **changes)


def decide(report_, **fields) -> gate.Verdict:
    return gate.decide(PromotionGate(**fields), report_, problem="binary", metric="log_loss")


def failed(verdict: gate.Verdict) -> list[str]:
    return [rule.name for rule in verdict.rules if rule.passed is False]


FIRST = {"champion_version": None, "champion": None, "versus_champion": None, "slices": []}


def test_a_better_challenger_is_promoted_with_a_sentence_for_each_rule():
    verdict = decide(report(), floors={"roc_auc": 0.6})
    assert verdict.promoted
    assert len(verdict.reasons) == 6
    assert all(
        reason.endswith(".") and any(c.isdigit() for c in reason) for reason in verdict.reasons
    )


def test_too_few_rows_are_a_refusal_and_not_a_pass():
    verdict = decide(report(rows=999))
    assert failed(verdict) == ["rows"]
    assert "999" in verdict.reasons[0]


def test_a_floor_is_met_on_the_right_side():
    assert decide(report(), floors={"roc_auc": 0.75, "log_loss": 0.40}).promoted
    assert failed(decide(report(), floors={"roc_auc": 0.76})) == ["floor roc_auc"]
    assert failed(decide(report(), floors={"log_loss": 0.39})) == ["floor log_loss"]


def test_a_floor_on_a_metric_that_was_not_measured_refuses():
    assert failed(decide(report(), floors={"accuracy": 0.0})) == ["floor accuracy"]


def test_nan_never_passes_any_rule():
    undefined = Interval(NAN, NAN, NAN, 5000, NAN)
    assert "defined" in failed(decide(report(challenger={"log_loss": undefined})))
    assert failed(decide(report(versus_baseline=undefined))) == ["baseline"]
    assert failed(decide(report(versus_champion=undefined))) == ["champion"]
    broken = {"log_loss": between(0.4), "roc_auc": undefined}
    assert failed(decide(report(challenger=broken), floors={"roc_auc": 0.0})) == ["floor roc_auc"]
    nan_champion = report(champion={"log_loss": undefined})
    assert "champion" in failed(decide(nan_champion, margin=0.1))


def test_a_slice_that_only_the_challenger_cannot_be_measured_on_refuses():
    undefined = Interval(NAN, NAN, NAN, 500, NAN)
    broken = replace(part(), challenger=undefined, difference=undefined)
    assert failed(decide(report(slices=[broken]))) == ["slices"]


def test_a_slice_undefined_for_both_is_not_judged():
    undefined = Interval(NAN, NAN, NAN, 500, NAN)
    broken = replace(part(), challenger=undefined, champion=undefined, difference=undefined)
    assert decide(report(slices=[broken])).promoted


def test_better_than_the_baseline_by_chance_is_not_better():
    by_chance = Interval(-0.001, -0.004, 0.002, 5000, 0.0015)
    assert failed(decide(report(versus_baseline=by_chance))) == ["baseline"]
    assert decide(report(versus_baseline=by_chance), beat_baseline=False).promoted


def test_the_first_model_faces_floors_and_baseline_only_and_says_so():
    verdict = decide(report(**FIRST))
    assert verdict.promoted
    assert any("no champion" in reason for reason in verdict.reasons)
    worse = report(**FIRST, versus_baseline=between(0.02))
    assert failed(decide(worse)) == ["baseline"]


def test_a_champion_that_cannot_score_the_holdout_does_not_block_for_ever():
    stuck = report(champion=None, versus_champion=None, champion_problem="wind is missing.")
    verdict = decide(stuck)
    assert verdict.promoted
    assert any("wind is missing" in reason for reason in verdict.reasons)


def test_a_comparison_that_is_simply_absent_refuses():
    assert failed(decide(report(champion=None, versus_champion=None))) == ["champion"]


def test_without_margin_an_equal_model_is_not_promoted():
    same = Interval(0.0, 0.0, 0.0, 5000, 0.0)
    assert failed(decide(report(versus_champion=same))) == ["champion"]
    assert decide(report(versus_champion=same), margin=0.01).promoted


def test_the_margin_is_relative_to_the_champion():
    # Bound 0.004: within 1 % of 0.45, beyond 0.5 % of it.
    close = Interval(0.001, -0.002, 0.004, 5000, 0.0018)
    assert decide(report(versus_champion=close), margin=0.01).promoted
    assert failed(decide(report(versus_champion=close), margin=0.005)) == ["champion"]


def test_a_significantly_worse_slice_refuses_and_is_named():
    bad = part("carrier=ZZ", challenger=0.50, champion=0.40)
    verdict = decide(report(slices=[part(), bad]))
    assert failed(verdict) == ["slices"]
    assert "carrier=ZZ" in verdict.reasons[-1]


def test_a_slice_that_may_be_worse_by_chance_does_not_refuse():
    # 20 % worse, one standard error beyond the 10 % allowed.
    assert decide(report(slices=[part(challenger=0.48, champion=0.40, error=0.04)])).promoted


def test_small_slices_are_not_judged():
    tiny = part(rows=199, challenger=0.9, champion=0.4)
    assert decide(report(slices=[tiny])).promoted
    assert failed(decide(report(slices=[tiny]), min_slice_rows=199)) == ["slices"]


def test_more_slices_do_not_make_a_refusal_by_chance_likelier():
    # z = 2: alone beyond the 5 % level (p 0.023), among twenty not (adjusted 0.46).
    doubtful = part("s=0", challenger=0.40 + 0.04 + 0.008, champion=0.40, error=0.004)
    assert failed(decide(report(slices=[doubtful]))) == ["slices"]
    others = [part(f"s={i}") for i in range(1, 20)]
    assert decide(report(slices=[doubtful, *others])).promoted


def test_a_report_on_another_metric_or_confidence_is_not_misread():
    with pytest.raises(ValueError, match="evaluate again"):
        gate.decide(PromotionGate(), report(), problem="binary", metric="brier")
    with pytest.raises(ValueError, match="confidence"):
        decide(report(), confidence=0.9)


def test_a_decision_taken_again_from_its_record_is_the_same():
    original = report(slices=[part(), part("carrier=ZZ", challenger=0.5)])
    recorded = EvaluationReport.from_dict(original.to_dict())
    assert decide(recorded) == decide(original)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_adjusted_p_values_keep_their_order_and_never_shrink(p_values):
    adjusted = gate.holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


def test_holm_gives_the_textbook_values():
    assert gate.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_two_equally_good_models_are_confused_no_more_often_than_declared():
    """400 holdouts, two models with exchangeable errors: 5 % pass, 9 % is 3.7 sigma away."""
    promoted = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        label = rng.random(1000) < 0.3
        logit = -1 + 1.5 * label + rng.normal(0, 1, 1000)
        one, two = (1 / (1 + np.exp(-(logit + rng.normal(0, 0.3, 1000)))) for _ in range(2))
        versus = metrics.paired_difference(
            "binary",
            "log_loss",
            Scored(label, one >= 0.5, one),
            Scored(label, two >= 0.5, two),
            0.9,
            seed,
            method="t",
        )
        promoted += decide(report(versus_champion=versus, slices=[])).promoted
    assert promoted / 400 <= 0.09
