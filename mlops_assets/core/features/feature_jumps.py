"""Which days of a feature view look unlike the days before them.

A value of a day is judged by the same value of up to ``WINDOW`` days before it, as far as the
view had rows then; with fewer than ``MIN_DAYS`` of them nothing is said. The statistics
themselves belong in ``feature_statistics``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from mlops_assets.core.features.feature_statistics import WINDOW, FeatureStatistics

#: Least days before a day that it is judged by.
MIN_DAYS = 7
#: By how much the share of missing values may rise, as a difference and as a multiple, before
#: it is conspicuous. It is compared with the highest share but one: a feature that is often
#: missing may go on so, and one bad day does not hide the next.
NULL_RISE, NULL_MULTIPLE = 0.1, 3.0
#: How many robust deviations a day's mean may lie outside of the means before it.
MEAN_DEVIATIONS = 4.0
#: Makes a median absolute deviation a standard deviation, for normal values.
_ROBUST = 1.4826


@dataclass(frozen=True)
class Usual:
    """What the mean of a feature usually is: of the days before a day.

    Attributes
    ----------
    middle
        Median of the days' means.
    low, high
        Least and greatest.
    spread
        Their robust deviation, at least the standard error of the day's own mean.
    """

    middle: float
    low: float
    high: float
    spread: float


@dataclass(frozen=True)
class Jump:
    """Something that a day's statistics do and those of the days before do not.

    Attributes
    ----------
    what
        ``nulls`` or ``mean``.
    value, usual
        Of the day, and of the days before.
    text
        In words.
    """

    partition_date: date
    feature: str
    what: str
    value: float
    usual: float
    text: str


def jumps(rows: Sequence[FeatureStatistics], days: Iterable[date]) -> list[Jump]:
    """Return what is conspicuous about ``days``, in their order.

    Parameters
    ----------
    rows
        Of these days and those before them, as ``statistics_records.record`` returns them.
    """
    by_feature = _by_feature(rows)
    found = []
    for day in days:
        for of_days in by_feature.values():
            row = of_days.get(day)
            if row is None or row.null_rate is None:
                continue
            before = _before(of_days, day)
            found += [j for j in (_nulls(day, row, before), _mean(day, row, before)) if j]
    return found


def usual_mean(rows: Sequence[FeatureStatistics], row: FeatureStatistics) -> Usual | None:
    """Return what the feature's mean was on the days before ``row``; ``None``: too few days."""
    if row.partition_date is None:
        return None
    return _usual(row, _before(_by_feature(rows)[row.feature], row.partition_date))


def _by_feature(
    rows: Iterable[FeatureStatistics],
) -> dict[str, dict[date, FeatureStatistics]]:
    found: dict[str, dict[date, FeatureStatistics]] = {}
    for row in rows:
        if row.partition_date is not None:
            found.setdefault(row.feature, {})[row.partition_date] = row
    return found


def _before(of_days: dict[date, FeatureStatistics], day: date) -> list[FeatureStatistics]:
    """Return the statistics of the days before ``day`` on which there were rows."""
    window = (of_days.get(day - timedelta(days=n)) for n in range(1, WINDOW + 1))
    return [row for row in window if row is not None and row.rows]


def _nulls(day: date, row: FeatureStatistics, before: Sequence[FeatureStatistics]) -> Jump | None:
    rates = [r.null_rate for r in before if r.null_rate is not None]
    if len(rates) < MIN_DAYS or row.null_rate is None:
        return None
    usual = sorted(rates)[-2]
    if row.null_rate <= usual + NULL_RISE or row.null_rate <= NULL_MULTIPLE * usual:
        return None
    return Jump(
        day,
        row.feature,
        "nulls",
        row.null_rate,
        usual,
        f"{row.feature} is missing in {row.null_rate:.1%} of the rows, usually in at most "
        f"{usual:.1%}",
    )


def _mean(day: date, row: FeatureStatistics, before: Sequence[FeatureStatistics]) -> Jump | None:
    usual = _usual(row, before)
    if usual is None or row.mean is None:
        return None
    beyond = max(usual.low - row.mean, row.mean - usual.high)
    if beyond <= MEAN_DEVIATIONS * usual.spread:
        return None
    return Jump(
        day,
        row.feature,
        "mean",
        row.mean,
        usual.middle,
        f"the mean of {row.feature} is {row.mean:.4g}, in the {len(before)} days before "
        f"{usual.low:.4g} to {usual.high:.4g}",
    )


def _usual(row: FeatureStatistics, before: Sequence[FeatureStatistics]) -> Usual | None:
    means = [r.mean for r in before if r.mean is not None and math.isfinite(r.mean)]
    if len(means) < MIN_DAYS or row.mean is None or not math.isfinite(row.mean):
        return None
    middle = median(means)
    spread = _ROBUST * median(abs(mean - middle) for mean in means)
    # Without this, a mean that has been the same for days could not move at all.
    chance = (row.deviation or 0.0) / math.sqrt(row.values) if row.values else 0.0
    least = 1e-9 * abs(middle)
    return Usual(middle, min(means), max(means), max(spread, chance, least))
