"""NannyML's CBPE beside ours, and ``make bench-estimation-parity``: its values, kept as golden.

It runs with statsmodels, which it does not declare, and with the libraries in the versions that are
installed here. What it is asked to do is in ``estimation_worker``, on which rows in
``estimation_cases``.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from mlops_assets_tests.benchmarks.isolated import Process, as_installed, started

NANNYML = ("nannyml==0.13.1", "statsmodels")
#: What its numbers depend on.
SAME = ("numpy", "scipy", "scikit-learn")
#: Beside the tests, which compare our values with it where NannyML is not installed.
GOLDEN = Path(__file__).parents[1] / "core" / "estimation_golden.json"


def nannyml() -> AbstractContextManager[Process]:
    """Start NannyML, and end it with the context."""
    return started("NannyML", [*NANNYML, *as_installed(*SAME)], "estimation_worker.py")


def main() -> int:
    """Ask for every metric of every case and keep what it says."""
    with nannyml() as peer:
        answer = peer.ask("golden")
        GOLDEN.write_text(json.dumps({"versions": peer.versions, **answer}, indent=1) + "\n")
        count = sum(len(values) for values in answer["values"].values())
        print(f"{count} values of {peer.versions}, kept in {GOLDEN.name} beside the tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
