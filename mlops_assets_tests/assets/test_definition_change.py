"""A view is defined anew: the version in service never sees the new definition's features."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_assets.vocabulary import FeatureView, OnDemandFeatures
from mlops_assets_tests.assets.conftest import CASE, Place, after, error_text
from mlops_assets_tests.support_tickets import START, generate, land, recent_schema

TRAINED = after(START, 24)
SHARE = """
SELECT region, product, time_bucket(INTERVAL 6 HOUR, resolved_at) + INTERVAL 6 HOUR AS event_time,
       count(*) AS resolved, {share} AS billing_share
FROM resolutions GROUP BY ALL
"""


def case_with(share: str, words: str = "words", function=None, **of_model):
    """The tickets with a SQL view of resolutions, a share of them and the words as declared."""
    declared = CASE.view("recent_resolutions")
    values = {"sql": SHARE.format(share=share)} if function is None else {"function": function}
    recent = FeatureView(
        name="recent_resolutions",
        entity=declared.entity,
        sources=["resolutions"],
        schema=recent_schema,
        ttl=declared.ttl,
        lookback=declared.lookback,
        **values,
    )
    request = OnDemandFeatures(
        name="request",
        features={**CASE.view("request").features, "words": words},
    )
    return replace(
        CASE,
        views=[recent, CASE.view("customer_profile"), request],
        models=[replace(CASE.models[0], **of_model)],
    )


BEFORE = {"share": "avg((team = 'billing')::INTEGER)"}
NOW = {"share": "1 - avg((team = 'billing')::INTEGER)", "words": "-words"}


def lived(folder, case) -> Place:
    """The use case up to its first champion."""
    world = Place(folder, case=case)
    land(world.landing, generate(), TRAINED)
    for job, *bounds in (("refresh_static",), ("daily", START, TRAINED), ("retrain_team",)):
        result = world.run(job, *bounds)
        assert result.success, error_text(result)
    return world


def changed(world: Place, folder, case) -> Place:
    """The same database and files under other declarations."""
    again = Place(folder, case=case)
    land(again.landing, generate(), after(TRAINED, 3))
    return again


def served(world: Place) -> list[tuple]:
    return world.rows(
        "SELECT partition_date, row_key, model_version, words, billing_share, plan "
        "FROM capture.team__predictions ORDER BY ALL"
    )


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """What is served where nothing was defined anew."""
    folder = tmp_path_factory.mktemp("unchanged")
    world = changed(lived(folder, case_with(**BEFORE)), folder, case_with(**BEFORE))
    result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
    assert result.success, error_text(result)
    return served(world)


def test_a_champion_is_served_the_definitions_it_was_trained_on(tmp_path, unchanged):
    lived(tmp_path, case_with(**BEFORE))
    world = changed(None, tmp_path, case_with(**NOW))
    result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
    assert result.success, error_text(result)
    assert served(world) == unchanged
    # The new definition has its own values meanwhile, in the view's own table.
    now, then = (
        world.rows(f"SELECT avg(billing_share) FROM features.{table}")[0][0]
        for table in (
            "recent_resolutions",
            world.rows(
                "SELECT 'recent_resolutions__' || version FROM registry.feature_views "
                "WHERE view = 'recent_resolutions' AND NOT current"
            )[0][0],
        )
    )
    assert now > then

    # Trained on days that only the former definition has, a version would know nothing.
    refused = world.run("retrain_team")
    assert not refused.success
    assert "defined anew" in error_text(refused)
    for job, *bounds in (("daily", START, after(TRAINED, 3)), ("retrain_team",)):
        result = world.run(job, *bounds)
        assert result.success, error_text(result)
    versions = world.rows("SELECT version, view_versions FROM registry.model_versions ORDER BY 1")
    assert [version for version, _ in versions] == [1, 2]
    assert versions[0][1] != versions[1][1]
    report = world.rows("SELECT report FROM registry.evaluations ORDER BY created_at DESC")[0][0]
    assert '"champion_problem": null' in report.replace('":null', '": null')


def test_a_champion_is_not_served_at_all_where_that_is_declared(tmp_path):
    lived(tmp_path, case_with(**BEFORE))
    world = changed(None, tmp_path, case_with(**NOW, on_view_change="refuse"))
    result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
    assert not result.success
    assert "on_view_change is 'refuse'" in error_text(result)
    assert served(world) == []


def test_a_changed_function_is_refused_rather_than_guessed(tmp_path):
    def other(frames, start, end):
        return CASE.view("recent_resolutions").function(frames, start, end)

    lived(tmp_path, CASE)
    world = changed(None, tmp_path, case_with("", function=other))
    result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
    assert not result.success
    assert "Python function that has changed" in error_text(result)
    assert served(world) == []


def test_a_description_is_no_new_definition(tmp_path, unchanged):
    lived(tmp_path, case_with(**BEFORE))
    case = case_with(**BEFORE)
    described = replace(
        case, views=[replace(case.view("recent_resolutions"), description="New words."),
                     *case.views[1:]],
    )  # fmt: skip
    world = changed(None, tmp_path, described)
    result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
    assert result.success, error_text(result)
    assert served(world) == unchanged
    assert world.rows("SELECT count(*) FROM registry.feature_views WHERE NOT current") == [(0,)]
