"""Training sets: what is in them, that they do not change, that files are whole."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mlops_assets.core.features.retrieval import feature_columns
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.models import snapshots
from mlops_assets.core.models.snapshots import NotEnoughData, TrainingSet, build_training_set
from mlops_assets_tests.core import kiosk
from mlops_assets_tests.core.kiosk import HOUR, START, moment

END = START + timedelta(days=12)
CUTOFF = START + timedelta(days=10)
HOLDOUT = CUTOFF - timedelta(days=2)


@pytest.fixture
def con():
    with kiosk.connect() as connection:
        kiosk.fill(connection)
        kiosk.compute_all(connection, kiosk.use_case(), END)
        yield connection


def build(con, folder, cutoff=CUTOFF, **model) -> TrainingSet:
    case = kiosk.use_case(**model)
    made = build_training_set(con, case, case.models[0], cutoff, folder)
    assert isinstance(made, TrainingSet), made
    return made


def test_the_windows_are_the_declared_ones(con, tmp_path):
    made = build(con, tmp_path)
    assert (made.train_start, made.train_end, made.holdout_end) == (
        HOLDOUT - timedelta(days=6), HOLDOUT, CUTOFF,
    )  # fmt: skip
    train, holdout = (snapshots.read(made.path, split) for split in ("train", "holdout"))
    assert (len(train), len(holdout)) == (made.train_rows, made.holdout_rows)
    assert train.partition_date.min().date() == made.train_start
    assert train.partition_date.max().date() == HOLDOUT - timedelta(days=1)
    assert set(holdout.partition_date.dt.date) == {HOLDOUT, HOLDOUT + timedelta(days=1)}


def test_the_training_window_does_not_reach_before_the_use_case(con, tmp_path):
    made = build(con, tmp_path, training_window=timedelta(days=300))
    assert made.train_start == START


def test_no_label_is_used_that_was_not_known_in_time(con, tmp_path):
    """Not in training what came to be known during the holdout, nor in that what came later."""
    made = build(con, tmp_path)
    for split, end, days in (("train", HOLDOUT, 6), ("holdout", CUTOFF, 2)):
        found = snapshots.read(made.path, split)
        assert found.label.notna().all()
        assert found.label_known_at.max() < moment(end, 0)
        assert 0 < len(found) < days * 8  # the late ones of the last day are left out


def test_columns_are_those_of_the_rows(con, tmp_path):
    case = kiosk.use_case()
    frame = snapshots.read(build(con, tmp_path).path, "train")
    assert list(frame) == [
        "row_key", "as_of", "partition_date", *feature_columns(case, case.models[0]),
        "label", "label_known_at",
    ]  # fmt: skip
    assert frame.sort_values(["partition_date", "as_of", "row_key"]).index.tolist() == list(
        range(len(frame))
    )


def test_what_arrives_later_does_not_change_it(con, tmp_path):
    first = build(con, tmp_path / "a")
    bound = moment(CUTOFF, 0)
    con.execute("UPDATE raw.spoilt SET spoilt = NOT spoilt WHERE known_at >= ?", [bound])
    con.execute("UPDATE features.temperature SET degrees = -1 WHERE known_at >= ?", [bound])
    con.execute("DELETE FROM raw.orders WHERE partition_date >= ?", [CUTOFF])
    # Corrections of everything, known too late.
    con.execute(
        "INSERT INTO features.temperature SELECT * REPLACE (0.0 AS degrees, "
        "known_at + INTERVAL 30 DAY AS known_at) FROM features.temperature"
    )
    con.execute(
        "INSERT INTO raw.spoilt SELECT * REPLACE (known_at + INTERVAL 30 DAY AS known_at, "
        "NOT spoilt AS spoilt, ingest_seq + 1000 AS ingest_seq) FROM raw.spoilt"
    )
    again = build(con, tmp_path / "b")
    assert again.digest == first.digest
    assert build(con, tmp_path, cutoff=CUTOFF + timedelta(days=1)).digest != first.digest


def test_the_order_of_the_facts_does_not_change_it(con, tmp_path):
    first = build(con, tmp_path)
    for name in ("raw.orders", "raw.spoilt", "features.temperature", "features.recent"):
        con.execute(f"CREATE TEMP TABLE mixed AS FROM {name} ORDER BY hash(columns(*)::VARCHAR)")
        con.execute(f"DELETE FROM {name}; INSERT INTO {name} FROM mixed; DROP TABLE mixed")
    again = build(con, tmp_path / "b")
    assert again.digest == first.digest
    for split in ("train", "holdout"):
        assert snapshots.read(again.path, split).equals(snapshots.read(first.path, split))


def test_any_changed_value_changes_the_digest(con, tmp_path):
    first = build(con, tmp_path)
    con.execute("UPDATE raw.orders SET litres = litres + 1e-9 WHERE order_id = ?", [f"{HOLDOUT}-1"])
    assert build(con, tmp_path).digest != first.digest


def test_a_written_file_is_never_written_again(con, tmp_path):
    first = build(con, tmp_path)
    first.path.write_bytes(b"as it was")
    assert build(con, tmp_path).path == first.path == tmp_path / f"{first.digest}.parquet"
    assert first.path.read_bytes() == b"as it was"


def test_an_interrupted_write_leaves_no_file_under_the_final_name(con, tmp_path, monkeypatch):
    def full(path):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "_fsync", full)
        with pytest.raises(OSError, match="No space"):
            build(con, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert build(con, tmp_path).path.exists()


def test_too_little_data_is_told_in_numbers(con, tmp_path):
    case = kiosk.use_case()

    def reason(cutoff):
        made = build_training_set(con, case, case.models[0], cutoff, tmp_path)
        assert isinstance(made, NotEnoughData)
        return made.reason

    assert "needs 4 days to train on" in reason(START + timedelta(days=5))
    assert "there are 3 and 2" in reason(START + timedelta(days=5))
    assert "there are 0 and 1" in reason(START + timedelta(days=1))
    con.execute("UPDATE raw.spoilt SET spoilt = true WHERE partition_date < ?", [HOLDOUT])
    assert "all of one class; at least 2" in reason(CUTOFF)
    con.execute("UPDATE raw.spoilt SET known_at = NULL WHERE partition_date >= ?", [HOLDOUT])
    con.execute("UPDATE raw.spoilt SET spoilt = order_id < '2024-03-05' ")
    assert reason(CUTOFF) == "spoils has 16 holdout rows and 0 of them have a known label."
    assert list(tmp_path.iterdir()) == []


def test_views_are_recorded_with_their_versions(con, tmp_path):
    first = build(con, tmp_path)
    assert set(first.view_versions) == {"request", "temperature", "recent", "size"}
    other = kiosk.view(ttl=HOUR)
    views = [other, kiosk.recent, kiosk.size, kiosk.request]
    with pytest.raises(NotComputedError, match="defined anew"):
        build(con, tmp_path, views=views)
    kiosk.compute_all(con, kiosk.use_case(views=views), END)
    second = build(con, tmp_path, views=views)
    changed = {n for n, v in second.view_versions.items() if v != first.view_versions[n]}
    assert changed == {"temperature"}


def test_the_latest_recorded_training_set_is_found(con, tmp_path):
    assert snapshots.latest(con, "spoils") is None
    one, two = build(con, tmp_path), build(con, tmp_path, cutoff=CUTOFF - timedelta(days=1))
    for made, reason in ((one, "first"), (two, "second"), (one, "again")):
        snapshots.record(con, made, reason=reason, decision_id=None, run_id="run")
        assert snapshots.latest(con, "spoils", tmp_path) == made
    found = snapshots.latest(con, "spoils")
    assert found is not None
    assert found.path == Path(one.path.name)
    assert con.execute("SELECT reason FROM registry.training_sets").fetchall() == [
        ("first",), ("second",), ("again",),
    ]  # fmt: skip


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="materialise training_set again"):
        snapshots.read(tmp_path / "gone.parquet", "train")
    with pytest.raises(ValueError, match="split must be"):
        snapshots.read(tmp_path / "gone.parquet", "test")
