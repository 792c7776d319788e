"""``make bench-concept-parity``: River's detections beside ours, kept as golden values.

River runs in an environment of its own that ``uv`` makes, by this file's ``worker``; the first time
that takes the network. It is asked for ADWIN with windows of any length (its default leaves out
those below five and changes the bound for it) and for Page-Hinkley of rises (of falls its largest
sum begins at -1).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RIVER = "river==0.26.1"
#: Beside the tests, which compare our detections with it where River is not installed.
GOLDEN = Path(__file__).parents[1] / "core" / "concept_drift_golden.json"
ADWIN = ({"delta": 0.002, "clock": 32}, {"delta": 0.05, "clock": 1}, {"delta": 0.002, "clock": 1})
PAGE_HINKLEY = (
    {"delta": 0.005, "threshold": 10.0, "alpha": 1.0},
    {"delta": 0.05, "threshold": 5.0, "alpha": 0.9999},
    {"delta": 0.005, "threshold": 50.0, "alpha": 0.9999},
)
GRACE, INSTANCES = 10, 30


def streams() -> dict[str, list[float]]:
    """Return streams of 3,000 values, by pure Python: the same in every environment."""
    made = {}
    for seed in range(4):
        r = random.Random(seed)
        at = 900 + 300 * seed
        made[f"errors {seed}"] = [
            float(r.random() < (0.2 if i < at else 0.35)) for i in range(3000)
        ]
        made[f"levels {seed}"] = [
            min(max(r.gauss(0.3 + 0.1 * (i // 700) - 0.2 * (i // 1700), 0.1), 0.0), 1.0)
            for i in range(3000)
        ]
        made[f"slow {seed}"] = [min(max(r.gauss(0.2 + i / 6000, 0.15), 0), 1) for i in range(3000)]
        made[f"unchanged {seed}"] = [r.random() for _ in range(3000)]
    return made


def main() -> int:
    """Ask River and keep what it says."""
    # Here, because the worker runs where there is nothing but River.
    from mlops_assets_tests.benchmarks.isolated import SILENT, run

    answer = subprocess.run(
        [*run([RIVER]), "python", str(Path(__file__).resolve()), "worker"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tempfile.gettempdir(),
        env={**os.environ, **SILENT},
        check=True,
    )
    told = json.loads(answer.stdout)
    GOLDEN.write_text(json.dumps(told, indent=1) + "\n")
    found = sum(len(one["at"]) for one in told["detections"])
    print(f"{found} detections of River {told['river']}, kept in {GOLDEN.name} beside the tests")
    return 0


def worker() -> None:
    """Print River's detections; runs in its environment."""
    import river  # pyright: ignore[reportMissingImports]
    from river import drift  # pyright: ignore[reportMissingImports]

    detections: list[dict[str, Any]] = []
    for name, values in streams().items():
        for options in ADWIN:
            made = drift.ADWIN(**options, min_window_length=1, grace_period=GRACE)
            detections.append({"stream": name, "adwin": options, "at": _at(made, values)})
        for options in PAGE_HINKLEY:
            made = drift.PageHinkley(**options, mode="up", min_instances=INSTANCES)
            detections.append({"stream": name, "page_hinkley": options, "at": _at(made, values)})
    print(json.dumps({"river": river.__version__, "detections": detections}))


def _at(detector: Any, values: list[float]) -> list[int]:
    found = []
    for at, value in enumerate(values, start=1):
        detector.update(value)
        if detector.drift_detected:
            found.append(at)
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        worker()
    else:
        sys.exit(main())
