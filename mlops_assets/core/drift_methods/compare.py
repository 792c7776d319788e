"""``compare``: a reference and the current rows, column by column; ``profile``: what is kept.

The one way in. Either side is a pandas frame, a DuckDB relation or a stored profile. A column
is read and sorted once per side, in as many threads as are given; what all columns together
say is decided in ``shifts``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from mlops_assets.core.drift_methods.columns import Nothing, from_series
from mlops_assets.core.drift_methods.measuring import Plan, measure, summary_of
from mlops_assets.core.drift_methods.methods import KNOWN, OWN
from mlops_assets.core.drift_methods.relations import fetch
from mlops_assets.core.drift_methods.shifts import ColumnShift, Report, judge
from mlops_assets.core.drift_methods.sketches import Profile, Side, compressed
from mlops_assets.core.drift_methods.statuses import Kind, Status

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    Source = pd.DataFrame | duckdb.DuckDBPyRelation | Profile

T = TypeVar("T")
#: Columns that are compared at the same time. Sorting lets other threads run.
THREADS = 2


def compare(
    reference: Source,
    current: Source,
    *,
    columns: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    decide: Mapping[str, str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    alpha: float | None = 0.05,
    chance_of_all: bool = True,
    threads: int = THREADS,
) -> Report:
    """Compare each column of ``current`` with ``reference``.

    Parameters
    ----------
    reference, current
        A frame, a relation (``con.table("schema.name")``, ``con.sql(...)``) or a profile.
    columns
        Names to compare; all of the reference's by default.
    methods
        Names to measure, each on the columns it is for: this package's (the default is all of
        them) and those of other libraries (``"evidently.psi"``, ...; ``peers``).
    decide
        Column, or ``"numeric"``, ``"categorical"``, ``"boolean"``, to the method that decides
        on alarms (``methods.DECIDES``).
    thresholds
        Column to the practical threshold of its deciding method (``methods.THRESHOLDS``).
    alpha
        Probability of any alarm in a report on unchanged data, at most. ``None``: only how far
        columns have moved is asked, not what chance gives, which takes most of the time; there
        are no alarms then.
    chance_of_all
        ``False``: what chance gives is asked of the deciding methods only.

    Returns
    -------
    Report
        With a typed status instead of a value where there is none: data do not raise.

    Raises
    ------
    KeyError
        If a column of ``columns`` is on neither side.
    ValueError
        If a method is not known, or cannot decide.
    """
    plan = Plan(
        methods=_checked(methods),
        decide=_deciding(decide or {}),
        thresholds=thresholds or {},
        alpha=alpha,
        chance_of_all=chance_of_all,
    )
    there = {"reference": _names(reference), "current": _names(current)}
    wanted = list(columns) if columns is not None else there["reference"]
    for name in wanted:
        if name not in there["reference"] and name not in there["current"]:
            raise KeyError(
                f"cannot compare column {name!r}: the reference has {there['reference']}, "
                f"the current rows have {there['current']}"
            )

    def prepared(name: str) -> Callable[[], ColumnShift]:
        if name not in there["reference"]:
            return lambda: _absent(name, Status.NO_COLUMN_REFERENCE)
        if name not in there["current"]:
            return lambda: _absent(name, Status.NO_COLUMN_CURRENT)
        ours, theirs = _reader(reference, name), _reader(current, name)
        return lambda: measure(name, ours(), theirs(), plan)

    return judge(_in_threads(prepared, wanted, threads), alpha or 0.0)


def profile(
    source: pd.DataFrame | duckdb.DuckDBPyRelation,
    columns: Sequence[str] | None = None,
    threads: int = THREADS,
) -> Profile:
    """Read each column once and keep what later comparisons need.

    Raises
    ------
    KeyError
        If a column is not there.
    """
    there = _names(source)
    wanted = list(columns) if columns is not None else there
    for name in wanted:
        if name not in there:
            raise KeyError(f"cannot profile column {name!r}: there are {there}")

    def prepared(name: str) -> Callable[[], Side]:
        read = _reader(source, name)
        return lambda: compressed(read())

    return Profile(dict(zip(wanted, _in_threads(prepared, wanted, threads), strict=True)))


def _in_threads(
    prepared: Callable[[str], Callable[[], T]], names: Sequence[str], threads: int
) -> list[T]:
    """Run what ``prepared`` returns for each name, at most ``threads`` ahead of its reading.

    Reading is done here, one column after the other: a DuckDB connection is not to be shared.
    """
    if threads <= 1:
        return [prepared(name)() for name in names]
    futures: list[Future[T]] = []
    with ThreadPoolExecutor(threads) as pool:
        for at, name in enumerate(names):
            if at > threads:
                futures[at - threads - 1].result()  # holds no more columns than that in memory
            futures.append(pool.submit(prepared(name)))
        return [future.result() for future in futures]


def _names(source: Source) -> list[str]:
    names = list(source.columns)
    if len(set(names)) < len(names):
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        raise ValueError(
            f"column names must be unique to be compared, but there are two of {twice}"
        )
    return names


def _reader(source: Source, name: str) -> Callable[[], Side]:
    """Return what gives the column, cleaned; a relation is read at once, frames later."""
    if isinstance(source, Profile):
        return lambda: source.columns[name]
    if type(source).__module__.partition(".")[0] == "pandas":
        return lambda: from_series(source[name])  # pyright: ignore
    return fetch(source, name)  # pyright: ignore


def _absent(name: str, status: Status) -> ColumnShift:
    nothing = summary_of(Nothing(Kind.UNKNOWN))
    return ColumnShift(name, Kind.UNKNOWN, status, None, reference=nothing, current=nothing)


def _checked(methods: Sequence[str] | None) -> list[str]:
    for name in methods or ():
        if name not in KNOWN:
            raise ValueError(f"drift method {name!r} is not known: there are {sorted(KNOWN)}")
    return list(dict.fromkeys(methods)) if methods is not None else list(OWN)


def _deciding(decide: Mapping[str, str]) -> Mapping[str, str]:
    for key, name in decide.items():
        if name not in OWN:
            raise ValueError(
                f"drift method {name!r} cannot decide on {key!r}: what chance gives is known "
                f"of {sorted(OWN)}"
            )
    return decide
