"""What the values of a feature view look like, day by day: ``monitoring.feature_statistics``.

Computed over a view's rows as they are known now, in one pass over the days. Keeping them
belongs in ``statistics_records``; what is conspicuous about them in ``feature_jumps``; drift of
what a model sees, as against its training data, in ``drift``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features.feature_views import EVENT_TIME
from mlops_assets.core.features.revisions import REVISION
from mlops_assets.core.features.view_versions import view_version
from mlops_assets.core.storage import contracts
from mlops_assets.core.storage.coercion import FLOATS, INTEGERS
from mlops_assets.core.storage.days import day_start
from mlops_assets.core.storage.sql import identifier, identifiers, table

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    from mlops_assets.vocabulary import FeatureView, UseCase

#: Days before a day that its statistics are compared with.
WINDOW = 14
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NUMBER, CATEGORY, OTHER = "number", "category", "other"

# Squares of larger numbers overflow.
_SQUARABLE = 1e150


@dataclass(frozen=True)
class FeatureStatistics:
    """A row of ``monitoring.feature_statistics``: a feature on a day.

    Attributes
    ----------
    rows
        Of the view on that day, in the latest revision of each.
    null_rate
        Share of them without a value; ``None``, as all that follow, if there are no rows.
    distinct_values
        Number of different values, exact.
    minimum, q05, q25, median, q75, q95, maximum, mean, deviation
        Of numbers (true is 1), in the feature's unit. Quantiles are values that occur; the
        deviation is that of a sample, of values below 1e150.
    top_share
        Of categories: the most frequent one's share of the values.
    newest_event
        Latest event time of the view up to the end of the day (UTC).
    age_seconds
        How old that was when the day ended.
    compute_seconds
        What computing the view took, shared among the days of the run.
    """

    view: str
    view_version: str
    partition_date: date | None
    feature: str
    kind: str
    rows: int
    null_rate: float | None
    distinct_values: int | None
    minimum: float | None
    q05: float | None
    q25: float | None
    median: float | None
    q75: float | None
    q95: float | None
    maximum: float | None
    mean: float | None
    deviation: float | None
    top_share: float | None
    newest_event: datetime | None
    age_seconds: float | None
    compute_seconds: float

    @property
    def values(self) -> int:
        """Number of rows with a value."""
        return 0 if self.null_rate is None else round(self.rows * (1 - self.null_rate))


def measure(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    view: FeatureView,
    days: Sequence[date],
    seconds: float,
) -> dict[date | None, list[FeatureStatistics]]:
    """Compute the statistics of a view's days. Writes nothing.

    Parameters
    ----------
    days
        In order and without gaps; none: the view has no days.
    seconds
        How long computing all of them took.

    Returns
    -------
    dict
        For each day the statistics of its features, in their order.
    """
    specs = contracts.columns(contracts.schema_of(view))
    kinds = {spec.name: _kind(spec.type) for spec in specs}
    rows, bounds, totals = _totals(con, view, days, kinds)
    numbers = _numbers(con, rows, bounds, days, [n for n, k in kinds.items() if k == NUMBER])
    newest = _newest(con, view, days, {day: total["newest"] for day, total in totals.items()})
    share = seconds / max(len(days), 1)
    result: dict[date | None, list[FeatureStatistics]] = {}
    for day in days or [None]:
        total = totals.get(day, {"rows": 0})
        age = None
        if day is not None and newest[day] is not None:
            ended = day_start(day + timedelta(days=1), use_case.timezone)
            age = (ended - newest[day]).total_seconds()
        result[day] = []
        for name, kind in kinds.items():
            found = numbers.get((day, name)) or _Values(
                *(total.get(f"{what} {name}", 0) for what in ("values", "distinct", "top"))
            )
            n = total["rows"]
            result[day].append(
                FeatureStatistics(
                    view.name,
                    view_version(view),
                    day,
                    name,
                    kind,
                    n,
                    1 - found.values / n if n else None,
                    found.distinct if n else None,
                    *found.quantiles,
                    found.mean,
                    found.deviation,
                    found.top / found.values if found.top else None,
                    newest.get(day),
                    age,
                    share,
                )
            )
    return result


@dataclass(frozen=True)
class _Values:
    """What is found about the values of a feature on a day; ``top``: rows of the top one."""

    values: int
    distinct: int
    top: int | None = None
    # From the minimum over QUANTILES to the maximum.
    quantiles: Sequence[float | None] = (None,) * (len(QUANTILES) + 2)
    mean: float | None = None
    deviation: float | None = None


def _kind(type_: str) -> str:
    if type_ in INTEGERS or type_ in FLOATS or type_ == "BOOLEAN":
        return NUMBER
    return CATEGORY if type_ == "VARCHAR" else OTHER


def _totals(
    con: duckdb.DuckDBPyConnection,
    view: FeatureView,
    days: Sequence[date],
    kinds: Mapping[str, str],
) -> tuple[str, dict[str, Any], dict[date | None, dict[str, Any]]]:
    """Count rows and, of all but numbers, values.

    Returns a query for the rows that count, its parameters, and for each day with rows
    ``rows``, ``newest`` (event time), and ``values``, ``distinct`` and ``top`` of features.
    """
    dataset = table(f"features.{view.name}")
    of_days, bounds = "true", {}
    day, newest = "NULL::DATE", "NULL::TIMESTAMP"
    if days:
        of_days = "partition_date BETWEEN $first AND $last"
        bounds = {"first": days[0], "last": days[-1]}
        day, newest = "partition_date", f"max({EVENT_TIME})"
    selected = {"rows": "count(*)", "newest": newest, "revision": f"max({REVISION})"}
    for name, kind in kinds.items():
        if kind != NUMBER:
            values = identifier(name)
            selected[f"values {name}"] = f"count({values})"
            # DuckDB's estimate was found to be off by a half (710 for 458).
            selected[f"distinct {name}"] = f"len(list_distinct(list({values})))"
        if kind == CATEGORY:
            selected[f"top {name}"] = f"list_max(map_values(histogram({identifier(name)})))"

    def totals(rows: str) -> dict[date | None, dict[str, Any]]:
        found = con.execute(
            f"SELECT {day}, {', '.join(selected.values())} FROM ({rows}) GROUP BY 1", bounds
        ).fetchall()
        return {row[0]: dict(zip(selected, row[1:], strict=True)) for row in found if row[1]}

    rows = f"SELECT * FROM {dataset} WHERE {of_days}"
    found = totals(rows)
    if any(total["revision"] for total in found.values()):
        # Some values were revised: of those only the latest counts.
        keys = identifiers([*view.entity.keys, *([EVENT_TIME] if days else [])])
        rows = (
            f"SELECT t.* FROM {dataset} t LEFT JOIN (SELECT {keys}, max({REVISION}) AS latest "
            f"FROM {dataset} WHERE {of_days} AND {REVISION} > 0 GROUP BY ALL) USING ({keys}) "
            f"WHERE {of_days} AND (latest IS NULL OR {REVISION} = latest)"
        )
        found = totals(rows)
    return rows, bounds, found


def _numbers(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    bounds: Mapping[str, Any],
    days: Sequence[date],
    features: Sequence[str],
) -> dict[tuple[date | None, str], _Values]:
    """Describe the numbers among the features, for each day with any rows.

    In numpy, which takes a quarter of the time of DuckDB's quantiles, distinct values and
    deviations, and sums in the order of the values: the same numbers, the same sum.
    """
    import numpy as np

    if not features:
        return {}
    day = "(partition_date - $first::DATE)::INTEGER" if days else "0"
    missing = "'nan'::DOUBLE"
    values = ", ".join(f"coalesce({identifier(f)}::DOUBLE, {missing})" for f in features)
    columns = list(
        con.execute(f"SELECT {day}, {values} FROM ({rows})", bounds).fetchnumpy().values()
    )
    of_day = np.asarray(columns[0])
    order = np.argsort(of_day, kind="stable")
    ends = np.searchsorted(of_day[order], np.arange(max(len(days), 1) + 1))
    found = {}
    for feature, column in zip(features, columns[1:], strict=True):
        column = np.asarray(column)[order]
        for n, which in enumerate(days or [None]):
            if ends[n] < ends[n + 1]:
                found[which, feature] = _describe(np.sort(column[ends[n] : ends[n + 1]]))
    return found


def _describe(ordered: np.ndarray) -> _Values:
    """Describe sorted numbers, NaN last; NaN is a missing value."""
    import numpy as np

    there = ordered[: np.searchsorted(ordered, np.nan)]
    n = len(there)
    if not n:
        return _Values(0, 0)
    at = [0, *(max(math.ceil(q * n) - 1, 0) for q in QUANTILES), n - 1]
    small = there[np.abs(there) < _SQUARABLE]
    with np.errstate(all="ignore"):  # infinite means are told as such
        return _Values(
            values=n,
            distinct=1 + int(np.count_nonzero(there[1:] != there[:-1])),
            quantiles=there[at].tolist(),
            mean=float(there.mean()),
            deviation=float(small.std(ddof=1)) if len(small) > 1 else None,
        )


def _newest(
    con: duckdb.DuckDBPyConnection,
    view: FeatureView,
    days: Sequence[date],
    found: dict[date | None, datetime | None],
) -> dict[date | None, datetime | None]:
    """Return the latest event time up to the end of each day, also of those without rows."""
    if not days:
        return {}
    newest = None
    if days[0] not in found:
        [(newest,)] = con.execute(
            f"SELECT max({EVENT_TIME}) FROM {table(f'features.{view.name}')} "
            "WHERE partition_date < ?",
            [days[0]],
        ).fetchall()
    result: dict[date | None, datetime | None] = {}
    for day in days:
        newest = found.get(day) or newest
        result[day] = newest
    return result
