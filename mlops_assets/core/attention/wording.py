"""Numbers, shares and lists as they stand in a sentence. The sentences are in ``summary``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_METRICS = {
    "log_loss": "log loss",
    "brier": "Brier score",
    "roc_auc": "area under the ROC curve",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "cost": "cost per row",
    "business_value": "value per row",
}
#: Characters of a name or value that comes from data.
_LONGEST = 60


def metric(name: str) -> str:
    """Return a metric's name in words."""
    return _METRICS.get(name, name.replace("_", " "))


def known(value: float | None) -> bool:
    """Whether there is a number."""
    return value is not None and math.isfinite(value)


def number(value: float, like: float | None = None) -> str:
    """Return a number with three significant digits; or with as many decimals as ``like`` has."""
    scale = abs(value if like is None else like)
    if scale != 0 and (scale >= 1e15 or scale < 1e-6):
        return f"{value:.2e}"
    decimals = 2 if scale == 0 else max(0, 2 - math.floor(math.log10(scale)))
    text = f"{value:,.{decimals}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text


def amount(value: float, unit: str) -> str:
    """Return a number with its unit."""
    return f"{number(value)} {unit}".rstrip()


def interval(value: float, low: float | None, high: float | None) -> str:
    """Return an interval in brackets, with a space before it; nothing where there is none."""
    if not (known(low) and known(high)):
        return ""
    assert low is not None
    assert high is not None
    return f" ({number(low, value)} to {number(high, value)})"


def percent(share: float) -> str:
    """Return a share as a whole percentage, which is 0 or 100 only if it is just that."""
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def plural(n: int, one: str, many: str | None = None) -> str:
    """Return ``"1 column"``, ``"2 columns"``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return ``"a"``, ``"a and b"``, ``"a, b, c and 4 more"``."""
    shown = [short(name) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most:,} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def short(text: Any) -> str:
    """Return a text from data on one line, cut where it is long."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def sentence(text: str) -> str:
    """Return a text that begins with a capital."""
    return text[0].upper() + text[1:]


def value(found: Any) -> str:
    """Return a prediction or a label."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return short(found)
    return number(found) if math.isfinite(found) and found != int(found) else f"{found:,.0f}"
