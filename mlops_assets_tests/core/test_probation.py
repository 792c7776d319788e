"""Probation: a champion that is worse in service goes, one that is not stays."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from datetime import datetime, timedelta

import numpy as np
import pytest

from mlops_assets.core import registry
from mlops_assets.core.artifacts.artifacts import ArtifactError
from mlops_assets.core.serving import probation, shadow
from mlops_assets.core.serving.predictions import predictions_table
from mlops_assets.core.storage import sql
from mlops_assets.vocabulary import Probation
from mlops_assets_tests.core.shop import Shop, day, use_case

AT = datetime(2030, 1, 1)
POLICY = Probation(windows=2, window=5, min_rows=200)
PROMOTED = 20  # day from which the second champion serves


class Contrary:
    """An estimator that says the opposite of another one."""

    def __init__(self, other) -> None:
        self.other = other

    def predict_proba(self, frame):
        found = self.other.predict_proba(frame)
        return np.roll(found, 1, axis=1)

    def predict(self, frame):
        return -self.other.predict(frame)


@pytest.fixture(scope="module")
def shop_of(tmp_path_factory):
    """Two champions, the second from day 20 on, and days enough for its probation; once made."""

    @functools.cache
    def made(problem: str) -> Shop:
        shop = Shop(tmp_path_factory.mktemp(problem), use_case(problem)).land(0, 40)
        shop.train(14)
        shop.train(PROMOTED)
        return shop

    def of(folder, problem: str = "binary", policy: Probation = POLICY) -> Shop:
        """A copy, so that whatever a test does is done to it alone."""
        shop, folder = made(problem), folder / "shop"
        shop.con.execute("CHECKPOINT")
        shutil.copytree(shop.folder, folder)
        copied = Shop(folder, use_case(problem, probation=policy))
        copied.estimators |= shop.estimators
        return copied

    return of


@pytest.fixture
def shop(shop_of, tmp_path):
    return shop_of(tmp_path)


def serve(shop: Shop, first: int, last: int, load=None) -> str | None:
    """Predict, also in shadow, join outcomes, judge: as a daily run does."""
    shop.capture(first, last)
    _, problem = shadow.capture_shadow(
        shop.con,
        shop.use_case,
        shop.model,
        day(first),
        day(last + 1),
        load or shop.load,
        "run",
        AT,
    )
    shop.join(first, last)
    probation.judge_range(shop.con, shop.model, day(first), day(last + 1), "run")
    return problem


def verdicts(shop: Shop) -> list[tuple[int, int, str]]:
    return [
        (row.version, row.window, row.verdict)
        for row in probation.history(shop.con, shop.model.name)
    ]


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_a_champion_that_is_worse_in_service_is_rolled_back(shop_of, tmp_path, problem):
    shop = shop_of(tmp_path, problem)
    estimator, signature = shop.estimators[2]
    shop.estimators[2] = Contrary(estimator), signature
    # Labels are mature a day after the window's last; that day was scored before it was judged.
    judged_on = PROMOTED + POLICY.window
    serve(shop, 14, judged_on)
    serve(shop, judged_on + 1, 39)
    assert verdicts(shop) == [(2, 1, "worse")]
    [row] = probation.history(shop.con, shop.model.name)
    assert row.difference > 0
    assert row.low > row.bound == 0
    last = registry.history(shop.con, shop.model.name)[-1]
    assert (last.from_version, last.to_version) == (2, 1)
    assert last.reason == row.reason
    assert row.partition_date == day(judged_on)
    assert last.effective_from == day(judged_on + 1)
    served = dict(
        shop.con.execute(
            "SELECT partition_date, any_value(model_version) FROM "
            f"{sql.table(predictions_table(shop.model))} GROUP BY ALL"
        ).fetchall()
    )
    assert {served[day(n)] for n in range(PROMOTED, judged_on + 1)} == {2}
    assert {served[day(n)] for n in range(judged_on + 1, 40)} == {1}


def test_a_champion_that_is_as_good_goes_on_serving(shop):
    serve(shop, 14, 39)
    assert verdicts(shop) == [(2, 1, "held"), (2, 2, "held")]
    assert registry.champion(shop.con, shop.model.name) == 2


def test_one_run_over_all_days_judges_like_a_run_for_each(shop_of, tmp_path):
    by_day, at_once = shop_of(tmp_path / "a"), shop_of(tmp_path / "b")
    for n in range(PROMOTED - 1, PROMOTED + 12):
        serve(by_day, n, n)
    serve(at_once, PROMOTED - 1, PROMOTED + 11)
    assert probation.history(by_day.con, "sent_back") == probation.history(at_once.con, "sent_back")


def test_a_verdict_is_given_once_whatever_labels_say_later(shop):
    serve(shop, 14, 39)
    before = probation.history(shop.con, shop.model.name)
    shop.land(20, 39, flip=True)
    serve(shop, 14, 39)
    assert probation.history(shop.con, shop.model.name) == before
    assert len(registry.history(shop.con, shop.model.name)) == 2


def test_the_shadow_scores_every_row_and_is_never_served(shop):
    serve(shop, 14, 39)
    table = sql.table(shadow.shadow_table(shop.model))
    served = sql.table(predictions_table(shop.model))
    length = POLICY.windows * POLICY.window
    found = shop.con.execute(
        f"SELECT min(partition_date), max(partition_date), list(DISTINCT model_version), count(*) "
        f"FROM {table}"
    ).fetchall()
    [(asked,)] = shop.con.execute(
        f"SELECT count(*) FROM {served} WHERE partition_date >= ? AND partition_date < ?",
        [day(PROMOTED), day(PROMOTED + length)],
    ).fetchall()
    assert found == [(day(PROMOTED), day(PROMOTED + length - 1), [1], asked)]
    united = shop.con.execute(
        "SELECT count(*), count(DISTINCT (partition_date, row_key)) FROM capture.predictions"
    ).fetchall()
    assert united[0][0] == united[0][1]


def test_a_champion_before_that_cannot_score_does_not_stop_the_new_one(shop):
    def load(version: int):
        if version == 1:
            raise ArtifactError("its file is gone")
        return shop.load(version)

    assert serve(shop, 14, 19) is None
    assert serve(shop, 20, 30, load) == "its file is gone"
    [(served,)] = shop.con.execute(
        f"SELECT count(*) FROM {sql.table(predictions_table(shop.model))} "
        "WHERE partition_date >= ?",
        [day(PROMOTED)],
    ).fetchall()
    assert served > 1000
    assert verdicts(shop) == [(2, 1, "not_comparable"), (2, 2, "not_comparable")]
    assert registry.champion(shop.con, shop.model.name) == 2


def test_few_rows_are_no_reason_to_roll_back(shop_of, tmp_path):
    shop = shop_of(tmp_path, policy=dataclasses.replace(POLICY, min_rows=100_000))
    estimator, signature = shop.estimators[2]
    shop.estimators[2] = Contrary(estimator), signature
    serve(shop, 14, 39)
    assert verdicts(shop) == [(2, 1, "too_few"), (2, 2, "too_few")]


def test_a_champion_that_was_put_there_meanwhile_is_not_rolled_back(shop):
    estimator, signature = shop.estimators[2]
    shop.estimators[2] = Contrary(estimator), signature
    serve(shop, 14, 24)
    registry.move_alias(
        shop.con,
        shop.model.name,
        registry.CHAMPION,
        1,
        expected_from=2,
        effective_from=day(25),
        actor="someone",
        reason="saw it coming",
        override=True,
    )
    serve(shop, 25, 39)
    # The window had ended while it served, so its verdict is on record; nothing follows from it.
    assert verdicts(shop)[0] == (2, 1, "worse")
    assert registry.history(shop.con, shop.model.name)[-1].actor == "someone"


def test_who_serves_again_after_a_rollback_is_not_on_probation(shop):
    registry.rollback(
        shop.con,
        shop.model.name,
        actor="someone",
        reason="a test",
        effective_from=day(PROMOTED + 2),
    )
    watched = shadow.watches(shop.con, shop.model)
    assert [(w.version, w.start, w.end) for w in watched] == [(2, day(PROMOTED), day(PROMOTED + 2))]
    serve(shop, 14, 39)
    assert verdicts(shop) == []


def test_without_windows_nothing_is_scored_in_shadow(shop_of, tmp_path):
    shop = shop_of(tmp_path, policy=Probation(windows=0))
    assert shadow.watches(shop.con, shop.model) == []
    assert serve(shop, 14, 39) is None


def test_a_window_waits_for_its_labels(shop):
    label = dataclasses.replace(shop.model.label, matures_after=timedelta(days=4))
    shop.model = dataclasses.replace(shop.model, label=label)
    serve(shop, 14, PROMOTED + POLICY.window + 2)
    assert verdicts(shop) == []
    serve(shop, PROMOTED + POLICY.window + 3, PROMOTED + POLICY.window + 3)
    assert verdicts(shop) == [(2, 1, "held")]
