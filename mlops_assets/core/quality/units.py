"""Numbers in another unit: a conversion that, undone, makes an unusual day a usual one.

Two kinds of evidence. Numbers that come from few values (routes, instruments) become values
never seen, and the known ones, converted, are exactly those seen. Numbers that are new every day
move as a whole, and undone lie where they usually do. A level that has moved without either is
drift, not broken data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.core.quality.profiles import ColumnProfile
from mlops_assets.core.quality.usual import UsualColumn

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Conversion:
    """``now = factor * usual + offset``, and what it is called."""

    factor: float
    offset: float = 0.0
    name: str = ""

    @property
    def text(self) -> str:
        """In words, for "values are ..."."""
        plus = f" {'+' if self.offset > 0 else '-'} {abs(self.offset):g}" if self.offset else ""
        named = f" ({self.name})" if self.name else ""
        return f"{self.factor:.4g} × the usual{plus}{named}"


_PAIRS = (
    (1.609344, "miles → kilometres"),
    (0.3048, "feet → metres"),
    (2.54, "inches → centimetres"),
    (25.4, "inches → millimetres"),
    (0.45359237, "pounds → kilograms"),
    (1.852, "knots → km/h"),
    (1.150779, "knots → mph"),
    (0.44704, "mph → m/s"),
    (3.6, "m/s → km/h"),
    (0.02952998, "hPa → inHg"),
    (100.0, "a fraction → per cent, or units → hundredths"),
    (60.0, "minutes → seconds, or hours → minutes"),
    (24.0, "days → hours"),
    (3600.0, "hours → seconds"),
    (1440.0, "days → minutes"),
    (10.0, "tenfold"),
    (1000.0, "thousandfold"),
    (1e6, "a million times"),
    (3.785412, "gallons → litres"),
    (4.184, "calories → joules"),
    (57.29577951, "radians → degrees"),
)
_AFFINE = (
    Conversion(5 / 9, -160 / 9, "°F → °C"),
    Conversion(1.8, 32.0, "°C → °F"),
    Conversion(1.0, 273.15, "°C → K"),
    Conversion(1.0, -273.15, "K → °C"),
    Conversion(5 / 9, 459.67 * 5 / 9, "°F → K"),
)

#: Share of a day's values that must be known ones, converted, beyond what chance gives; of a
#: factor that is no known conversion, and how much chance may give then.
_MATCHED, _MATCHED_UNNAMED, _BY_CHANCE = 0.5, 0.8, 0.3
#: How far outside the usual days the quantiles may lie then, undone (``_distance``).
_NEAR = 3.0
#: How equal the ratios of all quantiles must be for a factor that is no known conversion, and
#: how far from 1.
_EQUAL, _FAR = 0.02, 0.15
#: How near a factor must be to a named one to be it.
_SAME = 0.03
_MOST_DECIMALS = 7
#: Known values that may have become the day's most frequent one.
_TRIED = 60
#: Factor, or ranges of the usual days, from which a level that moved is no weather.
_LARGE, _STEADY = 8.0, 6.0


def known_conversions() -> Iterator[Conversion]:
    """Yield the conversions that are tried, there and back."""
    for factor, name in _PAIRS:
        yield Conversion(factor, 0.0, name)
        there, arrow, back = name.partition(" → ")
        turned = f"{back} → {there}" if arrow and "," not in name else f"back from: {name}"
        yield Conversion(1 / factor, 0.0, turned)
    yield from _AFFINE


def conversion_of(part: ColumnProfile, usual: UsualColumn, novel: bool) -> Conversion | None:
    """Return the conversion that explains the day's numbers, if one does.

    Parameters
    ----------
    novel
        The column's numbers usually come from few values, and today's are new.
    """
    if not part.quantiles or not usual.quantiles.size:
        return None
    fitting = []
    guessed = _ratios(part, usual) if novel else _estimated(part, usual)
    for conversion in (*known_conversions(), *guessed):
        off = _distance(part, usual, conversion)
        if off > (_NEAR if novel else 1.0):
            continue
        if novel and not _fits(part, usual, conversion):
            continue
        fitting.append((off, conversion))
    if not fitting:
        return None
    off, best = min(fitting, key=lambda f: f[0])
    if not best.name:
        # The day itself differs a little from the usual ones: a factor near it has a name.
        named = [c for _, c in fitting if c.name and abs(c.factor / best.factor - 1) < _SAME]
        best = min(named, key=lambda c: abs(c.factor / best.factor - 1), default=best)
    return best if novel or off < _distance(part, usual, Conversion(1.0)) else None


def _fits(part: ColumnProfile, usual: UsualColumn, conversion: Conversion) -> bool:
    matched, chance = _matched(part, usual, conversion)
    beyond = (matched - chance) / (1 - chance) if chance < 1 else 0.0
    if conversion.name:
        return beyond >= _MATCHED
    return beyond >= _MATCHED_UNNAMED and chance <= _BY_CHANCE


def credible(conversion: Conversion, ranges: float) -> bool:
    """Whether a level that moved may come from a conversion, with nothing else to show for it.

    A storm doubles or triples all delays of a day too; it takes a large factor, or a column
    that hardly moves at other times.

    Parameters
    ----------
    ranges
        How far outside of the range of the usual days the level is, in such ranges.
    """
    large = conversion.factor < 0 or abs(math.log(conversion.factor)) >= math.log(_LARGE)
    return large or ranges >= _STEADY


def _estimated(part: ColumnProfile, usual: UsualColumn) -> Iterator[Conversion]:
    """Yield the factor that takes all usual quantiles to today's, if there is one."""
    import numpy as np

    today, middle = np.array(part.quantiles), np.median(usual.quantiles, axis=0)
    there = (middle != 0) & (today != 0)
    ratios = today[there] / middle[there]
    if len(ratios) < 5 or len(np.unique(middle[there])) < 4:
        return
    factor = float(np.median(ratios))
    if abs(abs(factor) - 1) > _FAR and np.abs(ratios / factor - 1).max() <= _EQUAL:
        yield Conversion(factor)


def _ratios(part: ColumnProfile, usual: UsualColumn) -> Iterator[Conversion]:
    """Yield the factors that take a known value to the day's most frequent one."""
    top = next((v for v, _ in part.values if v != 0), None)
    most = sorted(usual.values, key=lambda v: -usual.values[v])[:_TRIED]
    for known in most:
        if top and known and abs(abs(top / known) - 1) > _FAR:
            yield Conversion(top / known)


def _distance(part: ColumnProfile, usual: UsualColumn, conversion: Conversion) -> float:
    """Return how far outside the usual days the quantiles lie, undone; up to 1: within.

    In units of half the range of the usual days, from its middle; the mean over quantiles, in
    which no quantile may stand alone for more than 10.
    """
    import numpy as np

    undone = (np.array(part.quantiles) - conversion.offset) / conversion.factor
    if conversion.factor < 0:
        undone = undone[::-1]
    low, high = usual.quantiles.min(axis=0), usual.quantiles.max(axis=0)
    spread = np.maximum((high - low) / 2, 0.02 * np.abs(high + low) / 2 + 1e-12)
    off = np.abs(undone - (high + low) / 2) / spread
    return float(np.minimum(off, 10).mean())


def _matched(
    part: ColumnProfile, usual: UsualColumn, conversion: Conversion
) -> tuple[float, float]:
    """Return the share of today's numbers that are known ones converted, to their decimals.

    And the share that numbers of the same range would have by chance.
    """
    import numpy as np

    rows = np.array([n for v, n in part.values if v != 0])
    today = np.array([v for v, _ in part.values if v != 0], float)
    known = np.array(list(usual.values), float)
    if not len(today) or len(known) < 2:
        return 0.0, 0.0
    ordered = np.sort(conversion.factor * known + conversion.offset)
    decimals = _decimals(today)
    # Rounded as they are, or to a millionth, as floats are.
    step = 0.5 * 10.0**-decimals if decimals < _MOST_DECIMALS else 0.0
    tolerance = step * (1 + 1e-9) + 1e-6 * np.abs(today)
    at = np.searchsorted(ordered, today)
    near = np.minimum(
        np.abs(today - ordered[np.minimum(at, len(ordered) - 1)]),
        np.abs(today - ordered[np.maximum(at - 1, 0)]),
    )
    # Only values on the grid of the decimals can be there: each known one has one of them.
    grid = (ordered[-1] - ordered[0]) * 10.0**decimals + 1 if step else math.inf
    chance = min(len(np.unique(np.round(ordered, decimals))) / grid, 1.0)
    return float(rows[near <= tolerance].sum() / rows.sum()), chance


def _decimals(values: np.ndarray) -> int:
    import numpy as np

    for decimals in range(_MOST_DECIMALS):
        if np.allclose(values, np.round(values, decimals), rtol=0, atol=1e-3 * 10.0**-decimals):
            return decimals
    return _MOST_DECIMALS
