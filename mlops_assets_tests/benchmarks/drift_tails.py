"""How true small p-values are: each beside the share of 200,000 other draws.

Part of ``make bench-drift-false-alarms``. ``null_laws`` has 4,000 draws and continues their
tail; here a value that is exceeded with a known small probability is put to it, by law of the
cells (few, many, skewed; few rows and more) and by distance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mlops_assets.core.drift_methods import null_laws
from mlops_assets.core.drift_methods.distances import ON_COUNTS
from mlops_assets_tests.benchmarks.report import write_json

DRAWS = 200_000
PROBABILITIES = (0.01, 0.0025, 0.001, 0.00025)
#: Bounds at 0.0025, which is what a report of 20 columns asks of the first: the luck of 4,000
#: draws below, distances that take few values above.
WITHIN = (0.65, 2.5)
SKEWED = np.round(np.arange(1, 31) / 465 * 10_500)
CELLS = {
    "10 even, 100 and 100 rows": (np.full(10, 20.0), 100),
    "10 even, 1,000 and 1,000 rows": (np.full(10, 200.0), 1_000),
    "64 even, 1,000 and 1,000 rows": (np.r_[np.full(48, 31.0), np.full(16, 32.0)], 1_000),
    "30 skewed, 10,000 and 500 rows": (SKEWED, 500),
}


def apart(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return ``|F - G|`` at the ends of the cells."""
    shares = [side / side.sum(axis=-1, keepdims=True) for side in (reference, current)]
    return np.abs(np.cumsum(shares[1] - shares[0], axis=-1))[..., :-1]


Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]
DISTANCES: dict[str, Measure] = {
    **{name: ON_COUNTS[name] for name in ("psi", "jensen_shannon", "total_variation")},
    "kolmogorov_smirnov": lambda a, b: apart(a, b).max(axis=-1),
    "wasserstein": lambda a, b: apart(a, b).sum(axis=-1),
}


def main() -> int:
    """Run, print and keep the figures; return 1 if a p-value is far from the truth."""
    rows: list[dict[str, Any]] = []
    random = np.random.default_rng(7)
    for label, (joint, m) in CELLS.items():
        other = random.multivariate_hypergeometric(joint.astype(int), m, DRAWS).astype(float)
        drawn = null_laws._drawn(joint, m, null_laws.EXACT_BELOW)
        for name, measure in DISTANCES.items():
            truth = np.sort(measure(joint - other, other))
            null = measure(joint - drawn, drawn)
            row: dict[str, Any] = {"cells": label, "distance": name}
            for probability in PROBABILITIES:
                at = float(truth[int(DRAWS * (1 - probability))])
                true = float((truth >= at * (1 - 1e-9)).mean())
                found = null_laws.chance(at, null, 0.05, squared=name == "psi").p
                row[f"{probability:g}"] = round(found / true, 2)
            print(row)
            rows.append(row)
    kept = all(WITHIN[0] <= row["0.0025"] <= WITHIN[1] for row in rows)
    write_json("drift_tails", {"p_over_truth": rows, "kept": kept})
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
