"""The store: whole partitions or nothing, matched by name, with a true ledger."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.storage import store
from mlops_assets.core.storage.contracts import ColumnSpec
from mlops_assets.core.storage.store import SchemaChangeError
from mlops_assets_tests.benchmarks import digest_mutations

D1, D2, D3 = date(2013, 1, 1), date(2013, 1, 2), date(2013, 1, 3)


@pytest.fixture
def con(tmp_path):
    with duckdb.connect(str(tmp_path / "store.duckdb")) as con:
        store.initialise(con)
        yield con


def frame(*rows, columns=("partition_date", "k", "v")) -> pd.DataFrame:
    data = pd.DataFrame(list(rows), columns=list(columns))
    if "partition_date" in data:
        data["partition_date"] = pd.to_datetime(data["partition_date"])
    return data


def write(con, rows, dates=(D1, D2), dataset="raw.x", **more):
    con.execute("BEGIN")
    try:
        result = store.replace_partitions(
            con, dataset, rows, None if dates is None else list(dates), run_id="r1", **more
        )
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
    return result


def content(con, dataset="raw.x"):
    return con.execute(f"FROM {dataset} ORDER BY ALL").fetchall()


def ledger(con):
    return con.execute("FROM ops.partitions ORDER BY ALL").fetchall()


def test_initialising_twice_keeps_what_is_there(con):
    write(con, frame((D1, 1, 1.0)))
    store.initialise(con)
    assert len(content(con)) == 1


def test_other_days_are_left_alone(con):
    write(con, frame((D1, 1, 1.0), (D2, 2, 2.0)))
    write(con, frame((D2, 3, 3.0)), dates=[D2])
    assert content(con) == [(D1, 1, 1.0), (D2, 3, 3.0)]


def test_an_empty_day_is_recorded_and_not_absent(con):
    result = write(con, frame((D1, 1, 1.0)), dates=[D1, D2, D3])
    assert [state.rows for state in result.values()] == [1, 0, 0]
    assert [row[2] for row in ledger(con)] == [1, 0, 0]
    assert store.latest_day(con, "raw.x") == D1


def test_a_day_can_become_empty(con):
    write(con, frame((D1, 1, 1.0), (D2, 2, 2.0)))
    write(con, frame((D1, 1, 1.0)))
    assert content(con) == [(D1, 1, 1.0)]


def test_columns_are_matched_by_name_and_not_by_position(con):
    write(con, frame((D1, 1, 2.0)))
    write(con, frame((9.0, 8, D1), columns=("v", "k", "partition_date")), dates=[D1])
    assert content(con) == [(D1, 8, 9.0)]


def test_a_rewrite_with_the_same_rows_changes_nothing_in_the_ledger(con):
    write(con, frame((D1, 1, 1.0), (D1, 2, 2.0)), now=datetime(2013, 1, 1))
    before = ledger(con)
    again = write(con, frame((D1, 2, 2.0), (D1, 1, 1.0)), now=datetime(2014, 1, 1))
    assert ledger(con) == before
    assert not any(state.changed for state in again.values())


def test_rows_may_be_read_from_the_table_they_replace(con):
    write(con, frame((D1, 1, 1.0), (D2, 2, 2.0)))
    write(con, con.sql("SELECT * REPLACE (v + 1 AS v) FROM raw.x"))
    assert content(con) == [(D1, 1, 2.0), (D2, 2, 3.0)]


def test_rows_of_a_day_that_is_not_written_are_an_error_and_nothing_is_lost(con):
    write(con, frame((D1, 1, 1.0)))
    with pytest.raises(ValueError, match="2013-01-03"):
        write(con, frame((D1, 5, 5.0), (D3, 6, 6.0)))
    with pytest.raises(ValueError, match="None"):
        write(con, frame((None, 5, 5.0)))
    assert content(con) == [(D1, 1, 1.0)]


def test_a_new_column_is_added_and_the_ledger_follows(con):
    write(con, frame((D1, 1, 1.0), (D2, 2, 2.0)))
    wider = frame((D2, 2, 2.0, "new"), columns=("partition_date", "k", "v", "w"))
    write(con, wider, dates=[D2])
    assert content(con) == [(D1, 1, 1.0, None), (D2, 2, 2.0, "new")]
    for day, state in store.partitions(con, "raw.x").items():
        digest = store.content_digest(con, f"SELECT * FROM raw.x WHERE partition_date = '{day}'")
        assert digest == state.digest


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (frame((D1, 1), columns=("partition_date", "k")), r"column v \(DOUBLE\) is gone"),
        (frame((D1, 1, "text")), "column v was DOUBLE and would become VARCHAR"),
        (frame((D1, 1.5, 1.0)), "column k was BIGINT and would become DOUBLE"),
        (frame((1, 1.0), columns=("k", "v")), "partition_date is missing"),
    ],
)
def test_a_changed_schema_is_refused_before_anything_is_deleted(con, rows, words):
    write(con, frame((D1, 1, 1.0)))
    with pytest.raises(SchemaChangeError, match=words):
        store.replace_partitions(con, "raw.x", rows, [D1], run_id="r2")
    assert content(con) == [(D1, 1, 1.0)]


def test_a_type_that_pandas_happened_to_give_only_matters_where_values_are_lost(con):
    write(con, frame((D1, 1, 1.0)))
    write(con, frame((D2, 2, None)).astype({"k": "int16", "v": object}), dates=[D2])
    write(con, frame((D3, 3.0, 1), (D3, None, 2)), dates=[D3])
    assert content(con) == [(D1, 1, 1.0), (D2, 2, None), (D3, 3, 1.0), (D3, None, 2.0)]


def test_declared_types_win_and_descriptions_are_kept(con):
    specs = [
        ColumnSpec("k", "INTEGER", False, "It's a key"),
        ColumnSpec("v", "DOUBLE", True, "Speed", "m/s"),
    ]
    write(con, frame((D1, 1, 7)), columns=specs)
    types = con.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = 'x'"
    ).fetchall()
    assert types == [
        ("k", "INTEGER", "It's a key"),
        ("v", "DOUBLE", "Speed [m/s]"),
        ("partition_date", "DATE", None),
    ]
    with pytest.raises(SchemaChangeError, match="does not fit"):
        write(con, frame((D1, 2**40, 1.0)), columns=specs)
    with pytest.raises(SchemaChangeError, match="was INTEGER and would become BIGINT"):
        write(con, frame((D1, 2, 1.0)), columns=[ColumnSpec("k", "BIGINT", False), specs[1]])


def test_a_table_without_days_is_replaced_as_a_whole(con):
    write(con, frame((1, 1.0), (2, 2.0), columns=("k", "v")), dates=None)
    result = write(con, frame((3, 3.0), columns=("k", "v")), dates=None)
    assert content(con) == [(3, 3.0)]
    assert result[None].rows == 1
    assert [row[:3] for row in ledger(con)] == [("raw.x", None, 1)]
    assert store.latest_day(con, "raw.x") is None


def test_names_that_are_no_identifiers_never_reach_sql(con):
    with pytest.raises(ValueError, match="cannot be a table or column name"):
        write(con, frame((D1, 1, 1.0)), dataset='raw.x"; DROP TABLE ops.partitions; --')
    with pytest.raises(ValueError, match="cannot be a table or column name"):
        write(con, frame((D1, 1), columns=("partition_date", 'a"b')))


def append(con, rows, **more):
    return store.append_rows(con, "capture.x", rows, key=["k"], run_id="r", dates=[D1, D2], **more)


def test_appending_again_leaves_what_was_there_untouched(con):
    append(con, frame((D1, 1, 1.0)))
    result = append(con, frame((D1, 1, 99.0), (D1, 2, 2.0), (D2, 3, 3.0)))
    assert content(con, "capture.x") == [(D1, 1, 1.0), (D1, 2, 2.0), (D2, 3, 3.0)]
    assert [(s.rows, s.new_rows) for s in result.values()] == [(2, 1), (1, 1)]
    digest = store.content_digest(con, "FROM capture.x WHERE partition_date = '2013-01-01'")
    assert result[D1].digest == digest
    before = ledger(con)
    again = append(con, frame((D1, 1, 1.0)))
    assert [(s.rows, s.new_rows, s.changed) for s in again.values()] == [
        (2, 0, False),
        (1, 0, False),
    ]
    assert ledger(con) == before


def test_appending_rows_that_share_a_key_or_have_none_is_an_error(con):
    with pytest.raises(ValueError, match="1 share one"):
        append(con, frame((D1, 1, 1.0), (D2, 1, 2.0)))
    with pytest.raises(ValueError, match="1 have no key"):
        append(con, frame((D1, None, 1.0), (D2, 1, 2.0)))


def digest_of(con, sql, **more):
    return store.content_digest(con, sql, **more)


def test_the_digest_sees_every_change_but_the_order(con):
    base = digest_of(con, "FROM (VALUES (1, 'a'), (2, NULL)) t(k, v)")
    assert base == digest_of(con, "FROM (VALUES (2, NULL), (1, 'a')) t(k, v)")
    assert base == digest_of(con, "SELECT v, k FROM (VALUES (1, 'a'), (2, NULL)) t(k, v)")
    others = [
        "FROM (VALUES (1, 'a'), (2, NULL), (2, NULL)) t(k, v)",
        "FROM (VALUES (1, 'a'), (1, 'a'), (2, NULL), (2, NULL)) t(k, v)",
        "FROM (VALUES (1, 'a'), (2, 'null')) t(k, v)",
        "FROM (VALUES (1, 'a'), (2, '')) t(k, v)",
        "FROM (VALUES (1::BIGINT, 'a'), (2, NULL)) t(k, v)",
        "FROM (VALUES (1, 'a'), (2, NULL)) t(k, w)",
        "FROM (VALUES (1, 'a')) t(k, v)",
        "FROM (VALUES (1, 'a')) t(k, v) WHERE false",
        "FROM (VALUES (2, 'a'), (1, NULL)) t(k, v)",
    ]
    digests = [digest_of(con, sql) for sql in others]
    assert base not in digests
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'NaN'::DOUBLE", "NULL::DOUBLE"),
        ("'inf'::DOUBLE", "'-inf'::DOUBLE"),
        ("0.1::DOUBLE", "0.10000000000000002::DOUBLE"),
        ("9007199254740993", "9007199254740992"),
        ("10000000000000000000000000001::HUGEINT", "10000000000000000000000000002::HUGEINT"),
        ("1.00000000000000000001::DECIMAL(38,20)", "1.00000000000000000002::DECIMAL(38,20)"),
        ("TIMESTAMP '2013-01-01 00:00:00.000001'", "TIMESTAMP '2013-01-01'"),
        ("MAP {'a': 0.5}", "MAP {'a': 0.25}"),
        ("['a,b']", "['a', 'b']"),
        ("'a\"b'", "'a\\\"b'"),
        ("'\\x00'::BLOB", "'\\x01'::BLOB"),
    ],
)  # fmt: skip
def test_the_digest_distinguishes_values_that_look_alike(con, one, other):
    assert digest_of(con, f"SELECT {one} AS x") != digest_of(con, f"SELECT {other} AS x")


def test_excluded_columns_do_not_count(con):
    one, other = "SELECT 1 AS k, 'a' AS run_id", "SELECT 1 AS k, 'b' AS run_id"
    assert digest_of(con, one) != digest_of(con, other)
    assert digest_of(con, one, exclude=["run_id"]) == digest_of(con, other, exclude=["run_id"])


def test_the_digest_is_the_same_in_every_version_of_duckdb(con):
    # If this changes, every stored digest and training-set name changes with it.
    sql = (
        "SELECT 1::BIGINT AS i, 0.1::DOUBLE AS d, 0.1::FLOAT AS f, 'ä\"\\' AS s, true AS b, "
        "TIMESTAMP '2013-01-01 02:03:04.000005' AS t, DATE '2013-01-01' AS day, "
        "1e22::DOUBLE AS large, 5e-324::DOUBLE AS least, 100.0::DOUBLE AS whole, "
        "MAP {'a': 0.5} AS m, NULL::VARCHAR AS n"
    )
    assert digest_of(con, sql) == "56a71a732f4759f33f4488b806bf9907"


@settings(max_examples=10, deadline=None)
@given(
    writes=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([D1, D2, D3]), st.integers(0, 3), st.sampled_from([0.5, None])
            ),
            max_size=5,
        ),
        min_size=1,
        max_size=4,
    ),
    data=st.data(),
)
def test_any_sequence_of_writes_leaves_what_a_dictionary_would_hold(writes, data):
    expected: dict[date, list] = {}
    with duckdb.connect() as con:
        store.initialise(con)
        for rows in writes:
            dates = data.draw(st.sets(st.sampled_from([D1, D2, D3]), min_size=1))
            rows = [row for row in rows if row[0] in dates]
            typed = frame(*rows).astype({"k": "int64", "v": "float64"})
            store.replace_partitions(con, "raw.x", typed, sorted(dates), run_id="r")
            expected |= {day: sorted(map(repr, (r for r in rows if r[0] == day))) for day in dates}
            found = con.execute("SELECT partition_date, k, v FROM raw.x").fetchall()
            for day, wanted in expected.items():
                assert sorted(map(repr, (r for r in found if r[0] == day))) == wanted
        for day, state in store.partitions(con, "raw.x").items():
            sql = f"FROM raw.x WHERE partition_date = '{day}'"
            assert state.rows == len(expected[day])  # type: ignore[index]
            assert state.digest == store.content_digest(con, sql)
        assert set(store.partitions(con, "raw.x")) == set(expected)


def test_no_mutation_of_a_table_goes_unseen(con):
    digest_mutations.create_table(con, "base", 200)
    seen = [
        *digest_mutations.content_mutations(con, "base", 2_000, seed=3),
        *digest_mutations.schema_mutations(con, "base", 50, seed=4),
    ]
    assert len(seen) == 2_050
    assert all(seen)


def test_a_temporary_table_is_written_like_any_rows_and_left_alone(con):
    columns = [ColumnSpec("k", "BIGINT", False), ColumnSpec("v", "DOUBLE", True)]
    rows = frame((D1, 1, 1.0), (D2, 2, 2.0))
    expected = write(con, rows, columns=columns, dataset="raw.y")
    con.register("rows", rows)
    for types in ("v::DOUBLE AS v, k::BIGINT AS k", "v::FLOAT AS v, k::INTEGER AS k"):
        con.execute(
            "CREATE OR REPLACE TEMP TABLE own AS "
            f"SELECT {types}, partition_date::DATE AS partition_date FROM rows"
        )
        assert {d: p.digest for d, p in write(con, '"own"', columns=columns).items()} == {
            d: p.digest for d, p in expected.items()
        }
        assert content(con) == content(con, "raw.y")
        assert con.execute("SELECT count(*) FROM own").fetchall() == [(2,)]
    before = content(con), ledger(con)
    with pytest.raises(ValueError, match="2013-01-02 are not among the days"):
        write(con, '"own"', [D1], columns=columns)
    assert (content(con), ledger(con)) == before
