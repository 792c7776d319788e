"""The contract of a view's rows, judged in SQL: never milder or stricter than pandera."""

from __future__ import annotations

import duckdb
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.features.view_checks import problems
from mlops_assets.core.storage import contracts
from mlops_assets.core.storage.relations import column_types
from mlops_assets_tests.core import kiosk

CHECKS = [
    pa.Check.in_range(-1, 1),
    pa.Check.in_range(-1, 1, include_min=False, include_max=False),
    pa.Check.gt(0),
    pa.Check.ge(0.5),
    pa.Check.lt(0),
    pa.Check.le(-0.5),
    # These SQL does not know.
    pa.Check.isin([0.0, 0.5, 1.0]),
    pa.Check(lambda values: values < 1, name="in_range"),
    pa.Check(lambda values: values.mean() < 1),
    pa.Check.gt(0, raise_warning=True),
]
VALUES = st.one_of(
    st.none(), st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0, float("inf"), float("-inf")])
)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5),
    checks=st.tuples(st.sampled_from(CHECKS), st.sampled_from(CHECKS)),
    nullable=st.booleans(),
    finite=st.booleans(),
    unique=st.booleans(),
)
def test_what_pandera_finds_is_found(values, checks, nullable, finite, unique):
    schema = pa.DataFrameSchema(
        {
            "a": pa.Column(float, checks[0], nullable=nullable, metadata={"finite": finite}),
            "b": pa.Column(float, checks[1], nullable=True, unique=unique),
        }
    )
    frame = pd.DataFrame(values, columns=["a", "b"], dtype="float64")
    with duckdb.connect() as con:
        con.register("frame", frame)
        con.execute("CREATE TABLE computed AS SELECT *, row_number() OVER () AS city FROM frame")
        view = kiosk.view(schema=lambda: schema, event_time=None, known_at=None, ttl=None)
        types = column_types(con, "computed")
        found = problems(con, view, '"computed"', types, ["city"], "event_time")
    try:
        rules = [
            rule for rules in contracts.validate(schema, frame).rejects["rules"] for rule in rules
        ]
        expected = [f"{rule} ({rules.count(rule)} rows)." for rule in sorted(set(rules))]
    except contracts.ContractError as error:
        expected = [f"{problem}." for problem in error.problems]
    assert found == expected


@pytest.mark.parametrize("type_", ["INTEGER", "VARCHAR"])
def test_a_column_of_another_type_than_declared_is_no_number_by_chance(type_):
    schema = pa.DataFrameSchema({"a": pa.Column(float, pa.Check.gt(0))})
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE computed AS SELECT '1'::{type_} AS a, 1 AS city")
        view = kiosk.view(schema=lambda: schema, event_time=None, known_at=None, ttl=None)
        found = problems(con, view, '"computed"', {"a": type_}, ["city"], "event_time")
    assert found == []


@pytest.mark.parametrize("known_at", [None, "known_at"])
def test_rows_that_share_key_and_times_are_counted(known_at):
    schema = pa.DataFrameSchema({"a": pa.Column(float)})
    view = kiosk.view(schema=lambda: schema, known_at=known_at)
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE computed AS SELECT 1.0::DOUBLE AS a, n // 2 AS city, "
            "TIMESTAMP '2024-01-01' AS event_time, "
            f"TIMESTAMP '2024-01-01'{' + to_days(n::INT)' if known_at else ''} AS known_at "
            "FROM range(5) r(n)"
        )
        found = problems(
            con, view, '"computed"', {"a": "DOUBLE"}, ["city", "event_time"], "event_time"
        )
    shared = [] if known_at else [
        "4 rows share 2 values of (city, event_time, known_at), which must be unique: aggregate, "
        "or choose one row, in the view."
    ]  # fmt: skip
    assert found == shared
