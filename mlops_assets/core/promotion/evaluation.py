"""Challenger, champion and a simple baseline on the same unseen rows, overall and by slice.

What is measured and how sure it is belongs here; whether that is enough to serve belongs
in ``gate``; what a report holds is in ``evaluation_report``.

The *baseline* predicts the same for every row: the class rates of the challenger's training
labels; their median for regression, or their mean where the primary metric is of squares.

Differences are taken by the gate's ``block``: days as what is independent, or rows. Intervals of
one model's metrics are by row: no rule looks at them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models import metrics
from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.models.training import labels
from mlops_assets.core.promotion.calibration import calibration
from mlops_assets.core.promotion.differences import paired_difference
from mlops_assets.core.promotion.evaluation_report import EvaluationReport, SliceResult
from mlops_assets.core.promotion.holdout import HoldoutEvidence
from mlops_assets.core.scoring import scoring
from mlops_assets.vocabulary import METRICS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.vocabulary import Model

__all__ = ["Contender", "EvaluationReport", "SliceResult", "compare", "evaluate", "slice_rows"]

#: Most values of one slice column that are reported: the most frequent ones.
SLICE_VALUES = 50
SEED = 0
#: Times that the holdout is scored where the time is asked for: the least counts, because
#: whatever else the machine does only ever adds to it.
TIMINGS = 3


@dataclass(frozen=True)
class Contender:
    """A model version that takes part: its estimator and signature.

    ``features``: the holdout's rows with the features that this version is served, in the same
    order, where those are not the declared ones. ``problem``: why it cannot be given them.
    ``size_bytes``: of its file, ``None``: not known.
    """

    version: int | None
    estimator: Any
    signature: Mapping[str, Any]
    features: pd.DataFrame | None = None
    problem: str | None = None
    size_bytes: int | None = None


def evaluate(
    model: Model,
    holdout: pd.DataFrame,
    challenger: Contender,
    champion: Contender | None = None,
    *,
    evidence: HoldoutEvidence | None = None,
) -> EvaluationReport:
    """Score the holdout with all contenders and compare them.

    Parameters
    ----------
    holdout
        Features and ``label``, as ``snapshots.read(path, "holdout")`` returns them.
    champion
        ``None``: there is none yet. One that cannot score these rows, because the declared
        features have changed since, is reported as such: it cannot serve either.
    evidence
        Of ``holdout.inspect``; without it the gate refuses.

    Raises
    ------
    SignatureError
        If the challenger cannot score these rows.
    """
    truth = labels(model.problem, holdout["label"])
    ours, milliseconds = _timed(model, challenger, holdout, truth)
    theirs = None
    champion_problem = None if champion is None else champion.problem
    if champion is not None and champion_problem is None:
        own = holdout if champion.features is None else champion.features
        if evidence is not None:
            evidence = replace(evidence, other_rows=_other_rows(holdout, own))
        try:
            theirs = _score(model.problem, champion, own, truth)
        except (scoring.SignatureError, scoring.ScoringError) as error:
            champion_problem = str(error)
    report = compare(model, holdout, ours, _baseline(model, challenger.signature, truth), theirs)
    return replace(
        report,
        challenger_version=challenger.version,
        champion_version=None if champion is None else champion.version,
        champion_problem=champion_problem,
        holdout=evidence,
        size_bytes=challenger.size_bytes,
        milliseconds=milliseconds,
    )


def compare(
    model: Model, rows: pd.DataFrame, ours: Scored, simple: Scored, theirs: Scored | None
) -> EvaluationReport:
    """Measure challenger, baseline and champion, all scored on ``rows``, and their differences.

    Parameters
    ----------
    rows
        With the slice columns and, where the gate's ``block`` is ``day``, ``partition_date``.
    """
    problem, metric, gate = model.problem, model.metric, model.gate
    blocks = _blocks(rows) if gate.block == "day" else None
    measured = None if theirs is None else _intervals(problem, theirs)
    plain = _intervals(problem, simple)

    def versus(other: Scored, bound: float) -> Interval:
        # A one-sided bound of confidence c is the end of a two-sided one of 2c - 1.
        return paired_difference(
            problem, metric, ours, other, 2 * gate.confidence - 1, SEED,
            method="exact" if blocks is None else "t", blocks=blocks, bound=bound,
        )  # fmt: skip

    return EvaluationReport(
        model=model.name,
        problem=problem,
        metric=metric,
        rows=len(ours),
        confidence=gate.confidence,
        challenger_version=None,
        champion_version=None,
        challenger=_intervals(problem, ours),
        baseline=plain,
        versus_baseline=versus(simple, -gate.baseline_margin * abs(plain[metric].value)),
        champion=measured,
        versus_champion=None
        if theirs is None or measured is None
        else versus(theirs, gate.margin * abs(measured[metric].value)),
        slices=[
            _slice(
                model,
                name,
                ours.take(at),
                simple.take(at),
                theirs and theirs.take(at),
                None if blocks is None else blocks[at],
            )
            for name, at in slice_rows(rows, model.slices)
        ],
        block=gate.block,
        calibration=calibration(problem, ours, blocks),
    )


def slice_rows(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ``("column=value", row numbers)`` for the values of each column, frequent first."""
    import numpy as np
    import pandas as pd

    for column in columns:
        codes, values = pd.factorize(frame[column], use_na_sentinel=True)
        counts = np.bincount(codes + 1, minlength=len(values) + 1)  # [0]: missing
        names = ["<missing>", *map(str, values)]
        ranked = sorted(range(len(counts)), key=lambda i: (-counts[i], names[i]))
        for i in ranked[:SLICE_VALUES]:
            if counts[i]:
                yield f"{column}={names[i]}", np.flatnonzero(codes == i - 1)


def _slice(
    model: Model,
    name: str,
    ours: Scored,
    simple: Scored,
    theirs: Scored | None,
    blocks: np.ndarray | None,
) -> SliceResult:
    problem, metric = model.problem, model.metric
    return SliceResult(
        slice=name,
        rows=len(ours),
        challenger=metrics.interval(problem, metric, ours),
        baseline=metrics.interval(problem, metric, simple),
        champion=None if theirs is None else metrics.interval(problem, metric, theirs),
        difference=None
        if theirs is None
        else paired_difference(
            problem, metric, ours, theirs, 2 * model.gate.confidence - 1, method="t", blocks=blocks
        ),
    )


def _blocks(rows: pd.DataFrame) -> np.ndarray:
    """Number the days of the rows from 0."""
    import pandas as pd

    if "partition_date" not in rows:
        raise ValueError(
            "The rows have no partition_date, and the gate compares by day; keep the column, or "
            "declare the gate with block='row'"
        )
    return pd.factorize(rows["partition_date"])[0]


def _other_rows(holdout: pd.DataFrame, own: pd.DataFrame) -> int:
    """Count the rows of a contender's features that are not those of the holdout, in order."""
    import numpy as np

    if own is holdout or "row_key" not in holdout:
        return 0
    missing = abs(len(own) - len(holdout))
    if missing or "row_key" not in own:
        return missing or len(own)
    different = np.zeros(len(own), dtype=bool)
    for name in ("row_key", "as_of"):
        if name in own and name in holdout:
            different |= own[name].to_numpy() != holdout[name].to_numpy()
    return int(different.sum())


def _timed(
    model: Model, contender: Contender, holdout: pd.DataFrame, truth: np.ndarray
) -> tuple[Scored, float | None]:
    """Score the holdout; also return the milliseconds that 1,000 rows take, if asked for."""
    most, least, times = model.gate.max_milliseconds, math.inf, 0
    while True:
        began = time.perf_counter()
        said = _score(model.problem, contender, holdout, truth)
        least = min(least, (time.perf_counter() - began) * 1e6 / max(len(truth), 1))
        times += 1
        if most is None:
            return said, None  # so that the same evaluation gives the same report
        if least <= most or times == TIMINGS:
            return said, least


def _score(problem: str, contender: Contender, holdout: pd.DataFrame, truth: np.ndarray) -> Scored:
    signature = contender.signature
    prepared = scoring.prepare(holdout, signature)
    said = scoring.outputs(problem, contender.estimator, prepared, signature["output"]["classes"])
    return replace(said, label=truth)


def _baseline(model: Model, signature: Mapping[str, Any], truth: np.ndarray) -> Scored:
    import numpy as np

    output, n = signature["output"], len(truth)
    prior, classes = output["prior"], output["classes"]
    if model.problem == "regression":
        constant = prior["mean" if model.metric in ("rmse", "r2") else "median"]
        return Scored(truth, np.full(n, constant))
    rates = np.asarray(prior["rates"], dtype=float)
    predicted = np.full(n, classes[int(np.argmax(rates))], dtype=object)
    if model.problem == "binary":
        return Scored(truth, predicted, score=np.full(n, rates[1]), classes=classes)
    return Scored(truth, predicted, scores=np.tile(rates, (n, 1)), classes=classes)


def _intervals(problem: str, scored: Scored) -> dict[str, Interval]:
    return {
        metric: metrics.interval(problem, metric, scored)
        for metric in METRICS[problem]  # type: ignore[index]
    }
