"""Evidently or NannyML, asked over a pipe. Runs in the peer's environment, imports nothing of ours.

Reads one JSON command a line from standard input, answers one JSON line each on standard output
(what the peer prints goes to standard error). The other end is ``drift_peers``.
"""

import json
import os
import resource
import sys
import time
import warnings
from typing import ClassVar

# NannyML's own wish: no usage data over the network.
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["DO_NOT_TRACK"] = "1"

import drift_cases
import drift_null
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")


def seconds_of(what):
    """Return what it gives, and how long it took."""
    began = time.perf_counter()
    given = what()
    return given, time.perf_counter() - began


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Peer:
    """What both peers are asked for: values of the cases, and a timed report of two files."""

    METHODS: ClassVar[dict] = {}

    def golden(self, _):
        """Every method on every case: a number, or what was raised."""
        found = {}
        for kind, cases in (
            ("numeric", drift_cases.numeric()),
            ("categorical", drift_cases.categorical()),
        ):
            for name, (reference, current) in cases.items():
                for method in self.METHODS[kind]:
                    try:
                        value = float(self.value(method, kind, reference.copy(), current.copy()))
                        told = value if np.isfinite(value) else str(value)
                    except Exception as error:  # an answer too: what the peer refuses
                        told = f"{type(error).__name__}: {error}"
                    found.setdefault(name, {})[f"{self.NAME}.{method}"] = told
        return {"values": found}

    def alarms(self, command):
        """Which columns are called drifted in each of so many reports on unchanged data."""
        return {
            "drifted": [
                self.drifted(*drift_null.pair(seed, command["n"], command["m"]))
                for seed in range(command["reports"])
            ]
        }

    def read(self, command):
        self.reference = pd.read_parquet(command["reference"])
        self.current = pd.read_parquet(command["current"])
        return {"peak_mb": peak_mb()}


class Evidently(Peer):
    NAME = "evidently"
    METHODS: ClassVar[dict] = {
        "numeric": ["psi", "jensenshannon", "kl_div", "hellinger", "wasserstein", "ks"],
        "categorical": ["psi", "jensenshannon", "kl_div", "hellinger", "chisquare", "z"],
    }

    def version(self, _):
        import evidently

        return {"evidently": evidently.__version__, "pandas": pd.__version__}

    def value(self, method, kind, reference, current):
        from evidently.legacy.calculations.stattests import get_stattest
        from evidently.legacy.core import ColumnType

        # As get_one_column_drift cleans each column.
        reference, current = (
            of.replace([-np.inf, np.inf], np.nan).dropna() for of in (reference, current)
        )
        of_kind = ColumnType.Numerical if kind == "numeric" else ColumnType.Categorical
        if of_kind == ColumnType.Categorical and reference.dtype == object and method == "z":
            reference, current = reference.astype(str), current.astype(str)
        test = get_stattest(reference, current, of_kind, method)
        return test(reference, current, of_kind, None).drift_score

    def report(self, _):
        """The preset as it comes, seconds and values."""
        from evidently import Report
        from evidently.presets import DataDriftPreset

        ran, seconds = seconds_of(
            lambda: Report([DataDriftPreset()]).run(
                current_data=self.current, reference_data=self.reference
            )
        )
        values = {}
        for metric in ran.dict()["metrics"]:
            column = metric.get("config", {}).get("column")
            if column is not None:
                values[column] = float(metric["value"])
        return {"seconds": seconds, "peak_mb": peak_mb(), "values": values}

    def drifted(self, reference, current):
        """Which columns the preset's own choice of method and threshold calls drifted."""
        from evidently.legacy.calculations.stattests import get_stattest
        from evidently.legacy.core import ColumnType

        found = []
        for name in reference.columns:
            numeric = name in drift_null.NUMERIC
            of_kind = ColumnType.Numerical if numeric else ColumnType.Categorical
            pair = reference[name], current[name]
            test = get_stattest(*pair, of_kind, None)
            if test(*pair, of_kind, None).drifted:
                found.append(name)
        return found


class NannyML(Peer):
    NAME = "nannyml"
    METHODS: ClassVar[dict] = {
        "numeric": ["jensen_shannon", "kolmogorov_smirnov", "wasserstein", "hellinger"],
        "categorical": ["jensen_shannon", "chi2", "l_infinity", "hellinger"],
    }

    def version(self, _):
        import nannyml

        return {"nannyml": nannyml.__version__, "pandas": pd.__version__}

    def value(self, method, kind, reference, current):
        from nannyml.chunk import SizeBasedChunker
        from nannyml.drift.univariate.methods import FeatureType, MethodFactory
        from nannyml.thresholds import StandardDeviationThreshold

        of_kind = FeatureType.CONTINUOUS if kind == "numeric" else FeatureType.CATEGORICAL
        made = MethodFactory.create(
            method,
            of_kind,
            chunker=SizeBasedChunker(chunk_size=max(len(reference) // 2, 1)),
            threshold=StandardDeviationThreshold(),
        )
        # NannyML leaves infinite values in and then refuses them; cleaned as Evidently cleans.
        if kind == "numeric":
            reference, current = (
                of.replace([-np.inf, np.inf], np.nan).dropna() for of in (reference, current)
            )
        made._fit(reference)
        return made._calculate(current)

    def report(self, command):
        """The univariate calculator on one chunk, with the methods named, or as it comes."""
        import nannyml

        columns = list(self.reference.columns)

        def run():
            calculator = nannyml.UnivariateDriftCalculator(
                column_names=columns,
                continuous_methods=command["continuous"],
                categorical_methods=command["categorical"],
                chunk_size=len(self.current),
            )
            return calculator.fit(self.reference).calculate(self.current).to_df()

        found, seconds = seconds_of(run)
        values = {}
        last = found.iloc[-1]
        for column in columns:
            for method in [*command["continuous"], *command["categorical"]]:
                if (column, method, "value") in found.columns:
                    values[f"{column} {method}"] = float(last[(column, method, "value")])
        return {"seconds": seconds, "peak_mb": peak_mb(), "values": values}

    def drifted(self, reference, current):
        """Which columns the default method and its learned thresholds call drifted."""
        import nannyml

        columns = list(reference.columns)
        calculator = nannyml.UnivariateDriftCalculator(
            column_names=columns, chunk_size=len(current)
        )
        calculator.fit(reference)
        last = calculator.calculate(current).to_df().iloc[-1]
        return [name for name in columns if bool(last[(name, "jensen_shannon", "alert")])]


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the peer prints is no answer
    peer = {"evidently": Evidently, "nannyml": NannyML}[sys.argv[1]]()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(peer, command["do"])(command)
        except Exception as error:  # told to the other end, which raises
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
