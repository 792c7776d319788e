"""How many threads numeric libraries use, and how they wait for each other.

GNU OpenMP's threads spin while they wait. Where another process wants the same cores (a
second run, the UI, a container with a CPU limit) each barrier then costs a scheduler's time
slice: measured with scikit-learn 1.9.1 on 2 cores with 3 busy processes beside it, fitting
40 trees on 100,000 rows took 7.5 s spinning and 0.9 s waiting passively, predicting 900 rows
0.30 s with two threads and 0.001 s with one.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

#: Up to so many rows a prediction uses one thread, which is as fast as two even on idle
#: cores: trees are shallow, barriers are many.
SMALL_ROWS = 50_000


def wait_passively() -> None:
    """Ask OpenMP to wait without spinning; has effect before scikit-learn's first import.

    A value of ``OMP_WAIT_POLICY`` that is set already is left.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def threads_for(rows: int) -> AbstractContextManager[object]:
    """Limit OpenMP to one thread while few rows are predicted."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1 if rows <= SMALL_ROWS else None, user_api="openmp")
