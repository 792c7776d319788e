"""The gate's rules about parts of the holdout: slices, and the tenths of the predictions.

Each part is a test of its own, and Holm's correction keeps the chance that any of them refuses
a challenger that has done nothing wrong at ``1 - confidence``. The other rules are in ``gate``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlops_assets.core.promotion.calibration import ALL
from mlops_assets.core.promotion.differences import less_than
from mlops_assets.core.promotion.verdicts import Rule, holm, number

if TYPE_CHECKING:
    from mlops_assets.core.models.metrics import Interval
    from mlops_assets.core.promotion.calibration import CalibrationPart
    from mlops_assets.core.promotion.evaluation import EvaluationReport, SliceResult
    from mlops_assets.vocabulary import PromotionGate


def slices(gate: PromotionGate, report: EvaluationReport) -> Rule:
    """Judge the slices; see ``gate``."""
    if gate.max_slice_loss is None:
        return Rule("slices", None, "Not asked for: a largest loss of a slice.")
    if report.champion is None:
        return Rule("slices", None, "Does not apply: no champion to compare slices with.")
    large = [s for s in report.slices if s.rows >= gate.min_slice_rows]
    judged = [
        s
        for s in large
        if s.champion is not None and math.isfinite(s.champion.value) and not _one_day(s)
    ]
    if not judged:
        return Rule(
            "slices",
            None,
            f"Does not apply: none of {len(report.slices)} slices has {gate.min_slice_rows} "
            "labelled rows, of more than one day where days are compared, and a defined metric.",
        )
    broken = [s for s in judged if not _measurable(s.difference)]
    tested = [s for s in judged if _measurable(s.difference)]
    adjusted = holm([_slice_p(s, gate.max_slice_loss) for s in tested])
    least, alpha = min(adjusted, default=None), 1 - gate.confidence
    worse = [(s, p) for s, p in zip(tested, adjusted, strict=True) if p < alpha]
    if not broken and not worse:
        return Rule(
            "slices",
            True,
            f"Passed: none of {len(judged)} slices is worse than the champion by significantly "
            f"more than {gate.max_slice_loss:.0%}{_least(least)}.",
            threshold=gate.max_slice_loss,
            p=least,
        )
    told = [f"{s.slice} is not defined for the challenger" for s in broken] + [
        f"{s.slice} by {number(_value(s.difference), sign=True)} on {s.rows} rows "
        f"(champion {number(_value(s.champion))}, adjusted p {p:.2g})"
        for s, p in worse
    ]
    return Rule(
        "slices",
        False,
        f"Refused: of {len(judged)} slices, {len(told)} worse than the champion by "
        f"significantly more than {gate.max_slice_loss:.0%}: {'; '.join(told)}.",
        threshold=gate.max_slice_loss,
        p=least,
    )


def calibration(gate: PromotionGate, report: EvaluationReport) -> Rule:
    """Judge the gaps between mean prediction and mean outcome; see ``gate``."""
    most = gate.max_calibration_error
    if most is None:
        return Rule("calibration", None, "Not asked for: a largest calibration error.")
    parts = report.calibration
    broken = [part for part in parts if not _measurable(part.gap)]
    if not parts or broken:
        which = ", ".join(_part(part) for part in broken) or "any rows"
        return Rule(
            "calibration",
            False,
            f"Refused: the calibration of {which} was not measured, or is not defined.",
            threshold=most,
        )
    adjusted = holm([_gap_p(part.gap, most) for part in parts])
    off = [(p, q) for p, q in zip(parts, adjusted, strict=True) if q < 1 - gate.confidence]
    overall, least = parts[0].gap, min(adjusted)
    if not off:
        return Rule(
            "calibration",
            True,
            f"Passed: predictions are {number(overall.value, sign=True)} off the outcomes on "
            f"average, and in none of {len(parts) - 1} parts by significantly more than "
            f"{number(most)}{_least(least)}.",
            overall.value,
            most,
            least,
        )
    told = [
        f"{_part(part)} by {number(part.gap.value, sign=True)} ({number(part.predicted)} "
        f"predicted, {number(part.actual)} found, adjusted p {q:.2g})"
        for part, q in off
    ]
    return Rule(
        "calibration",
        False,
        f"Refused: predictions are off by significantly more than {number(most)} for "
        f"{'; '.join(told)}.",
        overall.value,
        most,
        least,
    )


def _part(part: CalibrationPart) -> str:
    return "all rows" if part.part == ALL else f"tenth {part.part} of the predictions"


def _one_day(result: SliceResult) -> bool:
    """Whether there is nothing that the difference could be compared with: one block."""
    return result.difference is not None and result.difference.blocks == 1


def _measurable(found: Interval | None) -> bool:
    return found is not None and math.isfinite(found.value) and math.isfinite(found.standard_error)


def _value(found: Interval | None) -> float:
    return math.nan if found is None else found.value


def _least(p: float | None) -> str:
    return "" if p is None else f"; the least adjusted p is {p:.2g}"


def _slice_p(result: SliceResult, max_loss: float) -> float:
    """One-sided p of the hypothesis that the loss is at most ``max_loss``, relatively."""
    assert result.difference is not None
    return _more_than(result.difference.value, result.difference, max_loss * _champion(result))


def _champion(result: SliceResult) -> float:
    assert result.champion is not None
    return abs(result.champion.value)


def _gap_p(gap: Interval, most: float) -> float:
    """One-sided p of the hypothesis that the gap, whatever its sign, is at most ``most``."""
    return _more_than(abs(gap.value), gap, most)


def _more_than(value: float, found: Interval, bound: float) -> float:
    return less_than(-value, found.standard_error, -bound, found.blocks)
