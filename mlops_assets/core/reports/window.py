"""The report of a window that has closed: what to look at first, then all that was measured.

Put together from what the monitoring tables hold (``window_known``), so that it can be made again
at any time. Its first lines are in ``window_conclusion``, its parts in ``window_sections``; how a
report looks belongs in ``documents``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.documents import Document, Fact, Link
from mlops_assets.core.reports import window_sections as sections
from mlops_assets.core.reports.window_conclusion import conclusion
from mlops_assets.core.reports.window_known import Known

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.monitoring.window_rows import Window
    from mlops_assets.vocabulary import Model, UseCase


def document(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, window: Window, run_id: str
) -> Document:
    """Return the report of a window."""
    known = Known.read(con, use_case, model, window)
    severity, lines = conclusion(known)
    return Document(
        kind="monitoring",
        title=f"{model.name}, {window.opens:%d %B} to {window.closes:%d %B %Y}",
        model=model.name,
        version=window.version,
        window_start=window.opens,
        window_end=window.closes,
        severity=severity,
        conclusion=lines,
        sections=[
            sections.what_to_look_at(known),
            sections.performance(con, known),
            sections.drift(con, known),
            sections.together(known),
        ],
        links=[Link("Row of the JSON form of this report", f"{window.closes.isoformat()}.json")],
        facts=[Fact("run", run_id)],
    )
