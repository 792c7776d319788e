"""What features derive from, as a table for the UI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlops_assets.core.lineage.column_lineage import KINDS, Derivation
from mlops_assets.core.reports.parts import table

_TITLES = {
    "value": "values of",
    "rows": "rows decided by",
    "lookup": "looked up by",
}


def markdown(lineage: Mapping[str, Iterable[Derivation]]) -> str:
    """Return a table with a row for each column and a column for each kind of derivation."""
    reasons = sorted({d.assumed for found in lineage.values() for d in found if d.assumed})
    rows = [
        [
            column,
            *(
                ", ".join(f"{d.source}.{d.column}" for d in found if d.kind == kind) or None
                for kind in KINDS
            ),
        ]
        for column, found in lineage.items()
    ]
    said = [f"Every column of the sources is assumed: {reason}." for reason in reasons]
    return "\n\n".join([*said, table(["column", *(_TITLES[kind] for kind in KINDS)], rows)])
