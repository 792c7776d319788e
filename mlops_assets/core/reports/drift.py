"""The drift report of a day, as Markdown and as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.monitoring.training_profile import TrainingProfile
from mlops_assets.core.reports import parts
from mlops_assets.core.serving.captured import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import duckdb

    from mlops_assets.core.documents import Figure
    from mlops_assets.core.monitoring.drift_rows import DriftRow
    from mlops_assets.vocabulary import Model

#: Columns that are listed one by one; the rest is counted.
MOST_ROWS = 15
MOST_PLOTS = 3
METHOD_NAMES = {
    "wasserstein_normalised": "standard deviations",
    "jensen_shannon": "Jensen-Shannon",
    "psi": "PSI",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
    "none": "",
}
WHY_NOT = {
    "constant": "constant",
    "too_few": "too few rows to judge",
    "no_rows_reference": "no training rows",
    "no_rows_current": "no rows",
    "no_values_reference": "no values in training",
    "no_values_current": "no values",
    "no_column_current": "not captured",
    "kind_changed": "of another type than in training",
    "unsupported": "of a type that is not compared",
    "undefined": "not defined",
}


def markdown(model: Model, day: date, rows: Sequence[DriftRow]) -> str:
    """Return the report of one day.

    Parameters
    ----------
    rows
        Of that day; none where no version served.
    """
    if not rows:
        return f"**No champion served on {day}:** there is nothing to compare."
    rows = [row for row in rows if row.decides and row.slice == ALL]
    first = rows[0]
    features = [row for row in rows if row.role == "feature"]
    drifted = ranked([row for row in features if row.drifted])
    seen = max((row.n_current for row in rows if row.role != "label"), default=0)
    window = f"the {parts.plural(model.drift.window, 'day')} to {day}"
    if not seen:
        return f"**Nothing was predicted in {window}:** there is nothing to compare."
    if drifted:
        names = parts.listed([row.column_name for row in drifted])
        conclusion = f"**{len(drifted)} of {parts.plural(len(features), 'feature')} drifted:** "
        conclusion += f"{names}, in {window}."
    else:
        conclusion = f"**No feature has drifted** of {len(features)} in {window}."
    lines = [conclusion, ""]
    lines.append(
        f"Version {first.version}'s training data ({first.n_reference:,} rows profiled) against "
        f"{seen:,} captured predictions; {_others(rows)}."
    )
    judged = [row for row in rows if row.status == "ok"]
    if not judged:
        lines.append("No column has enough rows to be judged.")
    shown = ranked(list(rows))[:MOST_ROWS]
    lines += ["", _table(shown)]
    if len(rows) > len(shown):
        lines.append(f"\n{len(rows) - len(shown)} more columns have smaller shifts.")
    lines.append(
        "\nA column has drifted when its shift matters (its limit), is larger than chance allows "
        f"over all columns (adjusted p below {model.drift.alpha:g})"
        + (
            ", and is larger than in any of the training data's own windows (usual)."
            if model.drift.beyond_training
            else "."
        )
    )
    return "\n".join(lines)


def ranked(rows: Sequence[DriftRow]) -> list[DriftRow]:
    """Order columns by what to look at first: drifted ones by shift times importance."""

    def key(row: DriftRow) -> tuple[bool, float, float, str]:
        weight = 1.0 if row.importance is None else row.importance
        value = row.value or 0.0
        return (not row.drifted, -value * weight if row.drifted else 0.0, -value, row.column_name)

    return sorted(rows, key=key)


def distributions(
    con: duckdb.DuckDBPyConnection, model: Model, rows: Sequence[DriftRow]
) -> list[Figure]:
    """Draw columns' distributions, training data against the window of the rows.

    Parameters
    ----------
    rows
        Of one window of one version, in the order in which columns are drawn.
    """
    from mlops_assets.core import registry
    from mlops_assets.core.documents import histograms
    from mlops_assets.core.monitoring import drift
    from mlops_assets.core.monitoring.histograms import histogram

    if not rows:
        return []
    version, opens, closes = rows[0].version, rows[0].window_start, rows[0].window_end
    profile = TrainingProfile.from_json(registry.training_profile(con, model.name, version))
    seen = drift.Seen.load(con, model, version, profile, opens, closes)
    figures = []
    for row in rows:
        now = seen.between(opens, closes, labels=row.role == "label")
        if row.column_name not in now:
            continue
        made = histogram(profile.columns.columns[row.column_name], now[row.column_name])
        if made is not None:
            figures.append(
                histograms(
                    made.reference,
                    made.current,
                    made.bins,
                    name=row.column_name,
                    missing=made.missing,
                )
            )
    return figures


def plot(con: duckdb.DuckDBPyConnection, model: Model, day: date) -> str | None:
    """Return Markdown with the most shifted columns' distributions; ``None``: nothing to show.

    Reads the stored report of the day, of the version that served it.
    """
    from mlops_assets.core import registry
    from mlops_assets.core.documents import picture
    from mlops_assets.core.monitoring import drift, drift_rows

    version = registry.champion_for(con, model.name, day)
    rows = [
        row
        for row in drift_rows.read(con, model, day, day, slice=ALL, reference=drift.TRAINING)
        if row.version == version and row.status in ("ok", "constant_reference")
    ]
    chosen = ranked([row for row in rows if row.drifted])[:MOST_PLOTS] or ranked(rows)[:1]
    drawn = distributions(con, model, chosen)
    return "\n\n".join(map(picture, drawn)) or None


def _others(rows: Sequence[DriftRow]) -> str:
    said = []
    for role, name in (("prediction", "the predictions"), ("label", "the labels")):
        found = [row for row in rows if row.role == role]
        if not found:
            said.append(f"{name} are not compared")
        elif found[0].status != "ok":
            said.append(f"{name}: {WHY_NOT[found[0].status]}")
        else:
            said.append(f"{name} {'have' if found[0].drifted else 'have not'} drifted")
    return ", ".join(said)


def _table(rows: Sequence[DriftRow]) -> str:
    full = max([2 * (row.threshold or 0.1) for row in rows])
    return parts.table(
        [
            *("column", "role", "shift", "", "by", "limit", "usual", "by chance"),
            *("adjusted p", "importance", ""),
        ],
        [
            [
                row.column_name,
                row.role,
                row.value,
                parts.bar(row.value, full),
                METHOD_NAMES.get(row.method, row.method),
                row.threshold,
                row.usual,
                row.null_quantile,
                row.adjusted_p,
                parts.percent(row.importance),
                "**drifted**" if row.drifted else WHY_NOT.get(row.status, ""),
            ]
            for row in rows
        ],
        "llrllrrrrrl",
    )
