"""Tables whose days differ as real ones do, with nothing wrong.

Levels wander and follow seasons and weekdays, shares of categories and of missing values move
from day to day, some days are storms: all numbers of such a day are far out. What must not be
called an incident.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd

FIRST = date(2020, 1, 6)


def generated_days(days: int, seed: int) -> Iterator[tuple[date, pd.DataFrame]]:
    """Yield days of 200 to 1,500 rows of 16 columns and a key."""
    rng = np.random.default_rng(seed)
    usual_rows = rng.integers(200, 1500)
    weekday = np.exp(rng.normal(0, 0.15, 7))
    wandering = np.zeros(6)
    shares = rng.dirichlet(np.full(8, 1.5))
    missing = rng.uniform(0, 0.3, 3)
    for n in range(days):
        day = FIRST + timedelta(days=n)
        wandering = 0.9 * wandering + rng.normal(0, 0.4, 6)
        season = np.sin(2 * np.pi * n / 365)
        storm = 2.5 if rng.random() < 0.03 else 1.0
        rows = int(usual_rows * weekday[day.weekday()] * np.exp(rng.normal(0, 0.05)))
        today = shares * np.exp(rng.normal(0, 0.25, 8))
        gone = np.clip(missing * np.exp(rng.normal(0, 0.4, 3)), 0, 0.9)
        hour = np.clip(rng.normal(13 + rng.normal(0, 0.3), 4, rows), 0, 23.99)
        level = wandering + 1.5 * season
        columns = {
            "id": np.arange(rows) + 10_000 * n,
            "at": pd.Timestamp(day) + pd.to_timedelta(np.round(hour * 60), unit="min"),
            "normal": rng.normal(20 + 3 * level[0], 5, rows) * storm,
            "skewed": rng.lognormal(1 + 0.2 * level[1], 0.8, rows) * storm,
            "tenths": np.round(rng.normal(50 + 5 * level[2], 8, rows), 1),
            "counts": rng.poisson(np.exp(1 + 0.2 * level[3]) * storm, rows),
            "mostly_zero": np.where(rng.random(rows) < 0.9, 0.0, rng.exponential(5, rows)),
            "five": rng.choice([1, 2, 3, 4, 5], rows, p=rng.dirichlet([20, 10, 5, 5, 3])),
            "wandering": level[4] + rng.normal(0, 0.1, rows),
            "money": np.round(rng.lognormal(3 + 0.1 * level[5], 1, rows), 2),
            "kind": rng.choice(list("abcdefgh"), rows, p=today / today.sum()),
            "place": [f"p{z}" for z in np.minimum(rng.zipf(1.4, rows), 90)],
            "many": [f"m{z}" for z in rng.integers(0, 5000, rows)],
            "flag": rng.random(rows) < np.clip(0.1 * np.exp(rng.normal(0, 0.5)), 0, 1),
            "holes": np.where(rng.random(rows) < gone[0], np.nan, rng.normal(0, 1, rows)),
            "gaps": np.where(rng.random(rows) < gone[1], None, "x"),
        }
        yield day, pd.DataFrame(columns)
