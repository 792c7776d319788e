"""Building blocks of reports: tables, bars, numbers, images. No report itself."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EIGHTHS = " ▏▎▍▌▋▊▉█"
#: Colours that can be told apart with any colour vision (Okabe and Ito, 2008).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7F7F7F"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], right: str = "") -> str:
    """Return a Markdown table.

    Parameters
    ----------
    rows
        Cells; ``None`` is shown as a dash, floats with four digits.
    right
        A character for each column: ``r`` aligns it to the right.
    """
    marks = ["---:" if right[i : i + 1] == "r" else "---" for i in range(len(header))]
    lines = [header, marks, *([cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell."""
    if isinstance(value, float):
        return number(value)
    text = "–" if value is None else str(value)
    # Names and values come from data: they must not end a cell or a row, nor be markup.
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split()) or " "


def number(value: float | None) -> str:
    """Return a number with four significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e6):
        return f"{value:.1e}"
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def between(low: float | None, high: float | None) -> str:
    """Return an interval; a dash where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "–"
    return f"{number(low)} to {number(high)}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage; a dash where there is none."""
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.{digits}f} %"


def bar(value: float | None, full: float, width: int = 12) -> str:
    """Return a bar of block characters; ``full`` and more fill all of ``width``."""
    if value is None or not math.isfinite(value) or full <= 0:
        return ""
    eighths = round(8 * width * min(1.0, max(0.0, value / full)))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def plural(n: int, one: str, many: str | None = None) -> str:
    """Return ``"1 day"``, ``"2 days"``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return ``"a, b, c and 4 more"``."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def figure(
    width: float, height: float, panels: Sequence[tuple[float, float, float, float]]
) -> tuple[Figure, list[Any]]:
    """Return a figure of so many inches, and its panels as empty axes; without pyplot's state.

    Each of ``panels`` is left, bottom, width and height as shares of the figure. Axes are
    without ticks and lines of their own, see ``scale``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=80)
    FigureCanvasAgg(made)
    axes = [made.add_axes(panel) for panel in panels]
    for axis in axes:
        axis.set_axis_off()
    return made, axes


def scale(
    axis: Any,
    title: str,
    *,
    x: Sequence[tuple[float, str]] | None = None,
    rotation: float = 0,
    show: Callable[[float], str] | None = None,
) -> None:
    """Draw a panel's title, its lower and left edge, and labels along both.

    Those below are ``x``, by default round numbers, as at the left; ``show`` makes a number
    a label. Call it when all is drawn. Plain texts and lines, because matplotlib's own axes
    take longer to draw than all else: 108 ms for a figure of three panels, 65 ms so.
    """
    from matplotlib.ticker import MaxNLocator

    show, round_numbers = show or number, MaxNLocator(3)
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    axis.set_xlim(left, right)
    axis.set_ylim(low, high)
    across, up = axis.get_xaxis_transform(), axis.get_yaxis_transform()
    line = {"color": GREY, "linewidth": 0.8, "clip_on": False}
    axis.plot([0, 0, 1], [1, 0, 0], transform=axis.transAxes, **line)
    if x is None:
        x = [(at, show(at)) for at in round_numbers.tick_values(left, right) if left <= at <= right]
    for at, label in x:
        axis.text(
            at, -0.04, label, transform=across, fontsize=6, rotation=rotation, ha="center", va="top"
        )
    for at in round_numbers.tick_values(low, high):
        if low <= at <= high:
            axis.text(-0.015, at, show(at), transform=up, fontsize=6, ha="right", va="center")
    axis.text(0, 1.06, title, transform=axis.transAxes, fontsize=8)


def png(made: Figure) -> bytes:
    """Return a figure as PNG."""
    import io

    buffer = io.BytesIO()
    made.savefig(buffer, format="png")
    return buffer.getvalue()


def image(data: bytes, description: str) -> str:
    """Return Markdown that shows a PNG without reading any file."""
    return _inline(data, "png", description)


def svg(markup: str, description: str) -> str:
    """Return Markdown that shows an SVG without reading any file."""
    return _inline(markup.encode(), "svg+xml", description)


def _inline(data: bytes, kind: str, description: str) -> str:
    text = description.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"![{text}](data:image/{kind};base64,{base64.b64encode(data).decode()})"
