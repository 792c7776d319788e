"""References: labelled rows to estimate from, checked and prepared for a method.

What is estimated from them belongs in ``estimate``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from mlops_assets.core.estimation import cbpe, density, expected, loss_estimation, pape
from mlops_assets.core.estimation.loss_estimation import Encoding, LossModel
from mlops_assets.core.estimation.samples import Coded, Sample, Status, coded, numbered

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.estimation.cbpe import Calibration, Learnt
    from mlops_assets.core.estimation.pape import Prepared

Method = Literal["cbpe", "pape", "dle"]
#: What each method can estimate of each problem.
ESTIMABLE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("cbpe", "binary"): expected.BINARY,
    ("cbpe", "multiclass"): expected.MULTICLASS,
    ("pape", "binary"): expected.BINARY,
    ("pape", "multiclass"): expected.MULTICLASS,
    ("dle", "regression"): loss_estimation.METRICS,
}
#: Below so many rows a calibration is noise.
LEAST_ROWS = 500


@dataclass(frozen=True)
class Fitted:
    """A reference, prepared for a method.

    Attributes
    ----------
    status, reason
        ``estimated`` if it can be used, else why not.
    sample
        Its labelled rows.
    blocks
        The block of each row as a number from 0.
    """

    problem: str
    method: Method
    status: Status
    reason: str
    sample: Sample
    blocks: np.ndarray | None = None
    coded: Coded | None = None
    calibration: Calibration | None = None
    prepared: Prepared | None = None
    encoding: Encoding | None = None
    losses: Mapping[str, LossModel] = field(default_factory=dict)
    _learnt: dict[Any, Learnt] = field(default_factory=dict, repr=False, compare=False)

    def learnt(self, metric: str, costs: Sequence[Sequence[float]] | None) -> Learnt:
        """Return what ``cbpe`` learns of a metric, worked out once."""
        assert self.coded is not None
        assert self.calibration is not None
        own = None if costs is None else tuple(tuple(row) for row in costs)
        key = metric, own if metric == "business_value" else None
        if key not in self._learnt:
            self._learnt[key] = cbpe.learn(metric, self.calibration, self.coded, costs=costs)
        return self._learnt[key]


def fit(problem: str, reference: Sample, method: Method, *, least: int = LEAST_ROWS) -> Fitted:
    """Prepare a reference: labelled rows that the model did not see in training.

    Parameters
    ----------
    problem
        Of the vocabulary: ``binary``, ``multiclass`` or ``regression``.
    reference
        Rows without label are left out.
    method
        ``cbpe``, ``pape`` (both for classes) or ``dle`` (for numbers).
    least
        Labelled rows that it takes.

    Raises
    ------
    ValueError
        If the method is not for the problem.
    """
    if (method, problem) not in ESTIMABLE:
        raise ValueError(f"{method!r} does not estimate {problem} problems; see ESTIMABLE")
    sample = reference.labelled()
    rows = None if method == "dle" else coded(problem, sample.scored)
    status, reason = _problem(problem, method, sample, rows, least)
    blocks = None if sample.blocks is None else numbered(sample.blocks)
    fitted = Fitted(problem, method, status, reason, sample, blocks, rows)
    if status != "estimated":
        return fitted
    if rows is not None and method == "pape":
        return replace(fitted, prepared=pape.prepare(sample, rows, blocks))
    if rows is not None:
        return replace(fitted, calibration=cbpe.calibrate(rows))
    framed = replace(sample, features=density.frame(sample.features))
    encoding = Encoding.of(framed.features)
    return replace(fitted, encoding=encoding, losses=loss_estimation.fit(framed, encoding, blocks))


def _problem(
    problem: str, method: Method, sample: Sample, rows: Coded | None, least: int
) -> tuple[Status, str]:
    """Why the reference cannot be used."""
    import numpy as np

    n = len(sample)
    if n < max(least, 1):
        return "too_few_reference_rows", f"the reference has {n} labelled rows; it takes {least}"
    if method != "cbpe" and sample.features is None:
        return "missing_features", f"the reference has no features, which {method} needs"
    if rows is None:
        numbers = np.asarray(sample.scored.prediction, float) + np.asarray(
            sample.scored.label, float
        )
        missing = int(np.count_nonzero(~np.isfinite(numbers)))
    else:
        missing = int(np.count_nonzero(~rows.complete))
    if missing:
        return "missing_scores", f"{missing} of the reference's {n} rows have no valid prediction"
    if rows is not None:
        seen = rows.truth.sum(axis=0)
        if (seen == 0).any() or (problem == "binary" and seen[0] == n):
            return "one_class", f"a class never occurs in the reference's {n} labelled rows"
    return "estimated", ""
