"""What made a prediction, as Markdown: the verdict, then each thing that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.audit.provenance import OVERRIDE, ROLLBACK
from mlops_assets.core.audit.recompute import DIFFERENT, IDENTICAL
from mlops_assets.core.audit.source_rows import KEYS, LINKED
from mlops_assets.core.features.revisions import ALWAYS
from mlops_assets.core.reports import parts

if TYPE_CHECKING:
    from mlops_assets.core.audit.explain import Explanation
    from mlops_assets.core.audit.facts import Fact
    from mlops_assets.core.audit.source_rows import Behind, SourceRows

#: Rows of a source that are shown.
SHOWN_ROWS = 3
_HOW = {
    KEYS: "with the entity's keys, or linked to these by a key",
    LINKED: "with the entity's keys and those linked to these",
}


def markdown(found: Explanation) -> str:
    """Return the whole report of an explanation."""
    return "\n\n".join(
        [
            conclusion(found),
            *differences(found),
            parts.table(["", ""], summary(found)),
            "### Features as used",
            parts.table(*features(found), "llllll"),
            "### Rows of sources behind them",
            *[_behind(fact, found.behind.get(fact.view)) for fact in found.facts if fact.dataset],
            "### The row to predict",
            _request(found),
            "### The version",
            parts.table(["", ""], version(found)),
            "### Why it served",
            *placement(found),
        ]
    )


def conclusion(found: Explanation) -> str:
    """Return the verdict in a sentence or two."""
    p, again = found.prediction, found.again
    what = f"prediction {p.prediction_id} of {p.model}, version {p.version}"
    if again.status == IDENTICAL:
        said = (
            f"**Bit-identical:** {what}, comes out the same again: "
            f"{parts.plural(len(found.features), 'feature')} and {_said(found)}."
        )
        if again.in_batch is not None:
            said += (
                f" Its last bits depend on the rows that are scored with it, so it was scored "
                f"among the {parts.plural(again.in_batch, 'row')} that it was captured with."
            )
    elif again.status == DIFFERENT:
        names = [difference.name for difference in again.differences]
        said = f"**Different:** {what}, comes out otherwise in {parts.listed(names)}."
    else:
        said = f"**Cannot be made again:** {what}. {again.reason}"
    later = [name for name, rows in found.behind.items() if rows.later and rows.sufficient]
    unsure = [name for name, rows in found.behind.items() if not rows.sufficient]
    if later:
        said += f" {parts.listed(later)} used rows that were known only later than it says."
    sure = len(found.behind) - len(unsure) - len(later)
    if sure and not unsure and not later:
        said += (
            f" {parts.plural(sure, 'row')} of views behind it "
            f"{'comes' if sure == 1 else 'come'} out the same from rows of sources, all known "
            "by then."
        )
    if unsure:
        said += (
            f" The rows behind {parts.listed(unsure)} do not give the same values as they are "
            "known now; they are only bounded."
        )
    return said


def differences(found: Explanation) -> list[str]:
    """Return a table of what comes out otherwise, if anything does."""
    rows = [[d.name, _exact(d.captured), _exact(d.recomputed)] for d in found.again.differences]
    return [parts.table(["differs", "captured", "again"], rows)] if rows else []


def summary(found: Explanation) -> list[list[Any]]:
    """Return rows of name and value: the prediction itself."""
    p = found.prediction
    rows = [
        ["row", f"{p.row_key} of {found.request.source}, {p.partition_date}"],
        ["as of", f"{_time(p.as_of)}: nothing known later was used"],
        ["prediction", _said(found)],
    ]
    if p.scores is not None:
        rows.append(["scores", ", ".join(f"{n}: {_exact(v)}" for n, v in p.scores.items())])
    label = found.label
    rows.append(
        [
            "came true",
            "not known" if label.value is None else f"{label.value}, known {_time(label.known_at)}",
        ]
    )
    rows.append(["captured", f"{_time(p.predicted_at)} by run {p.run_id}"])
    return rows


def features(found: Explanation) -> tuple[list[str], list[list[Any]]]:
    """Return header and rows of a table of the features as used."""
    facts = {fact.view: fact for fact in found.facts}
    marks = {True: "same", False: "differs", None: "–"}
    rows = []
    for used in found.features:
        fact = facts.get(used.view or "")
        rows.append(
            [
                used.name,
                _exact(used.value),
                used.view,
                used.status,
                _time(fact.event_time) if fact and fact.dataset else None,
                marks[used.identical],
            ]
        )
    return ["feature", "value", "view", "status", "event time", "again"], rows


def rows_behind(fact: Fact, rows: Behind | None) -> str:
    """Return a sentence on the rows of sources behind a fact."""
    keys = ", ".join(f"{name} {value}" for name, value in fact.keys.items())
    if rows is None:
        return f"{fact.view}: no value for {keys}."
    counted = ", ".join(f"{source.n:,} of {source.source}" for source in rows.sources)
    value = f"{fact.view} ({keys}"
    if fact.event_time is not None:
        value += f", event time {_time(fact.event_time)}"
    if fact.known_at not in (None, ALWAYS):
        value += f", known {_time(fact.known_at)}"
    value += f", revision {fact.revision})" if fact.revision else ")"
    if not rows.sufficient:
        return (
            f"{value}: bounded by {counted}, all that the view may see; computed from them as they "
            "are known now, it comes out otherwise."
        )
    pinned = f"rows {_HOW[rows.how]}" if rows.how in _HOW else "all rows that the view may see"
    late = "some of them known only later" if rows.later else "all known by then"
    return f"{value}: computed again bit for bit from {counted} alone ({pinned}, {late})."


def version(found: Explanation) -> list[list[Any]]:
    """Return rows of name and value: the version, its data, code and environment."""
    made, training = found.version, found.training
    code, environment = made.code, made.environment
    libraries = environment.get("libraries", {})
    rows: list[list[Any]] = [
        ["version", f"{made.model} {made.version}, {made.estimator}"],
        ["model file", made.artifact_sha256],
        ["training set", made.training_digest],
        ["trained on", f"{made.train_start} to {made.train_end}, {made.train_rows:,} rows"],
    ]
    if training is not None:
        rows.append(["known before", f"{training.cutoff}; asked for: {training.reason}"])
    dirty = {True: ", with uncommitted changes", False: "", None: ""}[code.get("dirty")]
    rows += [
        ["code", f"commit {code.get('commit', 'unknown')}{dirty}"],
        ["environment", f"Python {environment.get('python')}, {environment.get('platform')}"],
        ["libraries", ", ".join(f"{name} {v}" for name, v in libraries.items())],
        ["lock file", environment.get("lock_sha256")],
        ["views", ", ".join(f"{name} {v[:12]}" for name, v in made.view_versions.items())],
        ["trained by", f"run {made.run_id}, {_time(made.created_at)}"],
        ["parameters", _flat(made.parameters)],
    ]
    return rows


def placement(found: Explanation) -> list[str]:
    """Return what put the version in place."""
    placed, p = found.placement, found.prediction
    event = placed.event
    if event is None:
        return [f"No move of the alias is recorded that lets version {p.version} serve that day."]
    before = "none" if event.from_version is None else f"version {event.from_version}"
    said = [
        f"Version {event.to_version} serves from {event.effective_from}, before it {before}: "
        f"moved by {event.actor} at {_time(event.recorded_at)}."
    ]
    if placed.how == ROLLBACK:
        said.append(f"A rollback: {event.reason}")
    if placed.how == OVERRIDE:
        said.append(f"Past the gate: {event.reason}")
    if placed.decision is not None:
        made = placed.decision
        which = "It had been promoted by decision" if placed.how == ROLLBACK else "Decision"
        said += [
            f"{which} {made.promotion_id}, on evaluation {made.evaluation_id} over "
            f"{made.rows:,} rows from {made.holdout_start} to before {made.holdout_end}:",
            "\n".join(f"- {reason}" for reason in made.reasons),
        ]
    if placed.serves_now is not None and placed.serves_now != p.version:
        said.append(f"Since then version {placed.serves_now} has been given that day.")
    return said


def _behind(fact: Fact, rows: Behind | None) -> str:
    sources = [] if rows is None else [_source(source) for source in rows.sources if source.n]
    return "\n\n".join([rows_behind(fact, rows), *sources])


def _source(source: SourceRows) -> str:
    shown = source.rows[:SHOWN_ROWS]
    names = list(shown[0])
    rest = f"; {source.n - len(shown):,} more" if source.n > len(shown) else ""
    files = parts.listed([f"{file.path} ({file.sha256[:12]})" for file in source.files], 3)
    table = parts.table(names, [[_exact(row[name]) for name in names] for row in shown])
    origin = f"From {files or 'no recorded file'}."
    return f"{table}\n\n{source.source}, the last of {source.n:,}{rest}. {origin}"


def _request(found: Explanation) -> str:
    request = found.request
    if not request.values:
        return f"It is no longer in raw.{request.source}."
    known = f", known {_time(request.known_at)}" if request.known_at else ""
    files = parts.listed([f"{file.path} ({file.sha256[:12]})" for file in request.files], 3)
    rows = [[name, _exact(value)] for name, value in request.values.items()]
    return (
        parts.table(["column", "value"], rows)
        + f"\n\nOf {request.source}{known}. From {files or 'no recorded file'}."
    )


def _said(found: Explanation) -> str:
    p = found.prediction
    return _exact(p.prediction) + ("" if p.score is None else f" (score {_exact(p.score)})")


def _exact(value: Any) -> str:
    """A value as text that tells it from every other: all digits of a number."""
    if isinstance(value, datetime):
        return _time(value)
    return "–" if value is None else str(value)


def _time(at: datetime | None) -> str:
    if at is None:
        return "–"
    return "always" if at == ALWAYS else at.isoformat(" ", "auto").replace(".000000", "")


def _flat(values: Mapping[str, Any]) -> str:
    """Parameters that are set to something, without those that only repeat others as text."""
    plain = {n: v for n, v in values.items() if v is not None and "(" not in str(v)}
    return ", ".join(f"{name.replace('__', '.')}={value}" for name, value in plain.items())
