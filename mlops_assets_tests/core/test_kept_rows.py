"""Rows kept for the next model: never others than would be looked up now."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pandas as pd
import pytest

from mlops_assets.core.features import kept_rows
from mlops_assets.core.features.feature_views import compute
from mlops_assets.core.features.retrieval import feature_rows
from mlops_assets.vocabulary import Rows
from mlops_assets_tests.core import kiosk
from mlops_assets_tests.core.kiosk import START

DAYS = 12
END = START + timedelta(days=DAYS)


@pytest.fixture
def case():
    return kiosk.use_case()


@pytest.fixture
def con(case):
    with kiosk.connect() as connection:
        kiosk.fill(connection)
        kiosk.compute_all(connection, case, END)
        kept_rows.allow(connection)
        yield connection


def rows(con, case, **of_model) -> pd.DataFrame:
    model = dataclasses.replace(case.models[0], **of_model)
    return feature_rows(con, case, model, START, END, label=True).df()


def kept(con) -> int:
    [(found,)] = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE temporary AND table_name LIKE '%_rows'"
    ).fetchall()
    return found


def afresh(con, case, **of_model) -> pd.DataFrame:
    """The same, looked up again: nothing is kept."""
    con.execute("RESET VARIABLE kept_rows")
    try:
        return rows(con, case, **of_model)
    finally:
        kept_rows.allow(con)


def test_the_next_model_is_told_the_same_and_its_own_label(con, case):
    first = rows(con, case, name="one")
    label = dataclasses.replace(case.models[0].label, name="litres", expression="litres")
    second = rows(con, case, name="two", problem="regression", label=label)
    assert kept(con) == 1  # both came from the same table
    pd.testing.assert_frame_equal(
        first.drop(columns=["label", "label_known_at"]),
        second.drop(columns=["label", "label_known_at"]),
    )
    pd.testing.assert_frame_equal(
        second, afresh(con, case, name="two", problem="regression", label=label)
    )
    assert not first["label"].equals(second["label"])


@pytest.mark.parametrize(
    "other",
    [
        {"rows": Rows(source="orders", as_of="ordered_at - INTERVAL 5 HOUR", where="litres > 0")},
        {"rows": Rows(source="orders", as_of="ordered_at - INTERVAL 1 HOUR", where="litres > 12")},
        {"features": ["request", "size"]},
        {"features": ["request", "temperature", "recent", "size"]},
    ],
    ids=["another moment", "fewer rows", "fewer features", "more features"],
)
def test_a_model_that_asks_for_something_else_gets_that(con, case, other):
    before = rows(con, case)
    found = rows(con, case, **other)
    assert not found.equals(before)
    pd.testing.assert_frame_equal(found, afresh(con, case, **other))


def test_a_view_that_was_computed_again_is_looked_up_again(con, case):
    before = rows(con, case)
    con.execute("UPDATE raw.weather SET degrees = degrees + 100")
    view = case.view("temperature")
    assert compute(con, case, view, START, END, run_id="again").problems == []
    after = rows(con, case)
    pd.testing.assert_frame_equal(after, afresh(con, case))
    assert not after["degrees"].equals(before["degrees"])


def test_rows_of_a_transaction_that_was_rolled_back_are_looked_up_again(con, case):
    con.execute("BEGIN")
    before = rows(con, case)
    con.execute("ROLLBACK")
    assert kept(con) == 0
    pd.testing.assert_frame_equal(rows(con, case), before)


def test_many_periods_do_not_fill_the_memory(con, case):
    for n in range(2 * kept_rows.KEPT):
        feature_rows(con, case, case.models[0], START, START + timedelta(days=n + 1))
    assert kept(con) == kept_rows.KEPT


def test_nothing_is_kept_where_others_may_write(case):
    with kiosk.connect() as con:
        kiosk.fill(con)
        kiosk.compute_all(con, case, END)
        before = rows(con, case)
        con.execute("UPDATE features.temperature SET degrees = degrees + 100")
        assert not rows(con, case)["degrees"].equals(before["degrees"])
        assert kept(con) == 0
