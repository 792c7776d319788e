"""Twelve faults, each one incident with its cause and column; and how incidents end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core import quality
from mlops_assets.core.quality import Cause, MeasuredDay, State, Status
from mlops_assets_tests.core import bad_data
from mlops_assets_tests.core import quality_days as orders
from mlops_assets_tests.core.quality_days import Fault

RNG = np.random.default_rng


def _stuck(rows: pd.DataFrame) -> pd.DataFrame:
    everywhere = pd.Series(True, index=rows.index)
    return bad_data.stuck_sensor(rows, "weight_kg", everywhere, 100, 90)


def _again(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(order_id=rows["order_id"] + "-b")


def _noon(rows: pd.DataFrame) -> pd.DataFrame:
    until = rows["ordered_at"].dt.normalize().iloc[-1] + pd.Timedelta(hours=13)
    return bad_data.truncated_file(rows, "ordered_at", until)


FAULTS: dict[str, tuple[Fault, Cause, str | None]] = {
    "unit": (
        lambda rows: bad_data.unit_change(rows, "weight_kg", 1000.0),
        Cause.UNIT_CHANGE,
        "weight_kg",
    ),
    "currency": (
        lambda rows: bad_data.unit_change(rows, "price", 1.25, decimals=4),
        Cause.UNIT_CHANGE,
        "price",
    ),
    "null burst": (
        lambda rows: bad_data.null_burst(rows, "shop", 0.5, 0.5),
        Cause.NULL_BURST,
        "shop",
    ),
    "stuck": (_stuck, Cause.STUCK_SENSOR, "weight_kg"),
    "rename": (
        lambda rows: bad_data.category_rename(rows, "shop", "bonn", "Bonn (Rhein)"),
        Cause.CATEGORY_RENAME,
        "shop",
    ),
    "twice": (bad_data.duplicate_load, Cause.DUPLICATE_LOAD, None),
    "twice, other keys": (
        lambda rows: bad_data.duplicate_load(rows, _again),
        Cause.DUPLICATE_LOAD,
        None,
    ),
    "zone": (
        lambda rows: bad_data.timezone_shift(rows, ["ordered_at", "known_at"], 6),
        Cause.TIMEZONE_SHIFT,
        "ordered_at",
    ),
    "half": (lambda rows: bad_data.half_volume(rows, RNG(0)), Cause.HALF_VOLUME, None),
    "flip": (lambda rows: bad_data.label_flip(rows, "returned"), Cause.LABEL_FLIP, "returned"),
    "truncated": (_noon, Cause.TRUNCATED_FILE, "ordered_at"),
    "future": (
        lambda rows: bad_data.future_timestamps(rows, "known_at", 0.1, 365, RNG(0)),
        Cause.FUTURE_TIMESTAMPS,
        "known_at",
    ),
    "constant": (
        lambda rows: bad_data.constant_column(rows, "price", 9.99),
        Cause.CONSTANT_COLUMN,
        "price",
    ),
    "dropped": (
        lambda rows: bad_data.schema_change(rows, "shop", "dropped"),
        Cause.SCHEMA_CHANGE,
        "shop",
    ),
    "retyped": (
        lambda rows: bad_data.schema_change(rows, "price", "retyped"),
        Cause.SCHEMA_CHANGE,
        "price",
    ),
    "not finite": (
        lambda rows: rows.assign(price=rows["price"].where(rows.index % 9 > 0, np.inf)),
        Cause.NOT_FINITE,
        "price",
    ),
    "no rows": (lambda rows: rows.head(0), Cause.NO_ROWS, None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_incident_with_its_cause_and_column(name: str) -> None:
    fault, cause, column = FAULTS[name]
    assessed = orders.history({30: fault}, days=33)
    [incident] = quality.incidents("raw.orders", assessed)
    assert (incident.cause, incident.column) == (cause, column), incident.text
    assert (incident.opened, incident.days) == (orders.day(30), 1)
    # The next day is good, and the broken one is as it was.
    assert (incident.state, incident.closed_on) == (State.RECOVERED, orders.day(31))
    assert incident.still_bad == (orders.day(30),)


def test_good_days_are_no_incidents() -> None:
    assessed = orders.history({})
    assert quality.incidents("raw.orders", assessed) == []
    assert [t.judged for t in assessed] == [n >= 14 for n in range(orders.DAYS)]
    assert assessed[3].status("price") == Status.TOO_FEW_DAYS
    assert assessed[30].status("price") == Status.JUDGED


def test_the_size_of_a_unit_change_is_told() -> None:
    [incident] = quality.incidents("t", orders.history({30: FAULTS["currency"][0]}, days=31))
    assert incident.factor == pytest.approx(1.25, rel=1e-3)
    assert "1.25 × the usual" in incident.text
    assert incident.state == State.OPEN
    shifted = quality.incidents("t", orders.history({30: FAULTS["zone"][0]}, days=31))
    assert shifted[0].factor == 6


def test_days_in_a_row_are_one_incident_and_do_not_become_the_usual() -> None:
    days = dict.fromkeys(range(20, 27), FAULTS["rename"][0])
    [incident] = quality.incidents("raw.orders", orders.history(days, days=28))
    assert (incident.days, incident.last_day) == (7, orders.day(26))
    assert len(incident.still_bad) == 7


def test_a_day_that_is_broken_otherwise_does_not_end_an_incident() -> None:
    rename, half = FAULTS["rename"][0], FAULTS["half"][0]
    found = quality.incidents("t", orders.history({25: rename, 26: half, 27: rename}, days=29))
    assert [(i.cause, i.days) for i in found] == [
        (Cause.CATEGORY_RENAME, 2),
        (Cause.HALF_VOLUME, 1),
    ]


def test_two_faults_of_a_day_are_two_incidents() -> None:
    def both(rows: pd.DataFrame) -> pd.DataFrame:
        return FAULTS["rename"][0](FAULTS["unit"][0](rows))

    found = quality.incidents("t", orders.history({30: both}, days=31))
    assert {(i.cause, i.column) for i in found} == {
        (Cause.UNIT_CHANGE, "weight_kg"),
        (Cause.CATEGORY_RENAME, "shop"),
    }


def test_good_data_in_place_of_the_bad_end_an_incident() -> None:
    assessed = orders.history({30: FAULTS["twice"][0]}, days=31)
    good = MeasuredDay(
        orders.day(30), orders.profiles()[orders.day(30)], 1, measured_on=orders.day(33)
    )
    again = quality.assess([good], assessed)
    [incident] = quality.incidents("raw.orders", [*again, *assessed])
    assert (incident.state, incident.closed_on) == (State.RECOVERED, orders.day(33))
    assert incident.still_bad == ()
    assert "Good data replaced those of 2024-01-31" in incident.text


def test_what_goes_on_for_weeks_is_the_new_usual() -> None:
    days = dict.fromkeys(range(14, orders.DAYS), FAULTS["unit"][0])
    [incident] = quality.incidents("raw.orders", orders.history(days))
    assert incident.state == State.ACCEPTED
    assert incident.days == 15  # then fewer than 14 good days are left in the window


def test_cancelled_orders_without_a_delivery_are_no_null_burst() -> None:
    def storm(rows: pd.DataFrame) -> pd.DataFrame:
        cancelled = RNG(0).random(len(rows)) < 0.6
        return rows.assign(
            cancelled=cancelled, delivered_after=rows["delivered_after"].where(~cancelled)
        )

    assert quality.incidents("t", orders.history({30: storm}, days=31)) == []


def test_a_level_that_moves_is_left_to_drift() -> None:
    def dearer(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(weight_kg=np.round(rows["weight_kg"] * 1.3 + 0.4, 3))

    assert quality.incidents("t", orders.history({30: dearer}, days=31)) == []


def test_what_is_assessed_day_by_day_is_what_is_assessed_at_once() -> None:
    faults = {20: FAULTS["half"][0], 24: FAULTS["rename"][0], 25: FAULTS["rename"][0]}
    at_once = orders.history(faults, days=30)
    step: list[quality.AssessedDay] = []
    for told in at_once:
        step += quality.assess([told.measured], step[-28:])
    assert quality.incidents("t", step) == quality.incidents("t", at_once[::-1])


def test_a_training_set_says_what_is_usual_from_the_first_day_on() -> None:
    trained = quality.Usual(dict(list(orders.profiles().items())[:28]), {})
    broken = orders.measured(FAULTS["rename"][0](orders.rows(30)), orders.day(30))
    [told] = quality.assess([broken], reference=trained)
    assert [d.key for d in told.diagnoses] == [(Cause.CATEGORY_RENAME, "shop")]


def test_rules_can_be_declared() -> None:
    few = quality.Rules(least_days=40)
    days = [MeasuredDay(d, p) for d, p in orders.profiles().items()]
    broken = replace(days[-1], profile=replace(days[-1].profile, rows=1))
    told = quality.assess([*days[:-1], broken], rules=few)
    assert not any(t.judged for t in told)
    assert told[-1].measured.day - told[0].measured.day == timedelta(days=41)
