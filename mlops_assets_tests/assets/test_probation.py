"""A champion that someone let through and that fails in service, through the real graph."""

from __future__ import annotations

import dataclasses
from datetime import date

import dagster as dg
import pytest

from mlops_assets.core import registry
from mlops_assets.vocabulary import Probation
from mlops_assets_tests.assets.conftest import CASE, after, checks, error_text, place
from mlops_assets_tests.support_tickets import START, generate, land

TRAINED = after(START, 24)
PROMOTED = after(TRAINED, 4)  # from this day on the second champion serves
JUDGED = after(PROMOTED, 9 - 1 + 3)  # a window of nine days, labels three days later
LAST = after(JUDGED, 2)


class Trained:
    """Estimators of the first training, and of those after it."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self):
        from sklearn.dummy import DummyClassifier

        self.times += 1
        return CASE.model("team").estimator() if self.times == 1 else DummyClassifier()


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    trained = Trained()
    model = dataclasses.replace(
        CASE.model("team"),
        estimator=trained,
        probation=Probation(windows=1, window=9, min_rows=100),
    )
    case = dataclasses.replace(CASE, models=[model])
    with place(tmp_path_factory.mktemp("support"), case=case) as world:
        land(world.landing, generate(), LAST)

        def run(*arguments):
            result = world.run(*arguments)
            assert result.success, error_text(result)
            return result

        run("refresh_static")
        run("daily", START, TRAINED)
        run("retrain_team")
        run("daily", after(TRAINED, 1), after(PROMOTED, -1))
        run("retrain_team")
        assert world.rows("SELECT promoted FROM registry.promotion_decisions ORDER BY version") == [
            (True,),
            (False,),
        ]
        with world.warehouse.transaction() as con:
            registry.move_alias(
                con,
                "team",
                registry.CHAMPION,
                2,
                expected_from=1,
                effective_from=PROMOTED,
                actor="someone",
                reason="the gate must be wrong",
                override=True,
            )
        run("daily", PROMOTED, after(JUDGED, -1))
        world.judged = run("daily", JUDGED, JUDGED)
        world.later = run("daily", after(JUDGED, 1), LAST)
        yield world


def served(world) -> dict[date, list[int]]:
    return dict(
        world.rows(
            "SELECT partition_date, list(DISTINCT model_version) FROM capture.team__predictions "
            "GROUP BY ALL ORDER BY ALL"
        )
    )


def test_it_serves_until_its_labels_say_that_it_is_worse(lived):
    days = served(lived)
    assert days[after(PROMOTED, -1)] == [1]
    assert {tuple(v) for d, v in days.items() if PROMOTED <= d <= JUDGED} == {(2,)}
    assert {tuple(v) for d, v in days.items() if d > JUDGED} == {(1,)}


def test_the_rollback_says_why_and_which_run_did_it(lived):
    [(reason, actor, taken_back)] = lived.rows(
        "SELECT reason, actor, rollback_of FROM registry.alias_events "
        "ORDER BY event_id DESC LIMIT 1"
    )
    assert reason.startswith("version 2 is worse: log_loss ")
    assert lived.judged.run_id in actor
    assert taken_back == 2


def test_the_check_fails_once_and_recovers(lived):
    [failed] = checks(lived.judged, "champion_holds")
    assert not failed.passed
    assert failed.severity == dg.AssetCheckSeverity.ERROR
    assert "version 2 is worse" in failed.description
    [recovered] = checks(lived.later, "champion_holds")
    assert recovered.passed


def test_running_the_days_again_changes_nothing(lived):
    before = lived.content()
    assert lived.run("daily", PROMOTED, LAST).success
    assert lived.content() == before
