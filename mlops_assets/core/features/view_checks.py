"""What in a view's computed rows breaks its contract.

Computing the rows belongs in ``feature_views``; what a contract means in ``contracts`` and
``row_checks``, which judge the rows here too, unless a count in SQL shows that there is
nothing to say of them: that takes a tenth of the time, and is how it is nearly always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.core.features.revisions import KNOWN_AT
from mlops_assets.core.storage import contracts
from mlops_assets.core.storage.coercion import FLOATS
from mlops_assets.core.storage.sql import identifier, identifiers

if TYPE_CHECKING:
    import duckdb
    import pandera.pandas as pa

    from mlops_assets.vocabulary import FeatureView

#: Checks of pandera that SQL knows too, as operator and the statistic to compare with. They
#: let missing values pass, as SQL's comparisons do.
_COMPARISONS = {
    "greater_than": (">", "min_value"),
    "greater_than_or_equal_to": (">=", "min_value"),
    "less_than": ("<", "max_value"),
    "less_than_or_equal_to": ("<=", "max_value"),
}


def problems(
    con: duckdb.DuckDBPyConnection,
    view: FeatureView,
    computed: str,
    types: Mapping[str, str],
    key: Sequence[str],
    event_time: str,
) -> list[str]:
    """Return what in the rows breaks the contract, one sentence for each reason.

    Parameters
    ----------
    computed
        Quoted name of a table with the rows, in which no number is NaN.
    types
        DuckDB types of the features in it.
    key
        Columns that must be unique together, with the known time of a view with days.
    event_time
        Column with the event time of a view with days, which must not be missing.
    """
    found = []
    schema = contracts.schema_of(view)
    broken, values = _broken(schema, types)
    timeless = f"{event_time} IS NULL" if view.partitioned else "false"
    unique = [*key, KNOWN_AT] if view.partitioned else key
    # A known time that is the event time tells no rows apart.
    apart = key if view.known_at in (None, view.event_time) else unique
    shared = f"SELECT count(*) AS n FROM {computed} GROUP BY {identifiers(apart)} HAVING n > 1"
    [(undated, suspect, groups, rows)] = con.execute(
        f"SELECT count(*) FILTER ({timeless}), count(*) FILTER ({broken}), any_value(groups), "
        f"any_value(rows) FROM {computed}, "
        f"(SELECT count(*) AS groups, sum(n) AS rows FROM ({shared}))",
        values,
    ).fetchall()
    if undated:
        found.append(f"{view.event_time} is missing in {undated} rows.")
    if groups:
        found.append(
            f"{rows} rows share {groups} values of ({', '.join(unique)}), which must be unique: "
            "aggregate, or choose one row, in the view."
        )
    if not suspect:
        return found
    frame = con.sql(f"SELECT {identifiers(str(n) for n in schema.columns)} FROM {computed}").df()
    try:
        rejects = contracts.validate(schema, frame).rejects
    except contracts.ContractError as error:
        return found + [f"{problem}." for problem in error.problems]
    counts = Counter(rule for rules in rejects["rules"] for rule in rules)
    return found + [f"{rule} ({count} rows)." for rule, count in sorted(counts.items())]


def _broken(schema: pa.DataFrameSchema, types: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Condition, with its parameters, that is true for all rows that break the contract.

    Where SQL cannot tell, it is true for every row.
    """
    unsure = "true", {}
    if schema.checks or schema.unique:
        return unsure
    conditions = ["false"]
    values: dict[str, Any] = {}
    for spec in contracts.columns(schema):
        column = schema.columns[spec.name]
        name = identifier(spec.name)
        if types[spec.name] != spec.type or column.unique:
            return unsure
        if not spec.nullable:
            conditions.append(f"{name} IS NULL")
        if spec.type in FLOATS and (column.metadata or {}).get("finite", True):
            conditions.append(f"isinf({name})")
        for check in column.checks:
            comparisons = _comparisons(check)
            if comparisons is None:
                return unsure
            for operator, value in comparisons:
                parameter = f"value_{len(values)}"
                values[parameter] = value
                conditions.append(f"NOT {name} {operator} ${parameter}")
    return " OR ".join(conditions), values


def _comparisons(check: Any) -> list[tuple[str, Any]] | None:
    """Return a check as comparisons that must all hold; ``None``: there is no saying."""
    stated = check.statistics or {}
    if check.groupby is not None or check.element_wise or not check.ignore_na:
        return None
    if check.name == "in_range" and stated:
        found = [
            (">=" if stated["include_min"] else ">", stated["min_value"]),
            ("<=" if stated["include_max"] else "<", stated["max_value"]),
        ]
    elif check.name in _COMPARISONS and stated:
        operator, statistic = _COMPARISONS[check.name]
        found = [(operator, stated[statistic])]
    else:
        return None
    return found if all(type(v) in (int, float, str, date, datetime) for _, v in found) else None
