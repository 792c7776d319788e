"""A metric over days: realised, over a window, estimated, with the promotions marked.

What is sure is drawn strong, what is not is faint (provisional) or dashed (estimated); days
without a value are gaps, never bridged.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from mlops_assets.core.documents import drawing
from mlops_assets.core.documents.curve_words import summary, table
from mlops_assets.core.documents.document import Figure
from mlops_assets.core.documents.drawing import Scale, at, path
from mlops_assets.core.documents.tables import DocumentError
from mlops_assets.core.documents.texts import known, number

WIDTH, HEIGHT = 760.0, 270.0
_LEFT, _RIGHT, _TOP, _GROUND = 54.0, 748.0, 46.0, 242.0
#: With more days, dots and what the pointer says of each day would be heavier than the curve.
MOST_DOTS = 120

Values = Sequence[float | None]
_Band = tuple[Sequence[float], Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class _Frame:
    days: Sequence[date]
    #: Where each day is.
    across: Sequence[float]
    x: Scale
    y: Scale

    def points(self, values: Sequence[float]) -> list[tuple[float, float]]:
        return [(x, self.y(v)) for x, v in zip(self.across, values, strict=True) if known(v)]


def curve(
    days: Sequence[date],
    values: Values,
    low: Values | None = None,
    high: Values | None = None,
    *,
    name: str,
    marks: Sequence[tuple[date, str]] = (),
    provisional: Collection[date] = (),
    window: Values | None = None,
    window_name: str = "over a window",
    estimated: Values | None = None,
    estimated_low: Values | None = None,
    estimated_high: Values | None = None,
    limit: float | None = None,
    limit_name: str = "limit",
    caption: str = "",
) -> Figure:
    """Draw a metric over days.

    Parameters
    ----------
    days
        In ascending order; the other sequences have an entry for each, ``None`` or NaN where
        there is no value.
    low, high
        The interval of the value.
    marks
        Days and what happened on them, such as the promotion of ``v3``.
    provisional
        Days whose labels have not all come.
    window
        The metric over the days up to each.
    estimated, estimated_low, estimated_high
        What the metric is expected to be, without labels, and its interval.
    limit
        A value to compare with, such as the version's own on its holdout.

    Raises
    ------
    DocumentError
        If a sequence has not one entry for each day, or the days are not in order.
    """
    given = {"values": values, "low": low, "high": high, "window": window}
    given |= {"estimated": estimated, "estimated_low": estimated_low}
    given |= {"estimated_high": estimated_high}
    found = {key: _numbers(name, key, of, len(days)) for key, of in given.items()}
    if any(a >= b for a, b in pairwise(days)):
        raise DocumentError(f"curve of {name!r}: the days must ascend, each but once")
    faint = {n for n, day in enumerate(days) if day in provisional}
    realised = (found["values"], found["low"], found["high"])
    expected = (found["estimated"], found["estimated_low"], found["estimated_high"])
    called = drawing.shortened(name, 80)
    about = summary(called, days, found, marks, limit, limit_name)
    pieces, height = [drawing.nothing("no value is known yet")], drawing.NOTHING
    if any(known(v) for key in ("values", "window", "estimated") for v in found[key]):
        frame = _frame(days, realised, expected, found["window"], limit)
        moved = [(day, mark) for day, mark in marks if days[0] <= day <= days[-1]]
        entries = [
            ("line-a", "by day", found["values"]),
            ("ring-a", "provisional", faint),
            ("bold", window_name, found["window"]),
            ("dash-b", "estimated", found["estimated"]),
            ("limit", limit_name, [] if limit is None else [limit]),
            ("mark", "promotion", moved),
        ]
        told = [(style, meaning) for style, meaning, there in entries if _any(there)]
        height = HEIGHT
        pieces = [
            *_axes(frame, moved),
            *_expected(frame, expected),
            *_realised(frame, realised, faint),
            path("bold", _line(frame, found["window"])),
            *_limit(frame, limit),
            *_marks(frame, moved),
            drawing.legend(_LEFT, 14, told),
            _tips(frame, found, faint),
        ]
    return Figure(
        title=name,
        svg=drawing.picture(WIDTH, height, f"{called} by day", about, pieces),
        alt=about,
        caption=caption,
        numbers=table(called, days, found, faint, window_name) if days else None,
    )


def _any(values: Collection[Any]) -> bool:
    return any(not isinstance(value, float) or known(value) for value in values)


def _numbers(name: str, key: str, values: Values | None, count: int) -> list[float]:
    if values is None:
        return [math.nan] * count
    if len(values) != count:
        raise DocumentError(
            f"curve of {name!r}: {key} has {len(values)} entries for {count} days; give one for "
            "each, None where there is no value"
        )
    return [math.nan if value is None else float(value) for value in values]


def _frame(
    days: Sequence[date], realised: _Band, expected: _Band, window: Sequence[float], limit: Any
) -> _Frame:
    middles = [*realised[0], *expected[0], *window, math.nan if limit is None else limit]
    least, most = drawing.span(middles)
    ends = [v for band in (realised, expected) for side in band[1:] for v in side if known(v)]
    # Days with few labels have intervals that would flatten all others: half the room at most.
    room = 0.5 * (most - least)
    least = max(least - room, min([least, *ends]))
    most = min(most + room, max([most, *ends]))
    first, last = days[0].toordinal(), days[-1].toordinal()
    more = 0.5 if last > first else 1.0
    x = Scale(first - more, last + more, _LEFT, _RIGHT)
    return _Frame(
        days,
        [x(day.toordinal()) for day in days],
        x,
        Scale(least, most, _GROUND, _TOP),
    )


def _axes(frame: _Frame, moved: Sequence[tuple[date, str]]) -> list[str]:
    labels = [
        (frame.x(day.toordinal()), label)
        for day, label in drawing.date_ticks(frame.days[0], frame.days[-1])
    ]
    ticks = "".join(f"M{at(x)} {at(_GROUND)}v4" for x, _ in labels)
    lines = "".join(
        f"M{at(frame.x(day.toordinal()))} {at(_TOP - 6)}V{at(_GROUND)}" for day, _ in moved
    )
    return [
        drawing.left_axis(frame.y, _LEFT, _RIGHT),
        path("line", f"M{at(_LEFT)} {at(_GROUND)}H{at(_RIGHT)}{ticks}"),
        drawing.along(labels, _GROUND + 17, _LEFT, _RIGHT + 8),
        path("mark", lines),
    ]


def _marks(frame: _Frame, moved: Sequence[tuple[date, str]]) -> list[str]:
    free, drawn = 0.0, []
    for day, mark in sorted(moved):
        label = drawing.shortened(mark, 12)
        x, half = frame.x(day.toordinal()), drawing.extent(label, drawing.SMALL) / 2
        middle = min(max(x, _LEFT + half), _RIGHT - half)
        if middle - half >= free:
            drawn.append(
                drawing.say(middle, _TOP - 10, label, anchor="middle", small=True, bold=True)
            )
            free = middle + half + 4
    return drawn


def _line(frame: _Frame, values: Sequence[float]) -> str:
    drawn, down = [], False
    for n, value in enumerate(values):
        if not known(value):
            down = False
            continue
        drawn.append(f"{'L' if down else 'M'}{at(frame.across[n])} {at(frame.y(value))}")
        if not down and (n + 1 == len(values) or not known(values[n + 1])):
            # Of a day between gaps there would be nothing to see.
            drawn.append("m-2 0h4")
        down = True
    return "".join(drawn)


def _area(frame: _Frame, band: _Band) -> str:
    runs: list[list[int]] = [[]]
    for n, ends in enumerate(zip(*band, strict=True)):
        if all(map(known, ends)):
            runs[-1].append(n)
        elif runs[-1]:
            runs.append([])
    drawn = []
    for run in filter(None, runs):
        there = [f"{at(frame.across[n])} {at(frame.y(band[1][n]))}" for n in run]
        back = [f"{at(frame.across[n])} {at(frame.y(band[2][n]))}" for n in reversed(run)]
        if len(run) == 1:
            x, bottom, top = (
                frame.across[run[0]],
                frame.y(band[1][run[0]]),
                frame.y(band[2][run[0]]),
            )
            drawn.append(f"M{at(x - 2)} {at(bottom)}h4V{at(top)}h-4Z")
        else:
            drawn.append(f"M{'L'.join([*there, *back])}Z")
    return "".join(drawn)


def _expected(frame: _Frame, band: _Band) -> list[str]:
    return [path("fill-b", _area(frame, band)), path("dash-b", _line(frame, band[0]))]


def _realised(frame: _Frame, band: _Band, faint: set[int]) -> list[str]:
    values = band[0]
    sure = [math.nan if n in faint else value for n, value in enumerate(values)]
    # The faint line begins at the last sure day, so that it hangs together.
    open_ends = faint | {n + d for n in faint for d in (-1, 1)}
    unsure = [value if n in open_ends else math.nan for n, value in enumerate(values)]
    drawn = [
        path("band-a", _area(frame, band)),
        path("faint-a", _line(frame, unsure) if faint else ""),
        path("line-a", _line(frame, sure)),
    ]
    if len(values) <= MOST_DOTS:
        radius = 2 if len(values) > 40 else 3
        drawn.append(drawing.dots("dots-a", frame.points(sure), radius))
    hollow = [value if n in faint else math.nan for n, value in enumerate(values)]
    return [*drawn, drawing.dots("ring-a", frame.points(hollow), 2.4)]


def _limit(frame: _Frame, limit: float | None) -> list[str]:
    if limit is None or not known(limit):
        return []
    return [path("limit", f"M{at(_LEFT)} {at(frame.y(limit))}H{at(_RIGHT)}")]


def _tips(frame: _Frame, found: dict[str, list[float]], faint: Collection[int]) -> str:
    if len(frame.days) > MOST_DOTS:
        return ""
    width = (_RIGHT - _LEFT) / max(1, frame.x.high - frame.x.low)
    areas = []
    for n, day in enumerate(frame.days):
        said = [
            f"{what}{number(found[key][n])}"
            for key, what in (("values", ""), ("window", "window "), ("estimated", "estimated "))
            if known(found[key][n])
        ]
        if said:
            more = ", provisional" if n in faint else ""
            tip = f"{day}: {', '.join(said)}{more}"
            areas.append((frame.across[n] - width / 2, _TOP, width, _GROUND - _TOP, tip))
    return drawing.tips(areas)
