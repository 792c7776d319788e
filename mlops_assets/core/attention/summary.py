"""``summary``: a window in at most ten lines that anyone can read, the conclusion first.

What is known comes as ``Facts``; numbers are put in words by ``wording``. Nothing is decided
here that was not decided before: what is not known is said to be so, an estimate that has not
proved itself concludes nothing, and of broken data nothing else is concluded.
"""

from __future__ import annotations

from mlops_assets.core.attention import wording
from mlops_assets.core.attention.facts import EstimateFacts, Facts, PerformanceFacts, SliceFacts
from mlops_assets.core.attention.largest import LargestError

#: Lines of a summary, at most: one for each of the parts below.
MOST_LINES = 10
_COMPARED = {
    "worse": ", worse than the reference's",
    "better": ", better than the reference's",
    "same": ", as good as the reference's",
}


def summary(facts: Facts) -> tuple[str, ...]:
    """Return up to ``MOST_LINES`` lines: conclusion, incidents, evidence, what to do next."""
    state = _state(facts)
    lines = [
        _about(facts) + wording.sentence(_conclusion(state, facts)),
        _incidents(facts),
        _performance(facts.performance),
        _estimate(facts.estimate),
        _drift_that_matters(facts),
        _other_drift(facts),
        _shared_drift(facts),
        _worst_slice(facts.worst_slice),
        _largest_error(facts.largest_error),
        "Next: " + _next(state, facts),
    ]
    return tuple(line for line in lines if line)


def _state(facts: Facts) -> str:
    """Return the most urgent thing that is known."""
    real, guess, drift = facts.performance, facts.estimate, facts.drift
    verdict = real.verdict if real is not None and wording.known(real.value) else "unknown"
    guessed = guess.verdict if guess is not None and wording.known(guess.value) else "unknown"
    trusted = guess is not None and guess.validated
    if facts.incidents:
        return "broken"
    if verdict == "worse" and real is not None:
        return "worse" if real.mature else "provisionally_worse"
    if facts.concept_drift:
        return "concept"
    if guessed == "worse" and trusted:
        return "estimated_worse"
    if guessed == "worse" and verdict == "unknown":
        return "maybe_worse"
    if drift is not None and drift.matters:
        return "drift"
    if drift is not None and drift.unknown_importance:
        return "drift_unknown"
    if facts.prediction_drift or facts.multivariate_drift or facts.label_drift:
        return "shared_drift"
    if facts.worst_slice is not None:
        return "slice"
    if verdict in ("same", "better") or (guessed in ("same", "better") and trusted):
        return "quiet"
    if real is not None and wording.known(real.value):
        return "uncompared"
    if drift is not None or facts.rows:
        return "unjudged"
    return "nothing"


def _conclusion(state: str, facts: Facts) -> str:
    drift = facts.drift
    if state == "broken":
        return (
            f"the data are broken ({wording.plural(len(facts.incidents or ()), 'incident')}); "
            "what follows may come of that."
        )
    if state == "drift":
        assert drift is not None
        n = len(drift.matters)
        return (
            f"{wording.plural(n, 'column')} that the model relies on "
            f"{'has' if n == 1 else 'have'} drifted; {_standing(facts)}."
        )
    if state == "drift_unknown":
        assert drift is not None
        n = len(drift.unknown_importance)
        return (
            f"{wording.plural(n, 'column')} {'has' if n == 1 else 'have'} drifted, and nobody "
            f"knows whether the model relies on {'it' if n == 1 else 'them'}; {_standing(facts)}."
        )
    if state == "quiet":
        looked = drift is not None
        rest = "nothing that matters has drifted" if looked else "drift was not looked at"
        return f"all quiet: {_standing(facts)}, {rest}."
    if state in ("unjudged", "uncompared"):
        quiet = drift is not None and not drift.any
        found = "no column has drifted; " if quiet else ""
        return f"{found}{_standing(facts)}."
    if state == "shared_drift":
        columns = ", though no column that matters has" if drift is not None else ""
        return f"{wording.listed(_moved(facts), 4)} have shifted{columns}; {_standing(facts)}."
    return {
        "worse": "the model is worse than on the reference.",
        "provisionally_worse": "the model looks worse than on the reference, by the labels so far.",
        "concept": "what the model has learnt no longer holds: losses have changed over time.",
        "estimated_worse": "the model is estimated to be worse; labels are still missing.",
        "maybe_worse": "the model may be worse, by an estimate that has not proved itself.",
        "slice": f"{_standing(facts)}, but there is a slice where the model is worse.",
        "nothing": "nothing is known: no predictions, no labels, no reports.",
    }[state]


def _standing(facts: Facts) -> str:
    """Return what is known of the performance, in half a sentence."""
    real, guess = facts.performance, facts.estimate
    if real is not None and wording.known(real.value) and real.verdict != "unknown":
        so_far = "" if real.mature else ", by the labels so far"
        good = {"worse": "worse than", "better": "better than", "same": "as good as"}
        return f"performance is {good[real.verdict]} on the reference{so_far}"
    if guess is not None and wording.known(guess.value) and guess.validated:
        if guess.verdict == "same":
            return "performance is estimated to be as good as on the reference"
        if guess.verdict == "better":
            return "performance is estimated to be better than on the reference"
    if real is not None and wording.known(real.value):
        return "performance is measured, with nothing to compare it with"
    return "performance is not known yet"


def _incidents(facts: Facts) -> str:
    found = facts.incidents
    if not found:
        return ""
    return f"Data quality: {wording.listed(found)}."


def _performance(real: PerformanceFacts | None) -> str:
    if real is None:
        return ""
    name = wording.metric(real.metric)
    if not wording.known(real.value):
        return f"Performance: no {name} yet{_labelled(real, ' (', ')')}."
    assert real.value is not None
    kind = "mature" if real.mature else "provisional"
    return (
        f"Performance ({kind}): {name} {wording.amount(real.value, real.unit)}"
        f"{wording.interval(real.value, real.low, real.high)}"
        f"{_reference(real)}{_labelled(real, '; ')}."
    )


def _estimate(guess: EstimateFacts | None) -> str:
    if guess is None:
        return ""
    name = wording.metric(guess.metric)
    why = f": {wording.short(guess.reason)}" if guess.reason else ""
    if not wording.known(guess.value):
        return f"Without labels: {name} cannot be estimated{why}."
    assert guess.value is not None
    trust = (
        "the estimator has proved itself on matured windows"
        if guess.validated
        else f"not validated, so that nothing follows from it{why}"
    )
    return (
        f"Without labels: {name} estimated at {wording.amount(guess.value, guess.unit)}"
        f"{wording.interval(guess.value, guess.low, guess.high)}{_reference(guess)}; {trust}."
    )


def _reference(found: PerformanceFacts | EstimateFacts) -> str:
    if not wording.known(found.reference):
        return ", nothing to compare with"
    assert found.reference is not None
    assert found.value is not None
    compared = _COMPARED.get(found.verdict, ", beside the reference's")
    return f"{compared} {wording.number(found.reference, found.value)}"


def _labelled(real: PerformanceFacts, before: str, after: str = "") -> str:
    said = []
    if real.rows is not None:
        said.append(wording.plural(real.rows, "labelled row"))
    if real.labelled is not None and wording.known(real.labelled):
        said.append(f"{wording.percent(real.labelled)} of the labels known")
    return before + ", ".join(said) + after if said else ""


def _drift_that_matters(facts: Facts) -> str:
    drift = facts.drift
    if drift is None:
        return ""
    if drift.matters:
        return f"Drifted, and matters to the model: {wording.listed(drift.matters)}."
    if drift.any:
        return ""
    if not drift.compared:
        return "Drift: no column could be compared."
    n = drift.compared
    return f"Drift: none in {wording.plural(n, 'column')}."


def _other_drift(facts: Facts) -> str:
    drift, said = facts.drift, []
    if drift is not None and drift.unimportant:
        said.append(f"Drifted, but hardly used by the model: {wording.listed(drift.unimportant)}.")
    if drift is not None and drift.unknown_importance:
        said.append(f"Drifted, importance not known: {wording.listed(drift.unknown_importance)}.")
    return " ".join(said)


def _moved(facts: Facts) -> list[str]:
    """Return what is not a column, and has changed."""
    told = [
        (facts.prediction_drift, "the predictions"),
        (facts.label_drift, "the labels"),
        (facts.multivariate_drift, "the columns taken together"),
        (facts.concept_drift, "the relation of features to label"),
    ]
    return [what for alarm, what in told if alarm]


def _shared_drift(facts: Facts) -> str:
    moved = _moved(facts)
    return f"Also changed: {wording.listed(moved, 4)}." if moved else ""


def _worst_slice(found: SliceFacts | None) -> str:
    if found is None:
        return ""
    explained = (
        f"; {wording.percent(found.explained)} of all loss comes of that"
        if found.explained is not None and wording.known(found.explained)
        else ""
    )
    return (
        f"Worst slice: {wording.short(found.text)} ({wording.percent(found.share)} of the rows), "
        f"loss higher by {wording.amount(found.excess, found.unit)}"
        f"{wording.interval(found.excess, found.low, found.high)}{explained}."
    )


def _largest_error(found: LargestError | None) -> str:
    if found is None:
        return ""
    return (
        f"Largest error: predicted {wording.value(found.prediction)}, came out "
        f"{wording.value(found.truth)}: {found.command}"
    )


def _next(state: str, facts: Facts) -> str:
    first = ""
    if facts.drift is not None:
        names = facts.drift.matters or facts.drift.unknown_importance or facts.drift.unimportant
        first = wording.short(names[0]) if names else ""
    if state == "worse":
        where = (
            "look at the worst slice" if facts.worst_slice is not None
            else f"look at {first}" if first
            else "look at the largest errors"
        )  # fmt: skip
        return f"{where}, and retrain; the gate decides whether the new version is better."
    real = facts.performance
    if state == "provisionally_worse":
        share = real.labelled if real is not None else None
        so_far = f" ({wording.percent(share)} are known)" if share is not None else ""
        return f"wait for the labels to come{so_far} before anything is retrained."
    if state == "drift":
        holds = real is not None and real.verdict in ("same", "better")
        after = "performance holds without retraining so far" if holds else "labels will tell more"
        return f"look at {first} now against the reference; {after}."
    return {
        "broken": "mend the data and run the window again; do not retrain on it.",
        "concept": "retrain on rows since the change; older ones teach what no longer holds.",
        "estimated_worse": "get labels for these rows, and retrain once there are enough.",
        "maybe_worse": "wait for labels; nothing is triggered by this estimate.",
        "drift_unknown": f"measure importance, then look at {first}.",
        "shared_drift": "compare the predictions with the reference's; labels will tell.",
        "slice": "look at the rows of that slice.",
        "quiet": "nothing to do.",
        "unjudged": "wait for labels.",
        "uncompared": "see what this version reached on its holdout.",
        "nothing": "see whether the window's predictions were made, and whether labels land.",
    }[state]


def _about(facts: Facts) -> str:
    """Return what it is about, ready for the conclusion."""
    parts = [wording.short(part) for part in (facts.model, facts.window) if part]
    if facts.rows is not None:
        parts.append(wording.plural(facts.rows, "prediction"))
    return f"{', '.join(parts)}: " if parts else ""
