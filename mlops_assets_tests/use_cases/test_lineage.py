"""The flights' features derive from exactly the columns that change them when changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from mlops_assets.core.features.feature_views import feature_names
from mlops_assets.core.lineage.column_lineage import source_columns, view_lineage
from mlops_assets.core.storage.days import day_start
from mlops_assets.use_cases.nyc_flights import USE_CASE
from mlops_assets.vocabulary import FeatureView
from mlops_assets_tests.use_cases import flights

# The blizzard of 8 and 9 February: cancellations, diversions, day-long delays.
START, END = date(2013, 2, 8), date(2013, 2, 9)

#: How a column of a type is falsified in some of its rows.
FALSE = {
    "TIMESTAMP": "{c} + INTERVAL 95 MINUTE",
    "VARCHAR": "left(md5({c}), 6)",
    "BOOLEAN": "NOT {c}",
}
SOME = "CASE WHEN hash({c}, rowid) % 3 = 0 THEN {new} ELSE {c} END"
NONE = "CASE WHEN hash(rowid, 7) % 5 = 0 THEN NULL ELSE {c} END"


@pytest.fixture(scope="module")
def con():
    with flights.connect() as connection:
        flights.fill(connection, "2013-02-06", "2013-02-10")
        for source in USE_CASE.sources:
            connection.execute(f"DROP VIEW {source.name}")
        yield connection


def result(con, view: FeatureView) -> dict[str, int]:
    """A digest of each feature with the keys and times of its rows."""
    times = [time for time in (view.event_time, view.known_at) if time]
    own = ", ".join(f"'|', {name}" for name in (*view.entity.keys, *times))
    features = feature_names(view)
    digests = ", ".join(f"sum(hash({name}, {own})::HUGEINT)" for name in features)
    bounds = {
        "start": day_start(START, USE_CASE.timezone),
        "end": day_start(END, USE_CASE.timezone),
    }
    used = {name: value for name, value in bounds.items() if f"${name}" in str(view.sql)}
    [row] = con.execute(f"SELECT {digests} FROM ({view.sql})", used).fetchall()
    return dict(zip(features, row, strict=True))


def falsified(con, source: str, column: str) -> Iterator[None]:
    """Falsify a column of a source in one way after the other."""
    [(kind,)] = con.execute(
        "SELECT data_type FROM duckdb_columns() WHERE schema_name = 'raw' "
        "AND table_name = $source AND column_name = $column",
        {"source": source, "column": column},
    ).fetchall()
    new = FALSE.get(kind, "{c} * 2 + 1").format(c=column)
    for value in (SOME.format(c=column, new=new), NONE.format(c=column)):
        con.execute(
            f"CREATE OR REPLACE TEMP VIEW {source} AS "
            f"SELECT * REPLACE (({value})::{kind} AS {column}) FROM raw.{source}"
        )
        yield
    con.execute(f"CREATE OR REPLACE TEMP VIEW {source} AS FROM raw.{source}")


# destination_delays has the SQL of carrier_delays with another key.
@pytest.mark.parametrize(
    "name", [v.name for v in USE_CASE.feature_views if v.name != "destination_delays"]
)
def test_a_column_that_changes_a_feature_is_in_its_lineage(con, name: str) -> None:
    view = USE_CASE.view(name)
    assert isinstance(view, FeatureView)
    lineage = view_lineage(USE_CASE, view)
    for source in view.sources:
        con.execute(f"CREATE OR REPLACE TEMP VIEW {source} AS FROM raw.{source}")
    true = result(con, view)
    assert all(true.values())
    changing = set()
    for source in view.sources:
        for column in source_columns(USE_CASE.source(source)):
            for _ in falsified(con, source, column):
                now = result(con, view)
                changing |= {(f, source, column) for f in true if now[f] != true[f]}
    said = {(f, d.source, d.column) for f in true for d in lineage[f]}
    assert not any(d.assumed for found in lineage.values() for d in found)
    assert changing <= said
    # Arrivals and departures are united in one column before they are told apart again, and a
    # join is taken to decide on all that it joins.
    beyond = said - changing
    assert {c for _, _, c in beyond} <= {
        "arrival_delay",
        "departure_delay",
        "known_at",
        "flight_id",
    }
    assert not beyond or len(view.sources) > 1


def test_a_feature_derives_from_what_its_expression_names() -> None:
    weather = view_lineage(USE_CASE, USE_CASE.view("weather_at_origin"))

    def kinds(feature: str) -> dict[str, str]:
        return {d.column: d.kind for d in weather[feature]}

    assert kinds("dew_point_spread") == {
        "temperature": "value",
        "dew_point": "value",
        "origin": "lookup",
        "observed_at": "lookup",
        "known_at": "lookup",
    }
    assert kinds("precipitation_3h") == {
        "precipitation": "value",
        "origin": "rows",
        "observed_at": "rows",
        "known_at": "lookup",
    }
    assert kinds("event_time") == {"observed_at": "value"}
