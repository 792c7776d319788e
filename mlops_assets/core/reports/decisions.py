"""The retraining decision of a day and those before it, as Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlops_assets.core.reports import parts
from mlops_assets.core.retraining.retraining import DecisionRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import duckdb

    from mlops_assets.vocabulary import Model

#: Decisions that are listed below the day's own.
MOST_ROWS = 30
_SIGNS = {"retrain": "▲", "keep": "·", "blocked": "◼", "wait_for_data": "…"}


def history(
    con: duckdb.DuckDBPyConnection, model: Model, day: date, most: int = 400
) -> list[DecisionRow]:
    """Return a model's stored decisions up to a day, the latest first."""
    found = con.execute(
        "SELECT decision_id, model, partition_date, champion_version, decision, trigger, reason, "
        "evidence, guards FROM monitoring.retrain_decisions "
        "WHERE model = $model AND partition_date <= $day ORDER BY partition_date DESC LIMIT $most",
        {"model": model.name, "day": day, "most": most},
    ).fetchall()
    return [DecisionRow(*row) for row in found]


def markdown(row: DecisionRow, earlier: Sequence[DecisionRow] = ()) -> str:
    """Return the report of one decision.

    Parameters
    ----------
    earlier
        Other decisions of the model, in any order; those after the day are left out.
    """
    lines = [f"**{row.reason}**"]
    guards = json.loads(row.guards)
    if guards:
        lines.append("")
        lines += [
            f"- {'✓' if guard['passed'] else '✗'} {guard['name'].replace('_', ' ')}: "
            f"{guard['sentence']}"
            for guard in guards
        ]
    before = {
        r.partition_date: r for r in (*earlier, row) if r.partition_date <= row.partition_date
    }
    days = sorted(before, reverse=True)
    if len(days) > 1:
        counts = {name: sum(before[d].decision == name for d in days) for name in _SIGNS}
        said = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n)
        timeline = "".join(_SIGNS[before[d].decision] for d in reversed(days[:90]))
        lines += ["", f"The last {len(days)} days: {said}.", "", f"`{timeline}`", ""]
        lines.append(
            parts.table(
                ["day", "", "decision", "trigger", "version", "reason"],
                [
                    [
                        found.partition_date,
                        _SIGNS[found.decision],
                        found.decision.replace("_", " "),
                        found.trigger,
                        found.champion_version,
                        found.reason,
                    ]
                    for found in (before[d] for d in days[:MOST_ROWS])
                ],
                "llllr",
            )
        )
    return "\n".join(lines)
