"""Whether a challenger may serve: a pure function of the declared gate and a report.

The same gate and report always give the same verdict, so a decision can be taken again from
its record. Measuring belongs in ``evaluation``, moving the alias in ``registry``.

The rules
---------
A challenger is promoted if *every* rule that applies is passed. A number that is missing or
NaN never passes.

1. *holdout*: later than what either model was trained on, no row of it trained on, none
   twice, nothing from after the cutoff, all scored on the same rows, not used too often; see
   ``holdout_rules``. A report without that evidence is refused.
2. *rows*: the holdout has at least ``min_rows`` labelled rows.
3. *defined*: the primary metric is a number on them.
4. *floors*: each metric named is on the right side of its floor (point value; reaching it
   is enough).
5. *baseline*, if ``beat_baseline``: better than the baseline with ``confidence``: the
   one-sided upper bound of the paired difference lies below 0 by ``baseline_margin`` times
   the baseline's absolute value.
6. *champion*: the one-sided upper bound, of ``confidence``, of challenger minus champion
   lies below ``margin`` times the champion's absolute value. With ``margin=0`` that asks
   for superiority, and two equally good models pass with probability at most
   ``1 - confidence``; with more for declared non-inferiority, and a model that is worse by
   just the margin does. Without a champion, or with one that cannot score the holdout, the
   rule does not apply and a sentence says so.
7. *slices*, if ``max_slice_loss`` is set and there is a champion: on every slice with at
   least ``min_slice_rows`` labelled rows, the hypothesis "worse than the champion by at
   most ``max_slice_loss`` times its absolute value there" is tested one-sidedly with the
   paired difference and its standard error (Student's t over days, or the normal law over
   rows). The challenger is refused if any is rejected at level ``1 - confidence`` after
   Holm's correction (Scandinavian Journal of Statistics 6, 1979) over the slices judged: a
   significantly large loss refuses, a loss that may be chance does not. Where the
   challenger's metric or its difference is NaN although the champion's is a number, it is
   refused; where the metric is not defined for the champion either (one class only, say),
   the slice is not judged.
8. *calibration*, if ``max_calibration_error`` is set: neither over all rows nor in any tenth
   of the predictions is the gap between mean prediction and mean outcome significantly
   larger; tested as the slices are.
9. *size* and *time*, if ``max_bytes`` and ``max_milliseconds`` are set.

``edition`` counts the changes of these rules. Edition 1 had neither *holdout* nor
*calibration*, *size* and *time*, took rows as independent and asked for any advantage over the
baseline; decisions that were taken by it are taken again by it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlops_assets.core.promotion.differences import less_than
from mlops_assets.core.promotion.gate_parts import calibration, slices
from mlops_assets.core.promotion.holdout_rules import holdout_rules
from mlops_assets.core.promotion.verdicts import Rule, Verdict, holm, number, probability, said
from mlops_assets.vocabulary import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from mlops_assets.core.models.metrics import Interval
    from mlops_assets.core.promotion.evaluation import EvaluationReport
    from mlops_assets.vocabulary import PromotionGate

__all__ = ["EDITION", "Rule", "Verdict", "decide", "holm"]

#: Of the rules above.
EDITION = 2


def decide(
    gate: PromotionGate,
    report: EvaluationReport,
    *,
    problem: str,
    metric: str,
    edition: int = EDITION,
) -> Verdict:
    """Judge a report by the rules of this module.

    Parameters
    ----------
    edition
        Of the rules; an earlier one only to take an earlier decision again.

    Raises
    ------
    ValueError
        If the report is of another problem, primary metric, confidence or block than the gate
        asks for: its numbers would be misread. If there is no such edition.
    """
    if (report.problem, report.metric) != (problem, metric):
        raise ValueError(
            f"The report is on {report.metric} of a {report.problem} problem, the gate asks for "
            f"{metric} of a {problem} problem; evaluate again"
        )
    if (report.confidence, report.block) != (gate.confidence, gate.block):
        raise ValueError(
            f"The report's bounds have confidence {report.confidence} by {report.block}, the gate "
            f"asks for {gate.confidence} by {gate.block}; evaluate again"
        )
    if not 1 <= edition <= EDITION:
        raise ValueError(
            f"The rules of edition {edition} are not known here, only those up to {EDITION}; use "
            "the release that decided"
        )
    rules = [
        _rows(gate, report),
        _defined(report),
        *(_floor(report, name, floor) for name, floor in gate.floors.items()),
        _baseline(gate, report),
        _champion(gate, report),
        slices(gate, report),
    ]
    if edition > 1:
        compared = report.champion is not None
        rules = [*holdout_rules(gate, report.holdout, compared=compared), *rules]
        rules += [calibration(gate, report), *_budgets(gate, report)]
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
        f"{said(enough)}: the holdout has {report.rows} labelled rows, "
        f"at least {gate.min_rows} are asked for.",
        report.rows,
        gate.min_rows,
    )


def _defined(report: EvaluationReport) -> Rule:
    found = report.challenger.get(report.metric)
    if found is None or not math.isfinite(found.value):
        return Rule("defined", False, f"Refused: {report.metric} is not defined on the holdout.")
    shown = f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"
    return Rule("defined", True, f"Passed: {report.metric} is {shown} on the holdout.", found.value)


def _floor(report: EvaluationReport, metric: str, floor: float) -> Rule:
    found = report.challenger.get(metric)
    value = math.nan if found is None else found.value
    higher = metric in HIGHER_IS_BETTER
    # False for NaN either way.
    passed = value >= floor if higher else value <= floor
    return Rule(
        f"floor {metric}",
        passed,
        f"{said(passed)}: {metric} is {number(value)}, "
        f"{'at least' if higher else 'at most'} {number(floor)} is asked for.",
        value,
        floor,
    )


def _baseline(gate: PromotionGate, report: EvaluationReport) -> Rule:
    if not gate.beat_baseline:
        return Rule("baseline", None, "Not asked for: beating the baseline.")
    versus, value = report.versus_baseline, report.baseline[report.metric].value
    bound = -gate.baseline_margin * abs(value)
    passed, p = versus.high < bound, _p(versus, bound)
    return Rule(
        "baseline",
        passed,
        f"{said(passed)}: {report.metric} is {_difference(versus)} than the baseline's "
        f"{number(value)}; the {gate.confidence:.0%} bound of the difference is "
        f"{number(versus.high, sign=True)} and must be below {number(bound + 0)} "
        f"({gate.baseline_margin:.1%} better){probability(p)}.",
        versus.high,
        bound,
        p,
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
    passed, p = versus.high < bound, _p(versus, bound)
    asked = f"non-inferiority, margin {gate.margin:.1%}" if gate.margin else "superiority"
    return Rule(
        "champion",
        passed,
        f"{said(passed)}: {report.metric} is {_difference(versus)} than {name}'s "
        f"{number(value)}; the {gate.confidence:.0%} bound of the difference is "
        f"{number(versus.high, sign=True)} and must be below {number(bound)} "
        f"({asked}){probability(p)}.",
        versus.high,
        bound,
        p,
    )


def _budgets(gate: PromotionGate, report: EvaluationReport) -> list[Rule]:
    return [
        _budget("size", report.size_bytes, gate.max_bytes, "the model file has", "bytes"),
        _budget(
            "time", report.milliseconds, gate.max_milliseconds,
            "scoring 1,000 rows takes", "milliseconds",
        ),
    ]  # fmt: skip


def _budget(name: str, found: float | None, most: float | None, what: str, unit: str) -> Rule:
    if most is None:
        return Rule(name, None, f"Not asked for: a budget of {unit}.")
    if found is None or not math.isfinite(found):
        return Rule(name, False, f"Refused: how many {unit} {what} was not measured.")
    passed = found <= most
    return Rule(
        name,
        passed,
        f"{said(passed)}: {what} {found:,.{0 if unit == 'bytes' else 1}f} {unit}, at most "
        f"{most:,} are allowed.",
        found,
        most,
    )


def _p(versus: Interval, bound: float) -> float | None:
    """One-sided p of the hypothesis that the difference is ``bound`` or more."""
    if versus.tested is not None and math.isclose(versus.tested, bound, abs_tol=1e-12):
        return versus.p
    if versus.method in ("t", "delong"):
        return less_than(versus.value, versus.standard_error, bound, versus.blocks or versus.n)
    return None  # the bootstrap's own was not kept


def _difference(versus: Interval) -> str:
    if not math.isfinite(versus.value):
        return "not comparable (NaN) rather than better"
    return f"{number(abs(versus.value))} {'better' if versus.value < 0 else 'worse'}"
