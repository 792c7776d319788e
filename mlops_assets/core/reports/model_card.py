"""The card of a model version: what it is for, what it can do, and what it cannot.

In the manner of Mitchell et al., Model Cards for Model Reporting (FAT* 2019), made of what is
declared and recorded, so that nothing in it has to be kept up by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops_assets.core.documents import picture
from mlops_assets.core.features.feature_views import feature_names
from mlops_assets.core.promotion.calibration import ALL
from mlops_assets.core.reports import calibration_plot, parts
from mlops_assets.core.reports.evaluation import evaluation_markdown
from mlops_assets.core.storage import contracts
from mlops_assets.vocabulary import HIGHER_IS_BETTER, OnDemandFeatures

if TYPE_CHECKING:
    from mlops_assets.core.audit.version_record import VersionRecord
    from mlops_assets.core.promotion.evaluation_report import EvaluationReport
    from mlops_assets.vocabulary import Model, UseCase

#: Ten intervals hold together with 95 % if each holds with 99.5 % (Bonferroni): they are so much
#: wider than those of 95 %, the normal quantiles being 2.81 and 1.96.
WIDER = 1.43


def markdown(
    use_case: UseCase, model: Model, record: VersionRecord, *, pictures: bool = True
) -> str:
    """Return the card of a version.

    Parameters
    ----------
    pictures
        Whether to show the calibration plot, which is unreadable in a terminal.
    """
    report = None if record.evaluation is None else record.evaluation.report
    sections = [
        _conclusion(model, record, report),
        "### Purpose",
        parts.table(["", ""], _purpose(model)),
        "### Data",
        parts.table(["", ""], _data(model, record)),
        "### Performance",
        _performance(model, record, report),
    ]
    if pictures and report is not None and len(report.calibration) > 1:
        sections.append(picture(calibration_plot.figure(model, report.calibration)))
    sections += [
        "### Features",
        "Importance is the share of the loss that shuffling a feature adds; features that say "
        "the same share what they matter.",
        _features(use_case, record),
        "### Limits",
        "\n".join(f"- {limit}" for limit in _limits(model, record, report)),
        "### Lineage, code and environment",
        parts.table(["", ""], _lineage(use_case, record)),
    ]
    return "\n\n".join(sections)


def _conclusion(model: Model, record: VersionRecord, report: EvaluationReport | None) -> str:
    what = f"Version {record.version.version} of {model.name}"
    if record.serves:
        state = f"serves, from {record.served[-1].effective_from}"
    elif record.served:
        state = f"served from {record.served[0].effective_from}, and does not any more"
    elif record.promotion is None:
        state = "has not been judged yet"
    else:
        state = "was refused by the gate"
    if report is None:
        return f"**{what} {state}.** It has not been evaluated on unseen rows."
    own = report.challenger[report.metric]
    return (
        f"**{what} {state}:** {report.metric} {parts.number(own.value)} "
        f"({parts.between(own.low, own.high)}) on {parts.plural(report.rows, 'unseen row')}."
    )


def _purpose(model: Model) -> list[list[Any]]:
    label = model.label
    return [
        ["question", model.description or None],
        ["predicts", f"{label.name} ({model.problem}): {label.description or label.expression}"],
        ["for", f"rows of {model.rows.source}"],
        ["when", f"at {model.rows.as_of} (UTC), from what is known then"],
        ["owner", model.owner],
    ]


def _data(model: Model, record: VersionRecord) -> list[list[Any]]:
    version, training = record.version, record.training
    prior = version.signature["output"]["prior"]
    classes = version.signature["output"]["classes"]
    if classes is not None:
        pairs = zip(classes, prior["rates"], strict=True)
        label = ", ".join(f"{name}: {parts.percent(rate)}" for name, rate in pairs)
    else:
        label = f"median {parts.number(prior['median'])}, mean {parts.number(prior['mean'])}"
    rows: list[list[Any]] = [
        ["trained on", f"{version.train_start} to before {version.train_end}"],
        ["rows", f"{version.train_rows:,}, with a label that was known before {version.train_end}"],
        [f"{model.label.name} in them", label],
        ["training set", version.training_digest],
    ]
    if training is not None:
        rows += [
            [
                "held out",
                f"{training.train_end} to before {training.holdout_end}, "
                f"{training.holdout_rows:,} rows",
            ],
            ["asked for", training.reason],
        ]
    return rows


def _performance(model: Model, record: VersionRecord, report: EvaluationReport | None) -> str:
    if report is not None:
        return evaluation_markdown(model, report)
    return "On rows that it was trained on, which flatters it:\n\n" + parts.table(
        ["metric", "value"], [[name, value] for name, value in record.version.metrics.items()], "lr"
    )


def _features(use_case: UseCase, record: VersionRecord) -> str:
    meanings = _meanings(use_case)
    inputs = {str(column["name"]): column for column in record.version.signature["inputs"]}
    importance = record.version.importance
    most = max(importance.values(), default=0.0)
    rows = []
    for name in sorted(inputs, key=lambda n: -importance.get(n, 0.0)):
        view, meaning, unit = meanings.get(name, (None, "not declared any more", None))
        share = importance.get(name)
        rows.append(
            [
                name,
                parts.percent(share),
                parts.bar(share, most),
                meaning,
                unit,
                view,
                inputs[name]["type"],
                "yes" if inputs[name].get("nullable") else "no",
            ]
        )
    header = ["feature", "importance", "", "meaning", "unit", "view", "type", "had missing"]
    return parts.table(header, rows, "lrllllll")


def _meanings(use_case: UseCase) -> dict[str, tuple[str, str, str | None]]:
    """Return view, meaning and unit of every declared feature."""
    found: dict[str, tuple[str, str, str | None]] = {}
    for view in use_case.views:
        if isinstance(view, OnDemandFeatures):
            about = {name: (view.descriptions.get(name, ""), None) for name in feature_names(view)}
        else:
            specs = contracts.columns(contracts.schema_of(view))
            about = {spec.name: (spec.description, spec.unit) for spec in specs}
        for name, (meaning, unit) in about.items():
            found.setdefault(name, (view.name, meaning, unit))
    return found


def _limits(model: Model, record: VersionRecord, report: EvaluationReport | None) -> list[str]:
    version = record.version
    days = (version.train_end - version.train_start).days
    limits = [
        f"It has seen {parts.plural(days, 'day')}, {version.train_start} to before "
        f"{version.train_end}: what happens at other times of the year or since then, it does "
        "not know.",
        f"Rows without {model.label.name} were left out of training and evaluation; of what "
        "becomes of such rows it says nothing.",
    ]
    categories = [c["name"] for c in version.signature["inputs"] if c["type"] == "category"]
    if categories:
        limits.append(
            f"Of values of {parts.listed(categories)} that did not occur in training it has "
            "learnt nothing."
        )
    if report is None:
        return [*limits, "How good it is on rows that it has not seen is not known."]
    least = model.gate.min_slice_rows
    small = [s.slice for s in report.slices if s.rows < least]
    if small:
        limits.append(f"Too few rows (below {least}) to judge it on {parts.listed(small, 10)}.")
    sign = -1 if report.metric in HIGHER_IS_BETTER else 1
    no_better = [
        s.slice
        for s in report.slices
        if s.rows >= least and sign * s.challenger.value >= sign * s.baseline.value
    ]
    if no_better:
        limits.append(f"No better than always saying the same on {parts.listed(no_better, 10)}.")
    for word, off in (("high", _off(report, 1)), ("low", _off(report, -1))):
        if off:
            limits.append(
                f"Its predictions are surely too {word} in {parts.plural(len(off), 'tenth')} of "
                f"them ({parts.listed(off, 10)}, 1 being the lowest predictions)."
            )
    if record.promotion is not None and not record.promotion.promoted:
        limits.append("The gate refused it: " + " ".join(record.promotion.reasons))
    return limits


def _off(report: EvaluationReport, sign: int) -> list[str]:
    """Tenths whose gap between prediction and outcome is surely of that sign."""
    return [
        part.part
        for part in report.calibration
        if part.part != ALL and sign * part.gap.value > WIDER * (part.gap.high - part.gap.low) / 2
    ]


def _lineage(use_case: UseCase, record: VersionRecord) -> list[list[Any]]:
    version = record.version
    code, environment = version.code, version.environment
    dirty = {True: ", with uncommitted changes", False: "", None: ""}[code.get("dirty")]
    views = ", ".join(f"{name} {v[:12]}" for name, v in version.view_versions.items())
    libraries = environment.get("libraries", {})
    return [
        ["sources", parts.listed(_sources(use_case, record), 20)],
        ["views", views],
        ["trained beside", f"version {version.parent_version}" if version.parent_version else None],
        ["retrain decision", version.decision_id],
        ["promotion decision", record.promotion.promotion_id if record.promotion else None],
        ["evaluation", record.evaluation.evaluation_id if record.evaluation else None],
        ["estimator", version.estimator],
        ["model file", f"{version.artifact_sha256}, {version.size_bytes:,} bytes"],
        ["code", f"commit {code.get('commit', 'unknown')}{dirty}, {code.get('package')}"],
        ["lock file", environment.get("lock_sha256")],
        ["environment", f"Python {environment.get('python')}, {environment.get('platform')}"],
        ["libraries", ", ".join(f"{name} {v}" for name, v in libraries.items())],
        ["made by", f"run {version.run_id}, {version.created_at:%Y-%m-%d %H:%M} UTC"],
        ["fitted in", f"{version.fit_seconds:.1f} s"],
    ]


def _sources(use_case: UseCase, record: VersionRecord) -> Sequence[str]:
    declared = {view.name: view for view in use_case.feature_views}
    model = use_case.model(record.version.model)
    names = [model.rows.source, model.label.source]
    for name in record.version.view_versions:
        names += declared[name].sources if name in declared else []
    return list(dict.fromkeys(names))
