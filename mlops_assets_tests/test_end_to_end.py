"""The flights of the first ten weeks, through the whole graph under a simulated clock.

The real archive, the real sensors, schedules and gate. The replay is interrupted half way
and goes on; what must come out is counted in the archive itself.
"""

from __future__ import annotations

import json
import math
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest

from mlops_assets.automation.schedules import range_tags
from mlops_assets.build import build_definitions
from mlops_assets.core.features import feature_views
from mlops_assets.core.features.retrieval import feature_columns, feature_rows
from mlops_assets.core.storage import digests
from mlops_assets.replay import replay
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.settings import Settings
from mlops_assets.use_cases.nyc_flights import USE_CASE

pytestmark = pytest.mark.slow

WEEK_MODEL_KEYS = {
    "champion_version", "metric", "champion_value", "frozen_value", "drifted", "decision",
    "promoted",
}  # fmt: skip
TOTAL_KEYS = {
    "mean_champion", "mean_frozen", "retrains", "promotions", "predictions", "outcomes_joined",
}  # fmt: skip

#: Six weeks of training, two of holdout, and what then is served.
HALF_WAY = date(2013, 2, 5)
END = date(2013, 3, 12)  # across the change to summer time on 10 March
MODELS = [model.name for model in USE_CASE.models]


class Replayed:
    """Ten weeks, replayed in two goes."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder / "data")
        self.json = folder / "out" / "replay.json"
        self.reports = [self.replay(HALF_WAY), self.replay(END)]
        self.summary = json.loads(self.json.read_text())
        with dg.DagsterInstance.get() as instance:
            self.runs = instance.get_runs()
        self.before = self.content()

    def replay(self, end: date):
        return replay(USE_CASE, self.settings, end=end, json_path=self.json)

    def rows(self, query: str, *parameters) -> list[tuple]:
        with duckdb.connect(str(self.settings.database(USE_CASE.name)), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            return con.execute(query, parameters).fetchall()

    def content(self) -> dict[str, str]:
        """Digest of every table, whichever run wrote it and when."""
        unlike = ("run_id", "written_at", "ingested_at", "predicted_at")
        with duckdb.connect(str(self.settings.database(USE_CASE.name)), read_only=True) as con:
            tables = con.execute(
                "SELECT table_schema, table_name FROM information_schema.tables "
                "WHERE table_type = 'BASE TABLE'"
            ).fetchall()
            return {
                f"{schema}.{name}": digests.content_digest(con, f'"{schema}"."{name}"', unlike)
                for schema, name in tables
            }

    def first_day(self, model: str) -> date:
        """The first day that a champion served."""
        [(day,)] = self.rows(
            "SELECT min(effective_from) FROM registry.alias_events WHERE model = $1", model
        )
        return day


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flights")
    (folder / "data").mkdir()
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        yield Replayed(folder)


@pytest.fixture(scope="module")
def archive() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The scheduled flights with their local day, and what became of each."""
    assert USE_CASE.archive is not None
    flights = pd.read_parquet(USE_CASE.archive / "flight_schedule.parquet")
    local = flights["scheduled_departure"].dt.tz_localize("UTC").dt.tz_convert(USE_CASE.timezone)
    flights["day"] = local.dt.date
    outcomes = pd.read_parquet(USE_CASE.archive / "flight_outcomes.parquet")
    return flights, outcomes.set_index("flight_id")


def test_nothing_failed(replayed):
    assert [report.failures for report in replayed.reports] == [[], []]
    assert [report.exit_code for report in replayed.reports] == [0, 0]
    assert {run.status for run in replayed.runs} == {dg.DagsterRunStatus.SUCCESS}


def test_every_model_has_a_champion_in_time(replayed):
    for model in MODELS:
        assert date(2013, 2, 26) <= replayed.first_day(model) < END


def test_every_scheduled_flight_has_exactly_one_prediction(replayed, archive):
    flights, _ = archive
    for model in MODELS:
        first = replayed.first_day(model)
        served = flights[(flights["day"] >= first) & (flights["day"] < END)]
        captured = replayed.rows(
            f"SELECT row_key, partition_date FROM capture.{model}__predictions"
        )
        assert len(served) > 5000
        assert len(captured) == len(served)
        assert set(captured) == set(zip(served["flight_id"], served["day"], strict=True))
        [(ids,)] = replayed.rows(
            f"SELECT count(DISTINCT prediction_id) FROM capture.{model}__predictions"
        )
        assert ids == len(served)


def test_every_recorded_arrival_is_an_outcome(replayed, archive):
    """And cancelled and diverted flights, which have none, are predicted all the same."""
    flights, outcomes = archive
    for model in MODELS:
        first = replayed.first_day(model)
        served = flights[(flights["day"] >= first) & (flights["day"] < END)]
        arrived = outcomes.loc[outcomes["actual_arrival"].notna()].index
        expected = set(arrived) & set(served["flight_id"])
        joined = replayed.rows(
            f"SELECT o.row_key, o.prediction_id = p.prediction_id FROM capture.{model}__outcomes o "
            f"JOIN capture.{model}__predictions p USING (row_key)"
        )
        assert 5000 < len(expected) < len(served)
        assert len(joined) == len(expected)
        assert {row_key for row_key, _ in joined} == expected
        assert all(same for _, same in joined)


def test_the_summary_has_every_week_and_total(replayed):
    summary = replayed.summary
    assert summary["use_case"] == USE_CASE.name
    assert summary["seconds"] > 0
    starts = [week["week_start"] for week in summary["weeks"]]
    assert starts == [
        (USE_CASE.start + timedelta(days=7 * n)).isoformat() for n in range(len(starts))
    ]
    assert len(starts) == 10
    for week in summary["weeks"]:
        assert set(week["models"]) == set(MODELS)
        for of_model in week["models"].values():
            assert set(of_model) >= WEEK_MODEL_KEYS
    assert set(summary["totals"]) == set(MODELS)
    for model, total in summary["totals"].items():
        assert set(total) >= TOTAL_KEYS
        for table, key in (("predictions", "predictions"), ("outcomes", "outcomes_joined")):
            [(rows,)] = replayed.rows(f"SELECT count(*) FROM capture.{model}__{table}")
            assert total[key] == rows
        assert total["promotions"] == 1
        assert total["retrains"] == 0
        # Nothing was retrained yet: the champion is the frozen model.
        assert total["mean_champion"] == pytest.approx(total["mean_frozen"])


def test_the_champion_beats_the_rate_of_late_flights(replayed):
    """On the days it served, even against their own rate, which nobody knew beforehand."""
    [(late, loss)] = replayed.rows(
        "SELECT avg(o.label::INTEGER), avg(-ln(CASE WHEN o.label::INTEGER = 1 THEN p.score "
        "ELSE 1 - p.score END)) FROM capture.late_arrival__predictions p "
        "JOIN capture.late_arrival__outcomes o USING (prediction_id)"
    )
    assert loss < -(late * math.log(late) + (1 - late) * math.log(1 - late))


def test_the_days_were_run_once_although_the_replay_was_interrupted(replayed):
    """Each day once by the landing and once by the schedule, in ranges that do not overlap."""
    for name in ("dagster/sensor_name", "dagster/schedule_name"):
        ranges = sorted(
            (run.tags["dagster/asset_partition_range_start"],
             run.tags["dagster/asset_partition_range_end"])
            for run in replayed.runs
            if run.job_name == "daily" and name in run.tags
        )  # fmt: skip
        assert ranges[0][0] == USE_CASE.start.isoformat()
        assert ranges[-1][1] == (END - timedelta(days=1)).isoformat()
        assert len(ranges) == 10


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2013, 2, 19), END - timedelta(days=1)), (date(2013, 3, 10), date(2013, 3, 10))],
    ids=["three weeks", "the day of 23 hours"],
)
def test_a_re_run_changes_no_table(replayed, first, last):
    job = build_definitions(USE_CASE, replayed.settings).resolve_job_def("daily")
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, tags=range_tags(first, last)).success
    before, after = replayed.before, replayed.content()
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


#: What becomes known after a moment is made another, or never happens.
FALSIFIED = {
    "other": """
        UPDATE raw.flight_departures SET departure_delay = 500,
            actual_departure = scheduled_departure + INTERVAL 500 MINUTE WHERE known_at > $1;
        UPDATE raw.flight_outcomes SET arrival_delay = 400, cancelled = false, diverted = false,
            actual_arrival = scheduled_departure + INTERVAL 700 MINUTE WHERE known_at > $1;
        UPDATE raw.weather SET temperature = 1, wind_speed = 99, visibility = 0.25,
            precipitation = 1 WHERE known_at > $1;
        UPDATE raw.flight_schedule SET tail_number = 'N00000', carrier = 'ZZ',
            destination = 'XXX' WHERE known_at > $1
        """,
    "gone": """
        DELETE FROM raw.flight_departures WHERE known_at > $1;
        DELETE FROM raw.flight_outcomes WHERE known_at > $1;
        DELETE FROM raw.weather WHERE known_at > $1;
        DELETE FROM raw.flight_schedule WHERE known_at > $1
        """,
}


@pytest.mark.parametrize("how", FALSIFIED)
def test_no_captured_feature_has_seen_its_future(replayed, tmp_path, how):
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(replayed.settings.database(USE_CASE.name), copy)
    cut = datetime(2013, 3, 8, 16, 30)
    with Warehouse(database=str(copy), timezone=USE_CASE.timezone).transaction() as con:
        for statement in FALSIFIED[how].split(";\n"):
            con.execute(statement, [cut])
        for view in USE_CASE.feature_views:
            if view.partitioned:
                days = date(2013, 3, 4), END
                # As if computed for the first time: revisions would keep the values served.
                for table, name in (("ops.partitions", "dataset"), (f"features.{view.name}", "''")):
                    con.execute(
                        f"DELETE FROM {table} WHERE partition_date >= $1 "
                        f"AND {name} IN ('', 'features.' || $2)",
                        [days[0], view.name],
                    )
                assert not feature_views.compute(con, USE_CASE, view, *days, "falsified").problems
        for model in USE_CASE.models:
            columns = ["row_key", "as_of", *feature_columns(USE_CASE, model)]
            first = replayed.first_day(model.name)
            then = con.execute(f"FROM capture.{model.name}__predictions").df()[columns]
            now = feature_rows(con, USE_CASE, model, first, END).df()[columns]
            assert sum(then["as_of"] <= cut) > 5000
            pd.testing.assert_frame_equal(until(cut, now), until(cut, then))
            # The falsified facts do reach the features of the same flights' later hours.
            soon = [
                until(cut + timedelta(hours=8), rows[rows["as_of"] > cut]) for rows in (now, then)
            ]
            assert soon[0]["row_key"].equals(soon[1]["row_key"])
            for view in ("weather_at_origin", "carrier_delays", "rotation"):
                names = [*feature_views.feature_names(USE_CASE.view(view))]
                assert not soon[0][names].equals(soon[1][names]), view


def until(cut: datetime, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of predictions made by then, in one order."""
    return rows[rows["as_of"] <= cut].sort_values("row_key").reset_index(drop=True)
