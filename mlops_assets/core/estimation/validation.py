"""How far an estimator was off where the labels have come since: its own validated error.

An estimate says what it assumes, not whether that holds. Whether it holds is seen on matured
windows: what was estimated for them beside what came out. Until that has been good enough, often
enough, no estimate of this model may trigger anything. Estimating belongs in ``estimate``,
realised metrics in ``core.models.metrics``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Windows that must have matured: with fewer, a mean error says little.
LEAST_WINDOWS = 4


@dataclass(frozen=True)
class Matured:
    """A window as it was estimated and as it turned out.

    Attributes
    ----------
    estimated, low, high
        As estimated, before the labels were known. NaN where nothing was estimated.
    realised
        The metric on the labels that came. NaN where it is not defined.
    unchanged
        The metric on the reference: what one would expect without an estimator.
    """

    estimated: float
    low: float
    high: float
    realised: float
    unchanged: float = math.nan


@dataclass(frozen=True)
class ValidatedError:
    """The error of an estimator on matured windows.

    Attributes
    ----------
    windows
        Windows that were both estimated and realised.
    mae, bias
        Mean absolute and mean signed error, estimated minus realised, in the metric's unit; NaN
        without windows.
    coverage
        Share of the windows whose realised value lay within the interval.
    unchanged_mae
        The mean absolute error of expecting the reference's value instead.
    bound, least
        The declared rule: ``mae`` at most ``bound`` on at least ``least`` windows.
    validated
        Whether the rule is met. Without a bound it never is.
    reason
        Why, in a sentence.
    """

    windows: int
    mae: float
    bias: float
    coverage: float
    unchanged_mae: float
    bound: float | None
    least: int
    validated: bool
    reason: str


def validate(
    matured: Sequence[Matured], bound: float | None, least: int = LEAST_WINDOWS
) -> ValidatedError:
    """Return the error on matured windows, and whether it meets the declared rule.

    Parameters
    ----------
    matured
        Windows of one model, metric and method, estimated as of then: with the reference that
        was there before the labels came. Windows that were not estimated, or whose metric is not
        defined, do not count.
    bound
        The largest mean absolute error with which an estimate may trigger something, in the
        metric's unit: the worsening one wants to see. ``None``: none is declared.
    least
        Windows that it takes.
    """
    counted = [m for m in matured if math.isfinite(m.estimated) and math.isfinite(m.realised)]
    errors = [m.estimated - m.realised for m in counted]
    naive = [abs(m.unchanged - m.realised) for m in counted if math.isfinite(m.unchanged)]
    within = [m.low <= m.realised <= m.high for m in counted if math.isfinite(m.low + m.high)]
    mae = _mean([abs(error) for error in errors])
    validated, reason = _rule(len(counted), mae, bound, least)
    return ValidatedError(
        windows=len(counted),
        mae=mae,
        bias=_mean(errors),
        coverage=_mean([float(hit) for hit in within]),
        unchanged_mae=_mean(naive),
        bound=bound,
        least=least,
        validated=validated,
        reason=reason,
    )


def _rule(windows: int, mae: float, bound: float | None, least: int) -> tuple[bool, str]:
    if windows < max(least, 1):
        return False, f"not validated: {windows} matured windows, {least} are needed"
    said = f"a mean absolute error of {mae:.4g} on {windows} matured windows"
    if bound is None:
        return False, f"not validated: {said}, but no bound is declared"
    if mae <= bound:
        return True, f"validated: {said}, at most {bound:.4g} is allowed"
    return False, f"not validated: {said}, more than the {bound:.4g} allowed"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
