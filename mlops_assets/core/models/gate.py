"""Whether a challenger may serve: a pure function of the declared gate and a report.

The same gate and report always give the same verdict, so a decision can be taken again from
its record. Measuring belongs in ``evaluation``, moving the alias in ``registry``.

The rules
---------
A challenger is promoted if *every* rule that applies is passed. A number that is missing or
NaN never passes.

1. *rows*: the holdout has at least ``min_rows`` labelled rows.
2. *defined*: the primary metric is a number on them.
3. *floors*: each metric named is on the right side of its floor (point value; reaching it
   is enough).
4. *baseline*, if ``beat_baseline``: better than the baseline with ``confidence``: the
   one-sided upper bound of the paired difference lies below 0.
5. *champion*: the one-sided upper bound, of ``confidence``, of challenger minus champion
   lies below ``margin`` times the champion's absolute value. With ``margin=0`` that asks
   for superiority; two equally good models pass with probability at most
   ``1 - confidence``. Without a champion, or with one that cannot score the holdout, the
   rule does not apply and a sentence says so.
6. *slices*, if ``max_slice_loss`` is set and there is a champion: on every slice with at
   least ``min_slice_rows`` labelled rows, the hypothesis "worse than the champion by at
   most ``max_slice_loss`` times its absolute value there" is tested one-sidedly with the
   paired difference and its standard error (normal law). The challenger is refused if any
   is rejected at level ``1 - confidence`` after Holm's correction (Scandinavian Journal of
   Statistics 6, 1979) over the slices judged: a significantly large loss refuses, a loss
   that may be chance does not. Where the challenger's metric or its difference is NaN
   although the champion's is a number, it is refused; where the metric is not defined for
   the champion either (one class only, say), the slice is not judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlops_assets.vocabulary import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from mlops_assets.core.models.evaluation import EvaluationReport, SliceResult
    from mlops_assets.core.models.metrics import Interval
    from mlops_assets.vocabulary import PromotionGate


@dataclass(frozen=True)
class Rule:
    """One rule's outcome. ``passed`` is ``None`` where the rule does not apply."""

    name: str
    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """``reasons`` has one sentence for each rule; ``rules`` the same with names."""

    promoted: bool
    reasons: list[str]
    rules: list[Rule] = field(default_factory=list)


def decide(gate: PromotionGate, report: EvaluationReport, *, problem: str, metric: str) -> Verdict:
    """Judge a report by the rules of this module.

    Raises
    ------
    ValueError
        If the report is of another problem, primary metric or confidence than the gate asks
        for: its numbers would be misread.
    """
    if (report.problem, report.metric) != (problem, metric):
        raise ValueError(
            f"The report is on {report.metric} of a {report.problem} problem, the gate asks for "
            f"{metric} of a {problem} problem; evaluate again"
        )
    if report.confidence != gate.confidence:
        raise ValueError(
            f"The report's bounds have confidence {report.confidence}, the gate asks for "
            f"{gate.confidence}; evaluate again"
        )
    rules = [
        _rows(gate, report),
        _defined(report),
        *(_floor(report, name, floor) for name, floor in gate.floors.items()),
        _baseline(gate, report),
        _champion(gate, report),
        _slices(gate, report),
    ]
    return Verdict(
        promoted=all(rule.passed is not False for rule in rules),
        reasons=[rule.sentence for rule in rules],
        rules=rules,
    )


def _rows(gate: PromotionGate, report: EvaluationReport) -> Rule:
    enough = report.rows >= gate.min_rows
    return Rule(
        "rows",
        enough,
        f"{'Passed' if enough else 'Refused'}: the holdout has {report.rows} labelled rows, "
        f"at least {gate.min_rows} are asked for.",
    )


def _defined(report: EvaluationReport) -> Rule:
    found = report.challenger.get(report.metric)
    if found is None or not math.isfinite(found.value):
        return Rule("defined", False, f"Refused: {report.metric} is not defined on the holdout.")
    return Rule("defined", True, f"Passed: {report.metric} is {_shown(found)} on the holdout.")


def _floor(report: EvaluationReport, metric: str, floor: float) -> Rule:
    found = report.challenger.get(metric)
    value = math.nan if found is None else found.value
    higher = metric in HIGHER_IS_BETTER
    # False for NaN either way.
    passed = value >= floor if higher else value <= floor
    return Rule(
        f"floor {metric}",
        passed,
        f"{'Passed' if passed else 'Refused'}: {metric} is {_number(value)}, "
        f"{'at least' if higher else 'at most'} {_number(floor)} is asked for.",
    )


def _baseline(gate: PromotionGate, report: EvaluationReport) -> Rule:
    if not gate.beat_baseline:
        return Rule("baseline", None, "Not asked for: beating the baseline.")
    versus = report.versus_baseline
    passed = versus.high < 0
    baseline = report.baseline[report.metric]
    return Rule(
        "baseline",
        passed,
        f"{'Passed' if passed else 'Refused'}: {report.metric} is {_difference(versus)} than "
        f"the baseline's {_number(baseline.value)}; the {gate.confidence:.0%} bound of the "
        f"difference is {_number(versus.high, sign=True)} and must be below 0.",
    )


def _champion(gate: PromotionGate, report: EvaluationReport) -> Rule:
    if report.champion_version is None:
        return Rule("champion", None, "Does not apply: there is no champion to compare with.")
    name = f"champion {report.champion_version}"
    if report.champion_problem is not None:
        return Rule(
            "champion",
            None,
            f"Does not apply: {name} cannot score the holdout and so cannot serve either "
            f"({report.champion_problem})",
        )
    if report.champion is None or report.versus_champion is None:
        return Rule("champion", False, f"Refused: the report holds no comparison with {name}.")
    versus, value = report.versus_champion, report.champion[report.metric].value
    bound = gate.margin * abs(value)
    passed = versus.high < bound
    return Rule(
        "champion",
        passed,
        f"{'Passed' if passed else 'Refused'}: {report.metric} is {_difference(versus)} than "
        f"{name}'s {_number(value)}; the {gate.confidence:.0%} bound of the difference is "
        f"{_number(versus.high, sign=True)} and must be below {_number(bound, sign=True)} "
        f"(margin {gate.margin:.1%}).",
    )


def _slices(gate: PromotionGate, report: EvaluationReport) -> Rule:
    if gate.max_slice_loss is None:
        return Rule("slices", None, "Not asked for: a largest loss of a slice.")
    if report.champion is None:
        return Rule("slices", None, "Does not apply: no champion to compare slices with.")
    large = [s for s in report.slices if s.rows >= gate.min_slice_rows]
    judged = [s for s in large if s.champion is not None and math.isfinite(s.champion.value)]
    if not judged:
        return Rule(
            "slices",
            None,
            f"Does not apply: none of {len(report.slices)} slices has {gate.min_slice_rows} "
            "labelled rows and a defined metric.",
        )
    broken = [s for s in judged if not _measurable(s)]
    tested = [s for s in judged if _measurable(s)]
    adjusted = holm([_p_value(s, gate.max_slice_loss) for s in tested])
    alpha = 1 - gate.confidence
    worse = [(s, p) for s, p in zip(tested, adjusted, strict=True) if p < alpha]
    if not broken and not worse:
        least = f"; the least adjusted p is {min(adjusted):.2g}" if adjusted else ""
        return Rule(
            "slices",
            True,
            f"Passed: none of {len(judged)} slices is worse than the champion by significantly "
            f"more than {gate.max_slice_loss:.0%}{least}.",
        )
    told = [f"{s.slice} is not defined for the challenger" for s in broken] + [
        f"{s.slice} by {_number(_difference_value(s), sign=True)} on {s.rows} rows "
        f"(champion {_number(s.champion.value if s.champion else math.nan)}, adjusted p {p:.2g})"
        for s, p in worse
    ]
    return Rule(
        "slices",
        False,
        f"Refused: of {len(judged)} slices, {len(told)} worse than the champion by "
        f"significantly more than {gate.max_slice_loss:.0%}: {'; '.join(told)}.",
    )


def holm(p_values: list[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method, in the given order."""
    count, highest = len(p_values), 0.0
    adjusted = [0.0] * count
    for rank, i in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (count - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def _measurable(result: SliceResult) -> bool:
    difference = result.difference
    return (
        difference is not None
        and math.isfinite(difference.value)
        and math.isfinite(difference.standard_error)
    )


def _difference_value(result: SliceResult) -> float:
    return math.nan if result.difference is None else result.difference.value


def _p_value(result: SliceResult, max_loss: float) -> float:
    """One-sided p of the hypothesis that the loss is at most ``max_loss``, relatively."""
    assert result.difference is not None
    assert result.champion is not None
    excess = result.difference.value - max_loss * abs(result.champion.value)
    error = result.difference.standard_error
    if error == 0:
        return 0.0 if excess > 0 else 1.0
    return 0.5 * math.erfc(excess / error / math.sqrt(2))


def _difference(versus: Interval) -> str:
    if not math.isfinite(versus.value):
        return "not comparable (NaN) rather than better"
    return f"{_number(abs(versus.value))} {'better' if versus.value < 0 else 'worse'}"


def _shown(interval: Interval) -> str:
    return f"{_number(interval.value)} [{_number(interval.low)}, {_number(interval.high)}]"


def _number(value: float, *, sign: bool = False) -> str:
    return f"{value:+.4g}" if sign else f"{value:.4g}"
