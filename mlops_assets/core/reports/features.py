"""What a feature view is and what its values look like, as Markdown for the UI."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.features.feature_jumps import usual_mean
from mlops_assets.core.features.feature_statistics import WINDOW
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.reports import parts
from mlops_assets.core.storage import contracts

if TYPE_CHECKING:
    from datetime import date

    from mlops_assets.core.features.feature_jumps import Jump
    from mlops_assets.core.features.feature_statistics import FeatureStatistics
    from mlops_assets.vocabulary import FeatureView, UseCase

_BLOCKS = "▁▂▃▄▅▆▇█"
#: Robust deviations from the usual that fill the bar.
_FULL = 8.0


def markdown(
    use_case: UseCase,
    view: FeatureView,
    day: date | None,
    rows: Sequence[FeatureStatistics],
    jumps: Sequence[Jump] = (),
) -> str:
    """Return the statistics of a day and the documentation of the view.

    Parameters
    ----------
    day
        ``None``: the view has no days.
    rows
        Statistics of that day and those before it, as ``statistics_records.record``
        returns them.
    jumps
        What is conspicuous; of other days too.
    """
    today = [row for row in rows if row.partition_date == day]
    return "\n\n".join(
        [
            _conclusion(view, day, today, [j for j in jumps if j.partition_date == day]),
            _table(use_case, view, today, rows),
            _documentation(use_case, view),
        ]
    )


def hours(seconds: float | None) -> float | None:
    """Return a duration as hours."""
    return None if seconds is None else seconds / 3600


def users(use_case: UseCase, view: str, feature: str | None = None) -> list[str]:
    """Return the names of the models that use a view, or one of its features."""
    wanted = {view} if feature is None else {view, f"{view}.{feature}"}
    return [
        model.name
        for model in use_case.models
        if any(
            reference in wanted or (feature is None and reference.partition(".")[0] == view)
            for reference in model.features
        )
    ]


def sparkline(values: Iterable[float | None]) -> str:
    """Return a line of block characters from the least to the greatest value; a dot for none."""
    numbers = [v if v is not None and math.isfinite(v) else None for v in values]
    there = [v for v in numbers if v is not None]
    if not there:
        return ""
    low, span = min(there), max(there) - min(there)
    top = len(_BLOCKS) - 1
    return "".join(
        "·" if v is None else _BLOCKS[round(top * (v - low) / span) if span else top // 2]
        for v in numbers
    )


def _conclusion(
    view: FeatureView,
    day: date | None,
    today: Sequence[FeatureStatistics],
    jumps: Sequence[Jump],
) -> str:
    when = "" if day is None else f" on {day}"
    if not today or not today[0].rows:
        return f"**{view.name} has no values{when}.**" + _age(view, today)
    if jumps:
        said = f"**{parts.plural(len(jumps), 'jump')}{when}:** "
        said += "; ".join(jump.text for jump in jumps) + "."
    elif day is None:
        said = f"**{parts.plural(today[0].rows, 'row')}.**"
    else:
        said = f"**Nothing is unlike the days before{when}.**"
    if day is not None:
        said += f" {parts.plural(today[0].rows, 'row')}."
    return said + _age(view, today) + f" Computed in {today[0].compute_seconds:.2f} s."


def _age(view: FeatureView, today: Sequence[FeatureStatistics]) -> str:
    if not today or today[0].age_seconds is None:
        return ""
    age, limit = timedelta(seconds=round(today[0].age_seconds)), view.stale_after
    late = f", **more than {limit}**" if limit is not None and age > limit else ""
    return f" The newest was {age} old when the day ended{late}."


def _table(
    use_case: UseCase,
    view: FeatureView,
    today: Sequence[FeatureStatistics],
    rows: Sequence[FeatureStatistics],
) -> str:
    specs = {spec.name: spec for spec in contracts.columns(contracts.schema_of(view))}
    cells = []
    for row in today:
        spec = specs[row.feature]
        cells.append(
            [
                row.feature,
                spec.description,
                spec.unit,
                parts.percent(row.null_rate),
                row.distinct_values,
                row.minimum,
                row.median,
                row.maximum,
                _mean_line(rows, row),
                _deviation(rows, row),
                ", ".join(users(use_case, view.name, row.feature)) or None,
            ]
        )
    header = ["feature", "meaning", "unit", "missing", "distinct", "min", "median", "max"]
    mean = (
        [f"mean of {WINDOW + 1} days", "last against others"] if view.partitioned else ["mean", ""]
    )
    return parts.table([*header, *mean, "used by"], cells, "lllrrrrrlll")


def _mean_line(rows: Sequence[FeatureStatistics], row: FeatureStatistics) -> str | None:
    if row.partition_date is None:
        return None if row.mean is None else parts.number(row.mean)
    if row.top_share is not None:
        return f"{parts.percent(row.top_share)} the most frequent"
    means = {r.partition_date: r.mean for r in rows if r.feature == row.feature}
    window = [means.get(row.partition_date - timedelta(days=n)) for n in range(WINDOW, -1, -1)]
    return None if row.mean is None else f"{sparkline(window)} {parts.number(row.mean)}"


def _deviation(rows: Sequence[FeatureStatistics], row: FeatureStatistics) -> str | None:
    """Return how far today's mean is from the usual, in robust deviations."""
    usual = usual_mean(rows, row)
    if usual is None or row.mean is None:
        return None
    if not usual.spread:
        return "="
    away = (row.mean - usual.middle) / usual.spread
    return f"{'▲' if away > 0 else '▼'} {abs(away):.1f} {parts.bar(abs(away), _FULL, 6)}"


def _documentation(use_case: UseCase, view: FeatureView) -> str:
    expires = f"used for at most {view.ttl}" if view.ttl else "do not expire"
    lines = [
        f"{view.description or view.name}",
        f"Owner {view.owner}. One row for each `{view.entity.name}` "
        f"({', '.join(view.entity.keys)})" + (" and time." if view.partitioned else "."),
        f"Values {expires}; made of {', '.join(view.sources)}"
        + (f", {view.lookback} back." if view.lookback else "."),
        f"Definition {view_version(view)}. "
        f"Used by {', '.join(users(use_case, view.name)) or 'no model yet'}.",
    ]
    return "\n".join(f"- {line}" for line in lines)
