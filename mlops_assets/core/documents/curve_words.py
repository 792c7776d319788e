"""What a curve shows, in a sentence and as a table. The picture belongs in ``curve_plot``.

``found`` holds the numbers of each day by name, NaN where there is none; ``faint`` the
positions of the provisional days.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from mlops_assets.core.documents.tables import Column, Table
from mlops_assets.core.documents.texts import known, number


def summary(
    name: str,
    days: Sequence[date],
    found: dict[str, list[float]],
    marks: Sequence[tuple[date, str]],
    limit: float | None,
    limit_name: str,
) -> str:
    """Return what the curve shows, for who does not see it."""
    told = [(v, day) for v, day in zip(found["values"], days, strict=True) if known(v)]
    if not days:
        return f"{name}: there are no days."
    said = [f"{name} by day, {days[0]} to {days[-1]}"]
    if told:
        (least, low_day), (most, high_day) = min(told), max(told)
        said.append(
            f"{number(told[-1][0])} on {told[-1][1]}, between {number(least)} on {low_day} and "
            f"{number(most)} on {high_day}"
        )
    else:
        said.append("no day has a realised value")
    guessed = sum(map(known, found["estimated"]))
    if guessed:
        said.append(f"estimated for {guessed} days")
    if limit is not None and known(limit):
        said.append(f"{limit_name} {number(limit)}")
    if marks:
        moved = ", ".join(f"{mark} on {day}" for day, mark in marks[-5:])
        said.append(f"promoted: {moved}")
    return "; ".join(said) + "."


def table(
    name: str,
    days: Sequence[date],
    found: dict[str, list[float]],
    faint: Collection[int],
    window_name: str,
) -> Table:
    """Return the curve's numbers, without columns that have none."""

    def cell(key: str, n: int) -> float | None:
        return found[key][n] if known(found[key][n]) else None

    def pair(low: str, high: str, n: int) -> tuple[float, float] | None:
        ends = found[low][n], found[high][n]
        return ends if all(map(known, ends)) else None

    columns = [
        (Column("day", "date"), list(days)),
        (Column(name, "number"), [cell("values", n) for n in range(len(days))]),
        (Column("95 % interval", "interval"), [pair("low", "high", n) for n in range(len(days))]),
        (Column(window_name, "number"), [cell("window", n) for n in range(len(days))]),
        (Column("estimated", "number"), [cell("estimated", n) for n in range(len(days))]),
        (
            Column("its interval", "interval"),
            [pair("estimated_low", "estimated_high", n) for n in range(len(days))],
        ),
        (Column("labels"), ["provisional" if n in faint else None for n in range(len(days))]),
    ]
    # Columns without any value tell nothing.
    kept = [(c, v) for n, (c, v) in enumerate(columns) if n < 2 or any(x is not None for x in v)]
    rows = list(zip(*[values for _, values in kept], strict=True))
    return Table(f"{name} by day", [column for column, _ in kept], rows)
