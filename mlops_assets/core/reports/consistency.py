"""Whether captured features are what they should be, on one day, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.features.consistency import COMPARED, GONE, NOT_RECOMPUTABLE
from mlops_assets.core.reports import parts
from mlops_assets.core.storage import contracts
from mlops_assets.vocabulary import OnDemandFeatures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from mlops_assets.core.features.consistency import ConsistencyRow
    from mlops_assets.vocabulary import FeatureView, Model, UseCase


def markdown(
    use_case: UseCase,
    model: Model,
    day: date,
    rows: Sequence[ConsistencyRow],
    reasons: Mapping[int, str],
    *,
    documented: bool = False,
) -> str:
    """Return the report of one day.

    Parameters
    ----------
    rows
        Of that day; none where nothing was predicted.
    reasons
        Why the features of a version could not be computed again, by version.
    documented
        Whether to list all features of the model with what they mean.
    """
    lines = [_conclusion(day, rows)]
    wrong = [row for row in rows if row.mismatches]
    if wrong:
        lines.append(_mismatches(wrong))
    for version in dict.fromkeys(row.version for row in rows if row.status == NOT_RECOMPUTABLE):
        lines.append(f"Version {version}: {reasons.get(version, 'reason not kept')}")
    gone = {row.version: row.gone for row in rows if row.gone}
    if gone:
        lines.append(
            f"Of {parts.plural(sum(gone.values()), 'sampled prediction')} the row is no longer "
            f"there, or is of another moment: see raw.{model.rows.source} and its history."
        )
    if documented:
        lines.append(_documentation(use_case, model, rows))
    return "\n\n".join(lines)


def _conclusion(day: date, rows: Sequence[ConsistencyRow]) -> str:
    if not rows:
        return f"**Nothing was predicted on {day}:** there is nothing to compare."
    wrong = {row.feature for row in rows if row.mismatches}
    features = {row.feature for row in rows}
    by_version = {row.version: row for row in rows}
    compared = sum(row.compared for row in by_version.values())
    of = f"of {parts.plural(compared, 'sampled prediction')} on {day}"
    if wrong:
        return f"**{len(wrong)} of {parts.plural(len(features), 'feature')} differ** {of}."
    status = {row.status for row in rows}
    if status == {COMPARED}:
        return f"**All {len(features)} features are what they should be** {of}."
    if NOT_RECOMPUTABLE in status:
        return f"**Not all features can be computed again** {of}; those that can are right."
    assert GONE in status
    return f"**No feature differs** {of}."


def _mismatches(wrong: Sequence[ConsistencyRow]) -> str:
    return parts.table(
        ["feature", "view", "version", "differ", "rate", "for example", "captured", "again"],
        [
            [
                row.feature,
                row.view,
                row.version,
                f"{row.mismatches} of {row.compared}",
                parts.percent(row.rate),
                row.prediction_id,
                row.captured,
                row.recomputed,
            ]
            for row in sorted(wrong, key=lambda row: -row.mismatches)
        ],
        "llrrrlll",
    )


def _documentation(use_case: UseCase, model: Model, rows: Sequence[ConsistencyRow]) -> str:
    """Return a table of the model's declared features: view, meaning, unit, owner."""
    found: dict[str, list[ConsistencyRow]] = {}
    for row in rows:
        found.setdefault(row.feature, []).append(row)
    cells = []
    for reference in model.features:
        name, _, wanted = reference.partition(".")
        view = use_case.view(name)
        for feature, meaning, unit in _meanings(view):
            if wanted and feature != wanted:
                continue
            measured = found.get(feature, [])
            cells.append(
                [
                    feature,
                    name,
                    meaning,
                    unit,
                    view.owner,
                    f"{sum(row.mismatches for row in measured)} of "
                    f"{sum(row.compared for row in measured)}",
                ]
            )
    return parts.table(["feature", "view", "meaning", "unit", "owner", "differ"], cells, "lllllr")


def _meanings(view: FeatureView | OnDemandFeatures) -> list[tuple[str, str, str | None]]:
    """Return feature, description and unit of each of a view's features."""
    if isinstance(view, OnDemandFeatures):
        return [(name, view.descriptions.get(name, ""), None) for name in view.features]
    return [
        (spec.name, spec.description, spec.unit)
        for spec in contracts.columns(contracts.schema_of(view))
    ]
