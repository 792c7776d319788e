"""Challenger, champion and a simple baseline on the same unseen rows, overall and by slice.

What is measured and how sure it is belongs here; whether that is enough to serve belongs
in ``gate``. The report is plain data that goes to and from JSON, and holds everything that
the gate looks at, so that a decision can be taken again from its record.

The *baseline* predicts the same for every row: the class rates of the challenger's training
labels; their median for regression, or their mean where the primary metric is of squares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlops_assets.core.models import metrics, scoring
from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.models.scored import Scored
from mlops_assets.core.models.training import labels
from mlops_assets.core.storage.records import plain
from mlops_assets.vocabulary import METRICS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.vocabulary import Model

#: Most values of one slice column that are reported: the most frequent ones.
SLICE_VALUES = 50
SEED = 0


@dataclass(frozen=True)
class Contender:
    """A model version that takes part: its estimator and signature.

    ``features``: the holdout's rows with the features that this version is served, in the same
    order, where those are not the declared ones. ``problem``: why it cannot be given them.
    """

    version: int | None
    estimator: Any
    signature: Mapping[str, Any]
    features: pd.DataFrame | None = None
    problem: str | None = None


@dataclass(frozen=True)
class SliceResult:
    """Primary metric on the rows with one value of a slice column.

    ``difference`` is challenger minus champion, negative where the challenger is better;
    ``champion`` and ``difference`` are ``None`` where there is no champion.
    """

    slice: str
    rows: int
    challenger: Interval
    baseline: Interval
    champion: Interval | None = None
    difference: Interval | None = None


@dataclass(frozen=True)
class EvaluationReport:
    """What happened on the holdout.

    Attributes
    ----------
    challenger, champion, baseline
        Metric name to value and 95 % interval. ``champion`` is ``None`` where there is none
        or it could not score these rows, which ``champion_problem`` then explains.
    versus_champion, versus_baseline
        Challenger minus the other in the primary metric, negative where the challenger is
        better, from a paired bootstrap. The upper end is a one-sided bound of
        ``confidence``, which is the gate's.
    slices
        In the order of the declaration, the most frequent values first; a missing value is
        ``column=<missing>``.
    """

    model: str
    problem: str
    metric: str
    rows: int
    confidence: float
    challenger_version: int | None
    champion_version: int | None
    challenger: dict[str, Interval]
    baseline: dict[str, Interval]
    versus_baseline: Interval
    champion: dict[str, Interval] | None = None
    versus_champion: Interval | None = None
    champion_problem: str | None = None
    slices: list[SliceResult] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data: NaN and infinity, which JSON lacks, become None."""
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EvaluationReport:
        """Return the report of ``to_dict``; None becomes NaN again."""
        fields = dict(data)
        for name in ("challenger", "baseline", "champion"):
            if fields.get(name) is not None:
                fields[name] = {k: _interval(v) for k, v in fields[name].items()}
        for name in ("versus_baseline", "versus_champion"):
            fields[name] = _interval(fields.get(name))
        fields["slices"] = [
            SliceResult(
                slice=s["slice"],
                rows=s["rows"],
                **{
                    k: _interval(s[k]) for k in ("challenger", "baseline", "champion", "difference")
                },  # type: ignore[arg-type]
            )
            for s in fields["slices"]
        ]
        return cls(**fields)


def evaluate(
    model: Model,
    holdout: pd.DataFrame,
    challenger: Contender,
    champion: Contender | None = None,
) -> EvaluationReport:
    """Score the holdout with all contenders and compare them.

    Parameters
    ----------
    holdout
        Features and ``label``, as ``snapshots.read(path, "holdout")`` returns them.
    champion
        ``None``: there is none yet. One that cannot score these rows, because the declared
        features have changed since, is reported as such: it cannot serve either.

    Raises
    ------
    SignatureError
        If the challenger cannot score these rows.
    """
    problem, metric = model.problem, model.metric
    truth = labels(problem, holdout["label"])
    ours = _score(problem, challenger, holdout, truth)
    simple = _baseline(model, challenger.signature, truth)
    theirs = None
    champion_problem = None if champion is None else champion.problem
    if champion is not None and champion_problem is None:
        try:
            own = holdout if champion.features is None else champion.features
            theirs = _score(problem, champion, own, truth)
        except (scoring.SignatureError, scoring.ScoringError) as error:
            champion_problem = str(error)
    confidence = model.gate.confidence

    def versus(other: Scored) -> Interval:
        # A one-sided bound of confidence c is the end of a two-sided one of 2c - 1.
        return metrics.paired_difference(problem, metric, ours, other, 2 * confidence - 1, SEED)

    return EvaluationReport(
        model=model.name,
        problem=problem,
        metric=metric,
        rows=len(truth),
        confidence=confidence,
        challenger_version=challenger.version,
        champion_version=None if champion is None else champion.version,
        challenger=_intervals(problem, ours),
        baseline=_intervals(problem, simple),
        versus_baseline=versus(simple),
        champion=None if theirs is None else _intervals(problem, theirs),
        versus_champion=None if theirs is None else versus(theirs),
        champion_problem=champion_problem,
        slices=[
            _slice(model, name, ours.take(rows), simple.take(rows), theirs and theirs.take(rows))
            for name, rows in slice_rows(holdout, model.slices)
        ],
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
    model: Model, name: str, ours: Scored, simple: Scored, theirs: Scored | None
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
        else metrics.paired_difference(
            problem, metric, ours, theirs, 2 * model.gate.confidence - 1, method="t"
        ),
    )


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


def _interval(data: Mapping[str, Any] | None) -> Interval | None:
    if data is None:
        return None
    return Interval(**{k: math.nan if v is None else v for k, v in data.items()})
