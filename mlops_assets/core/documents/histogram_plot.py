"""A column's distribution: the reference filled, what is now as an outline.

Numbers stand side by side in bins of equal width, whatever their edges: the reference's bins
are often its deciles, and a change is to be seen in each. Categories stand below each other, so
that their names can be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from mlops_assets.core.documents import drawing
from mlops_assets.core.documents.document import Figure
from mlops_assets.core.documents.drawing import Scale, at, path, rect
from mlops_assets.core.documents.tables import Column, DocumentError, Table
from mlops_assets.core.documents.texts import number, percent

WIDTH = 320.0
_LEFT, _RIGHT, _TOP, _GROUND = 42.0, 312.0, 30.0, 152.0
_NAMES, _ROW = 104.0, 19.0
#: Categories with a row of their own; the rest shares one.
MOST_CATEGORIES = 12

Shares = Sequence[float | None]


def histograms(
    reference: Shares,
    current: Shares,
    bins: Sequence[float] | Sequence[str],
    *,
    name: str,
    missing: tuple[float | None, float | None] | None = None,
    sides: tuple[str, str] = ("training data", "now"),
    unit: str = "",
    caption: str = "",
) -> Figure:
    """Draw a column's distribution then and now.

    Parameters
    ----------
    reference, current
        Share of rows in each bin; ``None`` or NaN where it is not known. All zero, or none
        known: there are no rows, which is said in the picture.
    bins
        Numbers are edges in ascending order: one less than the shares (the outer bins are
        open) or one more. Texts are categories, one for each share.
    missing
        Share of rows without a value, of both sides.

    Raises
    ------
    DocumentError
        If the bins do not fit the shares.
    """
    given = [*reference], [*current]
    labels, is_text = _labels(name, bins, len(given[0]), len(given[1]))
    apart = missing is not None and any(missing)
    if missing is not None and apart:
        labels = [*labels, "missing"]
        given = [*reference, missing[0]], [*current, missing[1]]
    then, now = ([_share(value) for value in side] for side in given)
    rows = list(zip(labels, then, now, strict=True))
    if not any(then) and not any(now):
        pieces, height = [drawing.nothing("no rows to show")], drawing.NOTHING
    elif is_text:
        pieces, height = _rows(_pooled(rows, apart), apart)
    else:
        edges = [float(edge) for edge in bins]  # pyright: ignore[reportArgumentType]
        pieces, height = _steps(rows, edges, apart)
    entries = [
        (style, side if any(shares) else f"{side}: no rows")
        for style, side, shares in (("fill-a", sides[0], then), ("line-b", sides[1], now))
    ]
    if any(then) or any(now):
        pieces.append(drawing.legend(8 if is_text else _LEFT, 14, entries))
    called = drawing.shortened(name, 80)
    title = f"{called}: {sides[0]} against {sides[1]}"
    about = f"Share of rows of {title}. {_summary(labels, then, now)}"
    bin_name = "category" if is_text else "bin"
    return Figure(
        title=name,
        svg=drawing.picture(WIDTH, height, title, about, pieces),
        alt=about,
        caption=caption,
        numbers=Table(
            f"Share of rows in each {bin_name} of {called}",
            [Column(bin_name, unit=unit), *(Column(side, "percent") for side in sides)],
            list(zip(labels, *given, strict=True)),
        )
        if labels
        else None,
    )


def _share(value: float | None) -> float:
    return 0.0 if value is None or not math.isfinite(value) else min(max(float(value), 0.0), 1.0)


def _labels(
    name: str, bins: Sequence[float] | Sequence[str], then: int, now: int
) -> tuple[list[str], bool]:
    is_text = bool(bins) and all(isinstance(found, str) for found in bins)
    fits = then == now and (
        len(bins) == then if is_text else abs(len(bins) - then) == 1 or (not bins and then == 0)
    )
    if not fits:
        raise DocumentError(
            f"histogram of {name!r}: {then} and {now} shares with {len(bins)} "
            f"{'categories' if is_text else 'edges'}; give as many categories as shares, or one "
            "edge more or less"
        )
    if is_text:
        return [str(found) for found in bins], True
    edges = [number(float(edge)) for edge in bins]
    inner = [low if low == high else f"{low} to {high}" for low, high in pairwise(edges)]
    if len(bins) > then:
        return inner, False
    return ([f"below {edges[0]}", *inner, f"from {edges[-1]}"] if edges else ["all"] * then), False


def _summary(labels: Sequence[str], then: Sequence[float], now: Sequence[float]) -> str:
    if not any(then) or not any(now):
        return "There are no rows to compare."
    changes = sorted(zip(labels, then, now, strict=True), key=lambda row: -abs(row[2] - row[1]))
    told = [f"{label}: {percent(a)}, now {percent(b)}" for label, a, b in changes[:3]]
    return f"Largest differences: {'; '.join(drawing.shortened(line, 80) for line in told)}."


Row = tuple[str, float, float]


def _tip(row: Row) -> str:
    return f"{drawing.shortened(row[0], 60)}: {percent(row[1])}, now {percent(row[2])}"


def _steps(rows: Sequence[Row], edges: Sequence[float], apart: bool) -> tuple[list[str], float]:
    gap = 10.0 if apart else 0.0
    slot = (_RIGHT - _LEFT - gap) / max(1, len(rows))
    top = max([max(row[1], row[2]) for row in rows], default=0.0) or 1.0
    scale = Scale(0.0, 1.06 * top, _GROUND, _TOP)
    places = [
        _LEFT + n * slot + (gap if apart and n == len(rows) - 1 else 0.0) for n in range(len(rows))
    ]
    drawn = [drawing.left_axis(scale, _LEFT, _RIGHT, _axis_percent, 4)]
    bars = "".join(
        f"M{at(x + 1)} {at(_GROUND)}V{at(scale(then))}H{at(x + slot - 1)}V{at(_GROUND)}Z"
        for x, (_, then, _) in zip(places, rows, strict=True)
        if then
    )
    drawn += [path("fill-a", bars), path("edge-a", bars)]
    tops = [f"V{at(scale(now))}h{at(slot)}" for _, _, now in rows]
    bins = len(rows) - apart
    if any(row[2] for row in rows):
        runs = [(0, bins), (bins, len(rows))]
        drawn += [
            path("line-b", f"M{at(places[n])} {at(_GROUND)}{''.join(tops[n:m])}V{at(_GROUND)}")
            for n, m in runs
            if m > n
        ]
    drawn.append(path("line", f"M{at(_LEFT)} {at(_GROUND)}H{at(_RIGHT)}"))
    # The first edge is the left end of the first bin where the outer bins are closed.
    shift = 0 if len(edges) > bins else 1
    ticks = [(_LEFT + (n + shift) * slot, _short(edge)) for n, edge in enumerate(edges)]
    ticks = [tick for n, tick in enumerate(ticks) if not n or tick[1] != ticks[n - 1][1]]
    ends = _RIGHT
    if apart:
        drawn.append(drawing.say(_RIGHT, _GROUND + 15, "missing", anchor="end", small=True))
        ends = _RIGHT - max(slot / 2, 48) - 4
        ticks = [tick for tick in ticks if tick[0] + drawing.extent(tick[1]) / 2 < ends]
    marks = "".join(f"M{at(_LEFT + (n + shift) * slot)} {at(_GROUND)}v3" for n in range(len(edges)))
    drawn += [path("line", marks), drawing.along(ticks, _GROUND + 15, _LEFT, ends)]
    drawn.append(
        drawing.tips(
            (x, _TOP, slot, _GROUND - _TOP, _tip(row)) for x, row in zip(places, rows, strict=True)
        )
    )
    return drawn, _GROUND + 24


def _short(edge: float) -> str:
    """Return an edge for the axis, where there is no room; the table has it in full."""
    return f"{edge:,.0f}" if 100 <= abs(edge) < 1e6 else number(float(f"{edge:.3g}"))


def _axis_percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _pooled(rows: Sequence[Row], apart: bool) -> list[Row]:
    """Return the most frequent categories in their order, the others as one."""
    named = list(rows[:-1]) if apart else list(rows)
    if len(named) > MOST_CATEGORIES:
        by_share = sorted(range(len(named)), key=lambda n: -max(named[n][1:]))
        kept = sorted(by_share[: MOST_CATEGORIES - 1])
        rest = [named[n] for n in by_share[MOST_CATEGORIES - 1 :]]
        others = (f"{len(rest)} others", sum(r[1] for r in rest), sum(r[2] for r in rest))
        named = [*(named[n] for n in kept), others]
    return [*named, rows[-1]] if apart else named


def _rows(rows: Sequence[Row], apart: bool) -> tuple[list[str], float]:
    top = max([max(row[1], row[2]) for row in rows], default=0.0) or 1.0
    ground = _TOP + _ROW * max(len(rows), 2) + (8 if apart else 0)
    scale = Scale(0.0, 1.06 * top, _NAMES, _RIGHT)
    ticks = drawing.round_ticks(0.0, scale.high, 4)
    drawn = [path("grid", "".join(f"M{at(scale(t))} {at(_TOP - 4)}V{at(ground)}" for t in ticks))]
    labels = [(scale(t), _axis_percent(t)) for t in ticks]
    drawn.append(drawing.along(labels, ground + 15, _NAMES, _RIGHT))
    areas = []
    for n, row in enumerate(rows):
        y = _TOP + n * _ROW + (8 if apart and n == len(rows) - 1 else 0)
        label = drawing.fitted(row[0], _NAMES - 8) or "(empty)"
        drawn.append(drawing.say(_NAMES - 6, y + 12.5, label, anchor="end", small=True))
        for style, share in (("fill-a", row[1]), ("edge-a", row[1]), ("line-b", row[2])):
            if share:
                inset = 1.0 if style == "line-b" else 0.0
                height = _ROW - 5 - 2 * inset
                drawn.append(rect(style, _NAMES, y + 2 + inset, scale(share) - _NAMES, height))
        areas.append((0.0, y, WIDTH, _ROW, _tip(row)))
    drawn += [path("line", f"M{at(_NAMES)} {at(_TOP - 4)}V{at(ground)}"), drawing.tips(areas)]
    return drawn, ground + 24
