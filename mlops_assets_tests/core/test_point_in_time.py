"""The point-in-time join against a brute-force oracle, and each of its rules by itself."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from mlops_assets.core.features import candidates
from mlops_assets.core.features.point_in_time import (
    JoinSpec,
    look_up,
    point_in_time_join,
    point_in_time_table,
)
from mlops_assets_tests.benchmarks import point_in_time_cases as cases
from mlops_assets_tests.proof import tries

T0 = datetime(2024, 3, 31)
US = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        yield connection


def at(micros: int | None) -> datetime | None:
    return None if micros is None else T0 + micros * US


def load(con: duckdb.DuckDBPyConnection, rows: list[tuple], facts: list[tuple]) -> None:
    """Rows (id, k1, k2, as_of) and facts (k1, k2, happened, known, grade, x, y) of one case."""
    cases.load(con, with_case(rows), facts_with_case(facts))


def with_case(rows: list[tuple]) -> list[tuple]:
    return [(row[0], 0, *row[1:]) for row in rows]


def facts_with_case(facts: list[tuple]) -> list[tuple]:
    return [(0, *fact[:4], n, *fact[4:]) for n, fact in enumerate(facts)]


def spec(**changes: Any) -> JoinSpec:
    values: dict[str, Any] = {
        "name": "view",
        "table": "facts",
        "keys": ("k1", "k2"),
        "features": ("x", "y"),
        "event_time": "happened",
        "known_at": "known",
        "ttl": None,
        "tie_breaker": "grade",
    }
    return JoinSpec(**{**values, **changes})


def oracle(row: tuple, facts: list[tuple], how: JoinSpec) -> tuple:
    """What one row must get: x, y and their statuses, by looking at every fact."""
    return cases.one(with_case([row])[0], facts_with_case(facts), how)


VALUES = "id, x, y, x__status, y__status"


def joined(con: duckdb.DuckDBPyConnection, how: JoinSpec, rows: str = "rows") -> list[tuple]:
    """id, x, y and statuses of every row, in order; the values also without the statuses."""
    full = point_in_time_join(con, rows, [how], status=True)
    plain = point_in_time_join(con, rows, [how])
    found = full.project(VALUES).fetchall()
    assert plain.project("id, x, y").fetchall() == [row[:3] for row in found]
    ordinals = [row[0] for row in full.project("row_ordinal").fetchall()]
    assert ordinals == list(range(1, len(found) + 1))
    return found


BATCH = 260
BATCHES = tries(40, 12)


def test_generated_cases_equal_the_oracle(con, monkeypatch):
    """10,400 cases: whatever the declaration, the number of threads and the order of the input."""
    counted: Counter[str] = Counter()

    @settings(max_examples=BATCHES, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(
        seed=st.integers(0, 2**32),
        unit=st.sampled_from([US, timedelta(minutes=30)]),
        ttl=st.sampled_from([None, None, 1, 2, 5, 8]),
        keys=st.sampled_from([("case_id", "k1", "k2"), ("k2", "case_id")]),
        known=st.sampled_from(["known", "known", "known", None]),
        null_known_at=st.sampled_from(["never", "event_time"]),
        tie=st.sampled_from(["seq", "seq", "grade", None]),
        timeless=st.sampled_from([False] * 7 + [True]),
        threads=st.sampled_from([1, 2]),
        zoned=st.booleans(),
        block=st.sampled_from([1, 100]),
    )
    def check(seed, unit, ttl, keys, known, null_known_at, tie, timeless, threads, zoned, block):
        # Cases are small: blocks of a size that they fill, so that they are cut too.
        monkeypatch.setattr(candidates, "_FACTS_IN_BLOCK", block)
        generated = cases.generate(seed, BATCH, unit)
        how = spec(keys=keys, tie_breaker=tie, null_known_at=null_known_at)
        if timeless:
            how = spec(keys=keys, tie_breaker=tie, event_time=None, known_at=None)
        else:
            how = spec(
                keys=keys,
                tie_breaker=tie,
                null_known_at=null_known_at,
                known_at=known,
                ttl=None if ttl is None else ttl * unit,
            )
        table, rows = "facts", "rows"
        if zoned:  # the same moments, as a clock in Berlin shows them
            table = (
                "SELECT * REPLACE (timezone('UTC', happened) AS happened, "
                "timezone('UTC', known) AS known) FROM facts"
            )
            rows = "SELECT * REPLACE (timezone('UTC', as_of) AS as_of) FROM rows"
        told = JoinSpec(**{**vars(how), "table": table})
        wanted = cases.expected(generated, how)

        con.execute(f"SET threads = {threads}")
        cases.load(con, generated.rows, generated.facts)
        result = point_in_time_join(con, rows, [told], status=True)
        found = result.project(f"row_ordinal, {VALUES}").fetchall()
        assert found == [
            (n, row[0], *values)
            for n, (row, values) in enumerate(zip(generated.rows, wanted, strict=True), 1)
        ]

        con.execute(f"SET threads = {3 - threads}")
        by_id = {row[0]: values for row, values in zip(generated.rows, wanted, strict=True)}
        shuffled = random.Random(seed).sample(generated.rows, len(generated.rows))
        cases.load(con, shuffled, generated.facts[::-1])
        again = point_in_time_join(con, rows, [told]).project("id, x, y").fetchall()
        assert again == [(row[0], *by_id[row[0]][:2]) for row in shuffled]

        counted["cases"] += generated.number
        counted["rows"] += len(found)
        counted.update(values[2] for values in wanted)

    con.execute("SET TimeZone = 'Europe/Berlin'")
    try:
        check()
    finally:
        con.execute("RESET TimeZone")
        con.execute("SET threads = 2")
    assert counted["cases"] == BATCH * BATCHES >= tries(10_000, 3_000)
    # Each outcome often enough to mean something.
    often = min(counted[s] for s in ("present", "null", "expired", "not_found"))
    assert often > tries(500, 100)


# Without shrinking: a failure is told as found, in seconds instead of minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)

# Few values, so that ties, duplicates and exact bounds are the rule. The texts would
# collide if composite keys were put together.
texts = st.sampled_from(["a", "b", "1", "11", "", "1,1", '"', None])
micros = st.one_of(st.none(), st.integers(0, 12))
row_tuples = st.tuples(texts, texts, micros)
fact_tuples = st.tuples(
    texts,
    texts,
    micros,
    micros,
    st.sampled_from([0, 1, None]),
    st.sampled_from([0.5, -1.0, None]),
    st.sampled_from(["p", "q", None]),
)


@settings(max_examples=30, deadline=None, derandomize=True, phases=PHASES)
@given(
    rows=st.lists(row_tuples, max_size=10),
    facts=st.lists(fact_tuples, max_size=16),
    ttl=st.one_of(st.none(), st.integers(1, 8)),
    known=st.sampled_from(["known", None]),
    tie=st.sampled_from(["grade", None]),
    keys=st.sampled_from([("k1",), ("k1", "k2")]),
    timeless=st.booleans(),
    threshold=st.sampled_from([0, 64]),
    shuffle=st.randoms(use_true_random=False),
)
@example(  # DuckDB's own ASOF join lets the row without a moment match
    rows=[("a", "a", None), ("a", "a", 0)],
    facts=[("a", "a", None, None, 0, 0.5, "p")] * 8 + [("a", "a", 0, None, 0, 0.5, "p")],
    ttl=None,
    known=None,
    tie="grade",
    keys=("k1",),
    timeless=False,
    threshold=0,
    shuffle=random.Random(0),
)
@example(  # a late correction of an old event, known after a newer one
    rows=[("a", "a", 5), ("a", "a", 9)],
    facts=[
        ("a", "a", 1, 1, 0, 0.5, "p"),
        ("a", "a", 4, 4, 0, -1.0, "q"),
        ("a", "a", 1, 6, 1, 0.5, "q"),
    ],
    ttl=None,
    known="known",
    tie="grade",
    keys=("k1", "k2"),
    timeless=False,
    threshold=0,
    shuffle=random.Random(0),
)
def test_every_row_gets_what_looking_at_every_fact_gives(
    con, rows, facts, ttl, known, tie, keys, timeless, threshold, shuffle
):
    table = [(i, k1, k2, at(t)) for i, (k1, k2, t) in enumerate(rows)]
    pool = [(k1, k2, at(e), at(k), *rest) for k1, k2, e, k, *rest in facts]
    how = spec(keys=keys, tie_breaker=tie)
    how = (
        spec(keys=keys, tie_breaker=tie, event_time=None, known_at=None)
        if timeless
        else spec(keys=keys, tie_breaker=tie, known_at=known, ttl=None if ttl is None else ttl * US)
    )
    # Below this many rows DuckDB takes another algorithm for ASOF joins; both must be right.
    con.execute(f"SET asof_loop_join_threshold = {threshold}")
    expected = [(row[0], *oracle(row, pool, how)) for row in table]
    load(con, table, pool)
    assert joined(con, how) == expected
    shuffle.shuffle(pool)
    load(con, table, pool)
    again = point_in_time_join(con, "rows", [how]).project("id, x, y").fetchall()
    assert again == [row[:3] for row in expected]


def test_many_rows_in_several_threads_equal_the_oracle(con):
    generator = random.Random(7)

    def moment() -> datetime:
        return T0 + timedelta(minutes=generator.randrange(2000))

    facts = []
    for _ in range(3000):
        happened = moment()
        late = timedelta(minutes=generator.choice([0, 0, 5, 90, 700]))
        key = (generator.choice("abc"), generator.choice(["1", "11"]))
        facts.append((*key, happened, happened + late, 0, generator.random(), "v"))
    rows = [
        (i, generator.choice("abc"), generator.choice(["1", "11"]), moment()) for i in range(500)
    ]
    how = spec(ttl=timedelta(minutes=30))
    con.execute("RESET asof_loop_join_threshold")
    load(con, rows, facts)
    assert joined(con, how) == [(row[0], *oracle(row, facts, how)) for row in rows]


def one_row(con, facts: list[tuple], as_of: datetime = T0, **changes: Any) -> tuple:
    load(con, [(1, "a", "b", as_of)], facts)
    return joined(con, spec(**changes))[0][1:]


def fact(happened: timedelta, known: timedelta | None = None, x: float | None = 1.0, **other: Any):
    known_at = None if known is None else T0 + known
    return ("a", "b", T0 + happened, known_at, other.get("grade", 0), x, other.get("y", "v"))


HOUR = timedelta(hours=1)
PRESENT, NOT_FOUND, EXPIRED = (("present",) * 2, ("not_found",) * 2, ("expired",) * 2)


def test_a_fact_not_yet_known_is_not_used(con):
    assert one_row(con, [fact(-HOUR, US)]) == (None, None, *NOT_FOUND)
    assert one_row(con, [fact(-HOUR, timedelta(0))]) == (1.0, "v", *PRESENT)


def test_a_fact_from_the_future_is_not_used_even_if_it_is_known(con):
    assert one_row(con, [fact(US, -HOUR)]) == (None, None, *NOT_FOUND)
    assert one_row(con, [fact(timedelta(0), -HOUR)]) == (1.0, "v", *PRESENT)


def test_a_fact_of_unknown_known_time_is_used_only_where_declared(con):
    assert one_row(con, [fact(-HOUR, None)]) == (None, None, *NOT_FOUND)
    assert one_row(con, [fact(-HOUR, None)], null_known_at="event_time")[2] == "present"
    future = one_row(con, [fact(US, None)], null_known_at="event_time")
    assert future == (None, None, *NOT_FOUND)
    # It was known when it happened, so a correction known later outranks it.
    facts = [fact(-HOUR, None, 9.0), fact(-HOUR, -US, 1.0)]
    assert one_row(con, facts, null_known_at="event_time")[0] == 1.0


def test_each_value_has_a_status_of_its_own(con):
    assert one_row(con, [fact(-HOUR, -HOUR, None)]) == (None, "v", "null", "present")
    load(con, [(1, "a", "b", T0), (2, "b", "b", T0)], [fact(-HOUR, -HOUR, y=None)])
    con.execute("CREATE OR REPLACE TEMP TABLE other AS SELECT 'b' AS k1, NULL::INTEGER AS z")
    other = JoinSpec("other", "other", ("k1",), ("z",), None, None, None)
    result = point_in_time_join(con, "rows", [spec(), other], status=True)
    assert result.columns[6:] == ["x", "y", "x__status", "y__status", "z", "z__status"]
    statuses = result.project("x__status, y__status, z__status").fetchall()
    assert statuses == [("present", "null", "not_found"), ("not_found", "not_found", "null")]
    con.execute("CREATE OR REPLACE TEMP TABLE asked AS SELECT id AS row_ordinal, * FROM rows")
    look_up(con, "asked", spec(), "looked_up", status=True)
    assert con.execute("SELECT x__status FROM looked_up").fetchall() == [
        ("present",),
        ("not_found",),
    ]
    con.execute("DROP TABLE looked_up")


def test_a_row_at_the_end_of_time_gets_the_latest_fact_and_no_perishable_one(con):
    load(con, [(1, "a", "b", T0)], [fact(-HOUR, -HOUR)])
    rows = "SELECT * REPLACE ('infinity'::TIMESTAMP AS as_of) FROM rows"
    assert joined(con, spec(), rows)[0][3] == "present"
    assert joined(con, spec(ttl=HOUR), rows)[0][1:] == (None, None, *EXPIRED)


def test_the_ingest_sequence_decides_where_everything_else_is_equal(con):
    facts = [fact(-HOUR, -HOUR, x, grade=9 - n) for n, x in enumerate([9.0, 5.0, 1.0])]
    assert one_row(con, facts, tie_breaker="seq")[0] == 1.0
    assert one_row(con, facts, tie_breaker="grade")[0] == 9.0
    assert one_row(con, facts[::-1], tie_breaker="seq")[0] == 9.0


def test_the_arrow_table_is_what_the_relation_has(con):
    load(con, [(1, "a", "b", T0), (2, None, "b", T0)], [fact(-HOUR, -HOUR)])
    table = point_in_time_table(con, "rows", [spec()], status=True)
    relation = point_in_time_join(con, "rows", [spec()], status=True)
    assert [tuple(row.values()) for row in table.to_pylist()] == relation.fetchall()
    assert con.execute("SELECT count(*) FROM duckdb_variables()").fetchall() == [(0,)]


def test_keys_of_types_that_arrow_lacks_are_compared_as_they_are(con):
    con.execute("CREATE OR REPLACE TEMP TABLE ids AS SELECT uuid() AS u, 3::HUGEINT AS h")
    facts = JoinSpec("ids", "SELECT *, 'v' AS v FROM ids", ("u", "h"), ("v",), None, None, None)
    rows = "SELECT u, h, TIMESTAMP '2024-01-01' AS as_of FROM ids"
    result = point_in_time_join(con, rows, [facts])
    assert [str(t) for t in result.types[1:3]] == ["UUID", "HUGEINT"]
    assert result.project("v").fetchall() == [("v",)]


def test_ttl_is_inclusive_to_the_microsecond(con):
    assert one_row(con, [fact(-HOUR, -HOUR)], ttl=HOUR)[2] == "present"
    assert one_row(con, [fact(-HOUR - US, -HOUR)], ttl=HOUR) == (None, None, *EXPIRED)


def test_a_ttl_longer_than_time_itself_does_not_overflow(con):
    assert one_row(con, [fact(-HOUR, -HOUR)], ttl=timedelta(days=900_000))[2] == "present"


def test_a_late_correction_of_an_old_event_does_not_replace_a_newer_event(con):
    facts = [fact(-2 * HOUR, -2 * HOUR, 1.0), fact(-HOUR, -HOUR, 2.0), fact(-2 * HOUR, -US, 3.0)]
    assert one_row(con, facts)[0] == 2.0


def test_a_correction_of_the_latest_event_counts_once_it_is_known(con):
    facts = [fact(-2 * HOUR, -2 * HOUR, 1.0), fact(-2 * HOUR, -HOUR, 2.0)]
    assert one_row(con, facts)[0] == 2.0
    assert one_row(con, facts, as_of=T0 - HOUR - US)[0] == 1.0


def test_a_tie_does_not_multiply_rows(con):
    facts = [fact(-HOUR, -HOUR, float(n)) for n in range(5)] * 2
    load(con, [(1, "a", "b", T0), (2, "a", "b", T0)], facts)
    assert joined(con, spec(tie_breaker=None)) == [(n, 4.0, "v", *PRESENT) for n in (1, 2)]


def test_the_tie_breaker_outranks_the_values(con):
    assert (
        one_row(con, [fact(-HOUR, -HOUR, 1.0, grade=2), fact(-HOUR, -HOUR, 9.0, grade=1)])[0] == 1.0
    )


def test_composite_keys_that_read_alike_do_not_borrow_from_each_other(con):
    facts = [("1", "11", T0, T0, 0, 1.0, "p"), ("11", "1", T0, T0, 0, 2.0, "q")]
    load(con, [(1, "1", "11", T0), (2, "11", "1", T0), (3, "111", "", T0)], facts)
    assert [row[1] for row in joined(con, spec())] == [1.0, 2.0, None]


def test_null_keys_match_nothing_and_their_rows_are_kept(con):
    load(con, [(1, None, "b", T0), (2, "a", None, T0)], [(None, "b", T0, T0, 0, 1.0, "p")])
    assert joined(con, spec()) == [(1, None, None, *NOT_FOUND), (2, None, None, *NOT_FOUND)]
    timeless = spec(event_time=None, known_at=None)
    assert joined(con, timeless) == [(1, None, None, *NOT_FOUND), (2, None, None, *NOT_FOUND)]


def test_equal_rows_stay_distinct_and_in_order(con):
    load(con, [(n, "a", "b", T0) for n in (3, 1, 3, 2)], [fact(-HOUR, -HOUR)])
    assert [row[0] for row in joined(con, spec())] == [3, 1, 3, 2]
    ordered = joined(con, spec(), rows="SELECT * FROM rows ORDER BY id DESC;")
    assert [row[0] for row in ordered] == [3, 3, 2, 1]


def test_a_row_without_a_moment_matches_nothing(con):
    load(con, [(1, "a", "b", None), (2, "a", "b", T0)], [fact(-HOUR, -HOUR)] * 9)
    for threshold in (0, 64):
        con.execute(f"SET asof_loop_join_threshold = {threshold}")
        assert [row[3] for row in joined(con, spec())] == ["not_found", "present"]


def test_a_fact_without_a_real_time_hides_no_other(con):
    facts = [fact(-HOUR, -HOUR)]
    for moment in ("infinity", "-infinity"):
        load(con, [(1, "a", "b", T0)], facts)
        con.execute(
            f"INSERT INTO facts SELECT * REPLACE ('{moment}'::TIMESTAMP AS happened, "
            "known + INTERVAL 1 MINUTE AS known) FROM facts"
        )
        assert joined(con, spec())[0][1:] == (1.0, "v", *PRESENT)


def test_empty_tables_lose_no_row_and_make_none(con):
    load(con, [(1, "a", "b", T0)], [])
    assert joined(con, spec()) == [(1, None, None, *NOT_FOUND)]
    load(con, [], [fact(-HOUR, -HOUR)])
    assert joined(con, spec()) == []


def test_views_are_looked_up_independently_and_the_result_outlives_the_tables(con):
    load(con, [(1, "a", "b", T0)], [fact(-HOUR, -HOUR)])
    con.execute("CREATE OR REPLACE TEMP TABLE other AS SELECT 'a' AS k1, 7::HUGEINT AS z")
    other = JoinSpec("other", "other", ("k1",), ("z",), None, None, None)
    result = point_in_time_join(con, "rows", [spec(), other])
    con.execute("DROP TABLE facts")
    assert result.columns == ["row_ordinal", "id", "case_id", "k1", "k2", "as_of", "x", "y", "z"]
    assert str(result.types[-1]) == "HUGEINT"
    assert result.fetchall() == [(1, 1, 0, "a", "b", T0, 1.0, "v", 7)]
    left = con.execute("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'temporary%'")
    assert left.fetchall() == []


def test_times_with_a_zone_are_compared_in_utc(con):
    con.execute("SET TimeZone = 'Asia/Tokyo'")
    try:
        load(con, [(1, "a", "b", T0)], [fact(timedelta(0), timedelta(0))])
        zoned = (
            "SELECT * REPLACE (timezone('UTC', happened) AS happened, "
            "timezone('UTC', known) AS known) FROM facts"
        )
        rows = (
            "SELECT * REPLACE (timezone('UTC', as_of - INTERVAL {} MICROSECOND) AS as_of) FROM rows"
        )
        assert joined(con, spec(table=zoned), rows.format(0))[0][3] == "present"
        assert joined(con, spec(table=zoned), rows.format(1))[0][3] == "not_found"
    finally:
        con.execute("RESET TimeZone")


@pytest.mark.parametrize(
    ("changes", "rows", "message"),
    [
        ({"keys": ("nope",)}, "rows", "the rows lack nope"),
        ({"features": ("nope",)}, "rows", "its table lack nope"),
        ({"features": ("grade", "k1")}, "rows", "k1 would come out twice"),
        ({}, "SELECT *, 1 AS X FROM rows", "x would come out twice"),
        ({}, "SELECT *, 1 AS Row_Ordinal FROM rows", "the rows: Row_Ordinal would come out twice"),
        ({}, "SELECT * REPLACE (as_of::TIMESTAMP_NS AS as_of) FROM rows", "TIMESTAMP_NS"),
    ],
)
def test_a_wrong_declaration_is_named(con, changes, rows, message):
    load(con, [], [])
    with pytest.raises(ValueError, match=message):
        point_in_time_join(con, rows, [spec(**changes)])


def test_a_ttl_of_zero_is_refused():
    with pytest.raises(ValueError, match="ttl must be positive"):
        spec(ttl=timedelta(0))
    with pytest.raises(ValueError, match="without event_time"):
        spec(event_time=None)
    with pytest.raises(ValueError, match="null_known_at is 'now'"):
        spec(null_known_at="now")
