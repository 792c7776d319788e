"""What an estimate says, how sure it is, and whether it may trigger anything.

Making estimates belongs in ``estimate``, an estimator's own error in ``validation``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mlops_assets.core.estimation.samples import Status
from mlops_assets.core.estimation.validation import ValidatedError, validate
from mlops_assets.vocabulary import HIGHER_IS_BETTER

HIGHER = HIGHER_IS_BETTER | {"precision", "recall", "f1", "business_value"}
#: Of a method that has not been tried.
UNTRIED = validate([], None)


@dataclass(frozen=True)
class Estimate:
    """A metric of a window as it is expected to turn out.

    Attributes
    ----------
    value, low, high
        NaN unless ``status`` is ``estimated``. The interval is for the realised metric, and
        holds if the label depends on the features as it does in the reference.
    n, reference_n
        Rows of the window, labelled rows of the reference.
    calibrated
        How much of the calibration, or of the loss model, is used, from 0 (scores as they are,
        the reference's mean loss) to 1; the mean over classes.
    effective_rows
        Of the reference, after weighting; without it, ``reference_n``.
    adapted_to
        The columns that ``pape`` weighted by, beside the score.
    reason
        Why there is no estimate; empty if there is one.
    error
        The estimator's own, on matured windows.
    """

    method: str
    metric: str
    n: int
    reference_n: int
    status: Status
    reason: str = ""
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    standard_error: float = math.nan
    calibrated: float = math.nan
    effective_rows: float = math.nan
    adapted_to: tuple[str, ...] = ()
    error: ValidatedError = field(default_factory=lambda: UNTRIED)

    @property
    def validated(self) -> bool:
        """Whether there is an estimate, and its method has proved itself on matured windows."""
        return self.status == "estimated" and self.error.validated

    def worse_than(self, limit: float) -> bool:
        """Return whether the whole interval is on the bad side of a limit.

        The only question by which something may be triggered: never true of an estimate that is
        not validated, or that has no interval.
        """
        if not self.validated or not math.isfinite(self.low + self.high):
            return False
        return self.high < limit if self.metric in HIGHER else self.low > limit
