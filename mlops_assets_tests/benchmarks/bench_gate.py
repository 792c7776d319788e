"""``make bench-gate``: how often does the gate promote by chance, and how often what is better?

The figures of ``docs/gate.md``. Gates are of simulated holdouts (see ``gate_simulation``), judged
by the real rules; the leaks are real files and models. Returns 1 where a bound is not kept.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_assets.core.promotion.differences import paired_difference
from mlops_assets_tests.benchmarks.gate_simulation import World, interval, learnt, simulate
from mlops_assets_tests.benchmarks.report import write_json
from mlops_assets_tests.core import leaks

GATES = 2_000
#: Gates by row, whose bootstrap takes long: a false promotion of 1 in 10 needs no more.
BY_ROW = {500: 1_000, 2_000: 1_000, 15_000: 150}
SIZES = (500, 2_000, 15_000)
#: By how much the champion's errors have a larger variance, for the curve of power.
WORSE = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
POWER_GATES = 300
#: Reduction of the log loss, relative, at which the docs state a power of 80 %.
STATED = {2_000: 0.055, 15_000: 0.04}
MOST, UPPER = 0.05, 0.065


def main() -> int:
    """Run, print and keep the figures; return 1 if a bound is not kept."""
    began = time.process_time()
    figures: dict[str, Any] = {
        "dependence": list(_told(dependence())),
        "equal_models": list(_told(equal_models())),
        "other_holdouts": list(_told(other_holdouts())),
        "resampled_days": list(_told(resampled_days())),
        "worse_by_the_margin": list(_told(worse_by_the_margin())),
        "power": (curve := list(_told(power()))),
        "stated_power": list(_told(stated_power(curve))),
        "shuffled_labels": list(_told(shuffled_labels())),
        "leaks": list(_told(leakage())),
    }
    figures["seconds_of_one_core"] = round(time.process_time() - began)
    kept = {
        "false_promotions": all(
            row["share"] <= MOST and row["high"] <= UPPER
            for row in figures["equal_models"]
            if row["block"] == "day" and row["rows"] == 2_000 and row["dependent"]
        ),
        "upper_bounds_by_day": all(
            row["high"] <= UPPER for row in figures["equal_models"] if row["block"] == "day"
        ),
        "power": all(row["power"] >= 0.8 for row in figures["stated_power"]),
        "shuffled_labels": figures["shuffled_labels"][0]["promoted"] == 0,
        "leaks": all(row["right"] for row in figures["leaks"]),
    }
    figures["kept"] = kept
    print(kept)
    write_json("gate", figures)
    return int(not all(kept.values()))


def dependence() -> Iterator[dict[str, Any]]:
    """How much larger the standard error of the difference is by day than by row."""
    ratios, world = [], World(rows=13_000)
    for number in range(200):
        drawn = world.draw(np.random.default_rng([0, number]))
        blocks = pd.factorize(drawn.frame["partition_date"])[0]
        by_row, by_day = (
            paired_difference("binary", "log_loss", drawn.ours, drawn.theirs, method="t", blocks=b)
            for b in (None, blocks)
        )
        ratios.append(by_day.standard_error / by_row.standard_error)
    yield {"rows": 13_000, "days": 14, "median_ratio": round(float(np.median(ratios)), 2)}


def equal_models() -> Iterator[dict[str, Any]]:
    """False promotions of two equal models, by what is taken as independent."""
    for dependent in (True, False):
        for rows in SIZES if dependent else (2_000,):
            for block in ("day", "row"):
                count = GATES if block == "day" else BY_ROW[rows]
                world = World(rows=rows, dependent=dependent)
                yield {"dependent": dependent, "rows": rows, "block": block,
                       **_promotions(world, count, seed=0, block=block)}  # fmt: skip


def other_holdouts() -> Iterator[dict[str, Any]]:
    """The same by day for shorter and longer holdouts, and days that are like those before."""
    for days, carry in ((5, 0.0), (7, 0.0), (28, 0.0), (14, 0.3), (14, 0.5)):
        world = World(days=days, carry=carry)
        yield {"days": days, "carry": carry, **_promotions(world, GATES, seed=1)}


def resampled_days() -> Iterator[dict[str, Any]]:
    """What percentiles of a bootstrap of whole days would promote: a comparison, no gate."""
    for days in (7, 14, 28):
        world, found = World(days=days), 0
        for number in range(GATES):
            drawn = world.draw(np.random.default_rng([0, number]))
            blocks = pd.factorize(drawn.frame["partition_date"])[0]
            difference = paired_difference(
                "binary", "log_loss", drawn.ours, drawn.theirs, 0.9, number, blocks=blocks
            )
            found += difference.high < 0
        yield {"days": days, **_share(found, GATES)}


def worse_by_the_margin() -> Iterator[dict[str, Any]]:
    """False promotions under declared non-inferiority: worse by just what is allowed."""
    worse = -0.5
    margin = float(np.mean([o.relative_difference for o in simulate(World(), GATES, 2, worse)]))
    yield {
        "margin": round(margin, 4),
        **_promotions(World(), GATES, seed=3, worse=worse, margin=margin),
    }


def power() -> Iterator[dict[str, Any]]:
    """How often a challenger that is better is promoted, by how much it is better."""
    for rows in (2_000, 15_000):
        for worse in WORSE:
            yield {"rows": rows, "worse": worse,
                   **_power(World(rows=rows), POWER_GATES, 4, worse)}  # fmt: skip


def stated_power(curve: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The power at the effect that the docs state, on holdouts of their own."""
    for rows, stated in STATED.items():
        points = [(row["effect"], row["worse"]) for row in curve if row["rows"] == rows]
        worse = float(np.interp(stated, *zip(*points, strict=True)))
        yield {"rows": rows, "stated": stated, **_power(World(rows=rows), 1_000, 5, worse)}


def shuffled_labels() -> Iterator[dict[str, Any]]:
    """A challenger that learnt from shuffled labels, against a champion and as a first model."""
    for champion, rows, margin in (
        (True, 100, 0.01), (False, 100, 0.01), (False, 1_000, 0.01), (False, 5_000, 0.01),
        (False, 5_000, 0.0),
    ):  # fmt: skip
        promoted = sum(
            learnt(n, shuffled=True, champion=champion, rows=rows, baseline_margin=margin).promoted
            for n in range(100)
        )
        yield {"champion": champion, "training_rows": 20 * rows, "baseline_margin": margin,
               "gates": 100, "promoted": promoted}  # fmt: skip


def leakage() -> Iterator[dict[str, Any]]:
    """Each kind of leak put into a holdout on which the challenger would be promoted."""
    with tempfile.TemporaryDirectory() as folder:
        clean = leaks.healthy().verdict(Path(folder) / "clean")
        yield {"leak": "none", "right": clean.promoted, "by": []}
        for number, (what, (make, name)) in enumerate(leaks.LEAKS.items()):
            verdict = make().verdict(Path(folder) / str(number))
            by = [rule.name for rule in verdict.rules if rule.passed is False]
            yield {"leak": what, "right": by == [name], "by": by}


def _promotions(
    world: World, count: int, seed: int, worse: float = 0.0, **gate: Any
) -> dict[str, Any]:
    promoted = sum(o.promoted for o in simulate(world, count, seed, worse, **gate))
    return _share(promoted, count)


def _share(found: int, count: int) -> dict[str, Any]:
    low, high = interval(found, count)
    return {"gates": count, "promoted": found, "share": round(found / count, 4),
            "low": round(low, 4), "high": round(high, 4)}  # fmt: skip


def _power(world: World, count: int, seed: int, worse: float) -> dict[str, Any]:
    outcomes = list(simulate(world, count, seed, worse))
    promoted = sum(o.promoted for o in outcomes)
    low, high = interval(promoted, count)
    effect = -float(np.mean([o.relative_difference for o in outcomes]))
    error = float(np.mean([o.relative_error for o in outcomes]))
    return {"gates": count, "effect": round(effect, 4), "error": round(error, 4),
            "errors_of_effect": round(effect / error, 2), "power": round(promoted / count, 4),
            "low": round(low, 4), "high": round(high, 4)}  # fmt: skip


def _told(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
