"""The meeting of challenger, champion and baseline, and the verdict on it, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_assets.core.promotion.calibration import ALL, expected_error
from mlops_assets.core.reports import parts

if TYPE_CHECKING:
    from mlops_assets.core.models.metrics import Interval
    from mlops_assets.core.promotion.calibration import CalibrationPart
    from mlops_assets.core.promotion.evaluation import EvaluationReport, SliceResult
    from mlops_assets.core.promotion.gate import Verdict
    from mlops_assets.core.registry.aliases import AliasEvent
    from mlops_assets.core.registry.decisions import Evaluation
    from mlops_assets.vocabulary import Model

#: Alias moves that are listed.
MOST_MOVES = 20


def evaluation_markdown(model: Model, report: EvaluationReport) -> str:
    """Return the report of an evaluation."""
    lines = [_conclusion(report)]
    if report.champion_problem:
        lines.append(f"\nThe champion could not be measured: {report.champion_problem}")
    lines += ["", _contenders(report)]
    if report.slices:
        judged = [s for s in report.slices if s.rows >= model.gate.min_slice_rows]
        lines += [
            "",
            f"{model.metric} by slice; the gate judges the {len(judged)} of "
            f"{len(report.slices)} with at least {model.gate.min_slice_rows} rows:",
            "",
            _slices(report.slices),
        ]
    if report.calibration:
        lines += ["", _calibration(report.calibration)]
    return "\n".join(lines)


def promotion_markdown(
    model: Model, evaluated: Evaluation, verdict: Verdict, history: Sequence[AliasEvent]
) -> str:
    """Return the report of a promotion decision and of the alias's moves so far."""
    version, before = evaluated.version, evaluated.champion_version
    if verdict.promoted:
        lines = [f"**Promoted:** version {version} of {model.name} is the champion" + (
            f", in place of version {before}." if before is not None else ", the first one."
        )]  # fmt: skip
    else:
        stays = "nothing is served" if before is None else f"version {before} goes on serving"
        lines = [f"**Refused:** version {version} of {model.name}; {stays}."]
    marks = {True: "✓", False: "✗", None: "–"}
    lines.append("")
    lines += [f"- {marks[rule.passed]} {rule.sentence}" for rule in verdict.rules]
    if history:
        moves = list(history)[-MOST_MOVES:][::-1]
        lines += [
            "",
            parts.table(
                ["serves from", "version", "before", "by"],
                [[e.effective_from, e.to_version, e.from_version, e.actor] for e in moves],
                "lrr",
            ),
        ]
    return "\n".join(lines)


def _conclusion(report: EvaluationReport) -> str:
    ours = f"version {report.challenger_version}"
    rows = parts.plural(report.rows, "holdout row")
    other, versus = "the baseline", report.versus_baseline
    if report.versus_champion is not None:
        other, versus = f"champion {report.champion_version}", report.versus_champion
    if not math.isfinite(versus.value):
        return f"**Not comparable:** {report.metric} is not defined on {rows}."
    surely = "surely " if versus.high < 0 or versus.low > 0 else ""
    how = "better" if versus.value < 0 else "worse"
    own = parts.number(report.challenger[report.metric].value)
    span = parts.between(versus.low, versus.high)
    return (
        f"**{ours[0].upper()}{ours[1:]} is {surely}{how} than {other}:** {report.metric} {own}, a "
        f"difference of {parts.number(versus.value)} ({span}; negative is better) on {rows}."
    )


def _contenders(report: EvaluationReport) -> str:
    contenders = {f"version {report.challenger_version}": report.challenger}
    if report.champion is not None:
        contenders[f"champion {report.champion_version}"] = report.champion
    contenders["baseline"] = report.baseline
    return parts.table(
        ["metric", *contenders],
        [
            [metric, *(_shown(measured.get(metric)) for measured in contenders.values())]
            for metric in report.challenger
        ],
        "l" + "r" * len(contenders),
    )


def _slices(slices: Sequence[SliceResult]) -> str:
    compared = any(s.champion is not None for s in slices)
    header = ["slice", "rows", "challenger", *(["champion", "difference"] if compared else [])]
    return parts.table(
        [*header, "baseline"],
        [
            [
                s.slice,
                f"{s.rows:,}",
                _shown(s.challenger),
                *([_shown(s.champion), _shown(s.difference)] if compared else []),
                s.baseline.value,
            ]
            for s in slices
        ],
        "l" + "r" * len(header),
    )


def _calibration(measured: Sequence[CalibrationPart]) -> str:
    overall = measured[0].gap
    tenths = [part for part in measured if part.part != ALL]
    lines = [
        f"Predictions are {parts.number(overall.value)} "
        f"({parts.between(overall.low, overall.high)}) off the outcomes on average, and "
        f"{parts.number(expected_error(measured))} in the mean over the tenths of the "
        "predictions, whatever the sign (some of that is chance):"
    ]
    if tenths:
        lines += [
            "",
            parts.table(
                ["tenth", "rows", "predicted", "found", "gap"],
                [[p.part, f"{p.rows:,}", p.predicted, p.actual, _shown(p.gap)] for p in tenths],
                "lrrrr",
            ),
        ]
    return "\n".join(lines)


def _shown(interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.value):
        return "–"
    return f"{parts.number(interval.value)} ({parts.between(interval.low, interval.high)})"
