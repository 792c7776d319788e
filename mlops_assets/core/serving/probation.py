"""Whether a new champion is worse than the one it replaced, on what both were asked.

A gate judges on a holdout, before anything is served. Probation judges afterwards, on the
served predictions and those that the champion before made of the same rows in shadow, as soon
as their labels are mature. At the end of each window all days since the promotion count; the
new champion is *worse* if the lower bound of the paired difference in the primary metric lies
above the declared margin. The bound takes days as independent, not the rows of a day (see
``promotion.differences``), and the chance of finding an equally good champion worse at any of
the windows is at most ``1 - confidence`` (Bonferroni). A worse champion is rolled back.

A verdict is given once and kept in ``registry.probations``: labels that are corrected later
do not change what was decided. Scoring in shadow belongs in ``shadow``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import TYPE_CHECKING, Literal

from mlops_assets.core import registry
from mlops_assets.core.models.metrics import value
from mlops_assets.core.promotion.differences import paired_difference
from mlops_assets.core.serving.captured import scored_by
from mlops_assets.core.serving.outcomes import outcomes_table
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.serving.shadow import Watch, shadow_table, watches
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.days import days
from mlops_assets.core.storage.records import fetch, insert
from mlops_assets.core.storage.relations import missing_tables

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from mlops_assets.core.models.scored import Scored
    from mlops_assets.vocabulary import Model, Probation

Verdict = Literal["held", "worse", "too_few", "not_comparable"]


@dataclass(frozen=True)
class Judged:
    """A row of ``registry.probations``: the end of one window of a champion's probation.

    Attributes
    ----------
    event_id
        Of the alias event that made the version champion.
    window
        1, 2, ...
    window_start, window_end
        First and last day judged on, both inclusive: since the promotion.
    partition_date
        Day on which it was judged.
    rows
        Labelled rows that both versions have scored.
    champion, previous
        Primary metric of the two; ``None`` where it is not defined.
    difference, low
        Champion minus previous, positive where the champion is worse, and its lower bound.
    bound
        What ``low`` must exceed for the champion to be worse.
    verdict
        ``held``: not worse, as far as can be told; ``worse``; ``too_few`` rows or days;
        ``not_comparable``: nothing was scored in shadow, or the metric is not defined.
    """

    model: str
    event_id: int
    version: int
    previous_version: int
    window: int
    window_start: date
    window_end: date
    partition_date: date
    rows: int
    champion: float | None
    previous: float | None
    difference: float | None
    low: float | None
    bound: float | None
    verdict: Verdict
    reason: str
    run_id: str


def judge_range(
    con: duckdb.DuckDBPyConnection, model: Model, start: date, end: date, run_id: str
) -> list[Judged]:
    """Judge the windows that are due by each day from ``start`` to before ``end``.

    Verdicts are recorded, and a worse champion that still serves is rolled back. Call it in a
    transaction.

    Returns
    -------
    list of Judged
        What has been judged on these days, now or before.
    """
    wait = timedelta(days=ceil(model.label.matures_after / timedelta(days=1)))
    judged = {(row.event_id, row.window) for row in history(con, model.name)}
    for day in days(start, end):
        for watch in watches(con, model):
            for window, closes in _windows(watch, model.probation):
                if closes + wait <= day and (watch.event_id, window) not in judged:
                    judged.add((watch.event_id, window))
                    row = _judge(con, model, watch, window, closes, day, run_id)
                    insert(con, "registry.probations", vars(row))
                    if row.verdict == "worse":
                        _roll_back(con, row)
    return [row for row in history(con, model.name) if start <= row.partition_date < end]


def history(con: duckdb.DuckDBPyConnection, model: str) -> list[Judged]:
    """Return all verdicts on a model's champions, in the order of promotions and windows."""
    rows = fetch(
        con,
        'SELECT * FROM registry.probations WHERE model = $model ORDER BY event_id, "window"',
        {"model": model},
    )
    return [Judged(**row) for row in rows]


def _windows(watch: Watch, probation: Probation) -> list[tuple[int, date]]:
    """Number and last day of each window that the probation has come to the end of."""
    ends = [
        (number, watch.start + timedelta(days=number * probation.window - 1))
        for number in range(1, probation.windows + 1)
    ]
    return [(number, closes) for number, closes in ends if closes < watch.end]


def _judge(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    watch: Watch,
    window: int,
    closes: date,
    day: date,
    run_id: str,
) -> Judged:
    probation = model.probation
    frame = _read(con, model, watch, closes)
    rows = len(frame)
    champion = previous = difference = low = bound = math.nan
    verdict: Verdict
    names = f"version {watch.version}", f"version {watch.previous_version}"
    on = f"{rows:,} labelled rows from {watch.start} to {closes}"
    if not _is_shadowed(con, model, watch):
        verdict, reason = "not_comparable", f"{names[1]} has scored none of the rows in shadow"
    elif rows < probation.min_rows or len(set(frame["partition_date"])) < 2:
        verdict = "too_few"
        reason = f"{on}, {probation.min_rows} on 2 days or more are asked for"
    else:
        ours, theirs = _scored(con, model, watch, frame)
        chance = (1 - probation.confidence) / probation.windows
        found = paired_difference(
            model.problem,
            model.metric,
            ours,
            theirs,
            1 - 2 * chance,  # two-sided, of which the lower end counts
            method="t",
            blocks=frame["partition_date"].factorize()[0],
        )
        champion = value(model.problem, model.metric, ours)
        previous = value(model.problem, model.metric, theirs)
        difference, low = found.value, found.low
        bound = probation.margin * abs(previous)
        said = (
            f"{model.metric} {champion:.4g} against {previous:.4g} of {names[1]} on {on}; the "
            f"difference is at least {low:+.4g}"
        )
        if not (math.isfinite(low) and math.isfinite(bound)):
            verdict, reason = "not_comparable", f"{model.metric} is not defined on {on}"
        elif low > bound:
            verdict, reason = "worse", f"{names[0]} is worse: {said}, above {bound:+.4g}"
        else:
            verdict, reason = "held", f"{names[0]} is not surely worse: {said}"
    return Judged(
        model=model.name,
        event_id=watch.event_id,
        version=watch.version,
        previous_version=watch.previous_version,
        window=window,
        window_start=watch.start,
        window_end=closes,
        partition_date=day,
        rows=rows,
        champion=_or_none(champion),
        previous=_or_none(previous),
        difference=_or_none(difference),
        low=_or_none(low),
        bound=_or_none(bound),
        verdict=verdict,
        reason=reason,
        run_id=run_id,
    )


def _roll_back(con: duckdb.DuckDBPyConnection, row: Judged) -> None:
    """Let the version before serve again, unless the alias has moved on since."""
    if registry.history(con, row.model)[-1].event_id == row.event_id:
        registry.rollback(
            con,
            row.model,
            actor=f"probation, run {row.run_id}",
            reason=row.reason,
            expected_from=row.version,
        )


def _is_shadowed(con: duckdb.DuckDBPyConnection, model: Model, watch: Watch) -> bool:
    needed = [shadow_table(model), predictions_table(model), outcomes_table(model)]
    if missing_tables(con, needed):
        return False
    return bool(
        con.execute(
            f"SELECT 1 FROM {sql.table(shadow_table(model))} WHERE model_version = $version "
            "AND partition_date >= $start AND partition_date < $end LIMIT 1",
            {"version": watch.previous_version, "start": watch.start, "end": watch.end},
        ).fetchall()
    )


def _read(con: duckdb.DuckDBPyConnection, model: Model, watch: Watch, closes: date) -> pd.DataFrame:
    """Labelled rows that both versions have scored: day, label, and what each has said."""
    import pandas as pd

    needed = [shadow_table(model), predictions_table(model), outcomes_table(model)]
    if missing_tables(con, needed):
        return pd.DataFrame({"partition_date": []})
    told = ["prediction", "score", *(["scores"] if model.problem == "multiclass" else [])]
    return con.execute(
        "SELECT p.partition_date, o.label, "
        + ", ".join(f"p.{name}, s.{name} AS shadow_{name}" for name in told)
        + f" FROM {sql.table(predictions_table(model))} p "
        f"JOIN {sql.table(shadow_table(model))} s USING (partition_date, row_key) "
        f"JOIN {sql.table(outcomes_table(model))} o USING (partition_date, row_key) "
        "WHERE p.partition_date BETWEEN $start AND $closes AND p.model_version = $version "
        "AND s.model_version = $previous ORDER BY p.partition_date, p.row_key",
        {
            "start": watch.start,
            "closes": closes,
            "version": watch.version,
            "previous": watch.previous_version,
        },
    ).df()


def _scored(
    con: duckdb.DuckDBPyConnection, model: Model, watch: Watch, frame: pd.DataFrame
) -> tuple[Scored, Scored]:
    shadow = [name for name in frame.columns if name.startswith("shadow_")]
    theirs = frame[["label", *shadow]].rename(columns=lambda name: name.removeprefix("shadow_"))
    return (
        scored_by(con, model, watch.version, frame),
        scored_by(con, model, watch.previous_version, theirs),
    )


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
