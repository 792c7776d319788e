"""Captured predictions of some days with their labels, read once, as arrays.

What is computed from them belongs in ``performance`` and ``gathering``; how they came into
the tables in ``capture`` and ``outcomes``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.monitoring.monitoring import columns_of
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    import duckdb
    import numpy as np
    import pandas as pd

    from mlops_assets.core.models.scored import Scored
    from mlops_assets.vocabulary import Model

#: Slice that holds every row.
ALL = "all"
#: Most slices by one column that are measured on a day, the largest first. A column with
#: more values is no slice that a person would look at.
MAX_SLICES = 30
_MISSING = "<missing>"


@dataclass(frozen=True)
class Captured:
    """Captured predictions of some days with their labels, as arrays in order of days.

    Attributes
    ----------
    day
        Days since ``first``, ascending, shape (n,).
    version, labelled
        Shape (n,).
    known_at
        Time from which the label is known (UTC), NaT where there is none.
    sliced
        Column to slice by, to each row's number in the list of its values, and that list.
    """

    model: Model
    first: date
    day: np.ndarray
    version: np.ndarray
    labelled: np.ndarray
    known_at: np.ndarray
    sliced: Mapping[str, tuple[np.ndarray, list[str]]]
    scored: Mapping[int, Scored]  # all rows, in the classes of that version

    @classmethod
    def load(
        cls,
        con: duckdb.DuckDBPyConnection,
        model: Model,
        first: date,
        last: date,
        slices: Sequence[str] = (),
    ) -> Captured:
        """Read the predictions from ``first`` to ``last``, both inclusive."""
        frame = _read(con, model, first, last, slices)
        sliced = {name: _numbered(frame[name]) for name in slices if name in frame.columns}
        versions = frame["version"].to_numpy(int)
        scored = {
            int(v): scored_by(con, model, int(v), frame) for v in dict.fromkeys(versions.tolist())
        }
        return cls(
            model=model,
            first=first,
            day=frame["day"].to_numpy(int),
            version=versions,
            labelled=frame["label"].notna().to_numpy(),
            known_at=frame["known_at"].to_numpy("datetime64[us]"),
            sliced=sliced,
            scored=scored,
        )

    def on(self, opens: date, closes: date) -> np.ndarray:
        """Return the row numbers of the days from ``opens`` to ``closes``, both inclusive."""
        import numpy as np

        low = (opens - self.first).days
        high = (closes - self.first).days
        return np.arange(
            np.searchsorted(self.day, low, "left"), np.searchsorted(self.day, high, "right")
        )

    def versions(self, rows: np.ndarray) -> list[int]:
        """Return the versions that made these predictions."""
        return sorted({int(v) for v in self.version[rows]})

    def slices(self, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``("all", rows)``, then the rows of each slice, the largest slice first."""
        import numpy as np

        yield ALL, rows
        for column, (codes, names) in self.sliced.items():
            mine = codes[rows]
            counts = np.bincount(mine, minlength=len(names))
            largest = sorted(np.flatnonzero(counts), key=lambda code: (-counts[code], names[code]))
            for code in largest[:MAX_SLICES]:
                yield f"{column}={names[code]}", rows[mine == code]


def _read(
    con: duckdb.DuckDBPyConnection, model: Model, first: date, last: date, slices: Sequence[str]
) -> pd.DataFrame:
    import pandas as pd

    predictions = predictions_table(model)
    outcomes = f"capture.{model.name}__outcomes"
    there = columns_of(con, predictions)
    if not there:
        return pd.DataFrame(
            {"day": [], "version": [], "prediction": [], "label": [], "known_at": []}
        ).astype({"known_at": "datetime64[us]"})
    columns = [f"p.{name}" for name in ("prediction", "score", "scores") if name in there]
    columns += [
        f"CAST(p.{sql.identifier(name)} AS VARCHAR) AS {sql.identifier(name)}"
        for name in slices
        if name in there
    ]
    if columns_of(con, outcomes):
        columns += ["o.label AS label", "o.label_known_at AS known_at"]
        join = (
            f"LEFT JOIN {sql.table(outcomes)} o ON o.prediction_id = p.prediction_id "
            "AND o.partition_date = p.partition_date"
        )
    else:
        columns += ["NULL AS label", "NULL::TIMESTAMP AS known_at"]
        join = ""
    return con.execute(
        "SELECT p.partition_date - $first::DATE AS day, p.model_version AS version, "
        f"{', '.join(columns)} FROM {sql.table(predictions)} p {join} "
        "WHERE p.partition_date BETWEEN $first AND $last "
        "ORDER BY p.partition_date, p.model_version, p.row_key",
        {"first": first, "last": last},
    ).df()


def scored_by(
    con: duckdb.DuckDBPyConnection, model: Model, version: int, frame: pd.DataFrame
) -> Scored:
    """Return all rows as this version's classes see them; only its own rows are its own."""
    import numpy as np

    from mlops_assets.core import registry
    from mlops_assets.core.models.scored import Scored

    label, prediction = _objects(frame["label"]), _objects(frame["prediction"])
    if model.problem == "regression":
        return Scored(label=_floats(label), prediction=_floats(prediction))
    signature: Mapping[str, Any] = registry.get(con, model.name, version).signature
    classes = list(signature["output"]["classes"])
    if model.problem == "binary":
        score = frame["score"].to_numpy(float)
        known = frame["label"].notna().to_numpy()
        if all(value in classes for value in set(label[known].tolist())):
            # Booleans say the same and are compared without looking each one up.
            truth, said = label == classes[1], prediction == classes[1]
            return Scored(truth.astype(bool), said.astype(bool), score=score)
        return Scored(label, prediction, score=score, classes=classes)
    names = [str(c) for c in classes]
    scores = np.array(
        [[said.get(name, math.nan) for name in names] for said in frame["scores"]], float
    ).reshape(len(frame), len(names))
    return Scored(label, prediction, scores=scores, classes=classes)


def _numbered(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    import pandas as pd

    codes, names = pd.factorize(values.fillna(_MISSING), sort=True)
    return codes, [str(name) for name in names]


def _objects(values: pd.Series) -> np.ndarray:
    """Return the values as Python objects, the missing as None (pandas has several)."""
    found = values.to_numpy(object, copy=True)
    found[values.isna().to_numpy()] = None
    return found


def _floats(values: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.array([math.nan if v is None else float(v) for v in values], float)
