"""How well is a model doing on rows whose labels have not come yet?

``references.fit`` once on labelled rows, ``estimate`` for each window. Every answer is an
``Estimate`` with an interval, a status and the estimator's own error on matured windows; without
that error validated it can trigger nothing. Pure functions: which rows are reference and window,
and what is stored, belong to their callers. ``docs/estimation.md`` has the methods and what they
were measured to be worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from mlops_assets.core.estimation import cbpe, density, intervals, loss_estimation, pape
from mlops_assets.core.estimation.references import ESTIMABLE, Fitted
from mlops_assets.core.estimation.results import UNTRIED, Estimate
from mlops_assets.core.estimation.samples import Coded, Sample, Status, coded, numbered
from mlops_assets.vocabulary import METRICS

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.estimation.cbpe import Calibration, Moments
    from mlops_assets.core.estimation.density import Ratio
    from mlops_assets.core.estimation.validation import ValidatedError

#: Below so many rows the normal law does not hold for their sum.
LEAST_ROWS = 100


def estimate(
    fitted: Fitted,
    window: Sample,
    metrics: Sequence[str] | None = None,
    *,
    costs: Sequence[Sequence[float]] | None = None,
    confidence: float = 0.95,
    errors: Mapping[str, ValidatedError] | None = None,
    least: int = LEAST_ROWS,
) -> list[Estimate]:
    """Estimate metrics of a window.

    Parameters
    ----------
    fitted
        The reference, see ``references.fit``.
    window
        Rows in any order; labels are not looked at.
    metrics
        By default all that can be estimated; ``business_value`` only with ``costs``.
    costs
        What a row of each truth (rows) and prediction (columns) is worth.
    confidence
        Of the two-sided interval.
    errors
        The method's own error by metric, see ``validation``.
    least
        Rows that it takes.

    Returns
    -------
    list of Estimate
        One for each metric. Where data cannot be estimated from there is a status, and no value.

    Raises
    ------
    ValueError
        If a metric is unknown, or ``business_value`` is asked for without costs.
    """
    asked = _asked(fitted, metrics, costs)
    now = None if fitted.method == "dle" else coded(fitted.problem, window.scored)
    status, reason = fitted.status, fitted.reason
    if status == "estimated":
        status, reason = _problem(fitted, window, now, least)
    calibration, ratio = fitted.calibration, None
    if status == "estimated" and fitted.method == "pape":
        assert fitted.coded is not None
        assert fitted.prepared is not None
        assert now is not None
        adapted = pape.adapt(fitted.prepared, window, fitted.coded, now, fitted.blocks)
        calibration, ratio = adapted
        if adapted.too_far:
            status = "shifted_too_far"
            reason = (
                f"{ratio.foreign:.0%} of the window's rows hardly occur in the reference, and "
                f"weighted like the window its {len(fitted.sample)} rows are worth "
                f"{ratio.effective_rows:.0f}: take a reference with more such rows"
            )
    measure = _measure(fitted, window, now, calibration, ratio, costs)
    found = []
    for metric in asked:
        own, why = status, reason
        if metric not in ESTIMABLE[fitted.method, fitted.problem]:
            own, why = "not_estimable", f"{metric} depends on labels in ways not estimated here"
        error = (errors or {}).get(metric, UNTRIED)
        empty = Estimate(
            method=fitted.method,
            metric=metric,
            n=len(window),
            reference_n=len(fitted.sample),
            status=own,
            reason=why,
            error=error,
        )
        found.append(
            empty
            if own != "estimated"
            else _filled(empty, measure(metric), fitted, calibration, ratio, confidence)
        )
    return found


def _filled(
    empty: Estimate,
    moments: Moments,
    fitted: Fitted,
    calibration: Calibration | None,
    ratio: Ratio | None,
    confidence: float,
) -> Estimate:
    from dataclasses import replace

    if not math.isfinite(moments.value):
        why = f"{empty.metric} is not defined for these predictions"
        return replace(empty, status="undefined", reason=why)
    units = None if fitted.blocks is None else int(fitted.blocks.max()) + 1
    low, high = intervals.bounds(empty.metric, moments.value, moments.variance, units, confidence)
    shares = () if calibration is None else calibration.shares
    if empty.metric in fitted.losses:
        shares = (fitted.losses[empty.metric].slope,)
    return replace(
        empty,
        value=moments.value,
        low=low,
        high=high,
        standard_error=math.sqrt(moments.variance),
        calibrated=sum(shares) / len(shares),
        effective_rows=float(empty.reference_n) if ratio is None else ratio.effective_rows,
        adapted_to=() if ratio is None else ratio.columns,
    )


def _measure(
    fitted: Fitted,
    window: Sample,
    now: Coded | None,
    calibration: Calibration | None,
    ratio: Ratio | None,
    costs: Sequence[Sequence[float]] | None,
) -> Callable[[str], Moments]:
    """Return the function that measures one metric."""
    import numpy as np

    blocks = fitted.blocks
    window_blocks = None if window.blocks is None else numbered(window.blocks)
    weights = None if ratio is None else ratio.weights

    def of_classes(metric: str) -> Moments:
        assert calibration is not None
        assert fitted.coded is not None
        assert now is not None
        if weights is None:
            learnt = fitted.learnt(metric, costs)
        else:
            learnt = cbpe.learn(metric, calibration, fitted.coded, costs=costs, weights=weights)
        return cbpe.moments(
            metric,
            calibration,
            learnt,
            now,
            costs=costs,
            weights=weights,
            blocks=blocks,
            window_blocks=window_blocks,
        )

    @cache
    def encoded() -> np.ndarray:
        assert fitted.encoding is not None
        prediction = np.asarray(window.scored.prediction, dtype=float)
        return fitted.encoding.encode(density.frame(window.features), prediction)

    def of_losses(metric: str) -> Moments:
        return loss_estimation.moments(
            metric, fitted.losses[metric], encoded(), blocks, window_blocks
        )

    return of_losses if fitted.method == "dle" else of_classes


def _asked(
    fitted: Fitted, metrics: Sequence[str] | None, costs: Sequence[Sequence[float]] | None
) -> list[str]:
    estimable = ESTIMABLE[fitted.method, fitted.problem]
    if metrics is None:
        return [m for m in estimable if m != "business_value" or costs is not None]
    known = {*estimable, *METRICS.get(fitted.problem, ())}  # type: ignore[call-overload]
    unknown = [m for m in metrics if m not in known]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no metric of {fitted.problem} problems: {estimable}")
    if "business_value" in metrics and costs is None:
        raise ValueError("business_value needs costs: what a row of each outcome is worth")
    return list(metrics)


def _problem(fitted: Fitted, window: Sample, now: Coded | None, least: int) -> tuple[Status, str]:
    """Why the window cannot be estimated."""
    import numpy as np

    n = len(window)
    if n < max(least, 1):
        return "too_few_rows", f"the window has {n} rows; it takes {least}"
    if now is None:
        valid = np.isfinite(np.asarray(window.scored.prediction, dtype=float))
    else:
        valid = now.complete
    if not valid.all():
        missing = int(np.count_nonzero(~valid))
        return "missing_scores", f"{missing} of the window's {n} rows have no valid prediction"
    if fitted.method == "cbpe":
        return "estimated", ""
    if window.features is None:
        return "missing_features", f"the window has no features, which {fitted.method} needs"
    there = density.frame(window.features).columns
    lacking = [c for c in density.frame(fitted.sample.features).columns if c not in there]
    if lacking:
        return "other_features", f"the window lacks {len(lacking)} columns, {lacking[0]!r} first"
    return "estimated", ""
