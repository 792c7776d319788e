"""MLflow, asked over a pipe. Runs in MLflow's environment, and imports nothing of ours.

Reads one JSON command a line from standard input, answers one JSON line each on standard
output (what MLflow prints goes to standard error). The other end is ``mlflow_peer``.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

# MLflow's own wishes: no usage data over the network, and no lookup of requirements, which
# would load each model once more in a process of its own.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

import mlflow
import numpy as np
import pandas as pd
import sklearn
import skops
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from skops import io as skops_io

NAME, ALIAS = "bench", "champion"


class Worker:
    """One MLflow with a SQLite store, which stays open as MLflow keeps it."""

    def version(self, _):
        versions = {"mlflow": mlflow.__version__, "scikit-learn": sklearn.__version__}
        return {**versions, "skops": skops.__version__}

    def start(self, command):
        folder = Path(command["folder"])
        mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        self.client = MlflowClient()
        experiment = self.client.create_experiment("bench", str(folder / "artifacts"))
        mlflow.start_run(experiment_id=experiment)
        # The same fitted estimator, from the same file.
        self.types = skops_io.get_untrusted_types(file=command["model"])
        self.estimator = skops_io.load(command["model"], trusted=self.types)
        columns = [ColSpec(kind, name) for name, kind in command["inputs"]]
        outputs = TensorSpec(np.dtype("float64"), (-1, 2))
        self.signature = ModelSignature(Schema(columns), Schema([outputs]))
        self.client.create_registered_model(NAME)
        return {}

    def register(self, _):
        """From the fitted estimator to a version that others can load."""
        self.logged = mlflow.sklearn.log_model(
            self.estimator,
            name="model",
            registered_model_name=NAME,
            signature=self.signature,
            serialization_format="skops",
            skops_trusted_types=self.types,
            pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
            pyfunc_predict_fn="predict_proba",
        )

    def record(self, _):
        """Only the version's row, of a model that was logged before."""
        self.client.create_model_version(
            NAME, self.logged.model_uri, mlflow.active_run().info.run_id
        )

    def alias(self, command):
        self.client.set_registered_model_alias(NAME, ALIAS, str(1 + command["turn"] % 2))

    def resolve(self, _):
        self.client.get_model_version_by_alias(NAME, ALIAS)

    def load(self, _):
        mlflow.sklearn.load_model(f"models:/{NAME}@{ALIAS}")

    def process(self, _):
        """In a process of its own, as a run loads it: all imports and the opening included."""
        load = (
            "import sys, mlflow, mlflow.sklearn; mlflow.set_tracking_uri(sys.argv[1]); "
            "mlflow.sklearn.load_model(sys.argv[2])"
        )
        words = [sys.executable, "-c", load, mlflow.get_tracking_uri(), f"models:/{NAME}@{ALIAS}"]
        subprocess.run(words, check=True, stdout=sys.stderr)

    def timed(self, command):
        what, seconds = getattr(self, command["what"]), []
        for turn in range(command["first"], command["first"] + command["times"]):
            began = time.perf_counter()
            what({"turn": turn})
            seconds.append(time.perf_counter() - began)
        return {"seconds": seconds}

    def score(self, command):
        """What an exported folder says of rows, by both flavours."""
        rows = pd.read_parquet(command["rows"])
        for name in command["text"]:
            values = rows[name].to_numpy(dtype=object, copy=True)
            values[rows[name].isna().to_numpy()] = np.nan
            rows[name] = pd.Series(values, index=rows.index, dtype=object)
        said = {
            "sklearn": mlflow.sklearn.load_model(command["folder"]).predict_proba(rows),
            "pyfunc": mlflow.pyfunc.load_model(command["folder"]).predict(rows),
        }
        for flavour, scores in said.items():
            np.save(f"{command['out']}.{flavour}.npy", np.asarray(scores))
        os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
        try:
            mlflow.sklearn.load_model(command["folder"])
            refused = None
        except mlflow.MlflowException as error:
            refused = str(error)
        finally:
            del os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"]
        return {"refused_without_pickle": refused}


def main():
    answers, sys.stdout = sys.stdout, sys.stderr
    worker = Worker()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(worker, command["do"])(command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
