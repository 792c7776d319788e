"""What landing refuses is evidence: the flights' files, broken, through the real landing."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from mlops_assets.core import quality
from mlops_assets.core.quality import Cause, Landed, State, quality_rows
from mlops_assets.core.storage import store
from mlops_assets_tests.benchmarks.quality_cases import Case, cases
from mlops_assets_tests.benchmarks.quality_flights import Flights
from mlops_assets_tests.core import bad_data

DAY = date(2013, 2, 5)
RNG = np.random.default_rng(0)
#: One case of each fault; all of them on many days: ``make bench-quality``.
CASES = {case.cause: case for case in reversed(list(cases()))}

TABLES = """
CREATE TABLE monitoring.quality (
    dataset VARCHAR NOT NULL, partition_date DATE NOT NULL, revision INTEGER NOT NULL,
    measured_on DATE, column_name VARCHAR, kind VARCHAR, status VARCHAR NOT NULL,
    unusual VARCHAR, cause VARCHAR, rows BIGINT NOT NULL, usual_rows DOUBLE, missing DOUBLE,
    not_finite DOUBLE, distinct_values BIGINT, minimum DOUBLE, median DOUBLE, maximum DOUBLE,
    top_share DOUBLE, longest_run BIGINT, unseen DOUBLE, outside DOUBLE, future DOUBLE,
    hours_off DOUBLE, key_repeats BIGINT, content_repeats BIGINT, age_hours DOUBLE,
    refused BOOLEAN, profile JSON, landed JSON
);
CREATE TABLE monitoring.incidents (
    incident_id VARCHAR NOT NULL, dataset VARCHAR NOT NULL, cause VARCHAR NOT NULL,
    column_name VARCHAR, opened DATE NOT NULL, last_day DATE NOT NULL, days BIGINT NOT NULL,
    state VARCHAR NOT NULL, closed_on DATE, recovery VARCHAR NOT NULL, still_bad JSON NOT NULL,
    size VARCHAR NOT NULL, factor DOUBLE, evidence VARCHAR NOT NULL, advice VARCHAR NOT NULL
);
"""


@pytest.fixture(scope="module")
def flights() -> Flights:
    return Flights(date(2013, 1, 12), date(2013, 2, 8))


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_each_of_the_twelve_faults_of_a_flights_day_is_told(flights: Flights, case: Case) -> None:
    rows = case.fault(flights.rows(case.table, DAY), DAY, np.random.default_rng(1))
    told = flights.assessed(case.table, flights.measured(case.table, DAY, rows))
    assert [d.key for d in told.diagnoses] == [(case.cause, case.column)]


def test_twelve_faults_have_a_case() -> None:
    assert set(CASES) == set(list(Cause)[:12])


@pytest.mark.parametrize("how", ["dropped", "renamed", "retyped"])
def test_a_changed_schema_is_read_from_what_landing_says(flights: Flights, how: str) -> None:
    rows = bad_data.schema_change(flights.rows("weather", DAY), "humidity", how)
    broken = flights.measured("weather", DAY, rows)
    assert broken.landed.refused
    assert broken.landed.schema_changes[0][0] == "humidity"
    told = flights.assessed("weather", broken)
    assert [d.key for d in told.diagnoses] == [(Cause.SCHEMA_CHANGE, "humidity")]


def test_what_no_cause_explains_and_landing_refuses_is_a_broken_contract(flights: Flights) -> None:
    rows = flights.rows("weather", DAY)
    rows.loc[rows.index[:10], "humidity"] = 400.0
    told = flights.assessed("weather", flights.measured("weather", DAY, rows))
    assert [d.key for d in told.diagnoses] == [(Cause.CONTRACT, "humidity")]
    assert "is not in range 0..100" in told.diagnoses[0].evidence


def test_a_day_that_landing_refuses_ends_when_it_lands_again(flights: Flights) -> None:
    case = CASES[Cause.DUPLICATE_LOAD]
    good = flights.rows(case.table, DAY)
    broken = flights.measured(case.table, DAY, case.fault(good, DAY, RNG))
    mended = flights.measured(case.table, DAY, good, revision=1)
    before = [t for t in flights.history[case.table] if t.measured.day < DAY]
    assessed = quality.assess([broken, mended], before)
    [incident] = quality.incidents("t", assessed)
    assert (incident.state, incident.still_bad) == (State.RECOVERED, ())


def test_what_is_kept_tells_the_same_incidents_again(flights: Flights) -> None:
    case, con = CASES[Cause.NULL_BURST], flights.con
    store.initialise(con)
    con.execute(TABLES.replace("CREATE TABLE", "CREATE OR REPLACE TABLE"))
    good = flights.rows(case.table, DAY)
    broken = flights.measured(case.table, DAY, case.fault(good, DAY, np.random.default_rng(1)))
    days = [t.measured for t in flights.history[case.table] if t.measured.day < DAY]
    assessed = quality.assess([*days, broken])
    found = quality.incidents("raw.x", assessed)
    quality_rows.write(con, "raw.x", assessed, found)
    quality_rows.write(con, "raw.x", assessed[-1:], found)  # again: the same rows
    kept = quality_rows.read_days(con, "raw.x", days[0].day, DAY)
    assert kept == [t.measured for t in assessed]
    assert quality.incidents("raw.x", quality.assess(kept)) == found
    [(rows, days_kept)] = con.execute(
        "SELECT count(*), count(DISTINCT partition_date) FROM monitoring.quality"
    ).fetchall()
    assert rows == sum(1 + len(t.measured.profile.columns) for t in assessed)
    assert days_kept == len(assessed)
    assert con.execute("SELECT cause, column_name FROM monitoring.incidents").fetchall() == [
        (str(case.cause), case.column)
    ]
    # The day as it was is no new revision; a good one in its place is.
    assert quality_rows.revised(kept, [broken]) == []
    mended = flights.measured(case.table, DAY, good)
    assert [t.revision for t in quality_rows.revised(kept, [mended])] == [1]


def test_landing_evidence_is_read_as_it_was_kept() -> None:
    landed = Landed(True, 10, 4, {"x: is missing": 4}, ("4 of 10 rows",))
    assert Landed.from_json(landed.to_json()) == landed
    assert landed.worst == ("x", "x: is missing")
