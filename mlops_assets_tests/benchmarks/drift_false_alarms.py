"""``make bench-drift-false-alarms``: alarms where nothing has changed, and shifts that are found.

Reports of 20 columns (``drift_null``), of equal and unequal sizes, judged by ``compare`` with its
defaults, and beside it by the peers with theirs. Returns 1 where a bound is not kept. Of
NannyML only where the reference has ten times the rows: its thresholds are learned from
chunks of the reference that are as large as the current rows.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from scipy import stats

from mlops_assets.core.drift_methods import Report, compare, profile
from mlops_assets_tests.benchmarks import drift_null
from mlops_assets_tests.benchmarks.drift_peers import WANTED, peer
from mlops_assets_tests.benchmarks.report import write_json

#: Rows of reference and current, and how many reports of them; fewer where no distance of
#: unchanged data comes near the practical threshold.
SIZES = {
    (50, 50): 600,
    (100, 100): 600,
    (300, 300): 600,
    (1_000, 1_000): 300,
    (10_000, 10_000): 100,
    (100_000, 100_000): 20,
    (50, 1_000): 400,
    (1_000, 50): 400,
    (10_000, 100): 400,
    (100_000, 1_000): 60,
}
#: The same with the reference stored as a profile.
STORED = {(1_000, 50): 300, (10_000, 100): 300}
PEER_REPORTS = 60
MOST = 0.06
SHIFT, FOUND = 0.2, 0.95
HARMLESS = 0.02
POWER_REPORTS = 300
NORMAL = tuple(name for name in drift_null.CONTINUOUS if name.startswith("normal"))
#: Whose many rare categories alone make some of the peers' rules fire.
RARE = "two_hundred_rare"
Sizes = tuple[int, int]


def main() -> int:
    """Run, print and keep the figures; return 1 if a bound is not kept."""
    began = time.process_time()
    with_peers = "--without-peers" not in sys.argv
    figures: dict[str, Any] = {
        "unchanged": list(_told(unchanged())),
        "harmless": list(_told(harmless())),
        "found": list(_told(power())),
    }
    figures["seconds_of_one_core"] = round(time.process_time() - began)
    if with_peers:
        figures["peers"] = list(_told(peers()))
    stated = ("only column", "one of 20, larger reference", "all of them")
    kept = {
        "unchanged": all(row["share"] <= MOST for row in figures["unchanged"]),
        "harmless": all(row["share"] <= MOST for row in figures["harmless"]),
        "found": all(row["found"] >= FOUND for row in figures["found"] if row["case"] in stated),
    }
    figures["kept"] = kept
    print(kept)
    write_json("drift_false_alarms", figures)
    return int(not all(kept.values()))


def share_with_alarm(
    sizes: Sizes, reports: int, *, stored: bool = False, shift: dict[str, float] | None = None
) -> float:
    """Return the share of reports with any alarm."""
    return sum(bool(_report(seed, sizes, stored, shift).drifted) for seed in range(reports)) / (
        reports
    )


def _report(
    seed: int, sizes: Sizes, stored: bool = False, shift: dict[str, float] | None = None
) -> Report:
    reference, current = drift_null.pair(seed, *sizes, shift)
    return compare(profile(reference) if stored else reference, current, methods=[], threads=1)


def unchanged() -> Iterator[dict[str, Any]]:
    """Share of reports with an alarm where nothing has changed."""
    for stored, by_sizes in ((False, SIZES), (True, STORED)):
        for sizes, reports in by_sizes.items():
            share = share_with_alarm(sizes, reports, stored=stored)
            yield {**_row(sizes, reports, share), "stored_reference": stored}


def harmless() -> Iterator[dict[str, Any]]:
    """Share of reports with an alarm where every numeric column has moved by next to nothing."""
    shift = dict.fromkeys(drift_null.NUMERIC, HARMLESS)
    sizes, reports = (100_000, 100_000), 20
    yield _row(sizes, reports, share_with_alarm(sizes, reports, shift=shift))


def power() -> Iterator[dict[str, Any]]:
    """Share of columns found that have moved by ``SHIFT``: of normal ones, of all continuous."""
    for moved in (NORMAL, drift_null.CONTINUOUS):
        yield _found("only column", (1_000, 1_000), moved, _only_column)
        yield _found("one of 20", (1_000, 1_000), moved, _one_of_all)
        yield _found("one of 20, larger reference", (10_000, 1_000), moved, _one_of_all)
    yield _found("all of them", (1_000, 1_000), drift_null.CONTINUOUS, _all, reports=60)


Names = tuple[str, ...]
Trial = Callable[[int, Sizes, Names], float]


def _found(
    case: str, sizes: Sizes, moved: Names, trial: Trial, reports: int = POWER_REPORTS
) -> dict[str, Any]:
    found = sum(trial(seed, sizes, moved) for seed in range(reports)) / reports
    row = {
        "case": case,
        "columns": "normal" if moved == NORMAL else "continuous",
        "reference": sizes[0],
        "current": sizes[1],
        "reports": reports,
        "found": round(found, 4),
    }
    if moved == NORMAL:
        # What the best unbiased test of a moved normal mean finds.
        error = math.sqrt(sum(1 / n for n in sizes))
        family = 1 if case == "only column" else len(drift_null.COLUMNS)
        best = stats.norm.cdf(SHIFT / error - stats.norm.isf(0.05 / family / 2))
        row["t_test"] = round(float(best), 4)
    return row


def _only_column(seed: int, sizes: Sizes, moved: Names) -> float:
    name = moved[seed % len(moved)]
    pair = drift_null.pair(seed, *sizes, {name: SHIFT})
    return float(compare(*pair, columns=[name], methods=[], threads=1).drifted == [name])


def _one_of_all(seed: int, sizes: Sizes, moved: Names) -> float:
    name = moved[seed % len(moved)]
    return float(name in _report(seed, sizes, shift={name: SHIFT}).drifted)


def _all(seed: int, sizes: Sizes, moved: Names) -> float:
    drifted = set(_report(seed, sizes, shift=dict.fromkeys(moved, SHIFT)).drifted)
    return len(drifted & set(moved)) / len(moved)


def peers() -> Iterator[dict[str, Any]]:
    """Alarms of the peers with their defaults, on the same reports."""
    for name in WANTED:
        with peer(name) as asked:
            for sizes, reports in SIZES.items():
                if name == "nannyml" and sizes[0] < 10 * sizes[1]:
                    continue
                count = min(reports, PEER_REPORTS if max(sizes) <= 10_000 else 10)
                n, m = sizes
                drifted = asked.ask("alarms", n=n, m=m, reports=count)["drifted"]
                row = _row(sizes, count, sum(map(bool, drifted)) / count)
                columns = sum(map(len, drifted)) / count / len(drift_null.COLUMNS)
                half = sum(len(names) >= len(drift_null.COLUMNS) / 2 for names in drifted) / count
                others = sum(any(c != RARE for c in names) for names in drifted) / count
                yield {"peer": name, **row, "share_without_rare": round(others, 4),
                       "columns": round(columns, 4), "half_of_them": round(half, 4)}  # fmt: skip


def _row(sizes: Sizes, reports: int, share: float) -> dict[str, Any]:
    return {"reference": sizes[0], "current": sizes[1], "reports": reports,
            "share": round(share, 4)}  # fmt: skip


def _told(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        print(row, flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
