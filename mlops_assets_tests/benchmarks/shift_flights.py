"""``make bench-multivariate``: the flights of 2013, week by week and day by day.

What is known before a flight of its hour, route, aircraft and weather is compared with January and
February as a whole; a model fitted on these is watched from May on, by what it cost in March and
April.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from mlops_assets.core.concept_drift import Losses, Watch, fit, under_score, units_of
from mlops_assets.core.multivariate import compare, keep
from mlops_assets_tests.benchmarks.report import ROOT, write_json

DATA = ROOT / "data" / "nyc_flights_2013"
CATEGORIES = ("carrier", "origin", "destination")
ROWS = """
SELECT s.scheduled_departure::DATE AS day, s.carrier, s.origin, s.destination, s.distance_miles,
       hour(s.scheduled_departure) AS hour, isodow(s.scheduled_departure) AS weekday,
       a.seats, a.year AS built, w.temperature, w.dew_point, w.humidity, w.wind_speed,
       w.precipitation, w.pressure, w.visibility, o.arrival_delay > 15 AS late
FROM read_parquet(? || '/flight_schedule.parquet') s
JOIN read_parquet(? || '/flight_outcomes.parquet') o USING (flight_id)
LEFT JOIN read_parquet(? || '/aircraft.parquet') a USING (tail_number)
LEFT JOIN read_parquet(? || '/weather.parquet') w
  ON w.origin = s.origin AND w.observed_at = date_trunc('hour', s.scheduled_departure)
WHERE o.arrival_delay IS NOT NULL ORDER BY s.scheduled_departure, flight_id
"""


def main() -> int:
    """Print and keep the figures."""
    con = duckdb.connect(config={"threads": 2})
    con.execute("SET TimeZone = 'UTC'")
    rows = con.execute(ROWS, [str(DATA)] * 4).df()
    rows["day"] = pd.to_datetime(rows["day"]).dt.date
    month = np.array([day.month for day in rows["day"]])
    figures = {
        "weeks": list(_told(weeks(rows, month))),
        "watches": list(_told(watches(rows, month))),
    }
    write_json("shift_flights", figures)
    return 0


def weeks(rows: pd.DataFrame, month: np.ndarray) -> Iterator[dict[str, Any]]:
    """Each fourth week against January and February, rows dealt and days dealt."""
    features = rows.drop(columns="late")
    names = [name for name in features.columns if name != "day"]
    reference = keep(features[month <= 2])
    week = np.array([day.isocalendar().week for day in rows["day"]])
    for number in range(10, 52, 4):
        current = features[(week == number) & (month > 2)]
        told: dict[str, Any] = {"from": str(current["day"].min()), "rows": len(current)}
        for dealt, blocks in (("rows", None), ("days", "day")):
            found = compare(reference, current, columns=names, blocks=blocks)
            area = found.domain_classifier
            told |= {
                f"area_{dealt}": None if area.value is None else round(area.value, 3),
                f"chance_{dealt}": area.null_quantile and round(area.null_quantile, 3),
                f"drifted_{dealt}": area.drifted,
                f"error_{dealt}": found.reconstruction.drifted,
            }
            if area.drifted:
                told["by"] = [one.column for one in found.separating[:3]]
        yield told


def watches(rows: pd.DataFrame, month: np.ndarray) -> Iterator[dict[str, Any]]:
    """The watch of the model of January and February, by its excess and by its loss alone."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    features = rows.drop(columns=["late", "day"])
    coded = features.assign(**{n: features[n].astype("category") for n in CATEGORIES})
    late = rows["late"].to_numpy(float)
    model = HistGradientBoostingClassifier(
        max_iter=60, categorical_features="from_dtype", random_state=0
    ).fit(coded[month <= 2], late[month <= 2])
    score = model.predict_proba(coded)[:, 1]
    loss = (late - score) ** 2
    when = rows["day"].to_numpy()

    def part(chosen: np.ndarray) -> Losses:
        expects = under_score("brier", score[chosen])
        return Losses(when[chosen], loss[chosen], score[chosen], features[chosen], expects)

    past, now = part((month == 3) | (month == 4)), part(month >= 5)
    expected, days = fit(past)
    watched = {
        "excess": (days, expected.excess(now)),
        "loss alone": (units_of(past.when, past.loss), units_of(now.when, now.loss)),
    }
    for name, (reference, later) in watched.items():
        for detector in ("page_hinkley", "adwin"):
            watch = Watch.begin(reference, expected.mean_loss, detector=detector)
            verdicts = watch.run(later)
            first = next((one for one in verdicts if one.drifted), None)
            assert watch.days is not None
            yield {
                "watch": name,
                "detector": detector,
                "reference_days": watch.days.units,
                "spread_of_days": round(watch.days.between**0.5 / expected.mean_loss, 3),
                "memory": round(watch.days.memory, 2),
                "first_alarm": first and first.when,
                "since": first and first.since,
                "relative": first and round(first.relative or 0.0, 3),
                "days_with_alarm": sum(one.drifted for one in verdicts),
                "days": len(verdicts),
                "foreign_rows": round(sum(u.foreign for u in later) / len(now.loss), 4),
            }


def _told(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
