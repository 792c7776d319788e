"""What makes a holdout worthless for a promotion, one refusal for each way.

A pure function of the gate and the evidence; how that is found out belongs in ``holdout``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlops_assets.core.promotion.verdicts import Rule

if TYPE_CHECKING:
    from mlops_assets.core.promotion.holdout import HoldoutEvidence, TrainedOn
    from mlops_assets.vocabulary import PromotionGate


def holdout_rules(
    gate: PromotionGate, evidence: HoldoutEvidence | None, *, compared: bool
) -> list[Rule]:
    """Return one refusal for each thing that is wrong with the holdout, or one pass.

    Parameters
    ----------
    evidence
        ``None``: nobody looked, which is a refusal.
    compared
        Whether the champion was scored; what it was trained on does not matter if not.
    """
    if evidence is None:
        return [
            Rule(
                "holdout",
                False,
                "Refused: the report does not say what the models were trained on, so they may "
                "have seen the holdout; evaluate again.",
            )
        ]
    contenders = [("the challenger", evidence.challenger)]
    if compared:
        if evidence.champion is None:
            return [
                Rule(
                    "holdout",
                    False,
                    "Refused: the report does not say what the champion was trained on; evaluate "
                    "again.",
                )
            ]
        contenders.append((f"champion {evidence.champion.version}", evidence.champion))
    refusals = list(_refusals(gate, evidence, contenders))
    if refusals:
        return refusals
    return [
        Rule(
            "holdout",
            True,
            f"Passed: the holdout {evidence.digest[:12]}, {evidence.start} up to and without "
            f"{evidence.end}, is later than what "
            f"{' and '.join(name for name, _ in contenders)} "
            f"{'were' if len(contenders) > 1 else 'was'} trained on and shares no row with it; "
            f"{evidence.uses} earlier versions were decided on these days.",
        )
    ]


def _refusals(
    gate: PromotionGate, evidence: HoldoutEvidence, contenders: list[tuple[str, TrainedOn]]
) -> Iterator[Rule]:
    for name, trained in contenders:
        if trained.trained_until > evidence.start:
            days = (trained.trained_until - evidence.start).days
            yield Rule(
                f"holdout later than {name}",
                False,
                f"Refused: the holdout begins on {evidence.start}, but {name} was trained on rows "
                f"up to and without {trained.trained_until}: it knows that time. Evaluate on a "
                "later holdout.",
                days,
                0,
            )
        if trained.shared_rows is None:
            yield Rule(
                f"holdout unseen by {name}",
                False,
                f"Refused: the training set {trained.training_digest[:12]} of {name} is gone, so "
                "nobody can say whether it holds rows of the holdout. Restore its file in the "
                "snapshot folder from a backup, or materialise training_set for its day, which "
                "writes the same content.",
            )
        elif trained.shared_rows:
            yield Rule(
                f"holdout unseen by {name}",
                False,
                f"Refused: {trained.shared_rows} rows that {name} was trained on are rows of the "
                f"holdout (by {evidence.identity}; {trained.example!r} is one): it knows their "
                "labels.",
                trained.shared_rows,
                0,
            )
    if evidence.repeated_rows:
        yield Rule(
            "holdout rows once",
            False,
            f"Refused: {evidence.repeated_rows} of {evidence.rows} holdout rows are there already "
            f"(by {evidence.identity}; {evidence.repeated!r} is one), and would count twice.",
            evidence.repeated_rows,
            0,
        )
    if evidence.rows_outside:
        yield Rule(
            "holdout in its days",
            False,
            f"Refused: {evidence.rows_outside} holdout rows lie outside the days from "
            f"{evidence.start} up to and without {evidence.end}, or are predicted only after "
            "them: rows of the past or of the future.",
            evidence.rows_outside,
            0,
        )
    if evidence.labels_outside:
        yield Rule(
            "holdout known",
            False,
            f"Refused: {evidence.labels_outside} holdout labels became known only when "
            f"{evidence.end} had begun, or nobody knows when: the decision would use what was "
            "not known at its cutoff.",
            evidence.labels_outside,
            0,
        )
    if evidence.other_rows:
        yield Rule(
            "holdout the same",
            False,
            f"Refused: {evidence.other_rows} rows that the champion was scored on are not those "
            "that the challenger was scored on; two holdouts cannot be compared.",
            evidence.other_rows,
            0,
        )
    most = gate.max_holdout_uses
    if most is not None and evidence.uses > most:
        yield Rule(
            "holdout uses",
            False,
            f"Refused: {evidence.uses} earlier versions were decided on holdouts that share days "
            f"with this one, at most {most} may have been: who tries often enough passes by "
            "chance. Wait for newer days.",
            evidence.uses,
            most,
        )
