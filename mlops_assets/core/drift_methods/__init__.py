"""How far columns have moved, what chance alone would give, and which have drifted.

``compare`` is the way in; ``profile`` keeps a reference without its rows. What a model's drift
report is about, which window and which version, belongs in ``core.monitoring``.
"""

from __future__ import annotations

from mlops_assets.core.drift_methods.compare import compare, profile
from mlops_assets.core.drift_methods.shifts import ColumnShift, MethodValue, Report
from mlops_assets.core.drift_methods.sketches import Profile
from mlops_assets.core.drift_methods.statuses import Finding, Kind, Status

__all__ = [
    "ColumnShift",
    "Finding",
    "Kind",
    "MethodValue",
    "Profile",
    "Report",
    "Status",
    "compare",
    "profile",
]
