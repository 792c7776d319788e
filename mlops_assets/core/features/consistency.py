"""Are captured features what they should have been? Measured, by computing them again.

Of each day's captured predictions a sample is taken, and the features of its rows are looked
up again as of each prediction's moment, as a training set made today would have them: by the
definitions that the version was trained on, from what was known at that moment. Where the two
differ, a model is served something else than it learns from.

Captured rows belong in ``capture``, definitions in ``pinned_views``, the join in
``few_rows``, which makes it in another way than scoring does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from mlops_assets.core import registry
from mlops_assets.core.features import pinned_views
from mlops_assets.core.features.feature_views import feature_names
from mlops_assets.core.features.retrieval import create_feature_rows, features
from mlops_assets.core.features.view_definitions import ViewChangedError
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.monitoring.monitoring import columns_of, replace_days
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.coercion import FLOATS, INTEGERS
from mlops_assets.core.storage.relations import TemporaryNames, column_types, temporary_tables

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.registry import ModelVersion
    from mlops_assets.vocabulary import Model, UseCase

#: Captured predictions of a day that are looked at. A defect of one row in fifteen is found on
#: a day with 97 % certainty, one of a hundred within a week.
SAMPLE = 50
#: Relative difference up to which two floating numbers are the same: sums may be made in
#: another order.
TOLERANCE = 1e-9

#: Beginnings of further types of exact numbers.
_EXACT = ("HUGEINT", "UHUGEINT", "DECIMAL")
COMPARED, GONE, NOT_RECOMPUTABLE = "compared", "gone", "not_recomputable"


@dataclass(frozen=True)
class ConsistencyRow:
    """A row of ``monitoring.feature_consistency``."""

    model: str
    version: int
    partition_date: date
    view: str | None
    feature: str
    compared: int
    mismatches: int
    rate: float | None
    gone: int
    prediction_id: str | None
    captured: str | None
    recomputed: str | None
    status: str


@dataclass(frozen=True)
class ConsistencyReport:
    """What was found.

    Attributes
    ----------
    rows
        For each day with predictions, version and feature one, in this order.
    reasons
        Why the features of a version could not be computed again, by version.
    """

    rows: list[ConsistencyRow]
    reasons: Mapping[int, str]


def measure_range(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    start: date,
    end: date,
    sample: int = SAMPLE,
) -> ConsistencyReport:
    """Compare captured features of the days from ``start`` to before ``end``.

    The sample of a day is always the same: the predictions with the least ids, which are
    digests. NULL equals NULL, floating numbers are equal within ``TOLERANCE``, all else
    must be exactly the same. A day without captured predictions has no rows.
    """
    there = columns_of(con, predictions_table(model))
    if not there:
        return ConsistencyReport([], {})
    with temporary_tables(con) as temporary:
        sampled = temporary("sampled")
        con.execute(
            f"CREATE TEMP TABLE {sampled} AS SELECT prediction_id, partition_date, row_key, "
            f"as_of, model_version FROM {sql.table(predictions_table(model))} "
            "WHERE partition_date >= $start AND partition_date < $end QUALIFY row_number() "
            "OVER (PARTITION BY partition_date ORDER BY prediction_id) <= $sample",
            {"start": start, "end": end, "sample": sample},
        )
        counts: dict[int, dict[date, int]] = {}
        for version, day, n in con.execute(
            f"SELECT model_version, partition_date, count(*) FROM {sampled} "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall():
            counts.setdefault(version, {})[day] = n
        rows: list[ConsistencyRow] = []
        reasons: dict[int, str] = {}
        alike: dict[tuple[str, ...], tuple[UseCase, Model, list[int]]] = {}
        for version in counts:
            record = registry.get(con, model.name, version)
            wanted = [str(column["name"]) for column in record.signature["inputs"]]
            try:
                trained_on = definitions_of(con, use_case, model, record)
            except ViewChangedError as error:
                reasons[version] = str(error)
                rows += _unknown(model, version, counts[version], wanted)
                continue
            # Versions of the same definitions are computed together.
            key = (*wanted, *sorted(map(str, record.view_versions.items())))
            alike.setdefault(key, (*trained_on, []))[2].append(version)
        for served_case, served_model, versions in alike.values():
            try:
                rows += _compare(
                    con, served_case, served_model, versions, counts, sampled, there, temporary
                )
            except NotComputedError as error:
                for version in versions:
                    reasons[version] = str(error)
                    wanted = [c.name for c in features(served_case, served_model)]
                    rows += _unknown(model, version, counts[version], wanted)
    rows.sort(key=lambda row: (row.partition_date, row.version))
    return ConsistencyReport(rows, reasons)


def write_range(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    start: date,
    end: date,
    rows: Sequence[ConsistencyRow],
) -> int:
    """Replace the stored comparisons of these days, in the caller's transaction."""
    return replace_days(
        con, "monitoring.feature_consistency", "partition_date", model.name, start, end, rows
    )


def definitions_of(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, model: Model, record: ModelVersion
) -> tuple[UseCase, Model]:
    """Return use case and model with the definitions and features of a version.

    Raises
    ------
    ViewChangedError
        If a former definition is not known.
    """
    wanted = [str(column["name"]) for column in record.signature["inputs"]]
    if model.on_view_change == "refuse":
        # That is about new predictions; those that were made can still be looked at.
        model = replace(model, on_view_change="pinned")
    use_case, model = pinned_views.served(con, use_case, model, record)
    if [column.name for column in features(use_case, model)] == wanted:
        return use_case, model
    # The views are the same, but the model now takes other features of them.
    owner = {
        feature: name
        for name in record.view_versions
        for feature in feature_names(use_case.view(name))
    }
    return use_case, replace(model, features=[f"{owner[name]}.{name}" for name in wanted])


def _compare(
    con: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    model: Model,
    versions: Sequence[int],
    counts: Mapping[int, Mapping[date, int]],
    sampled: str,
    there: Mapping[str, str],
    temporary: TemporaryNames,
) -> list[ConsistencyRow]:
    """Compare the sample of these versions, which have the same features by the same views."""
    only, again = sampled, temporary("again")
    if len(versions) < len(counts):
        only = temporary("only")
        con.execute(
            f"CREATE TEMP TABLE {only} AS FROM {sampled} "
            "WHERE model_version IN (SELECT unnest($versions::INTEGER[]))",
            {"versions": list(versions)},
        )
    days = [day for version in versions for day in counts[version]]
    first, last = min(days), max(days)
    create_feature_rows(con, use_case, model, first, last + timedelta(days=1), again, only=only)
    types = column_types(con, again)
    columns = features(use_case, model)
    same = {c.name: _values(c.name, there[c.name], types[c.name]) for c in columns}
    compared = (
        f"FROM {only} s JOIN {sql.table(predictions_table(model))} c "
        "ON c.prediction_id = s.prediction_id AND c.partition_date BETWEEN $first AND $last "
        f"JOIN {again} r ON r.row_key = s.row_key AND r.partition_date = s.partition_date "
        "AND r.as_of = s.as_of "
    )
    bounds = {"first": first, "last": last}
    found = {
        (version, day): (n, differing)
        for version, day, n, *differing in con.execute(
            "SELECT s.model_version, s.partition_date, count(*), "
            # Exactly, which costs a tenth; tolerance is looked at where that finds something.
            + ", ".join(f"count_if({c} IS DISTINCT FROM {r})" for c, r, _ in same.values())
            + f" {compared} GROUP BY ALL",
            bounds,
        ).fetchall()
    }
    examples: dict[tuple[int, date, str], tuple[int, Mapping[str, Any]]] = {}
    for n, column in enumerate(columns):
        if not any(differing[n] for _, differing in found.values()):
            continue
        name = sql.identifier(column.name)
        c, r, near = same[column.name]
        for version, day, wrong, example in con.execute(
            "SELECT s.model_version, s.partition_date, count(*), min({'id': s.prediction_id, "
            f"'captured': c.{name}::VARCHAR, 'recomputed': r.{name}::VARCHAR}}) {compared} "
            f"WHERE {c} IS DISTINCT FROM {r} AND NOT {near} GROUP BY ALL",
            bounds,
        ).fetchall():
            examples[version, day, column.name] = wrong, example
    rows = []
    for version, day in ((v, d) for v in versions for d in counts[v]):
        n, _ = found.get((version, day), (0, []))
        for column in columns:
            wrong, example = examples.get((version, day, column.name), (0, {}))
            rows.append(
                ConsistencyRow(
                    model=model.name,
                    version=version,
                    partition_date=day,
                    view=column.view.name,
                    feature=column.name,
                    compared=n,
                    mismatches=wrong,
                    rate=wrong / n if n else None,
                    gone=counts[version][day] - n,
                    prediction_id=example.get("id"),
                    captured=example.get("captured"),
                    recomputed=example.get("recomputed"),
                    status=COMPARED if n else GONE,
                )
            )
    return rows


def _values(name: str, captured: str, recomputed: str) -> tuple[str, str, str]:
    """The two values as they are compared, and the condition that they are near enough.

    ``captured`` and ``recomputed`` are their DuckDB types.
    """
    c, r = f"c.{sql.identifier(name)}", f"r.{sql.identifier(name)}"
    types = (captured, recomputed)
    if not all(t in FLOATS or t in INTEGERS or t.startswith(_EXACT) for t in types):
        if captured != recomputed:
            c, r = f"{c}::VARCHAR", f"{r}::VARCHAR"
        return c, r, "false"
    if captured not in FLOATS and recomputed not in FLOATS:
        return c, r, "false"
    x, y = f"{c}::DOUBLE", f"{r}::DOUBLE"
    near = (
        f"isfinite({x}) AND isfinite({y}) "
        f"AND abs({x} - {y}) <= {TOLERANCE!r} * greatest(abs({x}), abs({y}))"
    )
    return x, y, f"coalesce({near}, false)"


def _unknown(
    model: Model, version: int, days: Mapping[date, int], names: Sequence[str]
) -> list[ConsistencyRow]:
    """Rows that say that nothing could be compared."""
    nothing = (0, 0, None, 0, None, None, None)  # compared, mismatches, rate, ... recomputed
    return [
        ConsistencyRow(model.name, version, day, None, name, *nothing, NOT_RECOMPUTABLE)
        for day in days
        for name in names
    ]
