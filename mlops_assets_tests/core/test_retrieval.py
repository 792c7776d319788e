"""Rows with features and labels: what is used, what is not, and what comes out."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pandas as pd
import pytest

from mlops_assets.core.features.retrieval import create_feature_rows, feature_columns, feature_rows
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.vocabulary import DeclarationError, Entity, Label, OnDemandFeatures, Rows
from mlops_assets_tests.core import kiosk
from mlops_assets_tests.core.kiosk import HOUR, START, moment, schema, view

END = START + timedelta(days=12)
DAY = START + timedelta(days=6)
FEATURES = ["litres", "local_hour", "city", "degrees", "spoilt_recently", "metres"]


@pytest.fixture
def con():
    with kiosk.connect() as connection:
        kiosk.fill(connection)
        yield connection


@pytest.fixture
def case(con):
    declared = kiosk.use_case()
    kiosk.compute_all(con, declared, END)
    return declared


def get(con, case, start=DAY, end=None, **options) -> pd.DataFrame:
    end = end or start + timedelta(days=1)
    return feature_rows(con, case, case.models[0], start, end, **options).df()


def test_features_come_in_the_declared_order(con, case):
    assert feature_columns(case, case.models[0]) == FEATURES
    assert list(get(con, case)) == ["row_key", "as_of", "partition_date", *FEATURES]
    labelled = get(con, case, label=True)
    assert list(labelled)[-2:] == ["label", "label_known_at"]


def test_every_row_of_the_day_comes_once_in_order_with_what_was_known(con, case):
    found = get(con, case)
    assert found.row_key.tolist() == [
        f'["{"york" if i % 2 == 0 else "hull"}","{DAY}-{i}"]' for i in range(8)
    ]
    for i, row in enumerate(found.itertuples()):
        # Measured every two hours and published 50 minutes later; asked for at even hours.
        assert row.as_of == moment(DAY, 6 + 2 * i)
        assert row.local_hour == 6 + 2 * i
        assert row.degrees == 6 + (4 + 2 * i) + (0.5 if row.city == "york" else 0.0)
        assert pd.isna(row.metres) == (i % 4 == 3)
        known = con.execute(
            "SELECT count(*) FROM raw.spoilt WHERE city = ? AND kiosk = ? AND known_at <= ? "
            "AND known_at >= (SELECT max(known_at) - INTERVAL 1 DAY FROM raw.spoilt "
            "WHERE city = $1 AND kiosk = $2 AND known_at <= $3)",
            [row.city, str(i % 4), row.as_of],
        ).fetchall()
        assert row.spoilt_recently == known[0][0]


def test_no_feature_uses_a_fact_from_its_future(con, case):
    """Change every fact of the future, and no feature changes; of the past, and some do."""
    asked = moment(DAY, 14)
    before = get(con, case)
    before = before[before.as_of <= asked]
    assert len(before) > 3

    def changed(condition: str) -> pd.DataFrame:
        con.execute(
            "UPDATE raw.spoilt SET litres = litres + 1000, spoilt = NOT spoilt "
            f"WHERE known_at {condition} ?",
            [asked],
        )
        con.execute(
            f"UPDATE raw.weather SET degrees = degrees + 1000 WHERE published_at {condition} ?",
            [asked],
        )
        kiosk.compute_all(con, case, END)
        after = get(con, case)
        return after[after.as_of <= asked]

    pd.testing.assert_frame_equal(changed(">"), before)
    # Corrections of the past that come to be known a microsecond too late.
    con.execute(
        "INSERT INTO raw.weather SELECT * REPLACE (? + INTERVAL 1 MICROSECOND AS published_at, "
        "measured_at + INTERVAL 1 MICROSECOND AS measured_at) FROM raw.weather "
        "WHERE published_at <= $1",
        [asked],
    )
    con.execute(
        "INSERT INTO raw.spoilt SELECT * REPLACE (known_at + INTERVAL 9 DAY AS known_at, "
        "order_id || 'x' AS order_id) FROM raw.spoilt"
    )
    pd.testing.assert_frame_equal(changed(">"), before)
    assert (changed("<=").degrees - before.degrees == 1000).all()


def test_a_stored_fact_known_later_than_asked_is_not_used(con, case):
    """The same on the feature tables, whatever the views made of the facts."""
    before = get(con, case, START, END)
    for row in before.sample(25, random_state=0).itertuples():
        con.execute("BEGIN")
        con.execute(
            "UPDATE features.temperature SET degrees = degrees + 1000 WHERE known_at > $1",
            [row.as_of],
        )
        con.execute(
            "UPDATE features.recent SET spoilt_recently = -1 WHERE known_at > $1", [row.as_of]
        )
        again = get(con, case, START, END)
        con.execute("ROLLBACK")
        earlier = before.as_of <= row.as_of
        pd.testing.assert_frame_equal(again[earlier], before[earlier])


def test_a_row_not_known_when_its_prediction_is_made_is_left_out(con, case):
    at = moment(DAY, 6)
    con.execute("UPDATE raw.orders SET booked_at = ? WHERE order_id = ?", [at, f"{DAY}-0"])
    assert len(get(con, case)) == 8
    con.execute(
        "UPDATE raw.orders SET booked_at = ? WHERE order_id = ?",
        [at + timedelta(microseconds=1), f"{DAY}-0"],
    )
    assert len(get(con, case)) == 7


def test_rows_that_the_model_does_not_want_are_left_out(con, case):
    con.execute("UPDATE raw.orders SET litres = 0 WHERE order_id = ?", [f"{DAY}-3"])
    assert len(get(con, case)) == 7


def test_expired_values_are_not_used(con, case):
    con.execute("DELETE FROM features.temperature WHERE partition_date = ?", [DAY])
    assert get(con, case).degrees.isna().all()


def test_a_range_of_days_gives_the_same_rows_as_its_days(con, case):
    whole = get(con, case, START, END, label=True)
    days = [get(con, case, day.date(), label=True) for day in pd.date_range(START, END)[:-1]]
    pd.testing.assert_frame_equal(pd.concat(days, ignore_index=True), whole, check_dtype=False)
    assert len(whole) == 12 * 8


def test_training_and_scoring_see_the_same_features(con, case):
    training = get(con, case, START, END, label=True, label_known_before=moment(END, 0))
    scoring = get(con, case)
    part = training[training.partition_date == pd.Timestamp(DAY)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part[list(scoring)], scoring, check_dtype=False)


def test_a_label_known_too_late_is_not_given(con, case):
    bound = moment(DAY + timedelta(days=1), 0)
    found = get(con, case, label=True, label_known_before=bound)
    everything = get(con, case, label=True)
    assert everything.label.notna().all()
    late = everything.label_known_at >= bound
    assert 0 < late.sum() < 8
    assert (found.label.isna() == late).all()
    assert found.label_known_at[~late].equals(everything.label_known_at[~late])


def test_a_label_known_exactly_at_the_bound_is_too_late(con, case):
    known = get(con, case, label=True).label_known_at[2].to_pydatetime()
    options = {"label": True, "label_known_before": known}
    assert pd.isna(get(con, case, **options).label[2])
    options["label_known_before"] += timedelta(microseconds=1)
    assert pd.notna(get(con, case, **options).label[2])


def test_a_corrected_label_counts_from_when_the_correction_is_known(con, case):
    first = get(con, case, label=True)
    key, known = f"{DAY}-2", first.label_known_at[2].to_pydatetime()
    con.execute(
        "INSERT INTO raw.spoilt SELECT * REPLACE (NOT spoilt AS spoilt, ? AS known_at, "
        "ingest_seq + 1000000 AS ingest_seq) FROM raw.spoilt WHERE order_id = ?",
        [known + 9 * HOUR, key],
    )
    corrected = get(con, case, label=True)
    assert len(corrected) == 8
    assert corrected.label[2] == (not first.label[2])
    old = get(con, case, label=True, label_known_before=known + 9 * HOUR)
    assert old.label[2] == first.label[2]


def test_a_known_absence_of_a_label_differs_from_an_unknown_one(con, case):
    con.execute("UPDATE raw.spoilt SET spoilt = NULL WHERE order_id = ?", [f"{DAY}-1"])
    con.execute("DELETE FROM raw.spoilt WHERE order_id = ?", [f"{DAY}-2"])
    con.execute("UPDATE raw.spoilt SET known_at = NULL WHERE order_id = ?", [f"{DAY}-3"])
    found = get(con, case, label=True)
    assert found.label.isna().tolist() == [i in (1, 2, 3) for i in range(8)]
    assert found.label_known_at.isna().tolist() == [i in (2, 3) for i in range(8)]


def test_a_single_key_is_kept_as_it_is(con):
    sources = [
        dataclasses.replace(s, key=["order_id"]) if s.name == "orders" else s
        for s in kiosk.use_case().sources
    ]
    declared = dataclasses.replace(kiosk.use_case(features=["request"]), sources=sources)
    assert get(con, declared).row_key.tolist() == [f"{DAY}-{i}" for i in range(8)]


def test_composite_keys_that_read_alike_differ(con):
    con.execute(
        "UPDATE raw.orders SET city = CASE order_id[-1] WHEN '0' THEN 'a' WHEN '1' THEN 'a,b' "
        "ELSE city END, order_id = CASE order_id[-1] WHEN '0' THEN 'b,c' WHEN '1' THEN 'c' "
        "ELSE order_id END"
    )
    found = get(con, kiosk.use_case(features=["request"]))
    assert found.row_key.is_unique


def test_a_day_without_rows_gives_none(con, case):
    found = get(con, case, END + timedelta(days=5), label=True)
    assert found.empty
    assert list(found)[3:-2] == FEATURES


def test_a_column_of_the_rows_may_be_a_feature_and_a_key(con, case):
    assert set(get(con, case).city) == {"york", "hull"}


def test_comments_in_declared_sql_do_no_harm(con):
    commented = OnDemandFeatures(name="request", features={"a": "litres -- in litres"})
    declared = kiosk.use_case(
        views=[commented],
        features=["request"],
        rows=Rows(source="orders", as_of="ordered_at -- then", where="litres > 0 -- all"),
        label=Label(name="y", source="spoilt", expression="spoilt -- bad", join=["order_id"]),
    )
    assert len(get(con, declared, label=True)) == 8


def test_a_table_that_was_never_written_is_named(con):
    with pytest.raises(NotComputedError, match="materialise kiosks/features/temperature, "):
        get(con, kiosk.use_case())
    con.execute("DROP TABLE raw.orders")
    with pytest.raises(NotComputedError, match="kiosks/raw/orders"):
        get(con, kiosk.use_case(features=["request"]))


def test_no_temporary_table_is_left_behind(con, case):
    get(con, case, label=True)
    query = "SELECT table_name FROM duckdb_tables() WHERE temporary"
    assert con.execute(query).fetchall() == []
    create_feature_rows(con, case, case.models[0], DAY, DAY + timedelta(days=1), '"mine"')
    assert con.execute(query).fetchall() == [("mine",)]


def test_it_works_within_a_transaction_that_has_written(con, case):
    con.execute("BEGIN; DELETE FROM features.size")
    assert get(con, case).metres.isna().all()
    con.execute("ROLLBACK")
    assert get(con, case).metres.notna().any()


def test_it_works_on_a_read_only_file(tmp_path):
    import duckdb

    from mlops_assets.core.storage.sql import define_local_time

    path = str(tmp_path / "kiosks.duckdb")
    case = kiosk.use_case()
    with kiosk.connect(path) as con:
        kiosk.fill(con)
        kiosk.compute_all(con, case, END)
    with duckdb.connect(path, read_only=True) as con:
        define_local_time(con, kiosk.ZONE)
        assert len(get(con, case, label=True)) == 8


twice = view(name="other", schema=schema(degrees=float))


@pytest.mark.parametrize(
    ("features", "views", "message"),
    [
        (["temperature.wind"], None, "has no feature 'wind'; it has degrees"),
        (["temperature", "temperature.degrees"], None, "'degrees' comes from 'temperature' and"),
        (["temperature", "other"], [view(), twice], "and again from 'other'"),
        (
            ["request"],
            [OnDemandFeatures(name="request", features={"label": "1"})],
            "'label' of view 'request' is the name of a column",
        ),
        (
            ["temperature"],
            [view(entity=Entity(name="town", keys=["town"]))],
            "entity 'town' of 'temperature' needs town, which the rows of 'orders' do not have",
        ),
    ],
)
def test_a_wrong_declaration_is_named(con, features, views, message):
    case = kiosk.use_case(features=features, views=views)
    con.execute("CREATE TABLE features.temperature (x INTEGER)")
    with pytest.raises(DeclarationError, match=message):
        get(con, case)
