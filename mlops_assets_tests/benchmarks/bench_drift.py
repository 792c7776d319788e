"""``make bench-drift``: 1,000,000 rows of 30 columns against as many, beside both peers.

24 numeric columns, 6 of text, from Parquet files. Ours reads the files through DuckDB and that is
in its time; the peers are timed from frames that are in memory. Each runs in a process of its
own, of which the largest memory is told, in turns, so that whatever else the machine does meets
all. Ours measures every method of its own, exact Kolmogorov-Smirnov and Wasserstein among them,
and what chance gives for each; Evidently its preset; NannyML its methods that have a like
here (``nannyml_s``), and its default alone (``nannyml_default_s``).

Also told: the same from frames, against a stored profile, and a day of the flights against the
stored profile of four months.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlops_assets_tests.benchmarks.drift_peers import peer
from mlops_assets_tests.benchmarks.report import ROOT, write_json

ROWS = 1_000_000
NUMERIC, CATEGORICAL = 24, 6
ROUNDS = 3
CONTINUOUS_METHODS = ("jensen_shannon", "kolmogorov_smirnov", "wasserstein", "hellinger")
CATEGORICAL_METHODS = ("jensen_shannon", "chi2", "l_infinity", "hellinger")
FASTER_THAN_EVIDENTLY, FASTER_THAN_NANNYML = 20, 4
MOST_MB = 1_000
MOST_FLIGHTS_S = 1.0
TOLERANCE = 1e-9


def make(folder: Path) -> None:
    """Write reference and current, alike but for a fifth of the columns."""
    import pandas as pd

    for side, seed in (("reference", 1), ("current", 2)):
        r = np.random.default_rng(seed)
        moved = side == "current"
        columns: dict[str, Any] = {}
        for i in range(NUMERIC):
            by = 0.3 * (moved and i % 5 == 0)
            columns[f"x{i:02d}"] = (
                r.normal(by, 1, ROWS),
                r.lognormal(by, 1, ROWS),
                r.exponential(1 + by, ROWS),
                r.integers(0, 1_000, ROWS) + int(300 * by),
            )[i % 4]
        for i in range(CATEGORICAL):
            size = 5 + 10 * i
            shares = np.arange(1, size + 1) ** (1.0 if not (moved and i == 0) else 1.5)
            names = np.array([f"category_{k:02d}" for k in range(size)], dtype=object)
            columns[f"c{i}"] = names[r.choice(size, ROWS, p=shares / shares.sum())]
        pd.DataFrame(columns).to_parquet(folder / f"{side}.parquet")


def peak_mb() -> float:
    """Largest memory of this process so far.

    Not getrusage's, which in a child starts from what its parent held.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM: the largest memory is told on Linux only")


def seconds_of(what: Callable[[], Any]) -> tuple[Any, float]:
    """Return what it gives, and how long it took."""
    began = time.perf_counter()
    return what(), time.perf_counter() - began


def relations(folder: Path) -> dict[str, Any]:
    """From the files, through DuckDB: the headline."""
    import duckdb

    from mlops_assets.core.drift_methods import compare

    con = duckdb.connect()
    sides = [con.read_parquet(str(folder / f"{s}.parquet")) for s in ("reference", "current")]
    report, seconds = seconds_of(lambda: compare(*sides))
    return {"seconds": seconds, "peak_mb": peak_mb(), "drifted": report.drifted}


def frames(folder: Path) -> dict[str, Any]:
    """From frames in memory, as the peers; the frames are in the memory."""
    import pandas as pd

    from mlops_assets.core.drift_methods import compare

    sides = [pd.read_parquet(folder / f"{s}.parquet") for s in ("reference", "current")]
    report, seconds = seconds_of(lambda: compare(*sides))
    return {"seconds": seconds, "peak_mb": peak_mb(), "drifted": report.drifted}


def stored(folder: Path) -> dict[str, Any]:
    """Against a profile, which is all that is left of the reference."""
    import duckdb

    from mlops_assets.core.drift_methods import Profile, compare, profile

    con = duckdb.connect()
    made, profiling = seconds_of(
        lambda: profile(con.read_parquet(str(folder / "reference.parquet")))
    )
    text = json.dumps(made.to_json())
    kept = Profile.from_json(json.loads(text))
    current = con.read_parquet(str(folder / "current.parquet"))
    report, seconds = seconds_of(lambda: compare(kept, current))
    return {
        "seconds": seconds,
        "profile_s": profiling,
        "profile_bytes": len(text),
        "peak_mb": peak_mb(),
        "drifted": report.drifted,
    }


def values(folder: Path) -> dict[str, Any]:
    """What the peers compute, by their definitions, untimed."""
    import duckdb

    from mlops_assets.core.drift_methods import compare

    con = duckdb.connect()
    sides = [con.read_parquet(str(folder / f"{s}.parquet")) for s in ("reference", "current")]
    named = ("evidently.wasserstein", "evidently.jensenshannon")
    of_nannyml = sorted({*CONTINUOUS_METHODS, *CATEGORICAL_METHODS})
    report = compare(*sides, methods=[*named, *(f"nannyml.{name}" for name in of_nannyml)])
    found = {}
    for shift in report.columns:
        for measured in shift.methods:
            if measured.value is not None:
                found[f"{shift.column} {measured.method}"] = measured.value
    return {"values": found}


def flights(_: Path) -> dict[str, Any]:
    """A day of departures against the stored profile of January to April, the fastest of five."""
    import duckdb

    from mlops_assets.core.drift_methods import Profile, compare, profile

    data = ROOT / "data" / "nyc_flights_2013"
    con = duckdb.connect()
    con.execute("CREATE TABLE seen AS " + FLIGHTS.format(data=data))
    months = "scheduled_departure < TIMESTAMP '2013-05-01'"
    day = "scheduled_departure::DATE = DATE '2013-06-14'"
    made = profile(con.table("seen").filter(months))
    kept = Profile.from_json(json.loads(json.dumps(made.to_json())))
    today = con.table("seen").filter(day)
    taken = []
    for _round in range(6):  # the first has the imports in it
        report, seconds = seconds_of(lambda: compare(kept, today))
        taken.append(seconds)
    return {
        "seconds": min(taken[1:]),
        "first_seconds": taken[0],
        "columns": len(report.columns),
        "rows": today.count("*").fetchall()[0][0],
        "drifted": report.drifted,
    }


#: What can be seen of a flight before it leaves.
FLIGHTS = """
SELECT s.scheduled_departure, s.carrier, s.origin, s.destination, s.distance_miles,
       hour(s.scheduled_departure) AS hour, dayofweek(s.scheduled_departure) AS weekday,
       epoch(s.scheduled_arrival - s.scheduled_departure) / 60 AS minutes,
       a.year AS built, a.seats, a.engines, a.engine, a.manufacturer,
       w.* EXCLUDE (origin, observed_at, known_at),
       o.arrival_delay, o.cancelled
FROM '{data}/flight_schedule.parquet' s
LEFT JOIN '{data}/aircraft.parquet' a USING (tail_number)
LEFT JOIN '{data}/weather.parquet' w
       ON w.origin = s.origin AND w.observed_at = date_trunc('hour', s.scheduled_departure)
LEFT JOIN '{data}/flight_outcomes.parquet' o USING (flight_id)
"""
STEPS = {step.__name__: step for step in (relations, frames, stored, values, flights)}


def ours(step: str, folder: Path) -> dict[str, Any]:
    """Run a step in a process of its own."""
    words = [sys.executable, "-m", __spec__.name, step, str(folder)]  # pyright: ignore
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, stdout=-1).stdout)


def main() -> int:
    """Run, print and keep the figures; return 1 if anything promised is not so."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subprocess.run(
            [sys.executable, "-m", __spec__.name, "make", str(folder)], cwd=ROOT, check=True
        )  # pyright: ignore
        told: dict[str, list[dict[str, Any]]] = {}
        theirs: dict[str, dict[str, Any]] = {}
        versions: dict[str, str] = {}

        def round_of_ours() -> None:
            for step in ("relations", "frames", "stored"):
                told.setdefault(step, []).append(ours(step, folder))

        paths = {side: str(folder / f"{side}.parquet") for side in ("reference", "current")}
        for name in ("evidently", "nannyml"):
            round_of_ours()
            with peer(name) as asked:
                versions |= asked.versions
                asked.ask("read", **paths)
                if name == "nannyml":
                    default = ("jensen_shannon",)
                    theirs["nannyml_default"] = asked.ask(
                        "report", continuous=default, categorical=default
                    )
                theirs[name] = asked.ask(
                    "report", continuous=CONTINUOUS_METHODS, categorical=CATEGORICAL_METHODS
                )
        round_of_ours()
        compared = compare_values(ours("values", folder)["values"], theirs)
        of_flights = ours("flights", folder)
    figures = summed_up(told, theirs, of_flights) | compared | {"peers": versions}
    figures["kept"]["equal"] = compared["equal"]
    for name, value in figures.items():
        print(f"{name:28} {value}")
    write_json("drift", figures)
    return int(not all(figures["kept"].values()))


def compare_values(mine: dict[str, float], theirs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return whether every value that a peer gave is ours, to ``TOLERANCE``."""
    pairs = []
    for column, value in theirs["evidently"]["values"].items():
        method = "wasserstein" if column.startswith("x") else "jensenshannon"
        pairs.append((value, mine[f"{column} evidently.{method}"]))
    for named, value in theirs["nannyml"]["values"].items():
        column, method = named.split()
        pairs.append((value, mine[f"{column} nannyml.{method}"]))
    # Relative where the column's units make the value large.
    worst = max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)
    return {"equal": worst <= TOLERANCE, "compared": len(pairs), "largest_difference": worst}


def summed_up(
    told: dict[str, list[dict[str, Any]]],
    theirs: dict[str, dict[str, Any]],
    of_flights: dict[str, Any],
) -> dict[str, Any]:
    """Return the figures: medians of ours, ratios, memory, and which promise is kept."""

    def middle(step: str, what: str = "seconds") -> float:
        return statistics.median(one[what] for one in told[step])

    ours_s = middle("relations")
    figures: dict[str, Any] = {
        "rows": ROWS,
        "ours_s": round(ours_s, 2),
        "ours_frames_s": round(middle("frames"), 2),
        "ours_stored_s": round(middle("stored"), 2),
        "profile_s": round(middle("stored", "profile_s"), 2),
        "profile_bytes": told["stored"][0]["profile_bytes"],
        "ours_s_each": [round(one["seconds"], 2) for one in told["relations"]],
        **{f"{name}_s": round(one["seconds"], 1) for name, one in theirs.items()},
        **{f"ratio_{name}": round(one["seconds"] / ours_s, 1) for name, one in theirs.items()},
        "ratio_evidently_frames": round(theirs["evidently"]["seconds"] / middle("frames"), 1),
        "ratio_nannyml_frames": round(theirs["nannyml"]["seconds"] / middle("frames"), 1),
        "peak_mb": round(max(one["peak_mb"] for one in told["relations"])),
        "peak_frames_mb": round(max(one["peak_mb"] for one in told["frames"])),
        **{f"peak_{name}_mb": round(one["peak_mb"]) for name, one in theirs.items()},
        "drifted": told["relations"][0]["drifted"],
        "flights": of_flights,
    }
    figures["kept"] = {
        "evidently": figures["ratio_evidently"] >= FASTER_THAN_EVIDENTLY,
        "nannyml": figures["ratio_nannyml"] >= FASTER_THAN_NANNYML,
        "memory": figures["peak_mb"] <= MOST_MB,
        "flights": of_flights["seconds"] <= MOST_FLIGHTS_S,
    }
    return figures


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    elif len(sys.argv) == 3:
        print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]))))
    else:
        sys.exit(main())
