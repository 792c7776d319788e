"""What a comparison of rows as a whole tells, and in which words it says that it cannot.

Data are never a reason to raise. How the numbers are found is in ``classifier`` and
``reconstruction``; what is stored of them belongs to who stores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mlops_assets.core.drift_methods.multiplicity import adjust

CLASSIFIER = "domain_classifier"
RECONSTRUCTION = "pca_reconstruction"


class Status(StrEnum):
    """Whether a number was found, and if not, why. An alarm is possible with ``OK`` only."""

    OK = "ok"
    NO_ROWS_REFERENCE = "no_rows_reference"
    NO_ROWS_CURRENT = "no_rows_current"
    #: Fewer than ``MIN_ROWS`` on a side.
    TOO_FEW = "too_few"
    #: So few days on a side that no arrangement of them would be rare.
    TOO_FEW_BLOCKS = "too_few_blocks"
    #: No column is of the same known kind on both sides.
    NO_COLUMNS = "no_columns"
    #: All columns hold one value, the same on both sides.
    CONSTANT = "constant"
    #: Of the reconstruction: fewer than two columns that vary in the reference.
    TOO_FEW_COLUMNS = "too_few_columns"


#: With fewer rows than this on either side nothing is judged.
MIN_ROWS = 30


@dataclass(frozen=True)
class Detection:
    """One method's answer.

    Attributes
    ----------
    value
        What is compared with ``threshold`` and ``null_quantile``. Of the classifier: area under
        the ROC curve out of fold, 0.5 where it cannot tell the sides apart. Of the
        reconstruction: how far the mean error has moved, up or down, in standard deviations of
        the reference's row errors. ``None`` where ``status`` says why.
    null_quantile
        Where nothing has changed, exceeded with probability ``alpha`` at most.
    p, adjusted_p
        Probability of such a value or a larger one where nothing has changed; adjusted over the
        two methods.
    n_reference, n_current
        Rows that were used: at most ``ROWS`` of each side.
    measured
        Of the reconstruction: ``current_error`` and ``reference_error``, the mean errors, and
        ``components``.
    """

    method: str
    status: Status
    threshold: float
    value: float | None = None
    null_quantile: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    drifted: bool = False
    n_reference: int = 0
    n_current: int = 0
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Separating:
    """A column by which the classifier tells the sides apart.

    Attributes
    ----------
    share
        Of the distance between the two sides' mean scores, out of fold. All columns' shares sum
        to 1; a column that only adds noise may have one below 0.
    with_column
        The other column, where most of it is that the two no longer go together as they did.
    """

    column: str
    share: float
    with_column: str | None = None


@dataclass(frozen=True)
class MultivariateShift:
    """Both methods' answers, and what they looked at.

    Attributes
    ----------
    separating
        At most five columns, largest share first; empty where there is no alarm of the
        classifier, whose shares would then be those of noise.
    skipped
        Column to why it was left out: ``not_in_reference``, ``not_in_current``,
        ``kind_changed``, ``unsupported`` or ``constant``.
    n_reference, n_current
        Rows that were given.
    """

    domain_classifier: Detection
    reconstruction: Detection
    separating: tuple[Separating, ...]
    skipped: Mapping[str, str]
    n_reference: int
    n_current: int
    alpha: float

    @property
    def detections(self) -> tuple[Detection, Detection]:
        """Both, the classifier first."""
        return self.domain_classifier, self.reconstruction

    @property
    def drifted(self) -> bool:
        """Whether either raises an alarm: where nothing has changed, at most ``alpha`` often."""
        return any(one.drifted for one in self.detections)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a row for each method, alarm or not; enums as text."""
        return [
            {
                "method": one.method,
                "value": one.value,
                "threshold": one.threshold,
                "null_quantile": one.null_quantile,
                "p": one.p,
                "adjusted_p": one.adjusted_p,
                "drifted": one.drifted,
                "n_reference": self.n_reference,
                "n_current": self.n_current,
                "used_reference": one.n_reference,
                "used_current": one.n_current,
                "status": one.status.value,
            }
            for one in self.detections
        ]


def judged(found: list[Detection], alpha: float) -> list[Detection]:
    """Decide: the value reaches the threshold *and* chance gives so much less often than alpha."""
    told = [one for one in found if one.p is not None]
    adjusted = dict(
        zip((one.method for one in told), adjust([one.p for one in told]), strict=True)  # pyright: ignore
    )
    return [_decided(one, adjusted.get(one.method), alpha) for one in found]


def _decided(one: Detection, adjusted_p: float | None, alpha: float) -> Detection:
    if one.value is None or adjusted_p is None:
        return one
    drifted = one.value >= one.threshold and adjusted_p <= alpha
    return replace(one, adjusted_p=adjusted_p, drifted=drifted)
