"""A column that matters is not hidden behind one that does not, or that only chance has moved."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mlops_assets.core.attention import Standing, rank_columns
from mlops_assets.core.drift_methods import ColumnShift, Kind, MethodValue, Status
from mlops_assets.core.drift_methods.methods import KNOWN
from mlops_assets.core.drift_methods.shifts import SideSummary
from mlops_assets_tests.benchmarks.attention_ranking import injections

SIDE = SideSummary(1000, 1000, 0, 0, 10.0, 2.0)


def shift(name: str, moved: float | None = 0.4, drifted: bool = True, **changes) -> ColumnShift:
    value = MethodValue("wasserstein_normalised", Status.OK, moved, 0.1, 0.05, 0.0)
    made = ColumnShift(
        column=name,
        kind=Kind.NUMERIC,
        status=Status.OK,
        decided_by=value.method,
        reference=SIDE,
        current=SIDE,
        methods=(value,),
        drifted=drifted,
    )
    return replace(made, **changes)


def gone(name: str, status: Status) -> ColumnShift:
    return shift(name, None, drifted=False, status=status, decided_by=None, methods=())


def test_the_more_important_of_two_alike_comes_first():
    ranking = rank_columns([shift("a"), shift("b")], {"a": 0.2, "b": 0.8})
    assert [c.column for c in ranking.columns] == ["b", "a"]
    assert [c.rank for c in ranking.columns] == [1, 2]
    assert ranking.columns[0].score == pytest.approx(0.8 * 0.35)


def test_the_further_moved_of_two_equally_important_comes_first():
    ranking = rank_columns([shift("a", 0.2), shift("b", 0.9)], {"a": 1, "b": 1})
    assert ranking.first is not None
    assert ranking.first.column == "b"


def test_importance_is_taken_as_a_share_whatever_its_unit():
    shares = rank_columns([shift("a"), shift("b")], {"a": 30.0, "b": 90.0, "c": -5.0})
    assert {c.column: c.importance for c in shares.columns} == {"a": 0.25, "b": 0.75}


def test_a_very_important_column_without_alarm_does_not_hide_an_alarm():
    ranking = rank_columns([shift("a", 0.09, drifted=False), shift("b", 0.3)], {"a": 0.95, "b": 0})
    assert [(c.column, c.standing) for c in ranking.columns] == [
        ("b", Standing.UNIMPORTANT),
        ("a", Standing.UNCHANGED),
    ]


def test_each_column_says_why_it_stands_where_it_stands():
    shifts = [
        gone("gone", Status.NO_COLUMN_CURRENT),
        gone("text", Status.KIND_CHANGED),
        gone("few", Status.TOO_FEW),
        gone("same", Status.CONSTANT),
        shift("quiet", 0.02, drifted=False),
        shift("harmless", 9.0),
        shift("unknown", 0.2),
        shift("matters", 0.2),
    ]
    importance = {"matters": 0.5, "harmless": 0.001, "quiet": 0.499, "unknown": math.nan}
    ranking = rank_columns(shifts, importance)
    assert [(c.column, c.standing.value) for c in ranking.columns] == [
        ("matters", "matters"),
        ("unknown", "unknown_importance"),
        ("harmless", "unimportant"),
        ("quiet", "unchanged"),
        ("same", "unchanged"),
        ("few", "not_judged"),
        ("gone", "broken"),
        ("text", "broken"),
    ]
    harmless = ranking.columns[2]
    assert harmless.far
    assert harmless.score == pytest.approx(0.001 * 8.95)
    assert ranking.columns[1].importance is None
    assert ranking.columns[1].score is None
    assert next(row["standing"] for row in ranking.to_rows()) == "matters"


def test_without_importance_the_furthest_moved_is_first_and_none_is_called_important():
    for importance in (None, {}):
        ranking = rank_columns([shift("a", 0.2), shift("b", 0.9)], importance)
        assert ranking.of(Standing.UNKNOWN_IMPORTANCE) == ["b", "a"]


def test_a_model_that_relies_on_nothing_has_no_column_that_matters():
    assert rank_columns([shift("a")], {"a": 0.0}).of(Standing.MATTERS) == []


def test_no_columns_are_no_error():
    ranking = rank_columns([], {"a": 1.0})
    assert ranking.columns == ()
    assert ranking.first is None


@pytest.mark.parametrize("method", sorted(KNOWN))
def test_any_deciding_method_gives_a_ranking(method):
    value = MethodValue(method, Status.OK, 0.3, 0.1, 0.05, 0.0)
    made = shift("a", decided_by=method, methods=(value,))
    (column,) = rank_columns([made], {"a": 1.0}).columns
    assert column.standing is Standing.MATTERS
    if "." not in method:  # the peers' definitions do not decide
        assert column.excess is not None
        assert column.excess > 0


def test_a_column_shifted_on_purpose_is_first():
    """6 of the 200 of ``make bench-attention``."""
    first = [
        rank_columns(one.report.columns, one.importance).columns[0].column == one.column
        for one in injections(6)
    ]
    assert sum(first) >= 5
