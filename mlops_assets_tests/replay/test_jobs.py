"""The daemon of a replay keeps the jobs it makes of selections apart from each other."""

import dagster as dg

from mlops_assets_tests.automation.conftest import empty_home, place  # noqa: F401

ORDERS, PARCELS = dg.AssetKey(["toy", "raw", "orders"]), dg.AssetKey(["toy", "raw", "parcels"])
DAYS = {
    "dagster/asset_partition_range_start": "2024-03-01",
    "dagster/asset_partition_range_end": "2024-03-02",
}


def materialised(place, selection) -> set[dg.AssetKey]:  # noqa: F811
    run = place.daemon.jobs.create_run("daily", {}, DAYS, selection)
    assert place.daemon.execute(run).success
    events = place.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    planned = place.instance.get_asset_keys_for_run(run.run_id)
    found = {event.dagster_event.asset_key for event in events}
    assert found == planned
    return found


def test_a_run_of_some_assets_leaves_the_next_run_its_own(place):  # noqa: F811
    assert materialised(place, {ORDERS}) == {ORDERS}
    assert materialised(place, {PARCELS}) == {PARCELS}
    assert len(materialised(place, None)) > 2
    assert materialised(place, {ORDERS}) == {ORDERS}


def test_a_run_is_what_dagster_would_have_made(place):  # noqa: F811
    ours = place.daemon.jobs.create_run("daily", {}, DAYS, frozenset({ORDERS}))
    origin = place.daemon._origin.get_job_origin("daily")
    stock = place.instance.create_run_for_job(
        place.daemon.repository.get_job("daily"),
        run_config={},
        tags=DAYS,
        asset_selection=frozenset({ORDERS}),
        status=dg.DagsterRunStatus.NOT_STARTED,
        remote_job_origin=origin,
    )
    assert ours._replace(run_id=stock.run_id) == stock
    logs = [place.instance.all_logs(run.run_id) for run in (ours, stock)]
    assert [[e.dagster_event for e in log] for log in logs[:1]] == [
        [e.dagster_event for e in log] for log in logs[1:]
    ]
