"""What the UI shows of any use case is complete: nothing without owner, words or remedy."""

from pathlib import Path

import dagster as dg
import pytest

from mlops_assets.automation.jobs import daily_keys, static_keys
from mlops_assets.build import build_definitions
from mlops_assets.resources.notifier import Notifier
from mlops_assets.settings import Settings
from mlops_assets.use_cases.nyc_flights import USE_CASE as FLIGHTS
from mlops_assets.vocabulary import UseCase
from mlops_assets_tests.support_tickets import USE_CASE as SUPPORT


class Built:
    """A use case and what was made of it."""

    def __init__(self, case: UseCase, folder: Path) -> None:
        self.case = case
        self.settings = Settings(data_dir=folder)
        self.definitions = build_definitions(case, self.settings)
        self.graph = self.definitions.resolve_asset_graph()
        self.assets = {
            key: assets
            for assets in self.definitions.assets or ()
            if isinstance(assets, dg.AssetsDefinition)
            for key in assets.keys
        }


@pytest.fixture(scope="module", params=[SUPPORT, FLIGHTS], ids=lambda case: case.name)
def built(request, tmp_path_factory) -> Built:
    return Built(request.param, tmp_path_factory.mktemp("data"))


def test_the_code_location_loads(built):
    dg.Definitions.validate_loadable(built.definitions)


def test_building_makes_no_file(built):
    build_definitions(built.case, built.settings)
    assert list(built.settings.data_dir.iterdir()) == []


def test_the_graph_is_the_declared_one(built):
    models = {
        "training_set", "model_version", "evaluation", "champion", "predictions",
        "feature_consistency", "outcomes", "probation", "performance", "drift_report",
            "monitoring_report",
        "retrain_decision",
    }  # fmt: skip
    expected = {
        *(("raw", source.name) for source in built.case.sources),
        *(("features", view.name) for view in built.case.feature_views),
        *((model.name, step) for model in built.case.models for step in models),
    }
    assert {tuple(key.path) for key in built.assets} == {
        (built.case.name, *parts) for parts in expected
    }


def test_every_asset_says_whose_it_is_and_what_it_is(built):
    for key, assets in built.assets.items():
        (spec,) = assets.specs
        assert spec.owners, key
        assert spec.group_name == key.path[1], key
        assert spec.kinds, key
        assert spec.description, key
        assert spec.code_version, key
        assert spec.metadata["dagster/table_name"], key
        assert spec.automation_condition is None


def test_every_asset_holds_the_database_pool_and_is_retried(built):
    for key, assets in built.assets.items():
        assert assets.op.pool == "duckdb", key
        assert assets.op.retry_policy, key


def test_every_daily_asset_covers_a_range_of_days_in_one_run(built):
    daily = set(daily_keys(built.case))
    for key, assets in built.assets.items():
        assert (assets.partitions_def is not None) == (key in daily), key
        if key in daily:
            assert isinstance(assets.partitions_def, dg.DailyPartitionsDefinition)
            assert assets.partitions_def.timezone == built.case.timezone
            assert assets.backfill_policy == dg.BackfillPolicy.single_run()


def test_every_check_says_what_to_do_when_it_fails(built):
    checks = [spec for assets in built.assets.values() for spec in assets.check_specs]
    assert checks
    for spec in checks:
        assert "When it fails:" in (spec.description or ""), spec.key


def test_every_source_and_view_has_a_contract_that_blocks(built):
    for key, assets in built.assets.items():
        if key.path[1] in ("raw", "features"):
            (contract,) = (s for s in assets.check_specs if s.name == "contract")
            assert contract.blocking, key


def test_nothing_has_to_be_switched_on(built):
    repository = built.definitions.get_repository_def()
    for sensor in repository.sensor_defs:
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING, sensor.name
        assert sensor.description, sensor.name
    for schedule in repository.schedule_defs:
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING, schedule.name
        assert schedule.description, schedule.name
    assert {s.name for s in repository.schedule_defs} == {f"{built.case.name}_daily"}
    sensors = {s.name for s in repository.sensor_defs}
    assert {f"{built.case.name}_landing", f"{built.case.name}_alerts"} <= sensors
    assert {f"{built.case.name}_{m.name}_retrain" for m in built.case.models} <= sensors


def test_the_jobs_reach_every_asset(built):
    reached = set()
    for job in built.definitions.get_repository_def().get_all_jobs():
        if not job.name.startswith("__"):
            assert job.description, job.name
            reached |= set(job.asset_layer.selected_asset_keys)
    assert reached == set(built.assets)


def test_every_asset_depends_on_what_it_reads(built):
    for key, assets in built.assets.items():
        upstream = {k for keys in assets.asset_deps.values() for k in keys}
        if key.path[1] == "raw":
            assert not upstream
        else:
            assert upstream, key
            assert upstream <= set(built.assets), key
    assert set(static_keys(built.case)) <= set(built.assets)


def test_two_models_share_feature_views_in_the_flights():
    used = [{f.partition(".")[0] for f in model.features} for model in FLIGHTS.models]
    kept = {view.name for view in FLIGHTS.feature_views}
    assert len(used) == 2
    assert len(used[0] & used[1] & kept) >= 3


def test_a_resource_of_ones_own_replaces_the_default(tmp_path):
    settings = Settings(data_dir=tmp_path)
    mine = Notifier(settings.outbox("mine"), settings.alert_log("mine"), to_log=False)
    made = build_definitions(SUPPORT, settings, resources={"notifier": mine})
    assert (made.resources or {})["notifier"] is mine


def test_use_cases_live_side_by_side_in_one_code_location(tmp_path):
    settings = Settings(data_dir=tmp_path)
    for case in (SUPPORT, FLIGHTS):
        repository = build_definitions(case, settings).get_repository_def()
        assert all(s.name.startswith(case.name) for s in repository.sensor_defs)
