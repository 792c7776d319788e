"""Plots: what is drawn is what was given, on both grounds, for any numbers."""

from __future__ import annotations

import math
import re
from datetime import date, timedelta
from importlib import resources
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.documents import DocumentError, bars, calibration, curve, histograms
from mlops_assets.core.documents.drawing import (
    SMALL,
    STYLES,
    date_ticks,
    extent,
    fitted,
    round_ticks,
)
from mlops_assets_tests.core import reported
from mlops_assets_tests.core.test_documents_html import contrast

DAY = date(2013, 6, 14)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(figure, style: str) -> list:
    return [e for e in ElementTree.fromstring(figure.svg).iter() if e.get("class") == style]


def texts(figure) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(figure.svg).iter(f"{SVG}text")]


def heights(path: str) -> list[float]:
    return [float(y) for y in re.findall(r"V([\d.]+)", path)]


def test_a_histogram_draws_the_shares_of_both_sides():
    figure = histograms([0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [10, 20], name="amount")
    # The legend has one of each style too, and is drawn after them.
    reference, now = drawn(figure, "fill-a")[0], drawn(figure, "line-b")[0]
    # Of each bar: up to its height, and down to the ground.
    ground = 152.0
    tall, low, also_low = (ground - y for y in heights(reference.get("d"))[::2])
    assert tall == pytest.approx(2 * low, abs=0.2)
    assert low == also_low
    steps = [ground - y for y in heights(now.get("d"))]
    assert steps == pytest.approx([low, low, tall, 0.0], abs=0.2)
    assert {"10", "20"} <= set(texts(figure))
    assert "from 20: 25.0 %, now 50.0 %" in figure.alt
    assert [row[0] for row in figure.numbers.rows] == ["below 10", "10 to 20", "from 20"]


def test_missing_values_stand_apart_and_are_not_called_a_bin():
    figure = histograms([0.5, 0.3], [0.1, 0.1], [1], name="amount", missing=(0.2, 0.8))
    assert "missing" in texts(figure)
    assert figure.numbers.rows[-1] == ("missing", 0.2, 0.8)
    assert len(drawn(figure, "line-b")) >= 3  # the legend's, the bins' and that of the missing


def test_no_rows_are_said_and_not_drawn_as_zero():
    figure = histograms([0.5, 0.5], [0, 0], [1], name="amount")
    assert "now: no rows" in texts(figure)
    assert len(drawn(figure, "line-b")) == 1
    neither = histograms([None, math.nan], [0, 0], [1], name="amount")
    assert texts(neither) == ["no rows to show"]
    assert neither.numbers.rows[0] == ("below 1", None, 0.0)


def test_rare_categories_share_a_row_instead_of_being_left_out():
    names = [f"category {n}" for n in range(30)]
    shares = [1 / 30] * 30
    figure = histograms(shares, [0] * 29 + [1], names, name="carrier")
    assert "category 29" in texts(figure)
    assert "19 others" in texts(figure)
    assert len(figure.numbers.rows) == 30


@pytest.mark.parametrize(
    ("shares", "bins"), [(3, [1.0]), (3, ["a", "b"]), (3, [1.0, 2.0, 3.0]), (0, [1.0, 2.0])]
)
def test_bins_that_do_not_fit_the_shares_are_refused(shares, bins):
    with pytest.raises(DocumentError, match="shares with"):
        histograms([0.1] * shares, [0.1] * shares, bins, name="x")


def test_a_curve_has_gaps_where_there_is_no_value():
    days = [DAY + timedelta(days=n) for n in range(6)]
    figure = curve(days, [1, 2, None, math.nan, 3, 4], name="mae")
    lines = [e.get("d") for e in drawn(figure, "line-a")][-2:]
    assert sum(d.count("M") for d in lines if "L" in d) == 2


def test_provisional_and_estimated_days_do_not_look_sure():
    days = [DAY + timedelta(days=n) for n in range(6)]
    figure = curve(
        days,
        [1, 2, 3, 2, None, None],
        name="mae",
        provisional=days[3:4],
        estimated=[None, None, 2, 2, 3, 3],
    )
    [faint] = drawn(figure, "faint-a")
    assert float(faint.get("stroke-opacity")) < 1
    assert len(drawn(figure, "ring-a")) == 2  # the legend's and the day's
    assert all(e.get("stroke-dasharray") for e in drawn(figure, "dash-b"))
    assert {"provisional", "estimated"} <= set(texts(figure))
    assert figure.numbers.rows[3][-1] == "provisional"


def test_promotions_are_marked_on_their_day_and_do_not_overlap():
    days = [DAY + timedelta(days=n) for n in range(60)]
    marks = [(days[n], f"v{n}") for n in (5, 6, 40)] + [(DAY - timedelta(days=1), "v0")]
    figure = curve(days, [1.0] * 60, name="mae", marks=marks)
    assert [text for text in texts(figure) if text.startswith("v")] == ["v5", "v40"]
    [lines] = [e for e in drawn(figure, "mark") if e.get("d").count("M") == 3]
    assert lines.get("stroke-dasharray")


def test_a_day_with_few_labels_does_not_flatten_the_others():
    days = [DAY + timedelta(days=n) for n in range(3)]
    figure = curve(days, [1.0, 2.0, 1.5], [0.9, -500, 1.4], [1.1, 500, 1.6], name="mae")
    [line] = [e for e in drawn(figure, "line-a") if "L" in e.get("d")]
    places = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.get("d"))]
    assert max(places) - min(places) > 60


def test_days_out_of_order_or_values_too_many_are_refused():
    with pytest.raises(DocumentError, match="ascend"):
        curve([DAY, DAY], [1, 2], name="mae")
    with pytest.raises(DocumentError, match="2 entries for 1 days"):
        curve([DAY], [1, 2], name="mae")


def test_bars_tell_the_limit_by_filling_and_not_by_colour_alone():
    figure = bars([("a", 0.3, 0.1), ("b", 0.05, 0.1), ("c", None, 0.1)], name="PSI")
    assert len(drawn(figure, "dots-b")) == 2  # the legend's and that of a
    assert len(drawn(figure, "edge-a")) == 2
    assert "no value" in texts(figure)
    assert [row[3].text for row in figure.numbers.rows] == ["reached", "below", "no value"]
    assert "1 reach their limit" in figure.alt


def test_calibration_leaves_out_what_has_no_outcome_but_not_in_the_table():
    figure = calibration([(0.1, 0.2, 10), (0.5, math.nan, 0)], [(0.1, 0.3), None], name="late")
    assert sum(e.tag == f"{SVG}circle" for g in drawn(figure, "dots-a") for e in g) == 2
    assert len(figure.numbers.rows) == 2


def test_each_plot_names_itself_and_tells_what_it_shows():
    for figure in reported.every_plot("amount", ["a", "b", "c"]):
        root = ElementTree.fromstring(figure.svg)
        assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
        assert root[0].text
        assert root[1].text == figure.alt
        assert "nan" not in figure.svg.replace("NaN", "")
        assert "inf" not in re.sub(r">[^<]*<", "><", figure.svg)


@pytest.mark.parametrize("ground", ["#ffffff", "#171b21"])
def test_lines_can_be_seen_on_a_light_and_on_a_dark_ground(ground):
    css = (resources.files("mlops_assets.core.documents") / "plots.css").read_text()
    dark = {
        name: colour
        for names, colour in re.findall(r"^  (\.plot .*?) \{ (?:stroke|fill): (#\w{6})", css, re.M)
        for name in re.findall(r"\.plot \.([\w-]+)", names)
    }
    for style in (
        "line-a",
        "edge-a",
        "line-b",
        "dash-b",
        "dots-a",
        "dots-b",
        "bold",
        "limit",
        "mark",
    ):
        colour = re.search(r"#\w{6}", STYLES[style])[0] if ground == "#ffffff" else dark[style]
        assert contrast(colour, ground) >= 3, style
    assert set(STYLES) <= {*dark, "ink", "ground"}


@given(
    st.lists(st.floats() | st.none(), min_size=1, max_size=12),
    st.floats() | st.none(),
)
@settings(max_examples=25, deadline=None)
def test_any_numbers_can_be_drawn(values, limit):
    days = [DAY + timedelta(days=n) for n in range(len(values))]
    names = [str(n) for n in range(len(values))]
    figures = [
        curve(days, values, values[::-1], values, name="m", limit=limit, estimated=values[::-1]),
        bars([(n, v, limit) for n, v in zip(names, values, strict=True)], name="m"),
        histograms(values, values[::-1], names, name="m", missing=(limit, limit)),
        histograms(values, values[::-1], [float(n) for n in range(len(values) - 1)], name="m")
        if len(values) > 1
        else histograms(values, values, [1.0, 2.0], name="m"),
        calibration([(v or 0.0, limit or 0.0, 1) for v in values], name="m", bounds=(0, 1)),
    ]
    for figure in figures:
        for element in ElementTree.fromstring(figure.svg).iter():
            for name in ("x", "y", "width", "height", "cx", "cy", "d"):
                numbers = re.findall(r"-?[\d.]+(?:e[+-]?\d+)?|nan|inf", element.get(name, ""))
                assert all(-10 <= float(n) <= 1_000 for n in numbers), (element.tag, name)


def test_ticks_are_round_and_inside():
    assert round_ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1.0]
    assert round_ticks(0.31, 0.58) == [0.4, 0.5]
    assert round_ticks(-3, 12_000, 4) == [0, 5_000, 10_000]
    assert round_ticks(5, 5) == [5]


@pytest.mark.parametrize("count", [1, 5, 10, 30, 90, 400, 900])
def test_days_along_an_axis_are_few_and_in_order(count):
    ticks = date_ticks(DAY, DAY + timedelta(days=count - 1))
    assert 1 <= len(ticks) <= 8
    assert [day for day, _ in ticks] == sorted(day for day, _ in ticks)


@given(st.text(max_size=50))
@settings(max_examples=40, deadline=None)
def test_a_name_does_not_run_out_of_its_room(name):
    assert extent(fitted(name, 90), SMALL) <= 90 + SMALL
