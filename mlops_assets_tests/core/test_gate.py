"""The gate: what must refuse refuses, and chance promotes no more often than declared."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.promotion import gate
from mlops_assets.core.promotion.calibration import ALL, CalibrationPart
from mlops_assets.core.promotion.evaluation import EvaluationReport, SliceResult
from mlops_assets.core.promotion.holdout import KEY, HoldoutEvidence, TrainedOn
from mlops_assets.vocabulary import PromotionGate

NAN = math.nan
DAY = date(2024, 5, 1)

#: Nothing is wrong with the holdout; what can be is in ``test_holdout``.
CLEAN = HoldoutEvidence(
    "d" * 32, DAY, DAY + timedelta(days=14), 5000, KEY, 0, None, 0, 0, 0,
    TrainedOn(2, "t", DAY, 0), TrainedOn(1, "s", DAY, 0),
)  # fmt: skip


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
        block="day",
        holdout=CLEAN,
        calibration=[tenth(ALL), tenth("1"), tenth("2")],
        size_bytes=100_000,
        milliseconds=3.0,
    )
    return replace(good, **changes)


def tenth(name="1", gap=0.01, error=0.004, blocks=14) -> CalibrationPart:
    found = Interval(gap, gap - 2 * error, gap + 2 * error, 500, error, "t", blocks)
    return CalibrationPart(name, 500, 0.3 + gap, 0.3, found)


def decide(report_, **fields) -> gate.Verdict:
    return gate.decide(PromotionGate(**fields), report_, problem="binary", metric="log_loss")


def failed(verdict: gate.Verdict) -> list[str]:
    return [rule.name for rule in verdict.rules if rule.passed is False]


FIRST = {"champion_version": None, "champion": None, "versus_champion": None, "slices": []}


def test_a_better_challenger_is_promoted_with_a_sentence_for_each_rule():
    verdict = decide(
        report(), floors={"roc_auc": 0.6}, max_calibration_error=0.05, max_bytes=1_000_000,
        max_milliseconds=5,
    )  # fmt: skip
    assert verdict.promoted
    assert [rule.name for rule in verdict.rules] == [
        "holdout", "rows", "defined", "floor roc_auc", "baseline", "champion", "slices",
        "calibration", "size", "time",
    ]  # fmt: skip
    assert all(
        reason.endswith(".") and any(c.isdigit() for c in reason) for reason in verdict.reasons
    )
    assert all(rule.passed for rule in verdict.rules)


def test_too_few_rows_are_a_refusal_and_not_a_pass():
    verdict = decide(report(rows=999))
    assert failed(verdict) == ["rows"]
    assert "999" in verdict.reasons[1]


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


def test_surely_better_than_the_baseline_by_next_to_nothing_is_not_enough():
    tiny = Interval(-0.003, -0.004, -0.002, 5000, 0.0006)
    assert failed(decide(report(versus_baseline=tiny))) == ["baseline"]
    assert decide(report(versus_baseline=tiny), baseline_margin=0.003).promoted
    assert decide(report(versus_baseline=tiny), baseline_margin=0.0).promoted


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


def test_what_was_asked_for_is_called_by_its_name():
    def sentence(**fields) -> str:
        [rule] = [r for r in decide(report(), **fields).rules if r.name == "champion"]
        return rule.sentence

    assert "(superiority)" in sentence()
    assert "(non-inferiority, margin 1.0%)" in sentence(margin=0.01)


def test_the_gate_asks_for_superiority_by_day_unless_declared_otherwise():
    assert (PromotionGate().margin, PromotionGate().block) == (0.0, "day")


def test_every_test_has_its_statistic_threshold_and_p_value():
    days = Interval(-0.05, -0.07, -0.03, 5000, 0.01, "t", 14, 0.0, 1.2e-4)
    verdict = decide(report(versus_champion=days, versus_baseline=days))
    rules = {rule.name: rule for rule in verdict.rules}
    champion, baseline = rules["champion"], rules["baseline"]
    assert (champion.statistic, champion.threshold, champion.p) == (-0.03, 0, 1.2e-4)
    assert (baseline.statistic, baseline.threshold) == (-0.03, pytest.approx(-0.005))
    assert baseline.p == pytest.approx(stats.t.cdf((-0.05 + 0.005) / 0.01, 13))
    # Of another margin than the one that was measured against, the p-value is worked out.
    [other] = [
        r for r in decide(report(versus_champion=days), margin=0.1).rules if r.name == "champion"
    ]
    assert other.p == pytest.approx(stats.t.cdf((-0.05 - 0.045) / 0.01, 13))


def test_the_margin_is_relative_to_the_champion():
    # Bound 0.004: within 1 % of 0.45, beyond 0.5 % of it.
    close = Interval(0.001, -0.002, 0.004, 5000, 0.0018)
    assert decide(report(versus_champion=close), margin=0.01).promoted
    assert failed(decide(report(versus_champion=close), margin=0.005)) == ["champion"]


def test_a_significantly_worse_slice_refuses_and_is_named():
    bad = part("carrier=ZZ", challenger=0.50, champion=0.40)
    verdict = decide(report(slices=[part(), bad]))
    assert failed(verdict) == ["slices"]
    assert "carrier=ZZ" in verdict.reasons[-4]


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


def test_a_slice_of_a_single_day_is_not_judged():
    one = replace(part(), difference=Interval(0.3, NAN, NAN, 500, NAN, "t", 1))
    assert decide(report(slices=[one])).promoted


def test_a_slice_on_few_days_needs_a_larger_loss():
    # 2.3 standard errors beyond what is allowed: significant by the normal law, not of 3 days.
    doubtful = part(challenger=0.40 + 0.04 + 2.3 * 0.004, champion=0.40, error=0.004)
    assert failed(decide(report(slices=[doubtful]))) == ["slices"]
    assert doubtful.difference is not None
    days = replace(doubtful, difference=replace(doubtful.difference, blocks=3))
    assert decide(report(slices=[days])).promoted


def test_predictions_that_are_surely_off_are_refused_and_named():
    off = tenth("2", gap=0.12, error=0.01)
    broken = report(calibration=[tenth(ALL), tenth("1"), off])
    assert decide(broken).promoted  # not asked for
    verdict = decide(broken, max_calibration_error=0.05)
    assert failed(verdict) == ["calibration"]
    assert "tenth 2 of the predictions by +0.12" in verdict.reasons[-3]
    below = report(calibration=[tenth(ALL, gap=-0.12, error=0.01)])
    assert failed(decide(below, max_calibration_error=0.05)) == ["calibration"]


def test_predictions_that_may_be_off_by_chance_are_not_refused():
    doubtful = report(calibration=[tenth(ALL), tenth("1", gap=0.08, error=0.03)])
    assert decide(doubtful, max_calibration_error=0.05).promoted


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [tenth(ALL), replace(tenth("1"), gap=Interval(NAN, NAN, NAN, 500, NAN))],
        [replace(tenth(ALL), gap=Interval(0.0, NAN, NAN, 500, NAN, "t", 1))],
    ],
)
def test_a_calibration_that_is_not_known_never_passes(parts):
    unknown = report(calibration=parts)
    assert failed(decide(unknown, max_calibration_error=0.05)) == ["calibration"]
    assert decide(unknown).promoted


@pytest.mark.parametrize(
    ("rule", "budget", "field"),
    [("size", "max_bytes", "size_bytes"), ("time", "max_milliseconds", "milliseconds")],
)
def test_a_budget_is_kept_and_an_unknown_size_or_time_is_over_it(rule, budget, field):
    for value in (10, None, NAN):
        assert decide(report(**{field: value})).promoted  # not asked for
    assert decide(report(**{field: 10}), **{budget: 10}).promoted
    for value in (11, None, NAN):
        assert failed(decide(report(**{field: value}), **{budget: 10})) == [rule]


def test_a_report_without_evidence_of_the_holdout_is_refused():
    assert failed(decide(report(holdout=None))) == ["holdout"]


def test_an_earlier_edition_knows_only_its_own_rules():
    old = report(holdout=None, block="row", versus_champion=between(-0.05))
    names = [
        rule.name
        for rule in gate.decide(
            PromotionGate(block="row", max_calibration_error=0.0),
            old,
            problem="binary",
            metric="log_loss",
            edition=1,
        ).rules
    ]
    assert names == ["rows", "defined", "baseline", "champion", "slices"]
    for unknown in (0, gate.EDITION + 1):
        with pytest.raises(ValueError, match="edition"):
            gate.decide(
                PromotionGate(), report(), problem="binary", metric="log_loss", edition=unknown
            )


def test_a_report_on_another_metric_or_confidence_is_not_misread():
    with pytest.raises(ValueError, match="evaluate again"):
        gate.decide(PromotionGate(), report(), problem="binary", metric="brier")
    with pytest.raises(ValueError, match="confidence"):
        decide(report(), confidence=0.9)
    with pytest.raises(ValueError, match="by day"):
        decide(report(), block="row")


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
