"""Data quality over time, apart from drift: what is broken about a day, why, and since when.

``measure`` keeps a profile of each day, ``judge`` says what is unusual about one, ``diagnose``
what it comes from; ``assess`` does both for days in order, and ``incidents`` tells the story.
What single rows must be is the contract, which landing holds them to; how far a sound column
has moved is drift (``core.drift_methods``).
"""

from __future__ import annotations

from mlops_assets.core.quality.assessing import AssessedDay, MeasuredDay, assess
from mlops_assets.core.quality.causes import Cause, Diagnosis
from mlops_assets.core.quality.diagnosing import diagnose
from mlops_assets.core.quality.findings import Finding, Judgement, Measure, Status
from mlops_assets.core.quality.incidents import Incident, State, incidents
from mlops_assets.core.quality.judging import judge
from mlops_assets.core.quality.landed import Landed, landed_rows
from mlops_assets.core.quality.measuring import measure
from mlops_assets.core.quality.profiles import ColumnProfile, DayProfile, combined
from mlops_assets.core.quality.rules import Rules
from mlops_assets.core.quality.tables import Table, of_source
from mlops_assets.core.quality.usual import Usual, profile

__all__ = [
    "AssessedDay",
    "Cause",
    "ColumnProfile",
    "DayProfile",
    "Diagnosis",
    "Finding",
    "Incident",
    "Judgement",
    "Landed",
    "Measure",
    "MeasuredDay",
    "Rules",
    "State",
    "Status",
    "Table",
    "Usual",
    "assess",
    "combined",
    "diagnose",
    "incidents",
    "judge",
    "landed_rows",
    "measure",
    "of_source",
    "profile",
]
