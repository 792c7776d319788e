"""NannyML, asked over a pipe. Runs in NannyML's environment, imports nothing of ours.

Reads one JSON command a line from standard input, answers one JSON line each on standard output
(what NannyML prints goes to standard error). The other end is ``estimation_peer``.
"""

import json
import os
import sys
import time
import warnings

# NannyML's own wish: no usage data over the network.
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["DO_NOT_TRACK"] = "1"

import estimation_cases
import nannyml
import numpy as np
import pandas as pd
import sklearn

warnings.simplefilter("ignore")

METRICS = ["roc_auc", "average_precision", "f1", "precision", "recall", "specificity", "accuracy",
           "business_value"]  # fmt: skip


def frame(rows):
    if rows.scores.ndim == 1:
        return pd.DataFrame({"score": rows.scores, "said": rows.predicted, "true": rows.label})
    names = np.array(estimation_cases.CLASSES, dtype=object)
    columns = {f"score_{name}": rows.scores[:, at] for at, name in enumerate(names)}
    return pd.DataFrame({**columns, "said": names[rows.predicted], "true": names[rows.label]})


def estimator(rows, metrics, chunks=1):
    flat = rows.scores.ndim == 1
    return nannyml.CBPE(
        y_pred_proba="score"
        if flat
        else {name: f"score_{name}" for name in estimation_cases.CLASSES},
        y_pred="said",
        y_true="true",
        problem_type="classification_binary" if flat else "classification_multiclass",
        metrics=metrics,
        chunk_number=chunks,
        business_value_matrix=np.array(
            estimation_cases.COSTS if flat else estimation_cases.COSTS_3
        ),
    )


def golden(_):
    """Each metric of each case."""
    found = {}
    for problem in ("binary", "multiclass"):
        for name, (reference, window) in getattr(estimation_cases, problem)().items():
            fitted = estimator(reference, METRICS).fit(frame(reference))
            told = fitted.estimate(frame(window).drop(columns="true")).filter(period="analysis")
            table = told.to_df()
            found[f"{problem}.{name}"] = {
                metric: float(table[(metric, "value")].iloc[0]) for metric in METRICS
            }
    reference, _window = estimation_cases.binary()["overconfident"]
    table = estimator(reference, ["accuracy"], 10).fit(frame(reference)).result.to_df()
    limits = {
        "realised": [float(v) for v in table[("accuracy", "realized")]],
        "lower": float(table[("accuracy", "lower_threshold")].iloc[0]),
        "upper": float(table[("accuracy", "upper_threshold")].iloc[0]),
    }
    return {"values": found, "limits": limits}


def timed(command):
    """Seconds of fitting and of estimating four metrics, the fastest of several."""
    reference, window = estimation_cases.binary()[command["case"]]
    past, now = frame(reference), frame(window).drop(columns="true")
    metrics = ["roc_auc", "accuracy", "precision", "recall"]
    fit, estimate = [], []
    for _ in range(command["times"]):
        one = estimator(reference, metrics)
        began = time.perf_counter()
        one.fit(past)
        middle = time.perf_counter()
        one.estimate(now)
        fit.append(middle - began)
        estimate.append(time.perf_counter() - middle)
    return {"fit_s": min(fit), "estimate_s": min(estimate)}


def version(_):
    return {
        "nannyml": nannyml.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }


def main():
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"version": version, "golden": golden, "timed": timed}[command["do"]](command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
