"""A view is defined anew: the version in service never sees the new definition's features."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mlops_assets.vocabulary import FeatureView, OnDemandFeatures
from mlops_assets_tests.assets.conftest import CASE, Place, after, error_text, place
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


def live(folder, case) -> None:
    """Take the use case up to its first champion."""
    with place(folder, case=case) as world:
        land(world.landing, generate(), TRAINED)
        for job, *bounds in (("refresh_static",), ("daily", START, TRAINED), ("retrain_team",)):
            result = world.run(job, *bounds)
            assert result.success, error_text(result)


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Database and files of the use case with its first champion."""
    folder = tmp_path_factory.mktemp("lived") / "data"
    live(folder, case_with(**BEFORE))
    return folder


@contextmanager
def changed(lived, folder, case) -> Iterator[Place]:
    """A copy of database and files under other declarations."""
    if folder != lived:
        shutil.copytree(lived, folder, dirs_exist_ok=True)
    with place(folder, case=case) as again:
        land(again.landing, generate(), after(TRAINED, 3))
        yield again


def served(world: Place) -> list[tuple]:
    return world.rows(
        "SELECT partition_date, row_key, model_version, words, billing_share, plan "
        "FROM capture.team__predictions ORDER BY ALL"
    )


@pytest.fixture(scope="module")
def unchanged(lived, tmp_path_factory):
    """What is served where nothing was defined anew."""
    with changed(lived, tmp_path_factory.mktemp("unchanged"), case_with(**BEFORE)) as world:
        result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
        assert result.success, error_text(result)
        return served(world)


def test_a_champion_is_served_the_definitions_it_was_trained_on(lived, tmp_path, unchanged):
    with changed(lived, tmp_path, case_with(**NOW)) as world:
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
        versions = world.rows(
            "SELECT version, view_versions FROM registry.model_versions ORDER BY 1"
        )
        assert [version for version, _ in versions] == [1, 2]
        assert versions[0][1] != versions[1][1]
        reports = world.rows("SELECT report FROM registry.evaluations ORDER BY created_at")
        assert '"champion_problem": null' in reports[-1][0].replace('":null', '": null')


def test_a_champion_is_not_served_at_all_where_that_is_declared(lived, tmp_path):
    with changed(lived, tmp_path, case_with(**NOW, on_view_change="refuse")) as world:
        result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
        assert not result.success
        assert "on_view_change is 'refuse'" in error_text(result)
        assert served(world) == []


def test_a_changed_function_is_refused_rather_than_guessed(tmp_path):
    def other(frames, start, end):
        return CASE.view("recent_resolutions").function(frames, start, end)

    live(tmp_path, CASE)
    with changed(tmp_path, tmp_path, case_with("", function=other)) as world:
        result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
        assert not result.success
        assert "Python function that has changed" in error_text(result)
        assert served(world) == []


def test_a_description_is_no_new_definition(lived, tmp_path, unchanged):
    case = case_with(**BEFORE)
    described = replace(
        case, views=[replace(case.view("recent_resolutions"), description="New words."),
                     *case.views[1:]],
    )  # fmt: skip
    with changed(lived, tmp_path, described) as world:
        result = world.run("daily", after(TRAINED, 1), after(TRAINED, 3))
        assert result.success, error_text(result)
        assert served(world) == unchanged
        assert world.rows("SELECT count(*) FROM registry.feature_views WHERE NOT current") == [(0,)]
