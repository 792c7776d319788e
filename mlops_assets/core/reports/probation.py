"""A champion's probation as Markdown: the conclusion, then every verdict so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.reports import parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mlops_assets.core.serving.probation import Judged
    from mlops_assets.core.serving.shadow import Watch
    from mlops_assets.vocabulary import Model

#: Verdicts that are listed, the latest first.
MOST_ROWS = 30
_SAID = {
    "held": "goes on serving",
    "worse": "rolled back",
    "too_few": "too few rows; goes on serving",
    "not_comparable": "not comparable; goes on serving",
}


def markdown(
    model: Model,
    day: date,
    watch: Watch | None,
    today: Sequence[Judged],
    history: Sequence[Judged],
) -> str:
    """Return the report of a day.

    Parameters
    ----------
    watch
        Of the champion that serves on the day, if it is on probation.
    today, history
        Verdicts of the day, and all there are, in order.
    """
    lines = [f"**{_conclusion(model, watch, today)}**"]
    known = [row for row in history if row.partition_date <= day][::-1][:MOST_ROWS]
    if known:
        lines += [
            "",
            parts.table(
                [
                    *("day", "version", "before", "from", "to", "rows"),
                    *(model.metric, "before", "worse by", "at least", "may be", "verdict"),
                ],
                [
                    [
                        row.partition_date,
                        row.version,
                        row.previous_version,
                        row.window_start,
                        row.window_end,
                        f"{row.rows:,}",
                        _number(row.champion),
                        _number(row.previous),
                        _number(row.difference, sign=True),
                        _number(row.low, sign=True),
                        _number(row.bound, sign=True),
                        _SAID[row.verdict],
                    ]
                    for row in known
                ],
            ),
        ]
    return "\n".join(lines)


def _conclusion(model: Model, watch: Watch | None, today: Sequence[Judged]) -> str:
    if today:
        return "; ".join(f"{row.reason[0].upper()}{row.reason[1:]}" for row in today) + "."
    if watch is not None:
        return (
            f"Version {watch.version} is on probation until {watch.end} (exclusive): version "
            f"{watch.previous_version} scores the same rows in shadow."
        )
    return f"No champion of {model.name} is on probation."


def _number(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.4g}" if sign else f"{value:.4g}"
