"""From a training set to a judged estimator: fitting, files, scoring, metrics, the gate."""
