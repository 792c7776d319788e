"""``diagnose``: what a day's findings come from, with the evidence in words.

One diagnosis for each cause and column, the most specific that fits: what a cause explains is
not reported beside it. A finding that no cause explains is no incident (a level that moved, an
hour that is fuller than ever): it stays in the judgement, and drift reports are for it. Causes
that show in the rows as a whole are here, those of single columns in ``column_causes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from mlops_assets.core.quality.causes import WHOLE_DAY, Cause, Diagnosis
from mlops_assets.core.quality.column_causes import column_causes, shifted
from mlops_assets.core.quality.findings import Judgement, Measure
from mlops_assets.core.quality.landed import Landed
from mlops_assets.core.quality.profiles import DayProfile
from mlops_assets.core.quality.rules import Rules
from mlops_assets.core.quality.usual import Usual, hour_shares

#: Rows that a file without its end has up to there, as a share of the usual.
_BEFORE_THE_END = 0.75
#: What counts as half, and as an unusual volume whatever else is the matter.
_HALF = (0.35, 0.65)
_EXTREME = (0.25, 2.0)
#: Rows from which a copied load shows in the volume.
_MORE = 1.15


def diagnose(
    day: date,
    today: DayProfile,
    usual: Usual,
    judgement: Judgement,
    landed: Landed | None = None,
    rules: Rules | None = None,
) -> list[Diagnosis]:
    """Return what is broken about ``today``; none: nothing that these causes explain.

    Parameters
    ----------
    today
        Where landing refused the day: of its rows as they landed (``landed_rows``).
    judgement
        Of ``judge``, on the same day.
    landed
        What landing said of the day; ``None``: nothing is known.
    """
    landed, rules = landed or Landed(), rules or Rules()
    found = next(_whole(day, today, usual, judgement, landed), None)
    if found is not None and found.cause in WHOLE_DAY:
        # The rest may come from it; what cannot is seen once the day is whole.
        return [found]
    columns = column_causes(today, usual, judgement, rules)
    if landed.refused and not columns:
        column, rule = landed.worst
        n = max(landed.reasons.values(), default=0)
        size = f"{n:,} of {today.rows:,} rows" if n else "the day was refused"
        return [Diagnosis(Cause.CONTRACT, column, size, rule)]
    if landed.refused:
        return [_with_word(d, landed) for d in columns]
    return columns


def _with_word(diagnosis: Diagnosis, landed: Landed) -> Diagnosis:
    _, rule = landed.worst
    told = f"{diagnosis.evidence}; landing refused the day ({rule})"
    return Diagnosis(diagnosis.cause, diagnosis.column, diagnosis.size, told, diagnosis.factor)


def _whole(
    day: date, today: DayProfile, usual: Usual, judgement: Judgement, landed: Landed
) -> Iterator[Diagnosis]:
    """Yield causes that concern all rows, the most specific first."""
    yield from _schema(judgement, landed)
    if landed.unreadable:
        yield Diagnosis(
            Cause.TRUNCATED_FILE, today.event_time, "a file has no end", landed.unreadable
        )
    yield from _twice(today, usual, judgement, landed)
    # Times that moved leave hours empty at the end: not for want of rows.
    if any(shifted(f) for f in judgement.findings if f.measure == Measure.HOURS):
        return
    yield from _volume(day, today, usual, judgement)


def _schema(judgement: Judgement, landed: Landed) -> Iterator[Diagnosis]:
    changes = landed.schema_changes or [
        (f.column or "", f.details["said"])
        for f in sorted(
            (f for f in judgement.findings if f.measure == Measure.SCHEMA),
            key=lambda f: f.details["said"] == "is new",
        )
    ]
    if changes:
        told = "; ".join(f"column {column} {said}" for column, said in changes)
        gone = [c for c, said in changes if said == "is missing"]
        new = [c for c, said in changes if said == "is new"]
        if len(gone) == len(new) == 1:
            told += f": {new[0]} may be another name of {gone[0]}"
        size = f"{len(changes)} column(s) changed"
        yield Diagnosis(Cause.SCHEMA_CHANGE, changes[0][0], size, told)


def _twice(
    today: DayProfile, usual: Usual, judgement: Judgement, landed: Landed
) -> Iterator[Diagnosis]:
    repeats, copies = judgement.of(Measure.KEY_REPEATS), judgement.of(Measure.CONTENT_REPEATS)
    set_aside = landed.repeats / landed.rows if landed.rows else 0.0
    if repeats is not None or set_aside >= Rules.repeats:
        share = max(repeats.value if repeats else 0.0, set_aside)
        told = f"{share:.1%} of the rows have the key of another row of the day"
        if landed.repeats:
            told += f"; landing set {landed.repeats:,} of {landed.rows:,} rows aside for it"
        size = f"{share:.0%} of the rows are there twice"
        yield Diagnosis(Cause.DUPLICATE_LOAD, None, size, told, share)
    elif copies is not None and _ratio(today, judgement) >= _MORE:
        told = (
            f"{copies.value:.1%} of the rows equal another in everything but the key (usually at "
            f"most {copies.usual:.1%}), and there are {_ratio(today, judgement):.2f} × the usual "
            "number of rows"
        )
        size = f"{copies.value:.0%} of the rows are there twice, under other keys"
        yield Diagnosis(Cause.DUPLICATE_LOAD, None, size, told, copies.value)


def _ratio(today: DayProfile, judgement: Judgement) -> float:
    expected = judgement.measures.get(None, {}).get("usual_rows", 0.0)
    return today.rows / expected if expected else 1.0


def _volume(
    day: date, today: DayProfile, usual: Usual, judgement: Judgement
) -> Iterator[Diagnosis]:
    expected = judgement.measures.get(None, {}).get("usual_rows", 0.0)
    if judgement.of(Measure.NO_ROWS):
        told = f"usually there are {expected:,.0f} rows on a {day:%A}"
        yield Diagnosis(Cause.NO_ROWS, None, "no rows", told, 0.0)
        return
    ratio = _ratio(today, judgement)
    tail = judgement.of(Measure.TAIL)
    if tail is not None and today.event is not None:
        last = tail.details["last_hour"]
        before = today.rows / (expected * (1 - _after(last, usual)))
        if before >= _BEFORE_THE_END:
            told = (
                f"the last row is of {_clock(last)}; at least {tail.usual:.0%} of a usual day's "
                f"rows come after that hour; up to then there are {before:.2f} × the usual rows"
            )
            size = f"rows only up to {_clock(last)}, {ratio:.0%} of the usual number"
            yield Diagnosis(Cause.TRUNCATED_FILE, tail.column, size, told, ratio)
    rows = judgement.of(Measure.ROWS)
    if rows is None:
        return
    told = f"{today.rows:,} rows, on a {day:%A} usually {expected:,.0f}"
    if _HALF[0] <= ratio <= _HALF[1] and _even(today, usual):
        told += "; every hour of the day has its usual share of them"
        yield Diagnosis(
            Cause.HALF_VOLUME, None, f"{ratio:.2f} × the usual number of rows", told, ratio
        )
    if not _EXTREME[0] <= ratio <= _EXTREME[1]:
        size = f"{ratio:.2f} × the usual number of rows"
        yield Diagnosis(Cause.UNUSUAL_VOLUME, None, size, told, ratio)


def _after(hour: float, usual: Usual) -> float:
    """Return the mean share of a usual day's rows that come after an hour."""
    total = usual.total()
    hours = total.event.hours if total.event is not None else {}
    return sum(rows for h, rows in hours.items() if h > int(hour)) / max(sum(hours.values()), 1)


def _even(today: DayProfile, usual: Usual) -> bool:
    """Whether the rows are spread over the day as usually: a part is missing everywhere."""
    import numpy as np

    if today.event is None or today.event_time is None:
        return True
    days = usual.column(today.event_time).shares_by_hour
    middle = days.mean(axis=0)
    off = np.abs(hour_shares(today.event) - middle).sum() / 2
    # What fewer rows do by chance, to the expected total variation between two draws.
    chance = 0.5 * np.sqrt(np.count_nonzero(middle > 0.001) / today.rows)
    return bool(off <= np.abs(days - middle).sum(axis=1).max() / 2 + chance)


def _clock(hour: float) -> str:
    minutes = round(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
