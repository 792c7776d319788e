"""What came true against what was predicted: on the diagonal, predictions are right on average."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_assets.core.documents import drawing
from mlops_assets.core.documents.document import Figure
from mlops_assets.core.documents.drawing import Scale, at, path
from mlops_assets.core.documents.tables import Column, Table
from mlops_assets.core.documents.texts import known, number

WIDTH, HEIGHT = 320.0, 318.0
_LEFT, _RIGHT, _TOP, _GROUND = 50.0, 308.0, 30.0, 276.0


def calibration(
    pairs: Sequence[tuple[float, float, int]],
    intervals: Sequence[tuple[float, float] | None] | None = None,
    *,
    name: str,
    title: str = "Calibration",
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    caption: str = "",
) -> Figure:
    """Draw mean outcomes against mean predictions.

    Parameters
    ----------
    pairs
        Of each group of predictions: the mean prediction, the mean outcome, and rows. Groups
        without a finite mean are left out of the picture, and stand in the table.
    intervals
        Of the outcomes, for each pair.
    name
        Of what is predicted.
    bounds
        That no axis exceeds, such as (0, 1) of probabilities.
    """
    ends = list(intervals) if intervals is not None else [None] * len(pairs)
    drawn = [
        (float(said), float(true), end if end and all(map(known, end)) else None)
        for (said, true, _), end in zip(pairs, ends, strict=True)
        if known(said) and known(true)
    ]
    called = drawing.shortened(name, 80)
    about = _summary(called, drawn)
    pieces, height = [drawing.nothing("no outcomes yet")], drawing.NOTHING
    if drawn:
        pieces, height = _pieces(drawn, bounds), HEIGHT
        pieces += [
            drawing.say(_RIGHT, _GROUND + 34, "mean prediction", anchor="end", small=True),
            drawing.legend(8, 14, [("dots-a", "mean outcome, 95 %"), ("limit", "as predicted")]),
        ]
    columns = [
        Column("mean prediction", "number", unit),
        Column("mean outcome", "number", unit),
        Column("95 % interval", "interval", unit),
        Column("rows", "number"),
    ]
    rows = [(said, true, end, n) for (said, true, n), end in zip(pairs, ends, strict=True)]
    if not any(ends):
        columns, rows = [columns[0], columns[1], columns[3]], [(a, b, n) for a, b, _, n in rows]
    return Figure(
        title=title,
        svg=drawing.picture(WIDTH, height, f"{title} of {called}", about, pieces),
        alt=about,
        caption=caption,
        numbers=Table(f"{called}: outcomes by prediction", columns, rows) if rows else None,
    )


Drawn = tuple[float, float, tuple[float, float] | None]


def _pieces(drawn: Sequence[Drawn], bounds: tuple[float, float] | None) -> list[str]:
    values = [v for said, true, end in drawn for v in (said, true, *(end or ()))]
    low, high = drawing.span(values)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
        low, high = (low, high) if high > low else bounds
    across, up = Scale(low, high, _LEFT, _RIGHT), Scale(low, high, _GROUND, _TOP)
    ticks = drawing.round_ticks(low, high, 5)
    bars = "".join(
        f"M{at(across(said))} {at(up(end[0]))}V{at(up(end[1]))}"
        f"M{at(across(said) - 3)} {at(up(end[0]))}h6M{at(across(said) - 3)} {at(up(end[1]))}h6"
        for said, _, end in drawn
        if end
    )
    places = [(across(said), up(true)) for said, true, _ in drawn]
    return [
        drawing.left_axis(up, _LEFT, _RIGHT),
        path("grid", "".join(f"M{at(across(tick))} {at(_TOP)}V{at(_GROUND)}" for tick in ticks)),
        drawing.along([(across(t), number(t)) for t in ticks], _GROUND + 16, _LEFT, _RIGHT + 10),
        path("line", f"M{at(_LEFT)} {at(_TOP)}V{at(_GROUND)}H{at(_RIGHT)}"),
        path("limit", f"M{at(_LEFT)} {at(_GROUND)}L{at(_RIGHT)} {at(_TOP)}"),
        path("line-a", bars),
        path("line-a", "M" + "L".join(f"{at(x)} {at(y)}" for x, y in places)),
        drawing.dots("dots-a", places, 3.6),
        drawing.tips(
            (x - 9, y - 9, 18, 18, f"predicted {number(said)}, came true {number(true)}")
            for (x, y), (said, true, _) in zip(places, drawn, strict=True)
        ),
    ]


def _summary(name: str, drawn: Sequence[Drawn]) -> str:
    if not drawn:
        return f"{name}: there are no outcomes to compare predictions with."
    said, true, _ = max(drawn, key=lambda row: abs(row[1] - row[0]))
    return (
        f"Mean outcome of {name} against mean prediction, in {len(drawn)} groups of predictions "
        f"from {number(drawn[0][0])} to {number(drawn[-1][0])}. They differ most where "
        f"{number(said)} was predicted and {number(true)} came true."
    )
