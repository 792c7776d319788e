"""Building blocks of reports: tables, bars, numbers, images. No report itself."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

_EIGHTHS = " ▏▎▍▌▋▊▉█"


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


def svg(markup: str, description: str) -> str:
    """Return Markdown that shows an SVG without reading any file."""
    text = description.replace("[", "(").replace("]", ")").replace("\n", " ")
    encoded = base64.b64encode(markup.encode()).decode()
    return f"![{text}](data:image/svg+xml;base64,{encoded})"
