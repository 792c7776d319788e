"""Data quality of what a replay captured: features as used, with their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from mlops_assets.core import quality
from mlops_assets.core.quality import MeasuredDay
from mlops_assets_tests.benchmarks.quality_flights import ZONE


def captured(path: Path) -> dict[str, Any]:
    """What is found in the features and labels that a replay captured, where there is one."""
    found: dict[str, Any] = {}
    if not path.exists():
        print(f"No replay in {path}: make demo, or --data FOLDER")
        return found
    with duckdb.connect(str(path), read_only=True) as con:
        for model in ("late_arrival", "arrival_delay"):
            rows = (
                f"SELECT p.*, o.label FROM capture.{model}__predictions p "
                f"LEFT JOIN capture.{model}__outcomes o USING (prediction_id)"
            )
            days = [
                day
                for (day,) in con.execute(
                    f"SELECT DISTINCT partition_date FROM ({rows}) ORDER BY 1"
                ).fetchall()
            ]
            table = quality.Table(
                dataset=f"capture.{model}__predictions",
                timezone=ZONE,
                key=("row_key",),
                event_time="as_of",
                labels=("label",) if model == "late_arrival" else (),
                leave_out=("prediction_id", "model_version", "run_id", "predicted_at"),
            )
            measured = quality.measure(con, rows, table, days)
            history = quality.assess(MeasuredDay(day, p) for day, p in measured.items())
            judged = [told for told in history if told.judged]
            pairs = sum(len(told.judgement.statuses) for told in judged)
            found[model] = {
                "table_days": len(judged),
                "finding_share": sum(len(t.judgement.findings) for t in judged) / pairs,
                "incidents": [
                    {"day": str(i.opened), "cause": i.cause, "column": i.column, "size": i.size}
                    for i in quality.incidents(table.dataset, history)
                ],
            }
            print("captured", model, found[model])
    return found
