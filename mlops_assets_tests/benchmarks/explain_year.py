"""Do the predictions of a replayed year come out the same again, bit for bit?

``python -m mlops_assets_tests.benchmarks.explain_year [DATA]`` takes the folder of ``make demo``
(by default ``data``), copies what is needed, and lets two things happen to the copy through the
real commands and graph: a rollback, whose version then scores the year's last days (which are
taken back before, as if they were still to come), and a backfill of ten days after corrections
and late rows. Then 1,000 random predictions of the year are made again, and as many of the days
of the rollback and of the backfill. Figures go to ``data/bench/explain.json``.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd

from mlops_assets import FeatureStore
from mlops_assets.automation.schedules import range_tags
from mlops_assets.build import build_definitions, default_resources
from mlops_assets.core import registry
from mlops_assets.settings import Settings
from mlops_assets.use_cases.nyc_flights import USE_CASE
from mlops_assets_tests.benchmarks.report import write_json

MODEL = "late_arrival"
N = 1_000
LAST_DAYS = date(2013, 12, 24), date(2013, 12, 31)
CORRECTED = date(2013, 6, 10), date(2013, 6, 16)
#: With the days that look back to these.
BACKFILLED = CORRECTED[0], CORRECTED[1] + timedelta(days=3)


def main(data: Path) -> int:
    """Run, print and keep the figures; return 1 if a prediction came out otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("artifacts", "snapshots", "landing"):
            shutil.copytree(data / part, copy / part)
        shutil.copy(data / f"{USE_CASE.name}.duckdb", copy)
        settings = Settings(data_dir=copy)
        roll_back(settings)
        correct(settings)
        run(settings, *BACKFILLED)
        store = FeatureStore(USE_CASE, data_dir=copy)
        between = "partition_date BETWEEN '{}' AND '{}'"
        figures = {
            "year": verified(store, "true"),
            "rollback": verified(store, f"model = '{MODEL}' AND " + between.format(*LAST_DAYS)),
            "backfill": verified(store, between.format(*BACKFILLED)),
        }
    write_json("explain", figures)
    return int(any(f["identical"] < f["predictions"] for f in figures.values()))


def roll_back(settings: Settings) -> None:
    """Let an earlier champion score the last days, once they are taken back."""
    with default_resources(USE_CASE, settings)["warehouse"].transaction() as con:
        for dataset in (f"{MODEL}__predictions", f"{MODEL}__outcomes"):
            con.execute(f"DELETE FROM capture.{dataset} WHERE partition_date >= $1", [LAST_DAYS[0]])
            con.execute(
                "DELETE FROM ops.partitions WHERE dataset = $1 AND partition_date >= $2",
                [f"capture.{dataset}", LAST_DAYS[0]],
            )
        event = registry.rollback(con, MODEL, actor="benchmark", reason="to be explained")
    print(f"Version {event.to_version} instead of {event.from_version} from {event.effective_from}")
    wanted = [dg.AssetKey([USE_CASE.name, MODEL, step]) for step in ("predictions", "outcomes")]
    run(settings, *LAST_DAYS, wanted)


def correct(settings: Settings) -> None:
    """Land the days again: half the temperatures, delays, tail numbers changed; rows added."""
    made = np.random.default_rng(0)
    for day in pd.date_range(*CORRECTED).date:
        files = {
            name: settings.landing(USE_CASE.name) / name / f"date={day}" / f"{name}.parquet"
            for name in ("weather", "flight_departures", "flight_schedule")
        }
        rows = {name: pd.read_parquet(path) for name, path in files.items()}
        types = {name: frame.dtypes.to_dict() for name, frame in rows.items()}
        weather, departures, schedule = rows.values()
        weather.loc[made.random(len(weather)) < 0.5, "temperature"] += 5
        departures.loc[made.random(len(departures)) < 0.3, "departure_delay"] += 30
        changed = made.random(len(schedule)) < 0.2
        tails = schedule.loc[changed, "tail_number"].to_numpy()
        schedule.loc[changed, "tail_number"] = np.roll(tails, 1)
        late = schedule.sample(20, random_state=1).assign(flight_number=9000 + np.arange(20))
        number = late["flight_number"].astype(str)
        late["flight_id"] = f"{day}-" + late["carrier"] + "-" + number + "-" + late["origin"]
        rows["flight_schedule"] = pd.concat([schedule, late], ignore_index=True)
        for name, path in files.items():
            rows[name].astype(types[name]).to_parquet(path)


def run(settings: Settings, start: date, end: date, selection: list | None = None) -> None:
    """Run the daily job over days, as a backfill does."""
    definitions = build_definitions(USE_CASE, settings)
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("daily").execute_in_process(
            instance=instance, tags=range_tags(start, end), asset_selection=selection
        )
    assert result.success


def verified(store: FeatureStore, which: str) -> dict[str, object]:
    """Make ``N`` random predictions again, and tell how they came out."""
    query = f"SELECT prediction_id FROM capture.predictions WHERE {which} ORDER BY ALL"
    everything = store.sql(query)["prediction_id"].tolist()
    chosen = random.Random(0).sample(everything, min(N, len(everything)))
    began = time.perf_counter()
    made = store.verify(chosen)
    seconds = time.perf_counter() - began
    statuses = Counter(made["status"])
    figures = {
        "predictions": len(chosen),
        "identical": statuses["identical"],
        "champions": len(made[["model", "version"]].drop_duplicates()),
        "seconds": round(seconds, 2),
    }
    print(f"{which}: {figures}")
    for row in made[made["status"] != "identical"].head(5).itertuples():
        print(f"  {row.prediction_id}: {row.status}, {row.differs}{row.reason or ''}")
    return figures


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data")))
