"""A shop's sensor readings and orders over six weeks, made up, for the tests of data quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cache

import duckdb
import numpy as np
import pandas as pd

from mlops_assets.core import quality
from mlops_assets.core.quality import AssessedDay, DayProfile, MeasuredDay

FIRST, DAYS = date(2024, 1, 1), 42
TABLE = quality.Table(
    dataset="raw.orders",
    timezone="Europe/Berlin",
    key=("order_id",),
    event_time="ordered_at",
    series=True,  # weighed one after the other
    day_column=None,
    labels=("returned",),
)
Fault = Callable[[pd.DataFrame], pd.DataFrame]


def day(n: int) -> date:
    """Return the day ``n``, from 0."""
    return FIRST + timedelta(days=n)


@cache
def rows(n: int) -> pd.DataFrame:
    """Return a day's orders: 300, a third fewer on Sundays."""
    rng = np.random.default_rng(n)
    size = 200 if day(n).weekday() == 6 else 300
    hour = np.sort(np.clip(rng.normal(13, 4, size), 0, 22.9))
    midnight = pd.Timestamp(day(n)) - pd.Timedelta(hours=1)  # Berlin in winter
    ordered = midnight + pd.to_timedelta(np.round(hour * 60), unit="min")
    cancelled = rng.random(size) < rng.uniform(0, 0.1)
    price = rng.choice([4.99, 9.99, 14.5, 20.0, 49.0, 99.9], size)
    return pd.DataFrame(
        {
            "order_id": [f"{day(n)}-{i}" for i in range(size)],
            "ordered_at": ordered.astype("datetime64[us]"),
            "known_at": (ordered + pd.Timedelta(minutes=5)).astype("datetime64[us]"),
            "shop": rng.choice(["berlin", "hamburg", "bonn"], size, p=[0.5, 0.3, 0.2]),
            "price": price,
            "weight_kg": np.round(rng.gamma(4, 0.5, size), 3),
            "delivered_after": np.where(cancelled, np.nan, rng.integers(1, 9, size)),
            "cancelled": cancelled,
            "returned": rng.random(size) < np.where(price > 15, 0.45, 0.08),
        }
    )


def measured(frame: pd.DataFrame, at: date, revision: int = 0) -> MeasuredDay:
    """Measure rows as the day ``at``."""
    with duckdb.connect() as con:
        return MeasuredDay(at, quality.measure(con, frame, TABLE, [at])[at], revision)


@cache
def profiles() -> Mapping[date, DayProfile]:
    """Return the profiles of the good days."""
    return {day(n): measured(rows(n), day(n)).profile for n in range(DAYS)}


def history(faults: Mapping[int, Fault], days: int = DAYS) -> list[AssessedDay]:
    """Assess the days in order, some of them broken."""
    found = []
    for n in range(days):
        broken = faults.get(n)
        found.append(
            MeasuredDay(day(n), profiles()[day(n)])
            if broken is None
            else measured(broken(rows(n).copy()), day(n))
        )
    return quality.assess(found)
