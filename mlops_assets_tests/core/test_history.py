"""What was known is kept: late and corrected facts change no training set of before."""

from __future__ import annotations

import random
from datetime import date, timedelta

import duckdb
import pandas as pd
import pytest

from mlops_assets.core.features.feature_views import compute
from mlops_assets.core.features.retrieval import feature_rows
from mlops_assets.core.landing import history
from mlops_assets.core.models.snapshots import TrainingSet, build_training_set
from mlops_assets.core.storage import store
from mlops_assets.core.storage.days import day_start, days
from mlops_assets_tests.core import kiosk
from mlops_assets_tests.core.kiosk import START, ZONE, moment
from mlops_assets_tests.proof import tries

CASE = kiosk.use_case()
MODEL = CASE.models[0]
LANDED = 10
LAST = 12


def land(con: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame, *on: date) -> None:
    """Make a frame the rows of a source's days (a static source's rows), as landing does."""
    source = CASE.source(name)
    dataset = f"raw.{name}"
    before = store.partitions(con, dataset)
    again = [day for day in (on or (None,)) if day in before]
    with history.kept(con, source, ZONE, again):
        store.replace_partitions(con, dataset, frame, list(on) or None, run_id="test")


@pytest.fixture
def archive() -> dict[str, pd.DataFrame]:
    with kiosk.connect() as con:
        kiosk.fill(con, LAST)
        return {
            name: con.execute(f"FROM raw.{name}").df()
            for name in ("orders", "spoilt", "weather", "kiosks")
        }


@pytest.fixture
def con(archive):
    with kiosk.connect() as connection:
        land(connection, "kiosks", archive["kiosks"])
        for name in ("orders", "spoilt", "weather"):
            land_days(connection, archive, name, 0, LANDED)
        compute_days(connection, 0, LANDED)
        yield connection


def land_days(con, archive, name: str, first: int, end: int) -> None:
    on = days(START + timedelta(days=first), START + timedelta(days=end))
    rows = archive[name]
    land(con, name, rows[rows.partition_date.isin([pd.Timestamp(d) for d in on])], *on)


def compute_days(con, first: int, end: int) -> None:
    for view in CASE.feature_views:
        bounds: tuple = (None, None)
        if view.partitioned:
            bounds = (START + timedelta(days=first), START + timedelta(days=end))
        assert not compute(con, CASE, view, *bounds, "test").problems


def build(con, folder, cutoff: date) -> TrainingSet:
    made = build_training_set(con, CASE, MODEL, cutoff, folder)
    assert isinstance(made, TrainingSet), made
    return made


def corrected(rng: random.Random, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A day's rows with one of them changed, gone or new."""
    frame = frame.reset_index(drop=True)
    at = rng.randrange(len(frame))
    what = rng.choice(["change", "change", "late", "gone", "new"])
    number = {"orders": "litres", "spoilt": "litres", "weather": "degrees"}[name]
    if what == "gone" and len(frame) > 2:
        return frame.drop(index=at)
    if what == "new":
        new = frame.iloc[[at]].copy()
        if name == "weather":
            new["measured_at"] += timedelta(minutes=rng.randrange(1, 59))
        else:
            new["order_id"] += f"-{rng.randrange(10**9)}"
        return pd.concat([frame, new], ignore_index=True).drop_duplicates(
            list(CASE.source(name).key)
        )
    if what == "late":
        known = CASE.source(name).known_at
        frame.loc[at, known] += timedelta(hours=rng.randrange(1, 40))
    if name == "spoilt":
        frame.loc[at, "spoilt"] = not frame.loc[at, "spoilt"]
    frame.loc[at, number] += rng.choice([1.0, -0.5, 30.0])
    return frame


def test_late_corrections_change_no_training_set_built_before(con, archive, tmp_path):
    """1,000 of them, while days go on landing; without history every set would change."""
    rng = random.Random(7)
    built: dict[date, str] = {}
    corrections_made, per_round = 0, 50
    rounds = tries(20, 6)
    for number in range(rounds):
        landed = LANDED + (LAST - LANDED) * number // rounds
        cutoff = START + timedelta(days=landed)
        if cutoff not in built:
            if landed > LANDED:
                for name in ("orders", "spoilt", "weather"):
                    land_days(con, archive, name, landed - 1, landed)
                compute_days(con, landed - 1, landed)
            built[cutoff] = build(con, tmp_path, cutoff).digest
        corrections: dict[str, dict[date, pd.DataFrame]] = {}
        for _ in range(per_round):
            name = rng.choice(["orders", "spoilt", "weather"])
            day = START + timedelta(days=rng.randrange(landed))
            of_source = corrections.setdefault(name, {})
            if day not in of_source:
                of_source[day] = con.execute(
                    f"FROM raw.{name} WHERE partition_date = ?", [day]
                ).df()
            of_source[day] = corrected(rng, of_source[day], name)
            corrections_made += 1
        for name, of_source in corrections.items():
            land(con, name, pd.concat(of_source.values(), ignore_index=True), *of_source)
        compute_days(con, 0, landed)
        for cutoff, digest in built.items():
            assert build(con, tmp_path, cutoff).digest == digest, (number, cutoff)
    assert corrections_made == rounds * per_round
    assert len(built) == LAST - LANDED

    # The same facts without what was known before: as if the cutoff were switched off.
    with kiosk.connect() as fresh:
        for name in ("orders", "spoilt", "weather", "kiosks"):
            rows = con.execute(f"FROM raw.{name}").df()
            on = sorted({d.date() for d in rows.partition_date}) if name != "kiosks" else []
            land(fresh, name, rows, *on)
        for view in CASE.feature_views:
            bounds = (START, START + timedelta(days=LAST)) if view.partitioned else (None, None)
            assert not compute(fresh, CASE, view, *bounds, "test").problems
        for cutoff, digest in built.items():
            made = build_training_set(fresh, CASE, MODEL, cutoff, tmp_path)
            assert not isinstance(made, TrainingSet) or made.digest != digest


def test_a_correction_changes_exactly_the_days_it_touches(con):
    day = START + timedelta(days=4)
    rows = con.execute("FROM raw.weather WHERE partition_date = ?", [day]).df()
    rows.loc[3, "degrees"] += 7
    land(con, "weather", rows, day)
    report = compute(
        con, CASE, CASE.view("temperature"), START, START + timedelta(days=LANDED), "test"
    )
    assert [d for d, written in report.partitions.items() if written.changed] == [day]
    revised = con.execute(
        "SELECT degrees, known_at, revision FROM features.temperature WHERE partition_date = ? "
        "AND revision > 0",
        [day],
    ).fetchall()
    end = day_start(START + timedelta(days=LANDED), ZONE)
    assert revised == [(rows.loc[3, "degrees"], end, 1)]


def features_at(con, first: int, end: int) -> pd.DataFrame:
    bounds = START + timedelta(days=first), START + timedelta(days=end)
    return feature_rows(con, CASE, MODEL, *bounds).df().set_index("row_key")


def test_a_row_is_served_what_was_known_at_its_moment(con, archive):
    """Rows before the correction came see the value of before, rows after it the new one."""
    last = START + timedelta(days=LANDED - 1)
    before = features_at(con, LANDED - 1, LANDED)
    rows = con.execute("FROM raw.weather WHERE partition_date = ?", [last]).df()
    land(con, "weather", rows.assign(degrees=rows.degrees + 100), last)
    compute_days(con, LANDED - 1, LANDED)
    pd.testing.assert_frame_equal(features_at(con, LANDED - 1, LANDED), before)
    for name in ("orders", "spoilt", "weather"):
        land_days(con, archive, name, LANDED, LANDED + 1)
    # A prediction soon after midnight: the last weather is still the day's before.
    con.execute(
        "UPDATE raw.orders SET ordered_at = ?, booked_at = ? WHERE partition_date = ?",
        [moment(last, 25.5), moment(last, 24.2), last + timedelta(days=1)],
    )
    early = features_at(con, LANDED, LANDED + 1)
    assert (early.degrees > 90).all()


def test_a_retracted_row_is_trained_on_only_as_long_as_it_was_known(con, tmp_path):
    day = START + timedelta(days=5)
    rows = con.execute("FROM raw.orders WHERE partition_date = ?", [day]).df()
    land(con, "orders", rows.iloc[1:], day)
    assert len(features_at(con, 5, 6)) == len(rows) - 1
    known = day_start(START + timedelta(days=LANDED), ZONE)
    bounds = day, day + timedelta(days=1)
    then = feature_rows(con, CASE, MODEL, *bounds, label=True, label_known_before=known).df()
    assert len(then) == len(rows)


def test_a_value_known_in_two_steps_is_not_revised_by_computing_it_again(con):
    twice = kiosk.view(
        sql="""
        SELECT city, measured_at, published_at, degrees FROM weather
        UNION ALL
        SELECT city, measured_at, published_at + INTERVAL 5 HOUR, degrees + 1 FROM weather
        """
    )
    bounds = START, START + timedelta(days=LANDED)
    compute(con, CASE, twice, *bounds, "test")
    again = compute(con, CASE, twice, *bounds, "test")
    assert not any(written.changed for written in again.partitions.values())
    day = START + timedelta(days=4)
    rows = con.execute("FROM raw.weather WHERE partition_date = ?", [day]).df()
    rows.loc[3, "degrees"] += 7
    land(con, "weather", rows, day)
    for changed in ([day], []):
        report = compute(con, CASE, twice, *bounds, "test")
        assert [d for d, written in report.partitions.items() if written.changed] == changed


def test_landing_the_same_rows_again_keeps_no_version(con, archive):
    rows = archive["orders"]
    day = START + timedelta(days=2)
    shuffled = rows[rows.partition_date == pd.Timestamp(day)].sample(frac=1, random_state=1)
    land(con, "orders", shuffled.assign(ingest_seq=range(len(shuffled))), day)
    assert not history.has_history(con, CASE.source("orders"))


def test_a_corrected_static_source_is_known_from_the_correction_on(con, archive):
    before = features_at(con, 0, LANDED)
    land(con, "kiosks", archive["kiosks"].assign(metres=99.0))
    compute_days(con, 0, LANDED)
    pd.testing.assert_frame_equal(features_at(con, 0, LANDED), before)
    assert con.execute(
        "SELECT DISTINCT metres, revision FROM features.size WHERE revision > 0"
    ).fetchall() == [(99.0, 1)]


def test_a_corrected_label_is_known_from_the_correction_on(con):
    day = START + timedelta(days=1)
    rows = con.execute("FROM raw.spoilt WHERE partition_date = ?", [day]).df()
    land(con, "spoilt", rows.assign(spoilt=~rows.spoilt.astype(bool)), day)
    bounds = day, day + timedelta(days=1)
    now = feature_rows(con, CASE, MODEL, *bounds, label=True).df()
    end = day_start(START + timedelta(days=LANDED), ZONE)
    assert set(now.label_known_at) == {pd.Timestamp(end)}
    then = feature_rows(con, CASE, MODEL, *bounds, label=True, label_known_before=end).df()
    assert list(then.label) == [not label for label in now.label]
    assert then.label_known_at.max() < pd.Timestamp(end)


def test_data_time_is_the_end_of_the_last_landed_day(con):
    assert history.data_now(con, ZONE) == day_start(START + timedelta(days=LANDED), ZONE)
    with kiosk.connect() as empty:
        assert history.data_now(empty, ZONE) is None
