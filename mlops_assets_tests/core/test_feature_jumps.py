"""Jumps of feature statistics: found where there are any, not in noise."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from mlops_assets.core.features.feature_jumps import MIN_DAYS, jumps, usual_mean
from mlops_assets.core.features.feature_statistics import FeatureStatistics
from mlops_assets.core.reports import features as report_of
from mlops_assets_tests.core import kiosk

FIRST = date(2024, 3, 1)


def row(n: int, mean: float | None, null_rate: float | None = 0.0, **changes) -> FeatureStatistics:
    values = {
        "view": "temperature",
        "view_version": "v",
        "partition_date": FIRST + timedelta(days=n),
        "feature": "degrees",
        "kind": "number",
        "rows": 400,
        "null_rate": null_rate,
        "distinct_values": 10,
        **dict.fromkeys(["minimum", "q05", "q25", "median", "q75", "q95", "maximum"], mean),
        "mean": mean,
        "deviation": 2.0,
        "top_share": None,
        "newest_event": None,
        "age_seconds": 1800.0,
        "compute_seconds": 0.01,
    }
    return FeatureStatistics(**{**values, **changes})


def found(rows: list[FeatureStatistics], first: int = 0) -> list[tuple[int, str]]:
    wanted = sorted({r.partition_date for r in rows if r.partition_date})[first:]
    return [((j.partition_date - FIRST).days, j.what) for j in jumps(rows, wanted)]


def quiet(n: int = 14) -> list[FeatureStatistics]:
    return [row(i, 10.0 + 0.5 * (-1) ** i, 0.02) for i in range(n)]


@pytest.mark.parametrize(
    ("mean", "jumped"), [(10.0, False), (13.0, False), (14.0, True), (5.0, True), (-1e9, True)]
)
def test_a_mean_far_outside_of_those_before_it_is_a_jump(mean, jumped):
    assert found([*quiet(), row(14, mean, 0.02)]) == ([(14, "mean")] if jumped else [])


@pytest.mark.parametrize(
    ("null_rate", "jumped"), [(0.02, False), (0.11, False), (0.13, True), (1.0, True), (0.0, False)]
)
def test_a_feature_that_is_suddenly_missing_is_a_jump(null_rate, jumped):
    last = row(14, None if null_rate == 1 else 10.0, null_rate)
    assert found([*quiet(), last]) == ([(14, "nulls")] if jumped else [])


def test_a_feature_that_is_often_missing_may_be_so_again():
    rows = [row(i, 10.0, (0.5, 0.02, 0.45)[i % 3]) for i in range(20)]
    assert found(rows) == []


def test_one_bad_day_does_not_hide_the_next():
    rows = [*quiet(), row(14, 10.0, 0.9), row(15, 10.0, 0.8)]
    assert found(rows) == [(14, "nulls"), (15, "nulls")]


def test_few_days_and_empty_days_are_no_measure():
    assert found([*quiet(MIN_DAYS - 1), row(MIN_DAYS - 1, 99.0, 0.9)]) == []
    assert len(found([*quiet(MIN_DAYS), row(MIN_DAYS, 99.0, 0.9)])) == 2
    nothing = [row(i, None, None, rows=0, deviation=None) for i in range(MIN_DAYS)]
    assert found([*nothing, row(MIN_DAYS, 99.0, 0.9)]) == []
    assert found([*quiet(), row(14, None, None, rows=0, deviation=None)]) == []


def test_days_long_ago_are_no_measure():
    assert found([*quiet(), row(14 + 20, 99.0, 0.9)]) == []


def test_what_never_changed_may_change_by_chance_but_not_beyond_it():
    constant = [row(i, 1.0, deviation=0.0) for i in range(14)]
    assert found([*constant, row(14, 1.0, deviation=0.0)]) == []
    assert found([*constant, row(14, 1.001, deviation=0.0)]) == [(14, "mean")]
    # Its values scatter: the mean of 400 of them is known to 0.1.
    assert found([*constant, row(14, 1.3, deviation=2.0)]) == []


def test_infinite_means_are_passed_over():
    rows = [row(i, float("inf") if i == 3 else 10.0, 0.02) for i in range(14)]
    assert found([*rows, row(14, 10.0, 0.02)]) == []
    assert found([*rows, row(14, float("inf"), 0.02)]) == []


def test_noise_hardly_ever_is_a_jump():
    """Two years of 20 features whose daily means scatter, of which a tenth is missing."""
    random = np.random.default_rng(11)
    said = 0
    for _ in range(20):
        level = 50 + 5 * np.sin(np.arange(730) / 365 * 2 * np.pi)
        means = level + random.normal(0, 1.5, 730)
        nulls = random.binomial(400, 0.1, 730) / 400
        rows = [row(i, m, n) for i, (m, n) in enumerate(zip(means, nulls, strict=True))]
        said += len(found(rows))
    assert said <= 20 * 730 * 0.001


def test_the_report_begins_with_what_jumped_and_documents_the_view():
    case, view = kiosk.use_case(), kiosk.view(owner="team:weather", description="At the city.")
    rows = [*quiet(), row(14, 20.0, 0.5)]
    day = FIRST + timedelta(days=14)
    text = report_of.markdown(case, view, day, rows, jumps(rows, [day]))
    assert text.startswith("**2 jumps on 2024-03-15:** degrees is missing in 50.0% of the rows")
    assert "the mean of degrees is 20, in the 14 days before 9.5 to 10.5" in text
    assert "0:30:00 old" in text
    assert "team:weather" in text
    assert "Used by spoils" in text
    assert "weather" in text
    assert "▲" in text
    assert "▁" in text
    calm = report_of.markdown(case, view, day - timedelta(days=1), rows)
    assert calm.startswith("**Nothing is unlike the days before on 2024-03-14.** 400 rows.")


def test_a_stale_or_empty_day_is_said():
    case, view = kiosk.use_case(), kiosk.view()  # its ttl is 3 hours
    day = FIRST + timedelta(days=14)
    stale = [*quiet(), row(14, 10.0, age_seconds=4 * 3600.0)]
    assert "4:00:00 old when the day ended, **more than 3:00:00**" in report_of.markdown(
        case, view, day, stale
    )
    nothing = [*quiet(), row(14, None, None, rows=0, age_seconds=None)]
    assert report_of.markdown(case, view, day, nothing).startswith(
        "**temperature has no values on 2024-03-15.**"
    )


def test_how_far_a_mean_is_from_the_usual():
    rows = [*quiet(), row(14, 12.0)]
    usual = usual_mean(rows, rows[-1])
    assert usual is not None
    assert (usual.middle, usual.low, usual.high) == (10.0, 9.5, 10.5)
    assert usual.spread == pytest.approx(0.5 * 1.4826)
    assert usual_mean(rows, rows[3]) is None


@pytest.mark.parametrize(
    ("values", "line"),
    [([0, 7], "▁█"), ([0, None, float("nan"), 7, 3.5], "▁··█▅"), ([2, 2], "▄▄"), ([None], "")],
)
def test_a_line_of_blocks_goes_from_the_least_to_the_greatest(values, line):
    assert report_of.sparkline(values) == line


def test_which_models_use_a_feature():
    case = kiosk.use_case()  # features=["request", "temperature", "recent.spoilt_recently", "size"]
    assert report_of.users(case, "recent") == ["spoils"]
    assert report_of.users(case, "recent", "spoilt_recently") == ["spoils"]
    assert report_of.users(case, "recent", "litres_recently") == []
    assert report_of.users(case, "temperature", "degrees") == ["spoils"]
    assert report_of.users(case, "unused") == []
