"""Evidently and NannyML beside us, and ``make bench-drift-parity``: their values, kept as golden.

Neither can be imported as it installs itself: Evidently needs pandas before 3, NannyML statsmodels,
which it does not declare. What they are asked to do is in ``drift_worker``, on which columns in
``drift_cases``.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from mlops_assets_tests.benchmarks.isolated import Process, started

SAME = ("numpy==2.4.*", "scipy==1.17.*", "pandas>=2.3,<3", "pyarrow")
WANTED = {
    "evidently": ("evidently==0.7.23", *SAME),
    "nannyml": ("nannyml==0.13.1", "statsmodels", *SAME),
}
#: Beside the tests, which compare our values with it where no peer is installed.
GOLDEN = Path(__file__).parents[1] / "core" / "drift_golden.json"


def peer(name: str) -> AbstractContextManager[Process]:
    """Start ``evidently`` or ``nannyml``, and end it with the context."""
    return started(name, WANTED[name], "drift_worker.py", name)


def main() -> int:
    """Ask both for every method on every case and keep what they say."""
    values: dict[str, dict[str, float | str]] = {}
    versions: dict[str, str] = {}
    for name in WANTED:
        with peer(name) as asked:
            versions |= asked.versions
            for case, found in asked.ask("golden")["values"].items():
                values.setdefault(case, {}).update(found)
    GOLDEN.write_text(json.dumps({"versions": versions, "values": values}, indent=1) + "\n")
    said = [value for found in values.values() for value in found.values()]
    numbers = sum(isinstance(value, float) for value in said)
    print(f"{numbers} values and {len(said) - numbers} refusals of {versions}")
    print(f"Kept in {GOLDEN.relative_to(Path(__file__).parents[2])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
