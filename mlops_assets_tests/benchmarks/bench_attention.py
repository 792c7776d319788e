"""``make bench-attention``: is the shifted column first, is the bad slice found, how fast.

Kept in ``data/bench/attention.json``: columns shifted on purpose and where the ranking puts them;
slices made bad and whether the search finds them; windows without a bad slice and how often it
names one; seconds. ``--times`` makes it smaller.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlops_assets.core.attention import SliceSearch, Standing, rank_columns, worst_slices
from mlops_assets_tests.benchmarks import attention_cases as cases
from mlops_assets_tests.benchmarks.attention_ranking import injections
from mlops_assets_tests.benchmarks.report import write_json

#: By how much the loss of a bad slice is higher, in standard deviations.
WORSE = 0.3
#: Days, of 1,000 rows each.
WINDOWS = (7, 14)


@dataclass(frozen=True)
class Found:
    """What a search told of one window with a bad slice."""

    pair: bool
    overlap: float
    first: bool
    named: bool
    slices: int
    held: bool | None


def main() -> int:
    """Print and keep all figures; 1 if a goal is missed."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--times", type=float, default=1.0, help="of 200 rankings, 100 slices, ...")
    share = asked.parse_args().times

    def times(n: int) -> int:
        return max(2, round(n * share))

    figures: dict[str, Any] = {"speed": list(_told(speed()))}
    figures["ranking"] = list(_told(ranking(times(200))))
    figures["quiet"] = list(_told(quiet(times(200))))
    figures["bad"] = list(_told(bad(times(100))))
    figures["goals"] = goals = _goals(figures)
    write_json("attention", figures)
    for goal, met in goals.items():
        print(f"{'met   ' if met else 'MISSED'} {goal}")
    return 0 if all(goals.values()) else 1


def ranking(times: int) -> Iterator[dict[str, Any]]:
    """One column shifted: is it first? Two alike: is the more important one?"""
    told = []
    for one in injections(times):
        known = rank_columns(one.report.columns, one.importance)
        unknown = rank_columns(one.report.columns, None)
        drifted = known.first
        told.append(
            {
                "first": known.columns[0].column == one.column,
                "without_importance": unknown.columns[0].column == one.column,
                "alarm": one.report.of(one.column).drifted,
                "unimportant": drifted is not None
                and drifted.column == one.column
                and drifted.standing is Standing.UNIMPORTANT,
                "family": one.family,
                "weights": one.weights,
                "size": one.size,
            }
        )
    table = pd.DataFrame(told)
    yield {"what": "all", "n": len(table), "first": _share(table["first"]),
           "first_without_importance": _share(table["without_importance"]),
           "alarm": _share(table["alarm"]),
           "first_but_unimportant": _share(table["unimportant"])}  # fmt: skip
    for by in ("family", "weights", "size"):
        for value, part in table.groupby(by):
            yield {"what": f"{by} {value}", "n": len(part), "first": _share(part["first"])}
    right = []
    for two in injections(times, columns=2):
        names = two.column.split()
        shares = [two.importance[name] for name in names]
        if max(shares) < 5 * min(shares) or max(shares) < 0.02:
            continue
        order = rank_columns(two.report.columns, two.importance)
        right.append(order.columns[0].column == names[int(np.argmax(shares))])
    yield {"what": "of two shifted alike, the one five times as important", "n": len(right),
           "first": _share(right)}  # fmt: skip


def quiet(times: int) -> Iterator[dict[str, Any]]:
    """No slice is bad: how often is one named?"""
    for by_day in (True, False):
        named = []
        for at in range(times):
            rng = np.random.default_rng([at, by_day, 1])
            frame, loss = _window(rng, cases.LOSSES[at % len(cases.LOSSES)], 7, by_day)
            named.append(bool(search(frame, loss, by_day).slices))
        yield {"by_day": by_day, "days": 7, "n": times, "named": _share(named)}


def bad(times: int) -> Iterator[dict[str, Any]]:
    """A slice of 5 to 10 % of the rows is bad: is it found?"""
    for by_day in (True, False):
        for days in WINDOWS:
            found = [one_bad(at, days, by_day) for at in range(times)]
            held = [f.held for f in found if f.held is not None]
            yield {
                "by_day": by_day, "days": days, "rows": 1000 * days, "n": times,
                "found": _share([f.overlap >= 0.5 for f in found]),
                "found_alone": _share([f.overlap >= 0.5 for f in found if not f.pair]),
                "found_pairs": _share([f.overlap >= 0.5 for f in found if f.pair]),
                "first": _share([f.first for f in found]),
                "its_columns_named": _share([f.named for f in found]),
                "slices_told": round(float(np.mean([f.slices for f in found])), 2),
                "interval_holds": _share(held),
            }  # fmt: skip


def one_bad(at: int, days: int, by_day: bool) -> Found:
    """Make one slice bad, of one column or, by turns, of two, and search."""
    rng = np.random.default_rng([at, days, by_day, 2])
    frame, loss = _window(rng, cases.LOSSES[at % len(cases.LOSSES)], days, by_day)
    pair = bool(at % 2)
    made = cases.bad_slice(rng, frame, pair)
    more = WORSE * loss.std()
    told = search(frame, loss + more * made.mask, by_day).slices
    masks = [one.mask(frame) for one in told]
    overlaps = [cases.jaccard(mask, made.mask) for mask in masks]
    best = int(np.argmax(overlaps)) if overlaps else -1
    held = None
    if told and overlaps[best] >= 0.5:
        inside = masks[best]
        true = more * (made.mask[inside].mean() - made.mask[~inside].mean())
        held = told[best].low <= true <= told[best].high
    return Found(
        pair=pair,
        overlap=max(overlaps, default=0.0),
        first=bool(overlaps) and overlaps[0] >= 0.5,
        named=any({c.column for c in one.conditions} == made.columns for one in told),
        slices=len(told),
        held=held,
    )


def search(frame: pd.DataFrame, loss: np.ndarray, by_day: bool) -> SliceSearch:
    """Search the sixteen columns."""
    names = [name for name in frame.columns if name != "day"]
    return worst_slices(frame, loss, names, day="day" if by_day else None)


def speed() -> Iterator[dict[str, Any]]:
    """Seconds for a week, and for a million rows; with a bad slice the search goes on."""
    for rows, days, repeats in ((7_000, 7, 5), (1_000_000, 30, 2)):
        rng = np.random.default_rng(0)
        frame = cases.columns(rng, rows, days)
        loss = cases.losses(rng, "exponential", rows)
        worse = loss + WORSE * frame["rare_flag"].to_numpy()
        for by_day in (True, False):
            for what, losses in (("no bad slice", loss), ("a bad slice", worse)):
                wall, cpu = _seconds(lambda: search(frame, losses, by_day), repeats)  # noqa: B023
                yield {"rows": rows, "columns": 16, "by_day": by_day, "what": what,
                       "ms": round(1000 * wall), "cpu_ms": round(1000 * cpu)}  # fmt: skip


def _window(
    rng: np.random.Generator, shape: str, days: int, by_day: bool
) -> tuple[pd.DataFrame, np.ndarray]:
    frame = cases.columns(rng, 1000 * days, days)
    loss = cases.losses(rng, shape, len(frame))
    return frame, cases.by_day(rng, frame, loss) if by_day else loss


def _goals(figures: dict[str, Any]) -> dict[str, bool]:
    """What is asked, and whether this run shows it; seconds of the processor, not of the host."""
    speed_of = {
        rows: max(s["cpu_ms"] for s in figures["speed"] if s["rows"] == rows)
        for rows in (7_000, 1_000_000)
    }
    goals = {
        "the shifted column is first in 95 %": figures["ranking"][0]["first"] >= 0.95,
        "a slice is named in at most 6 % of quiet windows": all(
            q["named"] <= 0.06 for q in figures["quiet"]
        ),
        "a week of 16 columns in 300 ms": speed_of[7_000] <= 300,
        "a million rows in 5 s": speed_of[1_000_000] <= 5_000,
    }
    for found in figures["bad"]:
        if found["days"] < max(WINDOWS):
            continue  # told beside it: the best test of as many slices finds 93 % of these
        by = "days" if found["by_day"] else "rows"
        goals[f"the bad slice is found in 90 %, {found['rows']:,} rows, independent {by}"] = (
            found["found"] >= 0.9
        )
    return goals


def _seconds(run: Callable[[], object], times: int) -> tuple[float, float]:
    wall, cpu = [], []
    for _ in range(times):
        began, spent = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
    return min(wall), min(cpu)


def _share(hits: Any) -> float:
    return round(float(np.mean(hits)), 3) if len(hits) else float("nan")


def _told(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
