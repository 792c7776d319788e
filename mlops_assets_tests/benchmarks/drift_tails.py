"""How true small p-values are: each beside the share of 200,000 other draws.

Part of ``make bench-drift-false-alarms``. ``null_laws`` has 4,000 draws and continues their
tail, or takes the law from the books; here draws that are exceeded with a known small probability
are put to it as what was observed, by law of the cells (few, many, skewed; few rows and more)
and by distance.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from mlops_assets.core.drift_methods import null_laws
from mlops_assets.core.drift_methods.cells import Counts
from mlops_assets.core.drift_methods.distances import ON_COUNTS, Shares
from mlops_assets_tests.benchmarks.report import write_json

DRAWS = 200_000
PROBABILITIES = (0.01, 0.0025, 0.001, 0.00025)
#: Bounds at 0.0025, which is what a report of 20 columns asks of the first: the luck of 4,000
#: draws below, distances that take few values above.
WITHIN = (0.65, 2.5)
SKEWED = np.round(np.arange(1, 31) / 465 * 10_500)
ZIPF = np.round(31_000 / np.arange(1, 101) / 5.187)
#: Rows of both sides in each cell, and rows of the current side: shuffled; by copula; one by
#: one; and, of the four quadratic distances, by law.
CELLS = {
    "10 even, 100 and 100 rows": (np.full(10, 20.0), 100),
    "10 even, 1,000 and 1,000 rows": (np.full(10, 200.0), 1_000),
    "32 even, 10,000 and 300 rows": (np.r_[np.full(28, 322.0), np.full(4, 321.0)], 300),
    "5 even, 10,000 and 300 rows": (np.full(5, 2_060.0), 300),
    "32 even, 30,000 and 900 rows": (np.r_[np.full(28, 966.0), np.full(4, 963.0)], 900),
    "30 skewed, 10,000 and 500 rows": (SKEWED, 500),
    "100 skewed, 30,000 and 900 rows": (ZIPF, 900),
    "100 skewed, 30,000 and 300 rows": (ZIPF, 300),
    "10 even, 30,000 and 7,000 rows": (np.full(10, 3_700.0), 7_000),
    "2 uneven, 30,000 and 900 rows": (np.array([30_300.0, 600.0]), 900),
}
COUNTED = ("psi", "jensen_shannon", "total_variation")


def on_ranks(reference: np.ndarray, current: np.ndarray) -> dict[str, np.ndarray]:
    """Return both distances of cells a unit apart."""
    shares = [side / side.sum(axis=-1, keepdims=True) for side in (reference, current)]
    apart = np.abs(np.cumsum(shares[1] - shares[0], axis=-1))[..., :-1]
    return {"kolmogorov_smirnov": apart.max(axis=-1), "wasserstein": apart.sum(axis=-1)}


def main() -> int:
    """Run, print and keep the figures; return 1 if a p-value is far from the truth."""
    rows: list[dict[str, Any]] = []
    random = np.random.default_rng(7)
    for label, (joint, m) in CELLS.items():
        other = random.multivariate_hypergeometric(joint.astype(int), m, DRAWS).astype(float)
        of_cells = Shares.of(joint - other, other)
        truth = {name: ON_COUNTS[name](of_cells) for name in COUNTED}
        truth |= on_ranks(joint - other, other)
        for name, values in truth.items():
            row: dict[str, Any] = {"cells": label, "distance": name}
            order = np.argsort(values)
            for probability in PROBABILITIES:
                at = order[int(DRAWS * (1 - probability))]
                true = float((values >= values[at] * (1 - 1e-9)).mean())
                found = _p(name, joint - other[at], other[at])
                row[f"{probability:g}"] = round(found / true, 2)
            print(row, flush=True)
            rows.append(row)
    kept = all(WITHIN[0] <= row["0.0025"] <= WITHIN[1] for row in rows)
    write_json("drift_tails", {"p_over_truth": rows, "kept": kept})
    return int(not kept)


def _p(name: str, reference: np.ndarray, current: np.ndarray) -> float:
    """Return what a report would say of a draw that is observed."""
    if name in COUNTED:
        return null_laws.on_counts(Counts(reference, current), [name], 0.05)[name].p
    gaps = np.ones(len(reference) - 1)
    return null_laws.on_ranks(Counts(reference, current, gaps=gaps), 0.05)[name].p


if __name__ == "__main__":
    sys.exit(main())
