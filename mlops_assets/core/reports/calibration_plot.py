"""Predictions against outcomes, as a small picture: a tenth of predictions is a point.

Drawn as SVG by hand, which takes a tenth of a millisecond where matplotlib takes eighty, so
that every model version can have one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_assets.core.promotion.calibration import ALL
from mlops_assets.core.reports import parts

if TYPE_CHECKING:
    from mlops_assets.core.promotion.calibration import CalibrationPart
    from mlops_assets.vocabulary import Model

#: Side of the square that is drawn in, and the margins for labels, in pixels.
SIDE, LEFT, BOTTOM, TOP = 220, 46, 34, 22


def image(model: Model, measured: Sequence[CalibrationPart]) -> str:
    """Return Markdown that shows the calibration of a version on its holdout."""
    return parts.svg(
        svg(model, measured),
        f"Mean {model.label.name} against mean prediction of {model.name}, by tenths",
    )


def svg(model: Model, measured: Sequence[CalibrationPart]) -> str:
    """Return the picture: outcome against prediction, 95 % intervals, and the diagonal."""
    tenths = [p for p in measured if p.part != ALL and math.isfinite(p.predicted + p.actual)]
    # The outcome's interval is that of the gap, the prediction being known.
    spans = [
        (p.predicted - p.gap.high, p.predicted - p.gap.low)
        if math.isfinite(p.gap.low + p.gap.high)
        else (p.actual, p.actual)
        for p in tenths
    ]
    ends = [p.predicted for p in tenths] + [end for span in spans for end in span]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.05 * (high - low or 1.0)
    low, high = low - room, high + room
    if model.problem != "regression":
        low, high = max(low, 0.0), min(high, 1.0)

    def x(value: float) -> str:
        return f"{LEFT + SIDE * (min(max(value, low), high) - low) / (high - low):.1f}"

    def y(value: float) -> str:
        return f"{TOP + SIDE * (high - min(max(value, low), high)) / (high - low):.1f}"

    right, ground = LEFT + SIDE, TOP + SIDE
    drawn = [
        f'<path d="M{LEFT} {TOP}V{ground}H{right}" fill="none" stroke="{parts.GREY}"/>',
        f'<path d="M{x(low)} {y(low)}L{x(high)} {y(high)}" stroke="{parts.GREY}" '
        'stroke-dasharray="4 3"/>',
        f'<text x="{LEFT}" y="14">mean outcome by mean prediction</text>',
        f'<text x="{right}" y="{ground + 28}" text-anchor="end">prediction</text>',
    ]
    for at in (low, (low + high) / 2, high):
        label = parts.number(at)
        drawn += [
            f'<text x="{x(at)}" y="{ground + 14}" text-anchor="middle">{label}</text>',
            f'<text x="{LEFT - 4}" y="{y(at)}" text-anchor="end">{label}</text>',
        ]
    for part, (least, most) in zip(tenths, spans, strict=True):
        drawn += [
            f'<path d="M{x(part.predicted)} {y(least)}V{y(most)}" stroke="{parts.BLUE}"/>',
            f'<circle cx="{x(part.predicted)}" cy="{y(part.actual)}" r="3" fill="{parts.BLUE}"/>',
        ]
    width, height = right + 20, ground + BOTTOM
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="10" fill="#444">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(drawn)}</svg>'
    )
