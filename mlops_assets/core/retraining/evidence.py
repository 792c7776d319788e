"""What a retraining decision rests on: plain data, and their JSON.

How it is read from the tables belongs in ``gathering``, what follows from it in
``retraining``.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from mlops_assets.vocabulary import HIGHER_IS_BETTER


@dataclass(frozen=True)
class Realised:
    """The champion's realised performance on matured days, as known when the day ended.

    Attributes
    ----------
    value
        Primary metric.
    reference
        The metric on the holdout that the version was promoted on; ``None``: not recorded.
    worse, worse_at_least
        Relative worsening against it, positive is worse: point value, and the lower end of
        its interval; ``None`` where they cannot be computed.
    """

    metric: str
    first: date
    last: date
    n: int
    value: float | None
    reference: float | None
    worse: float | None
    worse_at_least: float | None


@dataclass(frozen=True)
class Drifted:
    """One drift report: how much of what the model relies on has moved.

    ``share`` is the drifted features' share of importance (of their number where no
    feature has any); ``columns`` are the drifted ones, the most important shift first.
    """

    day: date
    share: float
    prediction: bool
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """All that a decision rests on, as it was when ``day`` ended.

    Attributes
    ----------
    champion
        Version serving that day.
    data_days, needed_days
        Days of rows there are, and days that a first training needs.
    data_age
        Days since the end of what the champion was trained and held out on.
    drift
        Reports of the champion's last windows, the latest last.
    drift_windows
        How many in a row must have drifted.
    new_labels
        Labelled predictions since the last training.
    last_attempt
        Day of the last decision to retrain, or of a training by hand.
    unpromoted
        Attempts in a row, up to the last, that have not led to a promotion.
    quality_problem
        What is wrong with the data, if something is.
    """

    day: date
    champion: int | None
    data_days: int
    needed_days: int
    data_age: timedelta | None = None
    realised: Realised | None = None
    drift: tuple[Drifted, ...] = ()
    drift_windows: int = 1
    new_labels: int = 0
    last_attempt: date | None = None
    unpromoted: int = 0
    quality_problem: str | None = None

    def to_json(self) -> str:
        """Return the evidence as JSON, always the same text for the same evidence."""
        return canonical_json(asdict(self))


def worsening(
    metric: str,
    value: float,
    reach: float,
    holdout: tuple[float | None, float | None, float | None],
) -> tuple[float | None, float | None]:
    """Return the relative worsening against the holdout, and its lower bound.

    The bound joins both intervals by the method of variance estimates recovery (Zou and
    Donner, Statistics in Medicine 27, 2008).

    Parameters
    ----------
    reach
        Half width of the value's interval; NaN: there is none, and no lower bound.
    holdout
        Value and interval on the holdout.
    """
    reference, low, high = holdout
    if reference is None or reference == 0 or not math.isfinite(value):
        return None, None
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    worse = sign * (value - reference)
    towards = low if metric in HIGHER_IS_BETTER else high
    theirs = abs(towards - reference) if towards is not None else math.nan
    at_least = worse - math.hypot(reach, theirs)
    scale = abs(reference)
    return worse / scale, at_least / scale if math.isfinite(at_least) else None


def canonical_json(value: Any) -> str:
    """Return JSON, always the same text for the same value."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, timedelta):
        return value / timedelta(days=1)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        # Ten digits are the same however the sums that made them were ordered.
        return float(f"{value:.10g}")
    return value
