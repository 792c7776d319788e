"""Where the figures of a benchmark go: ``data/bench/<name>.json``, with what they were made on."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parents[2]


def write_json(name: str, figures: dict[str, Any]) -> Path:
    """Write ``figures`` with the machine and the versions, and tell where."""
    path = ROOT / "data" / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    made_on = {
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
        "cores": len(os.sched_getaffinity(0)),
    }
    path.write_text(json.dumps({**figures, "made_on": made_on}, indent=1) + "\n")
    print(f"Kept in {path.relative_to(ROOT)}")
    return path
