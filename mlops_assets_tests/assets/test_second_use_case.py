"""A use case that is nothing like the first one lives through its days, by declaration only.

Support tickets: three classes, labels that arrive days later under a day of their own,
another time zone with a change of the clocks, CSV and JSON-lines files. The graph runs once;
everything expected is worked out from the generated data itself.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from mlops_assets import FeatureStore
from mlops_assets.core import documents
from mlops_assets.core.features import feature_views
from mlops_assets.core.features.consistency import SAMPLE
from mlops_assets.core.features.retrieval import feature_rows
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets_tests.assets.conftest import CASE, Place, after, checks, error_text, place
from mlops_assets_tests.support_tickets import START, TEAMS, generate, land

MODEL = CASE.model("team")
FEATURES = ["hour_of_day", "words", "product", "plan", "billing_share"]
TRAINED = after(START, 24)  # the last day before the first training
EARLY = after(TRAINED, 3)  # labels of these days are still to come
LAST = after(TRAINED, 12)  # a week after the change to summer time on 31 March
SERVED = [after(TRAINED, n) for n in range(1, 13)]


def local_days(times: pd.Series) -> pd.Series:
    return times.dt.tz_localize("UTC").dt.tz_convert(CASE.timezone).dt.date


class Lived:
    """The use case after its days, and what was seen on the way."""

    def __init__(self, world: Place) -> None:
        self.world = world
        self.frames = generate()
        self.runs = {}
        land(world.landing, self.frames, TRAINED)
        self.run("static", "refresh_static")
        self.run("before", "daily", START, TRAINED)
        self.decisions_before = self.decisions()
        self.run("retrain", "retrain_team")
        land(world.landing, self.frames, EARLY)
        self.run("early", "daily", SERVED[0], EARLY)
        self.early_outcomes = self.outcomes()
        self.early_predictions = self.predictions()
        land(world.landing, self.frames, LAST)
        self.run("late", "daily", after(EARLY, 1), LAST)
        self.content = world.content()

    def run(self, name: str, *arguments) -> None:
        self.runs[name] = self.world.run(*arguments)
        assert self.runs[name].success, error_text(self.runs[name])

    def predictions(self) -> pd.DataFrame:
        return self.world.frame("FROM capture.team__predictions ORDER BY row_key")

    def outcomes(self) -> pd.DataFrame:
        return self.world.frame("FROM capture.team__outcomes ORDER BY row_key")

    def decisions(self) -> list[tuple]:
        return self.world.rows("FROM monitoring.retrain_decisions ORDER BY partition_date")

    def tickets(self, last: date = LAST) -> pd.DataFrame:
        """Tickets of the days that a champion served, by the key of their predictions."""
        tickets = self.frames["tickets"]
        day = local_days(tickets["opened_at"])
        tickets = tickets.assign(day=day)[(day >= SERVED[0]) & (day <= last)]
        return tickets.assign(row_key=tickets["ticket_id"].astype(str)).sort_values("row_key")


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    with place(tmp_path_factory.mktemp("support")) as world:
        yield Lived(world)


def test_the_first_model_is_registered_immutably_and_promoted(lived):
    [(version, sha256, rows, estimator)] = lived.world.rows(
        "SELECT version, artifact_sha256, train_rows, estimator FROM registry.model_versions"
    )
    assert version == 1
    assert rows > 500
    assert estimator == "sklearn.pipeline.Pipeline"
    stored = [p for p in lived.world.settings.artifacts("support").rglob("*") if p.is_file()]
    assert sha256 in {hashlib.sha256(p.read_bytes()).hexdigest() for p in stored}
    assert lived.world.rows(
        "SELECT model, alias, version, effective_from FROM registry.aliases"
    ) == [("team", "champion", 1, SERVED[0])]
    [(promoted, reasons)] = lived.world.rows(
        "SELECT promoted, reasons FROM registry.promotion_decisions"
    )
    assert promoted
    assert "baseline" in reasons


def test_the_training_set_knows_nothing_of_the_days_after_it(lived):
    [(cutoff, start, end, holdout_end, path)] = lived.world.rows(
        "SELECT cutoff, train_start, train_end, holdout_end, path FROM registry.training_sets"
    )
    assert start < end < holdout_end <= cutoff == SERVED[0]
    rows = pd.read_parquet(lived.world.settings.snapshots("support") / path)
    assert max(local_days(rows["as_of"].astype("datetime64[us]"))) < cutoff
    known = rows["label_known_at"]
    train = rows["split"] == "train"
    berlin = pd.Timestamp(end, tz=CASE.timezone).tz_convert("UTC").tz_localize(None)
    assert max(known[train]) < berlin


def test_every_ticket_is_predicted_exactly_once_from_the_first_champion_on(lived):
    captured = lived.predictions()
    expected = lived.tickets()
    assert len(expected) > 500
    assert captured["row_key"].tolist() == expected["row_key"].tolist()
    assert captured["partition_date"].dt.date.tolist() == expected["day"].tolist()
    assert captured["prediction_id"].is_unique
    assert (captured["model_version"] == 1).all()


def test_a_prediction_holds_the_probability_of_every_team(lived):
    for row in lived.predictions().itertuples():
        scores = dict(row.scores)
        assert sorted(scores) == TEAMS
        assert sum(scores.values()) == pytest.approx(1)
        assert max(scores, key=lambda team: scores[team]) == row.prediction


def test_the_captured_features_are_those_that_could_be_known(lived):
    """Against features that are worked out here, from the archive and without any join."""
    tickets, captured = lived.tickets(), lived.predictions()
    berlin = tickets["opened_at"].dt.tz_localize("UTC").dt.tz_convert(CASE.timezone)
    assert captured["hour_of_day"].tolist() == berlin.dt.hour.tolist()
    assert captured["product"].tolist() == tickets["product"].tolist()
    np.testing.assert_array_equal(captured["words"], tickets["words"])
    plans = lived.frames["customers"].set_index("customer_id")["plan"]
    plan = tickets["customer_id"].map(plans)
    assert plan.isna().any()
    assert captured["plan"].isna().tolist() == plan.isna().tolist()
    assert captured["plan"].dropna().tolist() == plan.dropna().tolist()
    shares = [billing_share(lived.frames["resolutions"], t) for t in tickets[::5].itertuples()]
    np.testing.assert_allclose(captured["billing_share"].astype(float)[::5], shares)


def billing_share(resolutions: pd.DataFrame, ticket) -> float:
    """The share as of the newest six-hourly value that is at most a day old."""
    same = resolutions[
        (resolutions["region"] == ticket.region) & (resolutions["product"] == ticket.product)
    ]
    at = ticket.opened_at.floor("6h")
    while ticket.opened_at - at <= timedelta(days=1):
        window = same[(same.resolved_at <= at) & (same.resolved_at > at - timedelta(days=3))]
        if len(window):
            return float((window["team"] == "billing").mean())
        at -= timedelta(hours=6)
    return float("nan")


def test_labels_that_arrive_days_later_are_joined_then(lived):
    labels = lived.frames["resolutions"].assign(
        row_key=lambda r: r["ticket_id"].astype(str), day=lambda r: local_days(r["resolved_at"])
    )

    def known(tickets: pd.DataFrame, last: date) -> pd.DataFrame:
        arrived = labels[labels["day"] <= last]
        return arrived[arrived["row_key"].isin(tickets["row_key"])].sort_values("row_key")

    early, late = known(lived.tickets(EARLY), EARLY), known(lived.tickets(), LAST)
    assert lived.early_outcomes["row_key"].tolist() == early["row_key"].tolist()
    assert len(early) < len(lived.tickets(EARLY))
    joined = lived.outcomes()
    assert joined["row_key"].tolist() == late["row_key"].tolist()
    assert joined["label"].tolist() == late["team"].tolist()
    assert joined["label_known_at"].tolist() == late["resolved_at"].tolist()
    # Tickets of the early days whose label came with the later ones.
    assert lived.tickets(EARLY)["row_key"].isin(joined["row_key"]).all()
    predictions = lived.predictions().set_index("row_key")["prediction_id"]
    assert (predictions.loc[joined["row_key"]].tolist()) == joined["prediction_id"].tolist()


def test_a_prediction_once_captured_stays_as_it_was(lived):
    later = lived.predictions()
    kept = later[later["partition_date"].dt.date <= EARLY].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, lived.early_predictions)


def test_performance_is_measured_each_day_and_equals_the_metric_of_its_rows(lived):
    rows = lived.world.frame(
        "FROM monitoring.performance WHERE slice = 'all' AND window_start = window_end "
        "ORDER BY window_end"
    )
    together = lived.outcomes().merge(lived.predictions(), on=["prediction_id"])
    for metric in ("log_loss", "accuracy"):
        measured = rows[rows["metric"] == metric]
        assert measured["window_end"].dt.date.tolist() == SERVED
        for row in measured.itertuples():
            day = together[together["partition_date_x"] == row.window_end]
            if metric == "accuracy":
                expected = (day["label"] == day["prediction"]).mean()
            else:
                said = zip(day["scores"], day["label"], strict=True)
                expected = np.mean([-np.log(dict(s)[label]) for s, label in said])
            assert row.value == pytest.approx(expected)
            assert row.n == len(day)
    mature = rows[rows["status"] == "mature"]["window_end"].dt.date
    assert max(mature) == after(LAST, -3)
    slices = lived.world.rows("SELECT DISTINCT slice FROM monitoring.performance ORDER BY slice")
    assert [s for (s,) in slices] == ["all", "product=api", "product=app", "product=billing"]


def test_drift_is_reported_each_day_for_features_prediction_and_label(lived):
    found = lived.world.rows(
        "SELECT window_end, list_sort(list(column_name)) FROM monitoring.drift "
        "WHERE decides AND slice = 'all' AND reference = 'training' "
        "GROUP BY window_end ORDER BY window_end"
    )
    assert [day for day, _ in found] == SERVED
    for _, columns in found:
        assert set(FEATURES) <= set(columns)
        assert len(columns) == len(FEATURES) + 2


def test_every_day_has_one_decision(lived):
    days = [START + timedelta(days=n) for n in range((LAST - START).days + 1)]
    rows = lived.world.rows(
        "SELECT partition_date, decision, reason FROM monitoring.retrain_decisions "
        "ORDER BY partition_date"
    )
    assert [day for day, _, _ in rows] == days
    assert all(reason for _, _, reason in rows)
    decided = {day: decision for day, decision, _ in rows}
    assert decided[START] == "wait_for_data"
    assert "retrain" in {decided[day] for day in days if day <= TRAINED}
    assert decided[SERVED[0]] == "keep"


def test_no_check_of_error_severity_failed(lived):
    for result in lived.runs.values():
        for check in result.get_asset_check_evaluations():
            assert check.passed or check.severity.value == "WARN", check.description


def test_the_newest_day_is_drawn_and_every_day_is_described(lived):
    events = lived.runs["late"].get_asset_materialization_events()
    described = {
        e.asset_key.path[-1]: e.materialization.metadata
        for e in events
        if e.partition == LAST.isoformat()
    }
    for name in ("performance", "drift_report", "retrain_decision"):
        assert "report" in described[name]
    for name in ("performance", "drift_report"):
        assert "data:image/svg+xml;base64," in described[name]["plot"].value
    assert described["predictions"]["dagster/partition_row_count"].value == sum(
        lived.tickets()["day"] == LAST
    )


def test_every_window_that_closed_has_a_page_and_its_json(lived):
    first = [day for day in SERVED if ((day - START).days + 1) % 3 == 0]
    folder = lived.world.settings.reports("support") / "team" / "monitoring"
    assert sorted(path.stem for path in folder.glob("*.html")) == [str(day) for day in first]
    for path in folder.glob("*.json"):
        document = documents.from_json(path.read_text())
        assert document.version == 1
        assert document.conclusion[0]
    described = {
        event.partition
        for result in lived.runs.values()
        for event in result.get_asset_materialization_events()
        if event.asset_key.path[-1] == "monitoring_report"
        and "page" in event.materialization.metadata
    }
    assert described == {str(day) for day in first}


def test_captured_features_are_compared_with_the_same_computed_again(lived):
    rows = lived.world.frame("FROM monitoring.feature_consistency ORDER BY partition_date")
    assert sorted(set(rows["partition_date"].dt.date)) == SERVED
    assert rows["feature"].value_counts().to_dict() == dict.fromkeys(FEATURES, len(SERVED))
    of_day = lived.tickets().groupby("day").size().clip(upper=SAMPLE)
    assert rows.groupby("partition_date")["compared"].max().tolist() == of_day.tolist()
    assert rows["mismatches"].sum() == 0
    (check,) = checks(lived.runs["late"], "features_match")
    assert check.passed
    assert "5 features of" in check.description


def test_a_captured_feature_that_is_not_what_it_should_be_is_an_error(lived):
    day, table = SERVED[4], "capture.team__predictions"
    with lived.world.warehouse.transaction() as con:
        [(prediction, share)] = con.execute(
            f"SELECT prediction_id, billing_share FROM {table} WHERE partition_date = ? "
            "ORDER BY prediction_id LIMIT 1",
            [day],
        ).fetchall()
    falsify = f"UPDATE {table} SET billing_share = ? WHERE prediction_id = ?"
    try:
        with lived.world.warehouse.transaction() as con:
            con.execute(falsify, [7.5, prediction])
        run = lived.world.run("daily", day, assets=[("team", "feature_consistency")])
    finally:
        with lived.world.warehouse.transaction() as con:
            con.execute(falsify, [share, prediction])
    (check,) = checks(run, "features_match")
    assert not check.passed
    assert check.severity.value == "ERROR"
    assert f"{day}: billing_share differs in 1 of" in check.description
    assert f"as in {prediction}: captured 7.5" in check.description
    (event,) = run.get_asset_materialization_events()
    report = event.materialization.metadata["report"].value
    assert report.startswith("**1 of 5 features differ**")
    again = lived.world.run("daily", day, assets=[("team", "feature_consistency")])
    assert checks(again, "features_match")[0].passed


def test_every_day_of_a_view_has_statistics_of_its_values(lived):
    rows = lived.world.frame(
        "FROM monitoring.feature_statistics WHERE partition_date IS NOT NULL "
        "ORDER BY partition_date, feature"
    )
    values = lived.world.frame("FROM features.recent_resolutions")
    assert set(rows["view"]) == {"recent_resolutions"}
    for feature in ("resolved", "billing_share"):
        mine = rows[rows["feature"] == feature]
        assert mine["partition_date"].dt.date.tolist() == [
            START + timedelta(days=n) for n in range((LAST - START).days + 1)
        ]
        for row in mine.itertuples():
            day = values[values["partition_date"] == row.partition_date][feature]
            assert row.rows == len(day)
            assert row.mean == pytest.approx(day.mean(), nan_ok=True)
            assert row.distinct_values == day.nunique()
    plan = lived.world.frame("FROM monitoring.feature_statistics WHERE view = 'customer_profile'")
    assert plan["kind"].tolist() == ["category"]
    frequent = lived.frames["customers"]["plan"].value_counts(normalize=True).max()
    assert plan["top_share"].tolist() == [pytest.approx(frequent)]


def test_a_view_is_documented_and_checked_where_it_is_looked_at(lived):
    event = next(
        e.materialization
        for e in lived.runs["late"].get_asset_materialization_events()
        if e.asset_key.path[-1] == "recent_resolutions" and e.partition == LAST.isoformat()
    )
    text = event.metadata["statistics"].value
    assert "| billing_share |" in text
    assert "Used by team" in text
    assert event.metadata["data_age_hours"].value == 4.0
    assert event.metadata["compute_seconds"].value > 0
    for name in ("no_jumps", "fresh"):
        (check,) = checks(lived.runs["late"], name, "recent_resolutions")
        assert check.severity.value == "WARN"
    assert checks(lived.runs["late"], "fresh", "recent_resolutions")[0].passed
    assert not checks(lived.runs["static"], "fresh")


@pytest.mark.parametrize(
    ("first", "last"),
    [(START, LAST), (date(2024, 3, 31), date(2024, 3, 31)), (date(2024, 4, 4), date(2024, 4, 4))],
    ids=["all days", "the day of 23 hours", "a day of summer time"],
)
def test_a_re_run_changes_no_table(lived, first, last):
    result = lived.world.run("daily", first, last)
    assert result.success, error_text(result)
    after_it = lived.world.content()
    assert {name for name in after_it if after_it[name] != lived.content.get(name)} == set()
    assert set(after_it) == set(lived.content)


PERTURB = """
UPDATE raw.tickets SET words = coalesce(words, 0) * 3 + 17, customer_id = 301 - customer_id,
    product = CASE product WHEN 'app' THEN 'billing' ELSE 'app' END,
    region = CASE region WHEN 'north' THEN 'south' ELSE 'north' END
    WHERE opened_at > $1;
UPDATE raw.resolutions SET team = CASE team WHEN 'billing' THEN 'sales' ELSE 'billing' END,
    product = CASE product WHEN 'app' THEN 'api' ELSE 'app' END
    WHERE resolved_at > $1;
DELETE FROM raw.tickets WHERE opened_at > $1 AND ticket_id % 3 = 0;
DELETE FROM raw.resolutions WHERE resolved_at > $1 AND ticket_id % 3 = 1
"""


def test_no_captured_feature_has_seen_its_future(lived, tmp_path):
    """Falsify all that became known after a moment: nothing captured before it may change."""
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(lived.world.warehouse.path, copy)
    captured = lived.predictions()[["row_key", "as_of", *FEATURES]]
    moments = captured["as_of"].sort_values().tolist()
    cuts = [moments[round(share * (len(moments) - 1))] for share in np.linspace(0, 1, 9)]
    compared = 0
    with Warehouse(database=str(copy), timezone=CASE.timezone).get_connection() as con:
        for cut in cuts:
            rows = recomputed(con, cut)
            now = rows[rows["as_of"] <= cut].reset_index(drop=True)
            then = captured[captured["as_of"] <= cut].reset_index(drop=True)
            pd.testing.assert_frame_equal(now, then)
            compared += len(then)
        # The perturbation does reach the features: falsify the past, and they change.
        falsified = recomputed(con, moments[0] - timedelta(days=2))
    together = captured.merge(falsified, on="row_key")
    for name in ("billing_share", "words", "plan", "product"):
        old, new = together[f"{name}_x"], together[f"{name}_y"]
        assert ((old != new) & ~(old.isna() & new.isna())).mean() > 0.2, name
    assert compared > 2000


def recomputed(con, cut) -> pd.DataFrame:
    """Features of all served rows, as they come out once the facts after ``cut`` are others."""
    con.execute("BEGIN TRANSACTION")
    try:
        for statement in PERTURB.split(";\n"):
            con.execute(statement, [cut])
        end = after(LAST, 1)
        for view in CASE.feature_views:
            days = (after(SERVED[0], -2), end) if view.partitioned else (None, None)
            assert not feature_views.compute(con, CASE, view, *days, "perturbed").problems
        rows = feature_rows(con, CASE, MODEL, SERVED[0], end).df()
    finally:
        con.execute("ROLLBACK")
    return rows.sort_values("row_key")[["row_key", "as_of", *FEATURES]].reset_index(drop=True)


def test_every_prediction_can_be_made_again_bit_for_bit(lived):
    store = FeatureStore(CASE, data_dir=lived.world.settings.data_dir)
    made = store.verify(lived.predictions()["prediction_id"].tolist())
    assert len(made) > 500
    assert set(made["status"]) == {"identical"}
    found = store.explain(made["prediction_id"].iloc[-1])
    views = {name: (rows.sufficient, rows.later) for name, rows in found.behind.items()}
    assert views == {"recent_resolutions": (True, False), "customer_profile": (True, False)}


def test_the_ui_leads_from_a_day_to_the_explanation_of_a_prediction(lived):
    [day] = [
        e.step_materialization_data.materialization
        for e in lived.runs["late"].get_asset_materialization_events()
        if e.asset_key.path[-1] == "predictions" and e.partition == LAST.isoformat()
    ]
    prediction = re.search(r"explain ([0-9a-f]{32})", str(day.metadata["explain"].value))
    assert prediction is not None
    config = {"ops": {"explain_prediction": {"config": {"prediction_id": prediction[1]}}}}
    job = lived.world.definitions.resolve_job_def("explain")
    result = job.execute_in_process(run_config=config, instance=lived.world.instance)
    [output] = [e for e in result.all_events if e.event_type_value == "STEP_OUTPUT"]
    told = output.step_output_data.metadata
    assert str(told["explanation"].value).startswith(
        f"**Bit-identical:** prediction {prediction[1]}"
    )
    assert told["bit_identical"].value is True


def test_a_version_has_a_card_where_it_was_made_and_where_it_was_judged(lived):
    cards = {
        e.asset_key.path[-1]: str(
            e.step_materialization_data.materialization.metadata["card"].value
        )
        for e in lived.runs["retrain"].get_asset_materialization_events()
        if e.asset_key.path[-1] in ("model_version", "champion")
    }
    assert cards["model_version"].startswith("**Version 1 of team has not been judged yet.**")
    assert cards["champion"].startswith("**Version 1 of team serves, from ")
