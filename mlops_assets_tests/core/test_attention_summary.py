"""What a report opens with: true, short, the conclusion first, whatever is known and is not."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.attention import (
    DriftFacts,
    EstimateFacts,
    Facts,
    LargestError,
    PerformanceFacts,
    SliceFacts,
    rank_columns,
    summary,
    worst_slices,
)
from mlops_assets.core.attention.summary import MOST_LINES
from mlops_assets.core.attention.wording import listed, number, percent, short
from mlops_assets.core.drift_methods import compare

GOLDEN = Path(__file__).parent / "attention_golden.txt"

GOOD = PerformanceFacts(
    metric="log_loss", value=0.4321, low=0.41, high=0.452, reference=0.44, rows=6400, labelled=0.99
)
WORSE = replace(GOOD, value=0.5221, low=0.5, high=0.541)
EARLY = PerformanceFacts(
    metric="mae", value=24.31, low=23.8, high=24.9, reference=20.1, rows=1, labelled=0.004,
    mature=False, unit="minutes",
)  # fmt: skip
ESTIMATE = EstimateFacts(
    metric="log_loss", value=0.53, low=0.5, high=0.56, reference=0.44, validated=True
)
UNTRIED = replace(ESTIMATE, validated=False, reason="2 of 4 windows have matured")
QUIET = DriftFacts(compared=24)
MOVED = DriftFacts(matters=("temperature", "pressure"), unimportant=("wind_gust",), compared=24)
SLICE = SliceFacts(
    text="carrier = EV and hour ≥ 17", share=0.061, excess=0.2213, low=0.14, high=0.3,
    explained=0.034,
)  # fmt: skip
ERROR = LargestError(1, "3f2a", "2013-06-14 EV 4411", False, True, 4.2)

SITUATIONS = {
    "nothing is known": Facts(),
    "all is quiet": Facts(
        model="late_arrival", window="2013-06-08 to 2013-06-14", rows=6501, incidents=(),
        performance=GOOD, drift=QUIET, prediction_drift=False, multivariate_drift=False,
        concept_drift=False, largest_error=ERROR,
    ),
    "broken data": Facts(
        incidents=("tail_number: 41 % missing, 1 % is usual",), performance=WORSE, drift=MOVED,
        concept_drift=True,
    ),
    "several incidents": Facts(incidents=("a", "b", "c", "d", "e"), drift=QUIET),
    "worse, and mature": Facts(
        performance=WORSE, drift=MOVED, worst_slice=SLICE, largest_error=ERROR, concept_drift=True
    ),
    "worse, by the first labels": Facts(performance=EARLY, drift=replace(QUIET, compared=1)),
    "no labels, estimated worse": Facts(
        rows=1, performance=PerformanceFacts(metric="log_loss", value=None, labelled=0.0, rows=0),
        estimate=ESTIMATE, drift=QUIET,
    ),
    "estimated worse, not validated": Facts(estimate=UNTRIED, drift=QUIET),
    "estimated as good, no labels": Facts(
        estimate=replace(ESTIMATE, value=0.44, low=0.41, high=0.47), drift=QUIET
    ),
    "cannot be estimated": Facts(
        rows=80, estimate=replace(UNTRIED, value=None, reason="80 rows, and it takes 100")
    ),
    "one column that matters": Facts(
        performance=GOOD, drift=DriftFacts(matters=("temperature",), compared=24)
    ),
    "drift that does not matter": Facts(
        performance=GOOD, drift=DriftFacts(unimportant=("a", "b", "c", "d", "e"), compared=24)
    ),
    "drift of unknown importance": Facts(
        drift=DriftFacts(unknown_importance=("a", "b"), compared=24)
    ),
    "predictions and the whole have drifted": Facts(
        performance=GOOD, drift=QUIET, prediction_drift=True, multivariate_drift=True
    ),
    "what was learnt has changed": Facts(performance=GOOD, drift=QUIET, concept_drift=True),
    "good on the whole, a bad slice": Facts(
        performance=replace(GOOD, value=0.42, low=0.41, high=0.43), drift=QUIET, worst_slice=SLICE
    ),
    "nothing to compare with": Facts(performance=replace(GOOD, reference=None), drift=QUIET),
    "everything at once": Facts(
        model="arrival_delay", window="2013-06-14", rows=930, incidents=("late file",),
        performance=EARLY,
        estimate=replace(UNTRIED, metric="mae", value=21.0, low=20.4, high=21.7, reference=20.1),
        drift=replace(MOVED, unknown_importance=("new_one",)),
        prediction_drift=True, label_drift=True, multivariate_drift=True, concept_drift=True,
        worst_slice=replace(SLICE, excess=9.04, low=4.0, high=14.0, unit="minutes"),
        largest_error=replace(ERROR, prediction=12.345, truth=1301),
    ),
}  # fmt: skip


def told() -> str:
    parts = ["\n".join([f"## {name}", *summary(facts)]) for name, facts in SITUATIONS.items()]
    return "\n\n".join(parts) + "\n"


def test_every_situation_reads_as_it_was_agreed():
    """To agree anew: ``python -m mlops_assets_tests.core.test_attention_summary``."""
    assert told() == GOLDEN.read_text(encoding="utf-8")


FACTS = st.fixed_dictionaries(
    {},
    optional={
        field.name: st.sampled_from([getattr(f, field.name) for f in SITUATIONS.values()])
        for field in fields(Facts)
    },
)


@settings(max_examples=150, deadline=None)
@given(facts=FACTS)
def test_never_more_than_ten_lines_and_never_a_hole_in_a_sentence(facts):
    lines = summary(Facts(**facts))
    assert 2 <= len(lines) <= MOST_LINES
    assert lines[-1].startswith("Next: ")
    for line in lines:
        assert "\n" not in line
        for hole in ("None", "nan", "  ", " .", "()", "..", "1 rows", "1 columns"):
            assert hole not in line, line
        assert len(line) < 260


@settings(max_examples=150, deadline=None)
@given(facts=FACTS)
def test_of_broken_data_nothing_else_is_concluded(facts):
    if facts.get("incidents"):
        first = summary(Facts(**facts))[0]
        assert "data are broken" in first
        assert "retrain on it" in summary(Facts(**facts))[-1]


@pytest.mark.parametrize("validated", [True, False])
def test_an_estimate_that_is_not_validated_never_asks_for_a_retrain(validated):
    lines = summary(Facts(estimate=replace(ESTIMATE, validated=validated), drift=QUIET))
    assert ("retrain" in lines[-1]) == validated


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_metric_without_value_is_not_good(value):
    lines = summary(Facts(performance=replace(GOOD, value=value), drift=QUIET))
    assert "not known yet" in lines[0]


@pytest.mark.parametrize(
    ("metric", "low", "high", "said"),
    [
        ("log_loss", 0.5, 0.6, "worse"),
        ("log_loss", 0.3, 0.4, "better"),
        ("roc_auc", 0.5, 0.6, "better"),
        ("roc_auc", 0.3, 0.4, "worse"),
        ("roc_auc", 0.4, 0.5, "same"),
        ("roc_auc", None, 0.5, "unknown"),
        ("roc_auc", math.nan, 0.5, "unknown"),
    ],
)
def test_which_way_a_metric_points(metric, low, high, said):
    found = PerformanceFacts(metric=metric, value=0.45, low=low, high=high, reference=0.45)
    assert found.verdict == said


def test_numbers_have_three_digits_and_shares_are_never_rounded_to_all_or_nothing():
    assert [number(v) for v in (0.0, 0.012345, 1.5, 24.31, 1234.5, 1234567.0)] == [
        "0.00", "0.0123", "1.50", "24.3", "1,234", "1,234,567",
    ]  # fmt: skip
    assert number(-0.0001, like=12.0) == "0.0"
    assert number(1e-9) == "1.00e-09"
    assert [percent(v) for v in (0.0, 0.004, 0.35, 0.9999, 1.0)] == [
        "0 %", "under 1 %", "35 %", "over 99 %", "100 %",
    ]  # fmt: skip


def test_names_from_data_cannot_break_a_line_or_fill_it():
    assert short("a\n\n b") == "a b"
    assert len(short("x" * 500)) == 60
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and 1 more"


def test_facts_are_taken_from_rankings_and_searches():
    rng = np.random.default_rng(0)
    past = pd.DataFrame({"x": rng.normal(size=3000), "g": rng.choice(["a", "b", "c"], 3000)})
    now = pd.DataFrame({"x": rng.normal(1, 1, 3000), "g": rng.choice(["a", "b", "c"], 3000)})
    ranking = rank_columns(compare(past, now).columns, {"x": 0.7, "g": 0.3})
    search = worst_slices(now, rng.exponential(size=3000) + (now["g"] == "b"))
    facts = Facts(drift=DriftFacts.of(ranking), worst_slice=SliceFacts.of(search))
    lines = summary(facts)
    assert "Drifted, and matters to the model: x." in lines
    assert any(line.startswith("Worst slice: g = b (3") for line in lines)
    assert SliceFacts.of(worst_slices(now, np.ones(3000))) is None


if __name__ == "__main__":
    GOLDEN.write_text(told(), encoding="utf-8")
