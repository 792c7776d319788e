"""One column measured: which kind both sides have in common, each method's value, its chance.

Over columns, sources and threads: ``compare``. What is drifted: ``shifts``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops_assets.core.drift_methods import cells, ecdf, null_laws, peers
from mlops_assets.core.drift_methods.columns import Categories, Numbers, booleans
from mlops_assets.core.drift_methods.distances import ON_COUNTS, Shares
from mlops_assets.core.drift_methods.methods import DECIDES, ON_RANKS, applies, threshold
from mlops_assets.core.drift_methods.shifts import (
    NAMED_CATEGORIES,
    ColumnShift,
    MethodValue,
    SideSummary,
)
from mlops_assets.core.drift_methods.sketches import Side, Sketch
from mlops_assets.core.drift_methods.statuses import (
    MIN_ROWS,
    Finding,
    Kind,
    Status,
    availability,
)


@dataclass(frozen=True)
class Plan:
    """What is asked of every column.

    Parameters
    ----------
    methods
        To measure, each where it applies.
    decide
        Column or kind to the method that decides.
    thresholds
        Column to the practical threshold of that method.
    alpha
        Of the null quantiles, and of the report; ``None``: what chance gives is not asked.
    chance_of_all
        Whether what chance gives is asked of every method, or only of the one that decides.
    """

    methods: Sequence[str]
    decide: Mapping[str, str]
    thresholds: Mapping[str, float]
    alpha: float | None
    chance_of_all: bool = True

    def decider(self, column: str, kind: Kind) -> str:
        """Return the method that decides a column."""
        return self.decide.get(column) or self.decide.get(kind.value) or DECIDES[kind]

    def judged(self, wanted: Sequence[str], decides: str, status: Status) -> list[str]:
        """Return the methods of which is asked what chance gives."""
        if self.alpha is None or status not in (Status.OK, Status.CONSTANT_REFERENCE):
            return []
        return [name for name in wanted if self.chance_of_all or name == decides]


def measure(column: str, reference: Side, current: Side, plan: Plan) -> ColumnShift:
    """Measure one column. Whatever the data are, this returns."""
    import numpy as np

    reference, current = _in_common(reference, current)
    kind = _kind(reference, current)
    status = _comparable(reference, current)
    if status is not Status.OK:
        return ColumnShift(
            column=column,
            kind=kind,
            status=status,
            decided_by=None,
            reference=summary_of(reference),
            current=summary_of(current),
            findings=_findings(reference, current),
        )
    status = _state(reference, current)
    decides = plan.decider(column, kind)
    if status is Status.CONSTANT_REFERENCE and decides == "wasserstein_normalised":
        decides = "kolmogorov_smirnov"
        own_threshold = None
    else:
        own_threshold = plan.thresholds.get(column)
    wanted = [*plan.methods, *([] if decides in plan.methods else [decides])]
    with np.errstate(all="ignore"):  # beyond the range of floats: seen by what is not finite
        by_chance = plan.judged(wanted, decides, status)
        measured, pooled = _measured(reference, current, kind, wanted, by_chance, plan.alpha)
    if own_threshold is not None:
        measured = [
            MethodValue(m.method, m.status, m.value, own_threshold, m.null_quantile, m.p)
            if m.method == decides
            else m
            for m in measured
        ]
    new, lost = _categories_gone(reference, current)
    found = list(_findings(reference, current))
    for names, finding in ((new, Finding.NEW_CATEGORIES), (lost, Finding.LOST_CATEGORIES)):
        found += [finding] if names else []
    return ColumnShift(
        column=column,
        kind=kind,
        status=status,
        decided_by=decides,
        reference=summary_of(reference),
        current=summary_of(current),
        methods=tuple(measured),
        findings=(*found, Finding.POOLED) if pooled else tuple(found),
        new_categories=new,
        lost_categories=lost,
    )


def _in_common(reference: Side, current: Side) -> tuple[Side, Side]:
    """Read zeros and ones beside booleans as booleans."""
    if reference.kind is Kind.BOOLEAN and isinstance(current, Numbers | Sketch):
        return reference, _as_booleans(current)
    if current.kind is Kind.BOOLEAN and isinstance(reference, Numbers | Sketch):
        return _as_booleans(reference), current
    return reference, current


def _as_booleans(side: Numbers | Sketch) -> Side:
    import numpy as np

    few = side.few_distinct(2)
    if side.n == 0 or few is None or not set(few.tolist()) <= {0.0, 1.0}:
        return side
    true = side.n - int(side.below(np.array([1.0]))[0])
    return booleans(true, side.n, side.missing + side.infinite)


def _kind(reference: Side, current: Side) -> Kind:
    kinds = [side.kind for side in (reference, current) if side.kind is not Kind.UNKNOWN]
    if not kinds:
        return Kind.UNKNOWN
    # Text beside booleans: categories.
    return Kind.CATEGORICAL if set(kinds) == {Kind.BOOLEAN, Kind.CATEGORICAL} else kinds[0]


def _comparable(reference: Side, current: Side) -> Status:
    if Kind.UNSUPPORTED in (reference.kind, current.kind):
        return Status.UNSUPPORTED
    for side, of_reference in ((reference, True), (current, False)):
        status = availability(side.rows, side.n, of_reference=of_reference)
        if status is not Status.OK:
            return status
    numeric = [isinstance(side, Numbers | Sketch) for side in (reference, current)]
    return Status.OK if numeric[0] == numeric[1] else Status.KIND_CHANGED


def _state(reference: Side, current: Side) -> Status:
    constants = [_constant(side) for side in (reference, current)]
    if constants[0] is not None and constants[0] == constants[1]:
        return Status.CONSTANT
    if min(reference.n, current.n) < MIN_ROWS:
        return Status.TOO_FEW
    if constants[0] is not None and reference.kind is Kind.NUMERIC:
        return Status.CONSTANT_REFERENCE
    return Status.OK


def _constant(side: Side) -> float | str | None:
    if isinstance(side, Numbers | Sketch):
        return side.least if side.least == side.greatest else None
    if isinstance(side, Categories) and len(side.counts) == 1 and side.complete:
        return next(iter(side.counts))
    return None


def _measured(
    reference: Side,
    current: Side,
    kind: Kind,
    wanted: Sequence[str],
    judged: Sequence[str],
    alpha: float | None,
) -> tuple[list[MethodValue], bool]:
    """Return each method's value, and whether categories were pooled for it."""
    n, m = reference.n, current.n
    values: dict[str, float] = {}
    chances: dict[str, null_laws.Chance] = {}
    pooled = False
    on_counts = [name for name in wanted if name in ON_COUNTS]
    on_ranks = [name for name in wanted if name in ON_RANKS and kind is Kind.NUMERIC]
    if on_counts:
        if isinstance(reference, Numbers | Sketch) and isinstance(current, Numbers | Sketch):
            counts = cells.of_histogram(reference, current)
        else:
            assert isinstance(reference, Categories)
            assert isinstance(current, Categories)
            counts = cells.of_categories(reference, current)
            pooled = counts.pooled
        shares = Shares.of(counts.reference, counts.current)
        values |= {name: float(ON_COUNTS[name](shares)) for name in on_counts}
        asked = [name for name in on_counts if name in judged]
        if asked and alpha is not None:
            chances |= null_laws.on_counts(counts, asked, alpha)
    if on_ranks:
        assert isinstance(reference, Numbers | Sketch)
        assert isinstance(current, Numbers | Sketch)
        values |= _on_ranks(reference, current, on_ranks)
        if alpha is not None and not set(judged).isdisjoint(on_ranks):
            of_cells = null_laws.on_ranks(cells.of_quantiles(reference, current), alpha)
            if reference.std > 0:
                raw = of_cells["wasserstein"]
                of_cells["wasserstein_normalised"] = null_laws.Chance(
                    raw.p, raw.null_quantile / reference.std
                )
            chances |= {name: chance for name, chance in of_cells.items() if name in judged}
    return [
        _value(name, reference, current, kind, values, chances, threshold(name, n, m))
        for name in wanted
    ], pooled


def _on_ranks(
    reference: Numbers | Sketch, current: Numbers | Sketch, wanted: list[str]
) -> dict[str, float]:
    values = {}
    if "kolmogorov_smirnov" in wanted:
        values["kolmogorov_smirnov"] = ecdf.kolmogorov_smirnov(reference, current)
    if "wasserstein" in wanted or "wasserstein_normalised" in wanted:
        distance = values["wasserstein"] = ecdf.wasserstein(reference, current)
        if distance == 0:
            values["wasserstein_normalised"] = 0.0
        elif reference.std > 0:
            values["wasserstein_normalised"] = distance / reference.std
    return values


def _value(
    name: str,
    reference: Side,
    current: Side,
    kind: Kind,
    values: Mapping[str, float],
    chances: Mapping[str, null_laws.Chance],
    bound: float | None,
) -> MethodValue:
    if not applies(name, kind):
        return MethodValue(name, Status.NOT_APPLICABLE)
    value = values.get(name)
    if "." in name:
        if isinstance(reference, Sketch) or isinstance(current, Sketch):
            return MethodValue(name, Status.NEEDS_ROWS)
        if not (reference.complete and current.complete):
            return MethodValue(name, Status.NEEDS_ROWS)
        of_kind = peers.ON_NUMBERS if kind is Kind.NUMERIC else peers.ON_CATEGORIES
        try:
            value = of_kind[name](reference, current)
        except (ArithmeticError, ValueError):
            # NumPy's bins, which the definition asks for, do not exist for such values: too far
            # apart, or too close together.
            return MethodValue(name, Status.UNDEFINED)
    if value is None or not math.isfinite(value):
        return MethodValue(name, Status.UNDEFINED)
    by_chance = chances.get(name)
    if by_chance is None:
        return MethodValue(name, Status.OK, value, bound)
    return MethodValue(name, Status.OK, value, bound, by_chance.null_quantile, by_chance.p)


def summary_of(side: Side) -> SideSummary:
    """Return what is told of a side beside the distances."""
    mean = std = None
    if isinstance(side, Numbers | Sketch) and side.n:
        mean, std = side.mean, side.std
    return SideSummary(side.rows, side.n, side.missing, side.infinite, mean, std)


def _findings(reference: Side, current: Side) -> tuple[Finding, ...]:
    found = []
    if reference.missing or current.missing:
        found.append(Finding.MISSING)
    if reference.infinite or current.infinite:
        found.append(Finding.INFINITE)
    return tuple(found)


def _categories_gone(reference: Side, current: Side) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the new and the lost categories, where every name on the other side is known."""
    if not (isinstance(reference, Categories) and isinstance(current, Categories)):
        return (), ()

    def only(side: Categories, other: Categories) -> tuple[str, ...]:
        if not other.complete:
            return ()
        names = set(side.counts) - set(other.counts)
        return tuple(sorted(names, key=lambda n: (-side.counts[n], n))[:NAMED_CATEGORIES])

    return only(current, reference), only(reference, current)
