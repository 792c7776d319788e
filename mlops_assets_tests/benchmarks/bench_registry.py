"""``make bench-registry``: this registry beside MLflow's, on the same fitted model.

Timed in turns, so that whatever else the machine does meets both: ``register``, from a fitted
estimator to a version that can be loaded, of which ``record`` is the row alone; ``alias``, moving
the champion's; ``resolve``, finding the version that it points to; ``process``, a new process
that finds and loads it, which is what a run does and what ``ratio_load`` is of; ``load``, the
same in a process that runs, from the file; ``load_again``, from its memory.

MLflow's store is SQLite, which it keeps open. Ours is DuckDB, once kept open too, and once
opened for each operation, as a step does that shares the file with other processes.

Also shown: a version that is exported for MLflow says the same there, to the last bit.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from mlops_assets.core import registry
from mlops_assets.core.artifacts import loaded, mlflow_export
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets.core.models import identity, training
from mlops_assets.core.models.snapshots import TrainingSet
from mlops_assets.core.scoring import scoring, widening
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets_tests.benchmarks.mlflow_peer import Peer, mlflow
from mlops_assets_tests.benchmarks.registry_case import MODEL, declared, frame
from mlops_assets_tests.benchmarks.report import ROOT, write_json

#: What a new process does until it has the champion.
LOAD = """
import sys
from pathlib import Path
from mlops_assets.core import registry
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets.resources.warehouse import Warehouse
with Warehouse(database=sys.argv[1]).read() as con:
    version = registry.resolve(con, sys.argv[3])
ArtifactStore(Path(sys.argv[2])).load(version)
"""
ROUNDS = 10
#: How often in each round.
TIMES = {"register": 2, "record": 3, "alias": 10, "resolve": 20, "load": 2}
PROCESSES = 3
KEPT = ("register", "record", "alias", "resolve")
PROMISED = ("register", "alias", "resolve", "load")
TRAIN_ROWS, SCORED_ROWS = 20_000, 1_000
MAY = date(2013, 5, 1)


class Ours:
    """This registry on a file of its own."""

    def __init__(self, folder: Path, fitted: training.Fitted, sample: Any) -> None:
        self.warehouse = Warehouse(database=str(folder / "bench.duckdb"))
        self.store = ArtifactStore(folder / "artifacts")
        self.fitted, self.sample = fitted, sample
        self.training_set = TrainingSet(
            model=MODEL,
            digest="d" * 64,
            path=Path("d.parquet"),
            cutoff=MAY,
            train_start=date(2013, 1, 1),
            train_end=date(2013, 4, 17),
            holdout_end=MAY,
            train_rows=TRAIN_ROWS,
            holdout_rows=SCORED_ROWS,
            view_versions={},
        )
        self.code = identity.code_identity(ROOT)
        self.environment = identity.environment_identity(ROOT)
        self.points: int | None = None
        self.register(0)

    def register(self, _: int) -> None:
        """Write the model file, prove that it can be read back, add the version."""
        self.artifact = self.store.save(self.fitted.estimator, "binary", self.sample)
        self.record(0)

    def record(self, _: int) -> None:
        with self.warehouse.transaction() as con:
            registry.register(
                con,
                MODEL,
                self.fitted,
                self.artifact,
                self.training_set,
                decision_id=None,
                run_id="bench",
                code=self.code,
                environment=self.environment,
            )

    def alias(self, turn: int) -> None:
        """With all that MLflow's alias has not: compare and swap, override, history."""
        to = 1 + turn % 2
        with self.warehouse.transaction() as con:
            registry.move_alias(
                con,
                MODEL,
                registry.CHAMPION,
                to,
                expected_from=self.points,
                effective_from=MAY,
                actor="bench",
                reason="bench",
                override=True,
            )
        self.points = to

    def resolve(self, _: int) -> registry.ModelVersion:
        with self.warehouse.read() as con:
            return registry.resolve(con, MODEL)

    def load(self, _: int) -> Any:
        """From the file, with every check, as if this process had never seen it."""
        loaded.forget_loaded()
        return self.store.load(self.resolve(0))

    def process(self, _: int) -> None:
        """In a process of its own, as a run loads it: all imports and the opening included."""
        words = [sys.executable, "-c", LOAD, self.warehouse.database, str(self.store.root), MODEL]
        subprocess.run(words, cwd=ROOT, check=True)

    def load_again(self, _: int) -> Any:
        """As scoring loads it every day: from memory, where the bytes are the recorded ones."""
        return self.store.load(self.resolve(0))


def timed(what: Callable[[int], Any], first: int, times: int) -> list[float]:
    """Return how long each call took, in seconds."""
    seconds = []
    for turn in range(first, first + times):
        began = time.perf_counter()
        what(turn)
        seconds.append(time.perf_counter() - began)
    return seconds


def measure(ours: Ours, peer: Peer) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each operation: ours kept open, ours opened each time, MLflow's."""
    found: dict[str, dict[str, list[float]]] = {
        name: {"kept": [], "opened": [], "mlflow": []} for name in TIMES
    }
    for round_ in range(ROUNDS):
        for name, times in TIMES.items():
            what, first, told = getattr(ours, name), round_ * times, found[name]
            told["opened"] += timed(what, first, times)
            with ours.warehouse.keep_open():
                told["kept"] += timed(what, first, times)
            told["mlflow"] += peer.ask("timed", what=name, first=first, times=times)["seconds"]
    found["process"] = {"opened": [], "mlflow": []}
    for _ in range(PROCESSES):
        found["process"]["opened"] += timed(ours.process, 0, 1)
        answer = peer.ask("timed", what="process", first=0, times=1)
        found["process"]["mlflow"] += answer["seconds"]
    with ours.warehouse.keep_open():
        again = timed(ours.load_again, 0, ROUNDS * TIMES["load"])
    # MLflow remembers nothing: it loads from the file again.
    found["load_again"] = {"mlflow": found["load"]["mlflow"], "kept": again}
    return found


def ratio(median: dict[str, float], whose: str) -> float:
    """MLflow's time over ours."""
    return round(median["mlflow"] / median[whose], 2)


def equal_after_export(ours: Ours, peer: Peer, rows: Any, folder: Path) -> dict[str, Any]:
    """Return whether both of MLflow's flavours say of ``rows`` what this package says."""
    import numpy as np

    version = ours.resolve(0)
    mlflow_export.export(version, ours.store, folder / "exported")
    expected = ours.store.load(version).predict_proba(rows)
    rows.to_parquet(folder / "rows.parquet")
    text = [c["name"] for c in version.signature["inputs"] if c["type"] == widening.CATEGORY]
    answer = peer.ask(
        "score",
        folder=str(folder / "exported"),
        rows=str(folder / "rows.parquet"),
        text=text,
        out=str(folder / "said"),
    )
    equal = {
        flavour: np.load(folder / f"said.{flavour}.npy").tobytes() == expected.tobytes()
        for flavour in ("sklearn", "pyfunc")
    }
    return {
        "rows": len(rows),
        "equal_to_the_last_bit": equal,
        "refused_without_pickle": answer["refused_without_pickle"] is not None,
    }


def main() -> int:
    """Run, print and keep the figures; return 1 if anything promised is not so."""
    everything = frame(TRAIN_ROWS + SCORED_ROWS)
    fitted = training.fit_frame(declared(), everything.head(TRAIN_ROWS))
    rows = scoring.prepare(everything.tail(SCORED_ROWS), fitted.signature)
    with tempfile.TemporaryDirectory() as temporary, mlflow() as peer:
        folder = Path(temporary)
        ours = Ours(folder, fitted, rows.head(100))
        peer.ask(
            "start",
            folder=str(folder),
            model=str(ours.store.path(ours.artifact.sha256)),
            inputs=[
                [c["name"], mlflow_export.COLUMN_TYPES[c["type"]]]
                for c in fitted.signature["inputs"]
            ],
        )
        for name, times in {"register": 2, "alias": 2, "resolve": 1, "load": 1}.items():
            timed(getattr(ours, name), 0, times)  # both have done everything once before
            peer.ask("timed", what=name, first=0, times=times)
        seconds = measure(ours, peer)
        exported = equal_after_export(ours, peer, rows, folder)
        versions = peer.versions
    median = {
        name: {whose: statistics.median(taken) for whose, taken in of_one.items()}
        for name, of_one in seconds.items()
    }
    ratios = {
        **{f"ratio_{name}": ratio(median[name], "kept") for name in KEPT},
        "ratio_load": ratio(median["process"], "opened"),
        "ratio_load_in_a_running_process": ratio(median["load"], "kept"),
        "ratio_load_again": ratio(median["load_again"], "kept"),
        **{
            f"ratio_{name}_opened_each_time": ratio(median[name], "opened")
            for name in ("register", "alias", "resolve")
        },
    }
    figures = {
        **ratios,
        "milliseconds": {
            name: {whose: round(1e3 * value, 2) for whose, value in of_one.items()}
            for name, of_one in median.items()
        },
        "times": {**{name: ROUNDS * n for name, n in TIMES.items()}, "process": PROCESSES},
        "model_bytes": ours.artifact.size_bytes,
        "export": exported,
        "peer": versions,
    }
    _print(figures)
    write_json("registry", figures)
    slower = [name for name in PROMISED if figures[f"ratio_{name}"] <= 1]
    for name in slower:
        print(f"Slower than MLflow: {name}")
    unequal = not all(exported["equal_to_the_last_bit"].values())
    return int(bool(slower) or unequal)


def _print(figures: dict[str, Any]) -> None:
    print(f"{'median ms':12}{'kept open':>12}{'opened':>12}{'MLflow':>12}")
    for name, one in figures["milliseconds"].items():
        cells = "".join(f"{one.get(whose, '-'):>12}" for whose in ("kept", "opened", "mlflow"))
        print(f"{name:12}{cells}")
    print({name: value for name, value in figures.items() if name.startswith("ratio")})
    print(f"Exported to MLflow {figures['peer']['mlflow']}: {figures['export']}")


if __name__ == "__main__":
    sys.exit(main())
