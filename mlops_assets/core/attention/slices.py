"""``worst_slices``: where the model is worse than elsewhere, found by search.

The search goes over slices by one column and by two (``lattice``), asks how sure it is that one
is bad (``chance``), and tells few that say different things. The slices that a model declares are
measured in ``core.monitoring``, whether they are bad or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from mlops_assets.core.attention import chance
from mlops_assets.core.attention.coding import Coded, code
from mlops_assets.core.attention.lattice import Lattice
from mlops_assets.core.attention.selection import chosen_slices, excess_within, jackknife
from mlops_assets.core.attention.slice_results import SearchStatus, SliceSearch, WorstSlice
from mlops_assets.core.models.metrics import t_bounds

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd

#: Least rows of a slice, and least share of the rows.
LEAST_ROWS, LEAST_SHARE = 50, 0.02
#: Equally filled days that the rows of a slice must be worth: fewer say nothing of other days.
LEAST_DAYS = 5
#: Blocks of days, or of random rows where days are not known.
MOST_BLOCKS, RANDOM_BLOCKS = 32, 16
#: Columns that are paired, the first that are given.
MOST_PAIRED = 24
#: Losses beyond these quantiles count as these in the test: a mean is no mean of one row.
CLIPPED = 0.02
SEED = 20130101


def worst_slices(
    frame: pd.DataFrame | duckdb.DuckDBPyRelation,
    loss: str | np.ndarray | Sequence[float],
    columns: Sequence[str] | None = None,
    *,
    day: str | np.ndarray | Sequence[Any] | None = None,
    k: int = 5,
    alpha: float = 0.05,
    least_rows: int | None = None,
    expected: float | None = None,
    confidence: float = 0.95,
) -> SliceSearch:
    """Find the slices whose mean loss is surely above that of the other rows.

    Parameters
    ----------
    frame
        A row for each prediction.
    loss
        Of each row, higher is worse: a column's name, or shape ``(n,)``. Rows without a finite one
        are left out. The loss minus what was expected of a row finds where the model is worse
        than expected, and not where the task is hard.
    columns
        To slice by, those worth pairing first; by default all but ``loss`` and ``day``.
    day
        Of each row. Rows are then compared with others of their day only, and those of one day
        are not taken as independent, neither in p-values nor in intervals. It takes 6 days to
        name a slice, and its own rows must be worth 5 equally filled ones. More than
        ``MOST_BLOCKS`` days are taken together. ``None``: rows are independent.
    k
        Most slices that are told.
    alpha
        Probability that any slice is named where none is worse than the rest.
    least_rows
        Of a slice; by default ``LEAST_ROWS`` or ``LEAST_SHARE`` of the rows, the larger. A slice
        has at most half of the rows.
    expected
        Mean loss that was expected, such as the reference's: for ``of_increase``.
    confidence
        Of the intervals.

    Returns
    -------
    SliceSearch
        Slices in the order in which they were found: the surest first, then the surest of what
        is left once that slice's excess is taken off its rows, and so on. A slice by two columns
        is told only if both conditions add to each other.

    Notes
    -----
    Tested are means of losses of which the extreme ones are clipped (``CLIPPED``); told are means
    of all. Slices by one column and by two have half of ``alpha`` each.

    Raises
    ------
    KeyError
        If a column is not there.
    ValueError
        If ``loss`` or ``day`` have another number of rows, or ``k`` or ``alpha`` make no sense.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    if k < 1 or not 0 < alpha < 1:
        raise ValueError(f"k must be at least 1 and alpha between 0 and 1, not {k} and {alpha}")
    table = cast("pd.DataFrame", frame if hasattr(frame, "iloc") else frame.df())  # pyright: ignore
    losses = column_or_values(table, loss, "loss").astype(float)
    wanted = _wanted(table, columns, loss, day)
    usable = np.isfinite(losses)
    day_of = None if day is None else column_or_values(table, day, "day")
    rows, unusable = int(usable.sum()), int(len(usable) - usable.sum())
    if unusable:
        table, losses = table[usable], losses[usable]
        day_of = None if day_of is None else day_of[usable]
    days = None if day_of is None else _numbered(day_of)
    n_days = None if days is None else int(days.max(initial=-1)) + 1

    def found(status: SearchStatus, reason: str = "", **more: Any) -> SliceSearch:
        told = {"slices": (), "days": n_days, **more}
        return SliceSearch(
            status=status, reason=reason, rows=rows, unusable=unusable, alpha=alpha, **told
        )

    least = least_rows or max(LEAST_ROWS, round(LEAST_SHARE * rows))
    if rows == 0:
        return found("no_loss", "no row has a finite loss")
    if rows < 2 * least:
        return found("too_few_rows", f"{rows} rows hold no two slices of {least}")
    clipped = _clipped(losses)
    if clipped.min() == clipped.max():
        return found("constant_loss", f"the loss of every row is {losses[0]:g}")
    if n_days is not None and 2.0**-n_days > alpha / 2:
        return found("too_few_days", f"{n_days} days can be bad by chance, all of them")
    coded = [code(table[name], name, least) for name in wanted]
    cut = [c for c in coded if isinstance(c, Coded)]
    skipped = tuple(c for c in coded if isinstance(c, str))
    paired = [c for c in cut if len(c.coarse)][:MOST_PAIRED]
    block, blocks = _blocks(days, n_days, rows)
    noise = chance.noise_of(clipped, block)
    residual = clipped - clipped.mean()
    with threadpool_limits(1, user_api="blas"):  # many small products, which threads slow down
        spread = 0.0 if days is None else min(LEAST_DAYS, blocks - 1)
        lattice = Lattice(cut, paired, residual, block, blocks, least, spread)
        chosen = chosen_slices(lattice, residual, block, noise, days is not None, k, alpha)
    about = {
        "searched": len(lattice),
        "columns": tuple(c.name for c in cut),
        "skipped": skipped,
        "unpaired": tuple(c.name for c in cut if c not in paired and len(c.coarse)),
    }
    if len(lattice) == 0:
        return found("no_columns", "no column has two values with enough rows", **about)
    told = [
        _measured(lattice, number, p, losses, days, block, expected, confidence)
        for number, p in chosen
    ]
    return found("searched", slices=tuple(s for s in told if s.excess > 0), **about)


def _measured(
    lattice: Lattice,
    number: int,
    p: float,
    losses: np.ndarray,
    days: np.ndarray | None,
    block: np.ndarray,
    expected: float | None,
    confidence: float,
) -> WorstSlice:
    import numpy as np

    mask = np.logical_and.reduce(lattice.masks(number))
    if days is None:
        excess, error, units = _difference(losses, mask)
    else:
        excess, by_block = excess_within(losses, mask, block)
        error, units = jackknife(*by_block)
    low, high = t_bounds(excess, error, units, confidence)
    n, total = int(mask.sum()), float(losses.sum())
    increase = 0.0 if expected is None else total - expected * len(losses)
    mine = float(losses[mask].sum())
    return WorstSlice(
        conditions=lattice.conditions(number),
        rows=n,
        share=n / len(losses),
        mean=mine / n,
        rest=(total - mine) / (len(losses) - n),
        excess=excess,
        low=low,
        high=high,
        p=p,
        explained=n * excess / total if total > 0 else None,
        of_increase=(mine - (expected or 0.0) * n) / increase if increase > 0 else None,
        days=None if days is None else len(np.unique(days[mask])),
    )


def _difference(losses: np.ndarray, inside: np.ndarray) -> tuple[float, float, int]:
    """Return mean inside minus mean outside, its standard error and the rows it is of."""
    mine, rest = losses[inside], losses[~inside]
    variance = mine.var(ddof=1) / len(mine) + rest.var(ddof=1) / len(rest)
    return float(mine.mean() - rest.mean()), float(variance**0.5), len(losses)


def _blocks(days: np.ndarray | None, n_days: int | None, rows: int) -> tuple[np.ndarray, int]:
    """Return each row's block: its day, neighbouring days together if there are many."""
    import numpy as np

    if days is None or n_days is None:
        return np.random.default_rng(SEED).permutation(rows) % RANDOM_BLOCKS, RANDOM_BLOCKS
    if n_days <= MOST_BLOCKS:
        return days, n_days
    return days * MOST_BLOCKS // n_days, MOST_BLOCKS


def _clipped(losses: np.ndarray) -> np.ndarray:
    import numpy as np

    low, high = np.quantile(losses, [CLIPPED, 1 - CLIPPED])
    # Where nearly all rows have one loss, the few others are what there is to find.
    return np.clip(losses, low, high) if low < high else losses


def _numbered(values: np.ndarray) -> np.ndarray:
    """Number days in their order; a missing one is a day of its own."""
    import pandas as pd

    codes, _ = pd.factorize(values, sort=True, use_na_sentinel=True)
    return codes if codes.min(initial=0) >= 0 else codes + 1


def column_or_values(table: pd.DataFrame, given: Any, what: str) -> np.ndarray:
    import numpy as np

    if isinstance(given, str):
        if given not in table.columns:
            raise KeyError(f"{what} column {given!r} is not there: there are {list(table.columns)}")
        return table[given].to_numpy()
    values = np.asarray(given)
    if values.shape != (len(table),):
        raise ValueError(f"{what} has shape {values.shape}, but the frame has {len(table)} rows")
    return values


def _wanted(table: pd.DataFrame, columns: Sequence[str] | None, loss: Any, day: Any) -> list[str]:
    there = list(table.columns)
    if columns is None:
        return [c for c in there if not any(isinstance(g, str) and c == g for g in (loss, day))]
    for name in columns:
        if name not in there:
            raise KeyError(f"cannot slice by column {name!r}: there are {there}")
    return list(dict.fromkeys(columns))
