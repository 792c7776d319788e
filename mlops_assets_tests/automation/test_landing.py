"""New files start runs for the days they touch."""

import os
from datetime import date, timedelta

from mlops_assets.automation.jobs import daily_keys
from mlops_assets.automation.landing import Seen, contiguous, reach
from mlops_assets_tests.core import kiosk

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def asked(runs):
    return [
        (run.tags[START], run.tags[END], sorted(k.path[-1] for k in run.asset_selection or ()))
        for run in runs
    ]


def test_files_of_days_yet_to_come_are_read_in_and_predict_nothing(place):
    for day in ("2024-03-01", "2024-03-02", "2024-03-04"):
        place.land("orders", day)
    assert asked(place.sensor("landing")) == [
        ("2024-03-01", "2024-03-02", ["orders"]),
        ("2024-03-04", "2024-03-04", ["orders"]),
    ]
    # A prediction made now, before the other sources have come, would be kept for ever.
    assert {job for job, *_ in place.script.ran} == {"daily"}
    assert len(place.script.ran) == 2
    assert place.sensor("landing") == []
    assert place.skip_reason("landing") == "No new files."


def test_a_late_file_brings_everything_of_its_day_up_to_date(place):
    place.schedule(2024, 3, 8)
    place.script.ran.clear()
    place.land("parcels", "2024-03-03")
    assert asked(place.sensor("landing")) == [("2024-03-03", "2024-03-03", [])]
    assert len(place.script.ran) == len(daily_keys(place.case))


def test_the_next_good_file_is_taken_after_a_refused_one(place):
    place.script.failing["2024-03-05"] = "ERROR"
    place.land("orders", "2024-03-05", "bad")
    place.sensor("landing")
    place.schedule(2024, 3, 8)
    place.script.failing.clear()
    place.land("orders", "2024-03-05", "a good one")
    assert asked(place.sensor("landing")) == [("2024-03-05", "2024-03-05", [])]
    assert "2024-03-05" in place.instance.get_materialized_partitions(
        next(
            k
            for k in place.daemon.repository.asset_graph.get_all_asset_keys()
            if k.path[-1] == "retrain_decision"
        )
    )


def test_a_file_that_was_only_looked_at_is_not_new(place):
    path = place.land("orders", "2024-03-01")
    place.sensor("landing")
    os.utime(path, ns=(0, path.stat().st_mtime_ns))  # read, not written
    assert place.sensor("landing") == []


def test_a_file_of_an_unknown_day_is_told_and_starts_nothing(place):
    place.land("orders", "2023-12-31")
    assert place.sensor("landing") == []
    assert "outside the use case" in place.skip_reason("landing")


def test_a_missing_landing_folder_is_no_error(place):
    assert place.sensor("landing") == []
    assert place.sensor("static_landing") == []


def test_a_static_file_starts_its_own_job_once(place):
    place.land("shops", None)
    (run,) = place.sensor("static_landing")
    assert run.job_name == "refresh_static"
    assert place.sensor("static_landing") == []
    place.land("shops", None, "other shops")
    assert len(place.sensor("static_landing")) == 1


def test_a_burst_of_scattered_files_is_taken_in_portions_and_none_is_lost(place):
    days = [f"2024-03-{day:02d}" for day in range(1, 28, 2)]
    for day in days:
        place.land("orders", day)
    first, second = place.daemon.tick_sensor("toy_landing"), place.daemon.tick_sensor("toy_landing")
    assert len(first) == 10
    assert [run.tags[START] for run in [*first, *second]] == days


def test_the_cursor_of_ten_years_stays_small():
    seen = Seen(date(2014, 1, 1))
    for source in ("a", "b", "c"):
        seen.days[source] = {date.fromordinal(735234 + n): b"abc" for n in range(3650)}
    text = seen.dump()
    assert len(text) < 45_000
    assert Seen.parse(text, date(2014, 1, 1)).days == seen.days


def test_days_of_other_years_do_not_make_one_range():
    found = contiguous([date(2024, 12, 31), date(2025, 1, 1), date(2025, 1, 3)])
    assert found == [
        (date(2024, 12, 31), date(2025, 1, 1)),
        (date(2025, 1, 3), date(2025, 1, 3)),
    ]


def test_a_corrected_day_reaches_as_far_as_the_windows_that_look_back_to_it():
    case = kiosk.use_case()
    assert reach(case, ["spoilt"]) == timedelta(days=3)  # a lookback of 54 hours
    assert reach(case, ["orders"]) == timedelta(0)
