"""The report of an evaluation: everything that the gate looks at, as plain data.

It goes to and from JSON, so that a decision can be taken again from its record. How it is
measured belongs in ``evaluation``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.promotion.calibration import CalibrationPart
from mlops_assets.core.promotion.holdout import HoldoutEvidence
from mlops_assets.core.storage.records import plain


@dataclass(frozen=True)
class SliceResult:
    """Primary metric on the rows with one value of a slice column.

    ``difference`` is challenger minus champion, negative where the challenger is better;
    ``champion`` and ``difference`` are ``None`` where there is no champion.
    """

    slice: str
    rows: int
    challenger: Interval
    baseline: Interval
    champion: Interval | None = None
    difference: Interval | None = None


@dataclass(frozen=True)
class EvaluationReport:
    """What happened on the holdout.

    Attributes
    ----------
    challenger, champion, baseline
        Metric name to value and 95 % interval. ``champion`` is ``None`` where there is none
        or it could not score these rows, which ``champion_problem`` then explains.
    versus_champion, versus_baseline
        Challenger minus the other in the primary metric, negative where the challenger is
        better; see ``differences``. The upper end is a one-sided bound of ``confidence``,
        which is the gate's, as is ``block``: what was taken as independent.
    slices
        In the order of the declaration, the most frequent values first; a missing value is
        ``column=<missing>``.
    holdout
        What could make the holdout worthless; ``None``: nobody looked.
    calibration
        Of the challenger.
    size_bytes, milliseconds
        Of the challenger's file, and of scoring 1,000 rows with it; ``None``: not known, and
        not measured because the gate does not ask.
    """

    model: str
    problem: str
    metric: str
    rows: int
    confidence: float
    challenger_version: int | None
    champion_version: int | None
    challenger: dict[str, Interval]
    baseline: dict[str, Interval]
    versus_baseline: Interval
    champion: dict[str, Interval] | None = None
    versus_champion: Interval | None = None
    champion_problem: str | None = None
    slices: list[SliceResult] = field(default_factory=list)
    block: str = "row"
    holdout: HoldoutEvidence | None = None
    calibration: list[CalibrationPart] = field(default_factory=list)
    size_bytes: int | None = None
    milliseconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data: NaN and infinity, which JSON lacks, become None; days text."""
        return plain(asdict(self, dict_factory=_days_as_text))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EvaluationReport:
        """Return the report of ``to_dict``; None becomes NaN again."""
        fields = dict(data)
        for name in ("challenger", "baseline", "champion"):
            if fields.get(name) is not None:
                fields[name] = {k: _interval(v) for k, v in fields[name].items()}
        for name in ("versus_baseline", "versus_champion"):
            fields[name] = _interval(fields.get(name))
        fields["slices"] = [
            SliceResult(
                slice=s["slice"],
                rows=s["rows"],
                **{
                    k: _interval(s[k]) for k in ("challenger", "baseline", "champion", "difference")
                },  # type: ignore[arg-type]
            )
            for s in fields["slices"]
        ]
        if fields.get("holdout") is not None:
            fields["holdout"] = HoldoutEvidence.from_dict(fields["holdout"])
        fields["calibration"] = [
            CalibrationPart(**{**_numbers(part, ("predicted", "actual")), "gap": gap})
            for part in fields.get("calibration", ())
            if (gap := _interval(part["gap"])) is not None
        ]
        return cls(**fields)


def _interval(data: Mapping[str, Any] | None) -> Interval | None:
    if data is None:
        return None
    return Interval(**_numbers(data, ("value", "low", "high", "standard_error")))


def _numbers(data: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the data with NaN again where one of these numbers is None."""
    return {k: math.nan if v is None and k in names else v for k, v in data.items()}


def _days_as_text(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, date) else v for k, v in items}
