"""Reports: conclusions first, nothing that breaks the page."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest

from mlops_assets.core import registry
from mlops_assets.core.monitoring import drift_rows, performance
from mlops_assets.core.promotion import gate
from mlops_assets.core.reports import decisions as decisions_report
from mlops_assets.core.reports import drift as drift_report
from mlops_assets.core.reports import evaluation_markdown, parts, promotion_markdown
from mlops_assets.core.reports import performance as performance_report
from mlops_assets_tests.core.shop import Shop, day, use_case


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"), use_case()).land(0, 9)
    made.train(10)
    made.land(10, 13).land(14, 17, amount=60.0)
    made.monitor(0, 17)
    return made


def first_line(text: str) -> str:
    return text.splitlines()[0]


def test_the_drift_report_begins_with_what_drifted(shop):
    rows = drift_rows.read(shop.con, shop.model, day(16), day(16))
    text = drift_report.markdown(shop.model, day(16), rows)
    assert first_line(text).startswith("**1 of 3 features drifted:** amount")
    assert "predictions have drifted" in text
    quiet = drift_rows.read(shop.con, shop.model, day(12), day(12))
    assert first_line(drift_report.markdown(shop.model, day(12), quiet)).startswith(
        "**No feature has drifted**"
    )


def test_no_data_is_said_and_not_shown_as_good(shop):
    assert "No champion served" in drift_report.markdown(shop.model, day(3), [])
    assert "No champion served" in performance_report.markdown(shop.model, day(3), [])
    rows = drift_rows.read(shop.con, shop.model, day(16), day(16))
    nothing = {"n_current": 0, "value": None, "drifted": False, "status": "no_rows_current"}
    empty = [replace(row, **nothing) for row in rows]
    assert "Nothing was predicted" in drift_report.markdown(shop.model, day(16), empty)
    measured = performance.read(shop.con, shop.model, day(16), day(16))
    nothing = {"value": None, "low": None, "high": None, "n": 0, "status": "no_labels"}
    unknown = [replace(row, **nothing) for row in measured]
    assert "is not known" in first_line(performance_report.markdown(shop.model, day(16), unknown))


def test_the_performance_report_begins_with_the_number_and_names_the_worst_slice(shop):
    rows = performance.read(shop.con, shop.model, day(16), day(16))
    text = performance_report.markdown(shop.model, day(16), rows, 0.5)
    value = parts.number(performance.value(rows, day(16), "log_loss"))
    assert first_line(text).startswith(f"**log_loss {value}**")
    assert "than on its holdout" in first_line(text)
    slices = [r for r in rows if r.metric == "log_loss" and r.slice != "all"]
    worst = max(slices, key=lambda r: r.value)
    assert f": {worst.slice} (" in text


def test_the_decision_report_shows_the_days_before_and_none_after(shop):
    history = decisions_report.history(shop.con, shop.model, day(17))
    row = next(r for r in history if r.partition_date == day(15))
    text = decisions_report.markdown(row, history)
    assert first_line(text) == f"**{row.reason}**"
    assert str(day(14)) in text
    assert f"| {day(16)} |" not in text
    assert len([line for line in text.splitlines() if line.startswith("| 20")]) == 16


def test_plots_are_small_images_that_need_no_file(shop):
    for made in (
        drift_report.plot(shop.con, shop.model, day(16)),
        drift_report.plot(shop.con, shop.model, day(12)),
        performance_report.plot(shop.con, shop.model, day(17)),
    ):
        pictures = re.findall(r"!\[[^\]]+\]\(data:image/svg\+xml;base64,([^)]+)\)", made)
        assert pictures
        for data in pictures:
            assert base64.b64decode(data).startswith(b"<svg ")
        assert "http" not in re.sub(r"base64,[^)]+", "", made)
        assert len(made) < 60_000


def test_nothing_to_plot_is_no_error(shop):
    assert drift_report.plot(shop.con, shop.model, day(3)) is None
    assert performance_report.plot(shop.con, shop.model, day(3)) is None


def test_calibration_is_of_all_labelled_rows(shop):
    pairs = performance_report.predicted_and_actual(shop.con, shop.model, day(10), day(13))
    [(labelled, positive)] = shop.con.execute(
        "SELECT count(*), count(*) FILTER (label) FROM capture.sent_back__outcomes "
        "WHERE partition_date BETWEEN ? AND ?",
        [day(10), day(13)],
    ).fetchall()
    assert sum(n for _, _, n in pairs) == labelled
    assert sum(actual * n for _, actual, n in pairs) == pytest.approx(positive)
    assert [p for p, _, _ in pairs] == sorted(p for p, _, _ in pairs)


@pytest.mark.parametrize("promoted", [True, False])
def test_the_promotion_report_says_who_serves(shop, promoted):
    evaluated = registry.latest_evaluation(shop.con, "sent_back")
    declared = replace(shop.model.gate, min_rows=10 if promoted else 10_000)
    verdict = gate.decide(declared, evaluated.report, problem="binary", metric="log_loss")
    text = promotion_markdown(
        shop.model, evaluated, verdict, registry.history(shop.con, "sent_back")
    )
    assert verdict.promoted is promoted
    assert first_line(text).startswith("**Promoted:**" if promoted else "**Refused:**")
    assert all(reason in text for reason in verdict.reasons)


def test_the_evaluation_report_compares_with_the_baseline_where_there_is_no_champion(shop):
    evaluated = registry.latest_evaluation(shop.con, "sent_back")
    text = evaluation_markdown(shop.model, evaluated.report)
    assert "surely better than the baseline" in first_line(text)
    assert "region=north" in text


def test_a_value_from_the_data_cannot_break_a_table():
    text = parts.table(["a"], [["x|y\n<script>"]])
    assert text.splitlines()[-1] == "| x\\|y &lt;script> |"
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12344, "0.1234"), (None, "–"), (float("nan"), "–"), (1234567.0, "1.2e+06"), (0.0, "0")],
)
def test_numbers_are_readable_and_unknown_ones_a_dash(value, text):
    assert parts.number(value) == text


def test_a_bar_is_never_longer_than_full():
    assert parts.bar(5.0, 1.0, 4) == "████"
    assert parts.bar(0.5, 1.0, 4) == "██"
    assert parts.bar(None, 1.0) == parts.bar(0.0, 1.0) == ""
