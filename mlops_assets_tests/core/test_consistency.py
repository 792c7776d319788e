"""Training/serving consistency: what differs is found, what does not is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mlops_assets.checks import consistency as checks
from mlops_assets.core.features import consistency, feature_views
from mlops_assets.core.features.consistency import ConsistencyReport, ConsistencyRow
from mlops_assets.core.reports import consistency as report_of
from mlops_assets.vocabulary import Entity, FeatureView, OnDemandFeatures, UseCase
from mlops_assets_tests.core import kiosk, shop
from mlops_assets_tests.core.shop import Shop, day

TABLE = "capture.sent_back__predictions"
N = consistency.SAMPLE
SPENDING = """
SELECT region, date_trunc('hour', ordered_at) + INTERVAL 1 HOUR AS event_time,
       avg(amount) AS mean_amount, count(*) AS orders, max(region) AS favourite
FROM orders GROUP BY ALL
"""


def spending(sql: str = SPENDING, **changes: Any) -> FeatureView:
    """What was ordered from a region in the last hour that had any orders."""
    values: dict[str, Any] = {
        "name": "spending",
        "entity": Entity(name="region", keys=["region"]),
        "sources": ["orders"],
        "sql": sql,
        "schema": kiosk.schema(mean_amount=float, orders="int64", favourite=str),
        "ttl": timedelta(hours=30),
        "owner": "team:shop",
        "description": "Orders of a region.",
    }
    return FeatureView(**{**values, **changes})


def case(**of_model: Any) -> UseCase:
    made = shop.use_case(**of_model)
    model = replace(made.models[0], features=["order_features", "spending"])
    return replace(made, views=[*made.views, spending()], models=[model])


def compute(made: Shop, first: int, last: int) -> None:
    for view in made.use_case.feature_views:
        report = feature_views.compute(
            made.con, made.use_case, view, day(first), day(last + 1), "run"
        )
        assert report.problems == []


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"), case()).land(0, 12)
    compute(made, 0, 11)
    made.train(10)
    made.capture(9, 11)
    return made


@pytest.fixture
def served(landed: Shop) -> Iterator[Shop]:
    """Two days captured, of the third no features yet; whatever a test does is rolled back."""
    declared, model = landed.use_case, landed.model
    landed.con.begin()
    yield landed
    landed.con.rollback()
    landed.use_case, landed.model = declared, model


def measure(made: Shop, first: int = 10, last: int = 11, **options: Any) -> ConsistencyReport:
    return consistency.measure_range(
        made.con, made.use_case, made.model, day(first), day(last + 1), **options
    )


def wrong(report: ConsistencyReport) -> dict[tuple[Any, str], int]:
    return {(r.partition_date, r.feature): r.mismatches for r in report.rows if r.mismatches}


def sampled(made: Shop, n: int, size: int = consistency.SAMPLE) -> list[str]:
    """Ids of a day's sample, as the docstring declares it."""
    ids = made.con.execute(
        f"SELECT prediction_id FROM {TABLE} WHERE partition_date = ?", [day(n)]
    ).fetchall()
    return sorted(i for (i,) in ids)[:size]


def verdict(report: ConsistencyReport, made: Shop) -> dg.AssetCheckResult:
    key = dg.AssetKey(["shop", "sent_back", "feature_consistency"])
    return checks.features_match(key, report)


def test_features_that_were_served_right_do_not_differ(served):
    report = measure(served)
    assert [(r.partition_date, r.feature) for r in report.rows] == [
        (day(n), feature)
        for n in (10, 11)
        for feature in ("amount", "region", "express", "mean_amount", "orders", "favourite")
    ]
    assert {(r.compared, r.mismatches, r.rate, r.gone, r.status) for r in report.rows} == {
        (N, 0, 0.0, 0, "compared")
    }
    [(values, rows)] = served.con.execute(
        f"SELECT count(mean_amount), count(*) FROM {TABLE}"
    ).fetchall()
    assert 230 < values < rows == 240
    assert verdict(report, served).passed


def test_planted_mismatches_are_found_counted_and_named(served):
    first, second = sampled(served, 10), sampled(served, 11)
    changes = [
        ("amount = coalesce(amount, 0) + 1", first[7:10]),
        ("amount = NULL WHERE amount IS NOT NULL AND true", first[:1]),
        ("favourite = 'elsewhere'", second[3:5]),
        ("orders = orders + 1", second[N - 1 :]),
    ]
    for change, ids in changes:
        change, _, also = change.partition(" WHERE ")
        served.con.execute(
            f"UPDATE {TABLE} SET {change} WHERE prediction_id IN (SELECT unnest(?::VARCHAR[])) "
            f"AND {also or 'true'}",
            [ids],
        )
    report = measure(served)
    assert wrong(report) == {
        (day(10), "amount"): 4,
        (day(11), "favourite"): 2,
        (day(11), "orders"): 1,
    }
    found = {(r.partition_date, r.feature): r for r in report.rows}
    amount, favourite = found[day(10), "amount"], found[day(11), "favourite"]
    assert (amount.view, amount.rate, amount.prediction_id) == ("order_features", 4 / N, first[0])
    assert amount.captured is None
    assert float(amount.recomputed or "nan") > 0
    assert favourite.prediction_id == second[3]
    assert favourite.captured == "elsewhere"
    assert favourite.recomputed in ("north", "south", "east")

    result = verdict(report, served)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert f"amount differs in 4 of {N}" in (result.description or "")
    assert first[0] in (result.description or "")
    rows = [r for r in report.rows if r.partition_date == day(10)]
    text = report_of.markdown(served.use_case, served.model, day(10), rows, report.reasons)
    assert text.startswith(f"**1 of 6 features differ** of {N} sampled predictions")
    assert first[0] in text


def test_the_sample_is_the_same_each_time_and_as_large_as_asked(served):
    ids = sampled(served, 10, 20)
    served.con.execute(
        f"UPDATE {TABLE} SET express = NOT express WHERE prediction_id <= ?", [ids[-1]]
    )
    assert wrong(measure(served, 10, 10, sample=20)) == {(day(10), "express"): 20}
    assert measure(served, 10, 10, sample=20) == measure(served, 10, 10, sample=20)
    everything = measure(served, 10, 10, sample=10_000)
    assert {(r.compared, r.gone) for r in everything.rows} == {(120, 0)}
    assert wrong(everything) == {(day(10), "express"): 20}


def test_the_last_bits_of_a_sum_are_no_mismatch_and_more_is(served):
    one, other = sampled(served, 10)[:2]
    for prediction, factor in ((one, "1e-12"), (other, "1e-6")):
        served.con.execute(
            f"UPDATE {TABLE} SET mean_amount = mean_amount * (1 + {factor}) "
            "WHERE prediction_id = ?",
            [prediction],
        )
    report = measure(served)
    assert wrong(report) == {(day(10), "mean_amount"): 1}
    assert {r.prediction_id for r in report.rows if r.mismatches} == {other}


@pytest.mark.parametrize(
    ("captured", "again", "differ"),
    [
        ("NULL", "NULL", False),
        ("NULL", "0.0", True),
        ("'nan'::DOUBLE", "'nan'::DOUBLE", False),
        ("'inf'::DOUBLE", "'inf'::DOUBLE", False),
        ("'inf'::DOUBLE", "1.0", True),
        ("0.0", "1e-300", True),
        ("2::BIGINT", "2.0::DOUBLE", False),
        ("1.5::DECIMAL(9, 2)", "1.5::DOUBLE", False),
        ("9007199254740993::BIGINT", "9007199254740992::BIGINT", True),
        ("'1'", "'1.0'", True),
        ("true", "false", True),
        ("DATE '2024-03-01'", "'2024-03-01'", False),
    ],
)
def test_what_counts_as_the_same_value(served, captured, again, differ):
    types = [
        served.con.execute(f"SELECT typeof({value})").fetchall()[0][0]
        for value in (captured, again)
    ]
    types = ["DOUBLE" if t == '"NULL"' else t for t in types]
    c, r, near = consistency._values("x", *types)
    values = (
        f"(SELECT CAST({captured} AS {types[0]}) AS x) c, "
        f"(SELECT CAST({again} AS {types[1]}) AS x) r"
    )
    query = f"SELECT {c} IS DISTINCT FROM {r} AND NOT {near} FROM {values}"
    assert served.con.execute(query).fetchall() == [(differ,)]


def test_a_version_is_compared_by_the_definitions_it_was_trained_on(served):
    anew = SPENDING.replace("avg(amount)", "avg(amount) + 100")
    request = replace(
        served.use_case.view("order_features"),
        features={"amount": "amount * 2", "region": "region"},
    )
    assert isinstance(request, OnDemandFeatures)
    served.use_case = replace(served.use_case, views=[request, spending(anew)])
    compute(served, 0, 11)
    values = served.con.execute("SELECT min(mean_amount) > 100 FROM features.spending").fetchall()
    assert values == [(True,)]
    report = measure(served)
    assert len(report.rows) == 12
    assert {(r.compared, r.mismatches, r.status) for r in report.rows} == {(N, 0, "compared")}
    # Refusing to serve an old version is no reason not to look at what it was served.
    served.model = replace(served.model, on_view_change="refuse")
    assert measure(served) == report
    # The comparison does see the difference, had the new definition been served.
    served.con.execute(f"UPDATE {TABLE} SET mean_amount = mean_amount + 100")
    assert len(wrong(measure(served))) == 2


def test_a_model_that_takes_other_features_now_is_compared_by_those_it_was_served(served):
    served.model = replace(served.model, features=["spending.orders", "order_features.amount"])
    served.use_case = replace(served.use_case, models=[served.model])
    report = measure(served)
    assert len({r.feature for r in report.rows}) == 6
    assert wrong(report) == {}


def test_a_fact_corrected_later_is_no_mismatch(served):
    served.con.execute(
        "UPDATE raw.orders SET amount = 999 WHERE partition_date BETWEEN ? AND ?", [day(9), day(11)]
    )
    compute(served, 9, 11)
    [(revised,)] = served.con.execute(
        "SELECT count(*) FROM features.spending WHERE revision > 0"
    ).fetchall()
    assert revised > 20
    # The row's own amount is read from the source, which was not landed anew but changed.
    assert {feature for _, feature in wrong(measure(served))} == {"amount"}


def test_features_computed_after_the_predictions_are_found(served):
    """The run order that makes training better informed than serving."""
    served.capture(12, 12)
    assert wrong(measure(served, 12, 12)) == {}
    compute(served, 12, 12)
    differ = wrong(measure(served, 12, 12))
    assert differ[day(12), "mean_amount"] > N / 2
    assert {feature for _, feature in differ} <= {"mean_amount", "orders", "favourite"}


def test_a_row_that_is_no_longer_there_is_not_compared_and_said(served):
    ids = sampled(served, 10)[:3]
    served.con.execute(
        "DELETE FROM raw.orders WHERE order_id::VARCHAR IN "
        f"(SELECT row_key FROM {TABLE} WHERE prediction_id IN (SELECT unnest(?::VARCHAR[])))",
        [ids],
    )
    rows = measure(served, 10, 10).rows
    assert {(r.compared, r.mismatches, r.gone) for r in rows} == {(N - 3, 0, 3)}
    text = report_of.markdown(served.use_case, served.model, day(10), rows, {})
    assert "Of 3 sampled predictions the row is no longer there" in text
    served.con.execute("DELETE FROM raw.orders WHERE partition_date = ?", [day(10)])
    report = measure(served, 10, 10)
    assert {(r.compared, r.rate, r.gone, r.status) for r in report.rows} == {(0, None, N, "gone")}
    assert "Nothing to compare" in (verdict(report, served).description or "")


def test_features_that_cannot_be_computed_again_are_not_called_right(served):
    served.use_case = replace(
        served.use_case, views=[served.use_case.view("order_features"), spending(SPENDING + " -- ")]
    )
    served.con.execute("DELETE FROM registry.feature_views WHERE view = 'spending'")
    report = measure(served)
    assert {(r.compared, r.rate, r.status) for r in report.rows} == {(0, None, "not_recomputable")}
    assert len(report.rows) == 12
    result = verdict(report, served)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert "is not in registry.feature_views" in (result.description or "")
    rows = [r for r in report.rows if r.partition_date == day(10)]
    text = report_of.markdown(served.use_case, served.model, day(10), rows, report.reasons)
    assert text.startswith("**Not all features can be computed again**")
    assert "Retrain" in text


def test_days_without_predictions_have_no_rows_and_are_not_called_right(served, tmp_path: Path):
    report = measure(served, 9, 9)
    assert report.rows == []
    text = report_of.markdown(served.use_case, served.model, day(9), [], {}, documented=True)
    assert text.startswith(f"**Nothing was predicted on {day(9)}:**")
    assert "0 of 0" in text
    (tmp_path / "new").mkdir()
    new = Shop(tmp_path / "new", case())
    assert measure(new) == ConsistencyReport([], {})
    assert "Nothing to compare" in (verdict(measure(new), new).description or "")


def test_what_is_stored_is_what_was_found_however_often(served):
    stored = "monitoring.feature_consistency"
    report = measure(served)
    for _ in range(2):
        assert (
            consistency.write_range(served.con, served.model, day(10), day(12), report.rows) == 12
        )
    rows = served.con.execute(f"FROM {stored} ORDER BY partition_date, rowid").fetchall()
    assert [ConsistencyRow(*row) for row in rows] == report.rows


def test_all_features_are_documented_with_what_was_found(served):
    rows = measure(served, 10, 10).rows
    text = report_of.markdown(served.use_case, served.model, day(10), rows, {}, documented=True)
    assert text.startswith(f"**All 6 features are what they should be** of {N}")
    assert "| mean_amount | spending |" in text
    assert text.count(f"| 0 of {N} |") == 6
    assert "team:shop" in text
