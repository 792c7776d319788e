"""Ranked bars, each with its own limit: filled where the limit is reached, hollow where not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlops_assets.core.documents import drawing
from mlops_assets.core.documents.document import Figure
from mlops_assets.core.documents.drawing import Scale, at, path, rect
from mlops_assets.core.documents.tables import Column, Severity, Status, Table
from mlops_assets.core.documents.texts import known, number

WIDTH = 440.0
_LEFT, _RIGHT, _TOP, _ROW = 168.0, 378.0, 34.0, 21.0
#: More bars than can be read; the rest is said to be left out.
MOST_BARS = 30


def bars(
    rows: Sequence[tuple[str, float | None, float | None]],
    *,
    name: str,
    what: str = "column",
    limit_name: str = "limit",
    caption: str = "",
) -> Figure:
    """Draw values as bars, in the order given.

    Parameters
    ----------
    rows
        Name, value and limit; ``None`` or NaN where there is none. A value reaches its limit
        from below.
    name
        Of the value, such as the drift method.
    what
        The names are of.
    """
    shown = list(rows[:MOST_BARS])
    called = drawing.shortened(name, 80)
    about = _summary(rows, called, what, limit_name)
    pieces, height = [drawing.nothing(f"no {what} to show")], drawing.NOTHING
    if shown:
        ground = _TOP + _ROW * len(shown)
        height = ground + 26
        pieces = _pieces(shown, ground)
        more = [("limit", limit_name)] if any(known(row[2]) for row in shown) else []
        entries = [("fill-b", f"{limit_name} reached"), ("fill-a", "below")] if more else []
        pieces.append(_legend([*entries, *more]))
    return Figure(
        title=name,
        svg=drawing.picture(WIDTH, height, f"{called} by {what}", about, pieces),
        alt=about,
        caption=caption,
        numbers=Table(
            f"{called} by {what}",
            [
                Column(what),
                Column(called, "number"),
                Column(limit_name, "number"),
                Column("finding", "status"),
            ],
            [(label, value, limit, _finding(value, limit)) for label, value, limit in rows],
        )
        if rows
        else None,
    )


def _reached(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value >= limit


def _finding(value: float | None, limit: float | None) -> Status | None:
    if value is None or math.isnan(value):
        return Status(Severity.UNKNOWN, "no value")
    if limit is None or math.isnan(limit):
        return None
    if _reached(value, limit):
        return Status(Severity.WARNING, "reached")
    return Status(Severity.OK, "below")


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    drawn, x = [], 8.0
    for style, meaning in entries:
        if style == "limit":
            drawn.append(path("bold", f"M{at(x + 8)} 4v13"))
        else:
            drawn += _bar(style == "fill-b", x, 5, 16, 11)
        drawn.append(drawing.say(x + 22, 14, meaning, small=True))
        x += 22 + drawing.extent(meaning, drawing.SMALL) + 14
    return "".join(drawn)


def _bar(full: bool, x: float, y: float, width: float, height: float) -> list[str]:
    if full:
        return [rect("dots-b", x, y, width, height)]
    return [rect("fill-a", x, y, width, height), rect("edge-a", x, y, width, height)]


def _pieces(rows: Sequence[tuple[str, float | None, float | None]], ground: float) -> list[str]:
    there = [v for row in rows for v in row[1:] if v is not None and known(v)]
    low, high = min([0.0, *there]), max([0.0, *there])
    scale = Scale(low, high + 0.04 * (high - low) if high > low else low + 1.0, _LEFT, _RIGHT)
    ticks = drawing.round_ticks(scale.low, scale.high, 4)
    zero = scale(0.0)
    drawn = [path("grid", "".join(f"M{at(scale(t))} {at(_TOP - 4)}V{at(ground)}" for t in ticks))]
    labels = [(scale(tick), number(tick)) for tick in ticks]
    drawn.append(drawing.along(labels, ground + 16, _LEFT, _RIGHT + 20))
    areas, limits = [], []
    for n, (label, value, limit) in enumerate(rows):
        y = _TOP + n * _ROW
        name = drawing.fitted(label, _LEFT - 10) or "(empty)"
        drawn.append(drawing.say(_LEFT - 7, y + 13, name, anchor="end", small=True))
        if value is not None and not math.isnan(value):
            end = scale(value)
            drawn += _bar(
                _reached(value, limit), min(zero, end), y + 3, max(abs(end - zero), 1.0), _ROW - 8
            )
        if limit is not None and known(limit):
            limits.append(f"M{at(scale(limit))} {at(y)}v{at(_ROW - 2)}")
        said = "no value" if value is None or math.isnan(value) else number(value)
        drawn.append(drawing.say(WIDTH - 6, y + 13, said, anchor="end", small=True))
        areas.append((0.0, y, WIDTH, _ROW, f"{label}: {said}, limit {number(limit)}"))
    drawn += [
        path("line", f"M{at(zero)} {at(_TOP - 4)}V{at(ground)}"),
        path("bold", "".join(limits)),
        drawing.tips(areas),
    ]
    return drawn


def _summary(
    rows: Sequence[tuple[str, float | None, float | None]], name: str, what: str, limit_name: str
) -> str:
    if not rows:
        return f"{name}: there is no {what} to show."
    over = [row for row in rows if _reached(row[1], row[2])]
    first = ", ".join(f"{drawing.shortened(row[0], 40)} {number(row[1])}" for row in rows[:3])
    left = f" {len(rows) - MOST_BARS} more are not drawn." if len(rows) > MOST_BARS else ""
    return (
        f"{name} of {len(rows)} {what}{'s' if len(rows) != 1 else ''}, of which {len(over)} reach "
        f"their {limit_name}. First: {first}.{left}"
    )
