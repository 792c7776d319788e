"""Which columns of the sources each feature and label derives from, by the declarations.

Worked out from a view's SQL, an on-demand feature's expression, a
label's expression, and from how features are looked up for a row. A derivation is of one of
three kinds, the first that holds:

- ``value``: the column's values flow into the feature;
- ``rows``: it decides which rows of the source count (filters, joins, groups, windows) or
  which rows are predicted at all;
- ``lookup``: it decides which value of the feature a row is given: the view's keys, event and
  known time on one side, the row's keys and its ``as_of`` on the other.

Where it cannot be told (a view that is a Python function, SQL that is not understood), every
column of the view's sources is named, with the reason in ``assumed``. How landing judges
rows (contract, unique key, day) is not lineage: it concerns all columns of a source alike.

Reading SQL belongs in ``query_lineage``, keeping the answer in ``lineage_records``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mlops_assets.core.features.feature_views import EVENT_TIME, KNOWN_AT, feature_names
from mlops_assets.core.features.retrieval import features
from mlops_assets.core.lineage.query_lineage import Origins, Unreadable, query_origins
from mlops_assets.core.storage import contracts
from mlops_assets.core.storage.sql import identifier, identifiers
from mlops_assets.vocabulary import FeatureView, Model, OnDemandFeatures, Source, UseCase

T = TypeVar("T")

#: From the strongest to the weakest.
KINDS = ("value", "rows", "lookup")

#: Columns that landing adds to every source.
_LANDED = ("partition_date", "ingest_seq")

_known: dict[tuple[Any, ...], tuple[Any, Any]] = {}


@dataclass(frozen=True, order=True)
class Derivation:
    """A column of a source that something derives from.

    Attributes
    ----------
    kind
        ``value``, ``rows`` or ``lookup``, as this module says.
    assumed
        Why it had to be assumed; ``None``: it was read from the declaration.
    """

    source: str
    column: str
    kind: str
    assumed: str | None = None


@dataclass(frozen=True)
class ModelLineage:
    """What a model adds to the lineage of the views that it uses.

    Attributes
    ----------
    features
        ``(view, feature)`` to the columns of the rows to predict that it is computed from or
        looked up by.
    label
        The columns that the label derives from.
    """

    features: dict[tuple[str, str], tuple[Derivation, ...]]
    label: tuple[Derivation, ...]


def source_columns(source: Source) -> list[str]:
    """Return the declared columns of a source, in order."""
    return [column.name for column in contracts.columns(contracts.schema_of(source))]


def view_lineage(use_case: UseCase, view: FeatureView) -> dict[str, tuple[Derivation, ...]]:
    """Return what each column of ``features.<view>`` derives from: keys, times, features.

    Keys and times derive from what their expressions name; a feature also from what these
    derive from, as a ``lookup``. Computed once for each view in a process.
    """
    return _once(lambda: _view_lineage(use_case, view), "view", use_case, view)


def model_lineage(use_case: UseCase, model: Model) -> ModelLineage:
    """Return what the features and the label of a model derive from in the rows to predict.

    What a stored feature derives from in its own sources is in ``view_lineage``. Computed once
    for each model in a process.
    """
    return _once(lambda: _model_lineage(use_case, model), "model", use_case, model)


def _once(work: Callable[[], T], what: str, *declared: Any) -> T:
    # By identity, as declarations cannot be hashed; they are kept, so that ids stay theirs.
    key = (what, *map(id, declared))
    if key not in _known:
        _known[key] = (declared, work())
    return _known[key][1]


def _view_lineage(use_case: UseCase, view: FeatureView) -> dict[str, tuple[Derivation, ...]]:
    sources = {name: source_columns(use_case.source(name)) for name in view.sources}
    # What the view calls its times in its query.
    own = {name: name for name in (*view.entity.keys, *feature_names(view))}
    if view.event_time is not None:
        own |= {EVENT_TIME: view.event_time, KNOWN_AT: view.known_at or view.event_time}
    try:
        if view.sql is None:
            raise Unreadable("computed in Python")
        tables = {name: _columns(use_case.source(name)) for name in view.sources}
        found = query_origins(view.sql.rstrip().rstrip(";"), tables)
        lacking = [name for name in own.values() if name.lower() not in found]
        if lacking:
            raise Unreadable(f"no column {', '.join(lacking)} is seen in the result")
    except Unreadable as error:
        every = _every(sources, str(error))
        return {column: _strongest([every]) for column in own}
    read = {column: _derivations(found[name.lower()]) for column, name in own.items()}
    looked_up = [
        _as_lookup(read[column])
        for column in (*view.entity.keys, EVENT_TIME, KNOWN_AT)
        if column in read
    ]
    for feature in feature_names(view):
        read[feature] = _strongest([read[feature], *looked_up])
    return {column: _strongest([derivations]) for column, derivations in read.items()}


def _model_lineage(use_case: UseCase, model: Model) -> ModelLineage:
    rows, label = use_case.source(model.rows.source), use_case.source(model.label.source)
    known_at = rows.known_at_column
    # The rows to predict with their moment, as they are made for training and scoring.
    own = identifiers(name for name in _columns(rows) if name != "as_of")
    moments = f"(SELECT {own}, ({model.rows.as_of}\n) AS as_of FROM {identifier(rows.name)})"
    moment = _of_expression(rows, "as_of", moments, "lookup")
    # A row is predicted if it satisfies the condition and is known by its moment.
    where = f"({model.rows.where}\n) AND {identifier(known_at) if known_at else 'as_of'} <= as_of"
    served = _of_expression(rows, where, moments, "rows")
    derived = {}
    for column in features(use_case, model):
        if isinstance(column.view, OnDemandFeatures):
            expression = column.view.features[column.name]
            own_columns = [_of_expression(rows, expression, moments, "value")]
        else:
            own_columns = [_of_columns(rows, column.view.entity.keys, "lookup"), moment]
        derived[column.view.name, column.name] = _strongest([*own_columns, served])
    label_known_at = [label.known_at_column] if label.known_at_column else []
    of_label = [
        _of_expression(label, model.label.expression, identifier(label.name), "value"),
        _of_columns(label, [*model.label.join, *label_known_at], "lookup"),
        _of_columns(rows, model.label.join, "lookup"),
        served,
    ]
    return ModelLineage(derived, _strongest(of_label))


def _of_expression(source: Source, expression: str, rows: str, kind: str) -> tuple[Derivation, ...]:
    """What an expression derives from, over ``rows``: a query over the source, or its name."""
    query = f"SELECT ({expression}\n) AS result FROM {rows}"
    try:
        found = query_origins(query, {source.name: _columns(source)})["result"]
    except Unreadable as error:
        return _every({source.name: source_columns(source)}, str(error), kind)
    return tuple(Derivation(table, name, kind) for table, name in found.all)


def _of_columns(source: Source, columns: Iterable[str], kind: str) -> tuple[Derivation, ...]:
    return tuple(Derivation(source.name, column, kind) for column in columns)


def _columns(source: Source) -> list[str]:
    return [*source_columns(source), *_LANDED]


def _every(
    sources: Mapping[str, Iterable[str]], reason: str, kind: str = "value"
) -> tuple[Derivation, ...]:
    return tuple(
        Derivation(source, column, kind, reason)
        for source, columns in sources.items()
        for column in columns
    )


def _derivations(origins: Origins) -> tuple[Derivation, ...]:
    return tuple(
        Derivation(source, column, kind)
        for kind, columns in (("value", origins.values), ("rows", origins.rows))
        for source, column in columns
    )


def _as_lookup(derivations: Iterable[Derivation]) -> tuple[Derivation, ...]:
    return tuple(Derivation(d.source, d.column, "lookup", d.assumed) for d in derivations)


def _strongest(parts: Iterable[Iterable[Derivation]]) -> tuple[Derivation, ...]:
    """Each column once, with the strongest kind, sorted."""
    strongest: dict[tuple[str, str], Derivation] = {}
    for part in parts:
        for derivation in part:
            column = derivation.source, derivation.column
            known = strongest.setdefault(column, derivation)
            if KINDS.index(derivation.kind) < KINDS.index(known.kind):
                strongest[column] = derivation
    return tuple(strongest[column] for column in sorted(strongest))
