"""Pieces of plots: texts, lines, scales, round ticks, dates along an axis. No plot itself.

SVG by hand: a plot takes well below a millisecond, where matplotlib takes eighty. Colours are
attributes for a light ground, so that a picture can stand alone; ``plots.css`` changes them by
class on a dark one. What belongs to which side is told by shape as well: the reference is
filled, the current is an outline; what is estimated is dashed.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from mlops_assets.core.documents.texts import known, number, visible

#: Pixels of the two text sizes.
SIZE, SMALL = 12, 11
#: Colours that can be told apart with any colour vision (Okabe and Ito, 2008).
BLUE, ORANGE = "#0072B2", "#D55E00"
_INK = "#4a4f57"

#: By class: what ``plots.css`` makes of them in the dark must keep fills, widths and dashes.
STYLES = {
    "line": 'fill="none" stroke="#7d838c"',
    "grid": 'fill="none" stroke="#e2e5e9"',
    "fill-a": f'fill="{BLUE}" fill-opacity="0.28"',
    "band-a": f'fill="{BLUE}" fill-opacity="0.16"',
    "edge-a": f'fill="none" stroke="{BLUE}" stroke-width="1"',
    "line-a": f'fill="none" stroke="{BLUE}" stroke-width="1.3" stroke-linejoin="round"',
    "dots-a": f'fill="{BLUE}"',
    "ring-a": f'fill="#fff" stroke="{BLUE}" stroke-width="1.2"',
    "faint-a": f'fill="none" stroke="{BLUE}" stroke-width="1.3" stroke-opacity="0.5"',
    "line-b": f'fill="none" stroke="{ORANGE}" stroke-width="2" stroke-linejoin="round"',
    "dash-b": f'fill="none" stroke="{ORANGE}" stroke-width="2" stroke-dasharray="5 3.5"',
    "dots-b": f'fill="{ORANGE}"',
    "fill-b": f'fill="{ORANGE}" fill-opacity="0.16"',
    "bold": 'fill="none" stroke="#1d2129" stroke-width="2.4" stroke-linejoin="round"',
    "mark": 'fill="none" stroke="#5d646e" stroke-width="1.2" stroke-dasharray="1.5 3"',
    "limit": 'fill="none" stroke="#1d2129" stroke-width="1.2" stroke-dasharray="9 4"',
}


@dataclass(frozen=True)
class Scale:
    """From values between ``low`` and ``high`` to pixels between ``start`` and ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value, the nearest end for one outside."""
        inside = min(max(value, self.low), self.high)
        return self.start + (self.end - self.start) * (inside - self.low) / (self.high - self.low)


def picture(width: float, height: float, title: str, about: str, pieces: Iterable[str]) -> str:
    """Return a whole SVG; ``title`` names it and ``about`` tells what it shows."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {at(width)} '
        f'{at(height)}" width="{at(width)}" height="{at(height)}" role="img" '
        f'font-family="system-ui, -apple-system, Segoe UI, Roboto, sans-serif" '
        f'font-size="{SIZE}"><title>{clean(title)}</title><desc>{clean(about)}</desc>'
        f'<rect class="ground" width="{at(width)}" height="{at(height)}" fill="#fff"/>'
        f'<g class="ink" fill="{_INK}">{"".join(pieces)}</g></svg>'
    )


def at(value: float) -> str:
    """Return a coordinate: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")


def clean(text: str) -> str:
    """Return a text that can stand in the picture."""
    return escape(visible(text))


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters."""
    text = visible(text)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def fitted(text: str, pixels: float, size: float = SMALL) -> str:
    """Return a text cut so that it takes at most so many pixels."""
    text = visible(text)
    if extent(text, size) <= pixels:
        return text
    left, kept = pixels - size * _em("…"), 0
    for character in text:
        left -= size * _em(character)
        if left < 0:
            break
        kept += 1
    return f"{text[: max(1, kept)].rstrip()}…"


def extent(text: str, size: float = SIZE) -> float:
    """Return about how many pixels a text takes, in a rather wide font."""
    return size * sum(map(_em, text))


@functools.lru_cache(4096)
def _em(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in "iljtfrI.,;:'|!()[]/ ":
        return 0.4
    return 0.86 if character in "mwMW@%…—" or character > "\u2e80" else 0.62


def say(
    x: float, y: float, text: str, *, anchor: str = "start", small: bool = False, bold: bool = False
) -> str:
    """Return a text; ``anchor`` is ``start``, ``middle`` or ``end``."""
    more = "" if anchor == "start" else f' text-anchor="{anchor}"'
    more += f' font-size="{SMALL}"' if small else ""
    more += ' font-weight="600"' if bold else ""
    return f'<text x="{at(x)}" y="{at(y)}"{more}>{clean(text)}</text>'


def path(style: str, points: str) -> str:
    """Return a line or area in one of ``STYLES``; nothing where there are no points."""
    return f'<path class="{style}" {STYLES[style]} d="{points}"/>' if points else ""


def rect(style: str, x: float, y: float, width: float, height: float) -> str:
    """Return a rectangle in one of ``STYLES``."""
    return (
        f'<rect class="{style}" {STYLES[style]} x="{at(x)}" y="{at(y)}" '
        f'width="{at(max(0.0, width))}" height="{at(max(0.0, height))}"/>'
    )


def dots(style: str, places: Iterable[tuple[float, float]], radius: float) -> str:
    """Return dots in one of ``STYLES``."""
    drawn = "".join(f'<circle cx="{at(x)}" cy="{at(y)}" r="{radius}"/>' for x, y in places)
    return f'<g class="{style}" {STYLES[style]}>{drawn}</g>' if drawn else ""


def tips(areas: Iterable[tuple[float, float, float, float, str]]) -> str:
    """Return what is said when the pointer rests on an area: x, y, width, height, text."""
    drawn = "".join(
        f'<rect x="{at(x)}" y="{at(y)}" width="{at(width)}" height="{at(height)}">'
        f"<title>{clean(shortened(text, 120))}</title></rect>"
        for x, y, width, height, text in areas
    )
    return f'<g class="tips" fill="none" pointer-events="all">{drawn}</g>' if drawn else ""


def round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return about ``most`` round numbers from ``low`` to ``high``, at least one step apart."""
    if not high - low > 1e-300:
        return [low]
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999), 10 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, 12 - math.floor(math.log10(step))) for n in range(first, last + 1)]


def span(values: Iterable[float], room: float = 0.06) -> tuple[float, float]:
    """Return the least and greatest with some room about them; 0 to 1 where there is nothing."""
    there = [value for value in values if known(value)]
    if not there:
        return 0.0, 1.0
    low, high = min(there), max(there)
    more = room * (high - low) or max(abs(high) * 0.1, 1e-9)
    return low - more, high + more


def left_axis(
    scale: Scale, left: float, right: float, show: Callable[[float], str] = number, most: int = 5
) -> str:
    """Return grid lines from ``left`` to ``right`` with their numbers at the left."""
    ticks = round_ticks(scale.low, scale.high, most)
    lines = "".join(f"M{at(left)} {at(scale(tick))}H{at(right)}" for tick in ticks)
    return path("grid", lines) + "".join(
        say(left - 5, scale(tick) + 4, show(tick), anchor="end", small=True) for tick in ticks
    )


def along(places: Sequence[tuple[float, str]], y: float, left: float, right: float) -> str:
    """Return labels below an axis, leaving out those that would run into another."""
    drawn, free = [], left - 40.0
    for x, label in places:
        half = extent(label, SMALL) / 2
        middle = min(x, right - half)
        if middle - half >= free:
            drawn.append(say(middle, y, label, anchor="middle", small=True))
            free = middle + half + 7
    return "".join(drawn)


def legend(x: float, y: float, entries: Sequence[tuple[str, str]]) -> str:
    """Return what the styles mean, in a row: style, or a style for dots, and meaning."""
    drawn = []
    for style, meaning in entries:
        if style.startswith("fill"):
            drawn += [rect(style, x, y - 9, 16, 10), rect("edge-a", x, y - 9, 16, 10)]
        elif style.startswith(("dots", "ring")):
            drawn.append(dots(style, [(x + 8, y - 4)], 3))
        else:
            drawn.append(path(style, f"M{at(x)} {at(y - 4)}h18"))
        drawn.append(say(x + 22, y, meaning, small=True))
        x += 22 + extent(meaning, SMALL) + 12
    return "".join(drawn)


def date_ticks(first: date, last: date, most: int = 7) -> list[tuple[date, str]]:
    """Return days to be named along an axis: months, Mondays or days, whatever fits."""
    count = (last - first).days + 1
    if count > 7 * most:
        months = [
            date(year, month, 1)
            for year in range(first.year, last.year + 1)
            for month in range(1, 13)
            if first <= date(year, month, 1) <= last
        ]
        months = months[:: math.ceil(len(months) / most) or 1]
        return [(day, f"{day:%b %Y}" if day.month == 1 else f"{day:%b}") for day in months]
    days = [first + timedelta(days=n) for n in range(count)]
    if count <= 3 * most:
        days = days[:: math.ceil(count / most) or 1]
    else:
        mondays = [day for day in days if day.weekday() == 0]
        days = mondays[:: math.ceil(len(mondays) / most) or 1]
    return [(day, f"{day.day} {day:%b}") for day in days]


#: Height of a picture that only says that there is nothing to draw.
NOTHING = 48.0


def nothing(text: str) -> str:
    """Return the words in the place of what cannot be drawn, for a picture ``NOTHING`` high."""
    return say(6, NOTHING / 2, text)
