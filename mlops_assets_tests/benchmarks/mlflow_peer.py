"""MLflow beside us, in the versions of what a model's numbers depend on that are installed here.

What MLflow is asked to do is in ``mlflow_worker``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from mlops_assets_tests.benchmarks.isolated import Process, as_installed, started

MLFLOW = "mlflow==3.17.*"
#: What a model's numbers depend on.
SAME = ("scikit-learn", "skops", "numpy", "pandas", "scipy")
Peer = Process


def mlflow() -> AbstractContextManager[Peer]:
    """Start MLflow, and end it with the context."""
    return started("MLflow", [MLFLOW, *as_installed(*SAME)], "mlflow_worker.py")
