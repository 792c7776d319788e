"""Which days the daily schedule asks for."""

from datetime import date, timedelta

import pytest

from mlops_assets.automation.jobs import daily_keys
from mlops_assets.automation.schedules import plan, refresh_days
from mlops_assets_tests.automation import toy

START = date(2024, 3, 1)


def days(first: int, last: int) -> set[date]:
    return {date(2024, 3, day) for day in range(first, last + 1)}


def test_each_complete_day_is_run_once_and_days_whose_labels_may_have_come_again(place):
    assert refresh_days(place.case) == 2  # 30 hours
    assert place.schedule(2024, 3, 8) == [("2024-03-01", "2024-03-07")]
    assert place.schedule(2024, 3, 9) == [("2024-03-06", "2024-03-08")]
    assert place.schedule(2024, 3, 12) == [("2024-03-07", "2024-03-11")]


def test_a_range_of_days_is_one_run_with_one_step_for_each_asset(place):
    place.schedule(2024, 3, 8)
    ran = [days for job, days, _ in place.script.ran if job == "daily"]
    assert ran == [tuple(f"2024-03-0{day}" for day in range(1, 8))] * len(daily_keys(place.case))


def test_a_day_that_has_not_ended_is_not_run(place):
    assert place.schedule(2024, 3, 1) == []
    assert "No day is complete yet" in place.skip_reason("daily")


def test_nothing_missing_is_said_and_not_run(place):
    place.schedule(2024, 3, 8)
    assert place.schedule(2024, 3, 8) == []  # the same tick again: its run exists
    place.schedule(2024, 5, 10)
    assert place.schedule(2024, 5, 11) == []
    assert place.skip_reason("daily") == (
        "Every day up to 2024-04-30 has been materialised or is being run."
    )


def test_a_bad_day_does_not_hold_back_the_days_after_it(place):
    place.script.failing["2024-03-05"] = "ERROR"
    place.schedule(2024, 3, 8)
    # The whole range failed; its days are tried one by one, and the new ones as ever.
    asked = place.schedule(2024, 3, 9)
    assert asked == [(f"2024-03-0{d}",) * 2 for d in range(1, 8)] + [("2024-03-06", "2024-03-08")]
    # Only the bad day is left.
    assert place.schedule(2024, 3, 10) == [
        ("2024-03-05", "2024-03-05"),
        ("2024-03-07", "2024-03-09"),
    ]
    place.script.failing.clear()
    assert place.schedule(2024, 3, 11)[0] == ("2024-03-05", "2024-03-05")
    assert place.schedule(2024, 3, 12) == [("2024-03-09", "2024-03-11")]


def test_a_tick_that_is_repeated_makes_no_second_run(place):
    morning = place.morning(2024, 3, 8)
    first = place.daemon.tick_schedule("toy_daily", morning)
    assert len(first) == 1
    assert place.daemon.tick_schedule("toy_daily", morning) == []


def test_days_of_a_run_that_still_goes_on_are_not_asked_for_again(place):
    (slow,) = place.daemon.tick_schedule("toy_daily", place.morning(2024, 3, 8))
    asked = place.schedule(2024, 3, 9)
    assert asked == [("2024-03-06", "2024-03-08")]
    place.daemon.execute(slow)
    assert place.schedule(2024, 3, 10) == [("2024-03-07", "2024-03-09")]


@pytest.mark.parametrize(
    ("finished", "asked_until", "expected"),
    [
        (set(), None, [(1, 9)]),
        (days(1, 4), None, [(3, 9)]),  # backfilled by hand before the schedule ever ran
        (days(1, 4), date(2024, 3, 4), [(3, 9)]),
        (days(1, 9), date(2024, 3, 9), []),
        (days(1, 9) - days(2, 2), date(2024, 3, 9), [(2, 2)]),
    ],
)
def test_the_plan_covers_what_is_missing_and_no_more(finished, asked_until, expected):
    made = plan(
        start=START, last=date(2024, 3, 9), finished=finished, asked_until=asked_until, refresh=2
    )
    assert [(first.day, last.day) for first, last in made.ranges] == expected


def test_old_failures_do_not_grow_into_ever_more_runs():
    made = plan(
        start=START,
        last=START + timedelta(days=99),
        finished=set(),
        asked_until=START + timedelta(days=98),
        refresh=0,
    )
    assert len(made.ranges) == 15
    assert made.waiting == 85
    assert made.ranges[-1] == (START + timedelta(days=99),) * 2


def test_every_daily_asset_is_in_the_daily_job(place):
    graph = place.daemon.repository.asset_graph
    daily = {key for key in graph.get_all_asset_keys() if graph.get(key).partitions_def}
    job = place.daemon.repository.get_job("daily")
    assert set(job.asset_layer.executable_asset_keys) == daily
    assert toy.ORDERS.name in {key.path[-1] for key in daily}
