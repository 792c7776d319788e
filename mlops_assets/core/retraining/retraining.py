"""Whether a model should be trained again: a pure decision on gathered evidence.

Every model has one decision for every day, also "keep", with the trigger, the evidence and
the guards it rests on, and a sentence for people. Here: the triggers, as pure functions, and the
days in order. The guards are in ``guards``, reading the evidence belongs in ``gathering``;
training and the promotion gate come after.

Triggers, the first that fires counts: no champion yet, realised performance, drift that
matters, stale training data. Guards then let it pass, block it, or wait: broken data must
not be learnt (an incident, not a retrain), attempts need time between them, and training
again without new labels cannot help.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from mlops_assets.core.monitoring.monitoring import replace_days
from mlops_assets.core.retraining.evidence import Evidence, canonical_json
from mlops_assets.core.retraining.gathering import Gathered, gather
from mlops_assets.core.retraining.guards import GUARDS, Guard
from mlops_assets.core.storage.days import days

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.vocabulary import Model, RetrainPolicy, UseCase

__all__ = [
    "BLOCKED",
    "KEEP",
    "RETRAIN",
    "WAIT",
    "DecisionRow",
    "Evidence",
    "Guard",
    "RetrainDecision",
    "decide",
    "decide_range",
    "decision_id",
    "gather",
    "write_range",
]

RETRAIN, KEEP, BLOCKED, WAIT = "retrain", "keep", "blocked", "wait_for_data"


@dataclass(frozen=True)
class RetrainDecision:
    """What to do, and why."""

    decision: str
    trigger: str | None
    reason: str
    evidence: Evidence
    guards: tuple[Guard, ...] = field(default=())

    def guards_json(self) -> str:
        """Return the guards as JSON."""
        return canonical_json([asdict(guard) for guard in self.guards])


def decide(policy: RetrainPolicy, evidence: Evidence) -> RetrainDecision:
    """Decide one day."""
    if evidence.champion is None and evidence.data_days < evidence.needed_days:
        return RetrainDecision(
            WAIT,
            "first_model",
            f"Waiting: there are {_days(evidence.data_days)} of data and the first training needs "
            f"{evidence.needed_days}.",
            evidence,
        )
    for name, trigger in TRIGGERS:
        why = trigger(policy, evidence)
        if why is not None:
            guards = tuple(guard(policy, evidence) for guard in GUARDS)
            refused = [guard for guard in guards if not guard.passed]
            if not refused:
                return RetrainDecision(RETRAIN, name, f"Retrain: {why}.", evidence, guards)
            waits = all(guard.name == "new_labels" for guard in refused)
            but = "; ".join(guard.sentence for guard in refused)
            return RetrainDecision(
                WAIT if waits else BLOCKED,
                name,
                f"{'Waiting' if waits else 'Blocked'}: {why}, but {but}.",
                evidence,
                guards,
            )
    return RetrainDecision(KEEP, None, _keep(policy, evidence), evidence)


@dataclass(frozen=True)
class DecisionRow:
    """A row of ``monitoring.retrain_decisions``."""

    decision_id: str
    model: str
    partition_date: date
    champion_version: int | None
    decision: str
    trigger: str | None
    reason: str
    evidence: str
    guards: str


def decision_id(use_case: str, model: str, day: date) -> str:
    """Return the id of a day's decision: one retraining run is made for each."""
    text = "\x1f".join([use_case, model, day.isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def decide_range(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    quality: Callable[[date], str | None] | None = None,
) -> list[DecisionRow]:
    """Decide every day from ``start`` to before ``end``, each knowing the days before it.

    The drift reports of these days must have been written.

    Parameters
    ----------
    quality
        Returns what is wrong with a day's data, or ``None``.
    """
    gathered = Gathered.load(con, use_case, model, start, end)
    rows = []
    for day in days(start, end):
        evidence = gathered.evidence(day, quality(day) if quality else None)
        decided = decide(model.retrain, evidence)
        if decided.decision == RETRAIN:
            gathered.attempts.append(day)
        rows.append(
            DecisionRow(
                decision_id=decision_id(use_case.name, model.name, day),
                model=model.name,
                partition_date=day,
                champion_version=evidence.champion,
                decision=decided.decision,
                trigger=decided.trigger,
                reason=decided.reason,
                evidence=evidence.to_json(),
                guards=decided.guards_json(),
            )
        )
    return rows


def write_range(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    start: date,
    end: date,
    rows: Sequence[DecisionRow],
) -> int:
    """Replace the stored decisions of these days, in the caller's transaction."""
    dataset = "monitoring.retrain_decisions"
    return replace_days(con, dataset, "partition_date", model.name, start, end, rows)


# --- triggers: a reason to train, or None -----------------------------------------------------


def first_model(policy: RetrainPolicy, evidence: Evidence) -> str | None:
    """There is no champion yet, and enough data for one."""
    if evidence.champion is not None:
        return None
    return (
        f"there is no champion yet, and {_days(evidence.data_days)} of data "
        f"({evidence.needed_days} are needed)"
    )


def performance(policy: RetrainPolicy, evidence: Evidence) -> str | None:
    """The champion is worse than on its holdout by more than is allowed, beyond chance."""
    realised = evidence.realised
    if realised is None or realised.worse_at_least is None or realised.worse is None:
        return None
    if realised.worse_at_least <= policy.performance_drop:
        return None
    return (
        f"{realised.metric} of version {evidence.champion} from {realised.first} to "
        f"{realised.last} is {realised.value:.4g}, {_percent(realised.worse)} worse than on its "
        f"holdout (at least {_percent(realised.worse_at_least)}; the limit is "
        f"{_percent(policy.performance_drop)})"
    )


def drift(policy: RetrainPolicy, evidence: Evidence) -> str | None:
    """What the model relies on, or what it says, has drifted in several reports in a row."""
    latest = evidence.drift[-evidence.drift_windows :]
    if len(latest) < evidence.drift_windows:
        return None
    if not all(report.prediction or report.share >= policy.drift_share for report in latest):
        return None
    last = latest[-1]
    moved = f"features with {_percent(last.share)} of the importance have drifted"
    if last.prediction:
        moved = f"the predictions have drifted, and {moved}"
    shown = f" ({', '.join(last.columns[:3])})" if last.columns else ""
    return f"{moved}{shown}, {_reports(len(latest))}"


def staleness(policy: RetrainPolicy, evidence: Evidence) -> str | None:
    """The training data are old."""
    if evidence.data_age is None or evidence.data_age < policy.max_age:
        return None
    return (
        f"version {evidence.champion} has seen nothing of the last "
        f"{_days(evidence.data_age.days)} (the limit is {_days(policy.max_age.days)})"
    )


TRIGGERS: Sequence[tuple[str, Callable[[RetrainPolicy, Evidence], str | None]]] = (
    ("first_model", first_model),
    ("performance", performance),
    ("drift", drift),
    ("staleness", staleness),
)


# --- words ------------------------------------------------------------------------------------


def _keep(policy: RetrainPolicy, evidence: Evidence) -> str:
    realised, parts = evidence.realised, []
    if realised is None or realised.value is None:
        parts.append("none of its predictions has matured yet")
    elif realised.worse is None:
        parts.append(f"{realised.metric} is {realised.value:.4g}, with nothing to compare it to")
    else:
        how = "worse" if realised.worse >= 0 else "better"
        parts.append(
            f"{realised.metric} is {realised.value:.4g}, {_percent(abs(realised.worse))} {how} "
            "than on its holdout"
        )
    if evidence.drift:
        last = evidence.drift[-1]
        said = "its predictions and " if last.prediction else ""
        parts.append(f"{said}{_percent(last.share)} of its features' importance have drifted")
    if evidence.data_age is not None:
        parts.append(f"its data are {_days(evidence.data_age.days)} old")
    return f"Kept version {evidence.champion}: {', '.join(parts)}."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _days(n: int) -> str:
    return f"{n} day" if n == 1 else f"{n} days"


def _reports(n: int) -> str:
    return "in the last report" if n == 1 else f"in {n} reports in a row"
