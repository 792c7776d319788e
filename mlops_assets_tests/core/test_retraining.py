"""The retraining decision: triggers, guards, and days in order."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core import registry
from mlops_assets.core.retraining import retraining
from mlops_assets.core.retraining.evidence import Drifted, Evidence, Realised, worsening
from mlops_assets.core.retraining.retraining import BLOCKED, KEEP, RETRAIN, WAIT, decide
from mlops_assets.vocabulary import RetrainPolicy
from mlops_assets_tests.core.shop import Shop, day, use_case

D = date(2024, 6, 1)
POLICY = RetrainPolicy()
QUIET = Evidence(
    day=D,
    champion=3,
    data_days=100,
    needed_days=42,
    data_age=timedelta(days=10),
    new_labels=5000,
    drift_windows=2,
)


def realised(worse: float | None, at_least: float | None) -> Realised:
    return Realised("log_loss", D - timedelta(14), D, 900, 0.5, 0.4, worse, at_least)


def drifted(share: float, prediction: bool = False) -> Drifted:
    return Drifted(D, share, prediction, ("amount",))


def test_nothing_that_asks_for_it_keeps_the_champion_and_says_why():
    found = decide(POLICY, replace(QUIET, realised=realised(0.02, -0.01), drift=(drifted(0.1),)))
    assert (found.decision, found.trigger) == (KEEP, None)
    for said in ("version 3", "2.0 % worse", "10.0 %", "10 days old"):
        assert said in found.reason


@pytest.mark.parametrize(
    ("days", "decision"), [(41, WAIT), (42, RETRAIN)], ids=["too few", "enough"]
)
def test_a_first_model_waits_for_enough_days_and_no_longer(days, decision):
    found = decide(POLICY, Evidence(day=D, champion=None, data_days=days, needed_days=42))
    assert (found.decision, found.trigger) == (decision, "first_model")


@pytest.mark.parametrize(
    ("worse", "at_least", "fires"),
    [(0.30, 0.051, True), (0.30, 0.049, False), (0.30, None, False), (None, None, False)],
    ids=["surely worse", "perhaps", "no interval", "unknown"],
)
def test_a_drop_that_may_be_chance_trains_nothing(worse, at_least, fires):
    found = decide(POLICY, replace(QUIET, realised=realised(worse, at_least)))
    assert (found.trigger == "performance") is fires


@pytest.mark.parametrize(
    ("reports", "fires"),
    [
        ([drifted(0.5), drifted(0.5)], True),
        ([drifted(0.1), drifted(0.1, True)], False),
        ([drifted(0.0, True), drifted(0.9)], True),
        ([drifted(0.9)], False),
        ([drifted(0.9), drifted(0.4)], False),
        ([], False),
    ],
    ids=["features", "once", "either", "too short", "over", "none"],
)
def test_drift_must_matter_and_last(reports, fires):
    found = decide(POLICY, replace(QUIET, drift=tuple(reports)))
    assert (found.trigger == "drift") is fires


def test_old_training_data_are_stale_from_the_declared_age_on():
    for days, trigger in ((29, None), (30, "staleness")):
        assert decide(POLICY, replace(QUIET, data_age=timedelta(days))).trigger == trigger


def test_performance_is_named_before_drift_and_drift_before_staleness():
    evidence = replace(
        QUIET,
        realised=realised(1.0, 0.5),
        drift=(drifted(1.0), drifted(1.0)),
        data_age=timedelta(100),
    )
    assert decide(POLICY, evidence).trigger == "performance"
    assert decide(POLICY, replace(evidence, realised=None)).trigger == "drift"
    assert decide(POLICY, replace(evidence, realised=None, drift=())).trigger == "staleness"


STALE = replace(QUIET, data_age=timedelta(days=31))


def test_broken_data_are_not_learnt():
    found = decide(POLICY, replace(STALE, quality_problem="orders: 40 % of rows were refused"))
    assert found.decision == BLOCKED
    assert "orders: 40 % of rows were refused" in found.reason


def test_without_new_labels_it_waits():
    found = decide(POLICY, replace(STALE, new_labels=999))
    assert (found.decision, found.trigger) == (WAIT, "staleness")
    assert "only 999 labels" in found.reason


@pytest.mark.parametrize(
    ("unpromoted", "days"), [(0, 14), (1, 28), (2, 56), (3, 56)], ids=lambda n: str(n)
)
def test_attempts_that_change_nothing_become_rarer(unpromoted, days):
    for since, decision in ((days - 1, BLOCKED), (days, RETRAIN)):
        last = D - timedelta(days=since)
        found = decide(POLICY, replace(STALE, last_attempt=last, unpromoted=unpromoted))
        assert found.decision == decision


def test_a_missing_champion_does_not_wait_longer_after_a_refusal():
    evidence = Evidence(
        day=D,
        champion=None,
        data_days=90,
        needed_days=42,
        last_attempt=D - timedelta(days=14),
        unpromoted=3,
    )
    assert decide(POLICY, evidence).decision == RETRAIN


def test_both_guards_that_refuse_are_named():
    found = decide(POLICY, replace(STALE, new_labels=0, last_attempt=D - timedelta(days=1)))
    assert found.decision == BLOCKED
    assert "cooling down" in found.reason
    assert "only 0 labels" in found.reason
    assert [guard["passed"] for guard in json.loads(found.guards_json())] == [True, False, False]


def test_the_lower_bound_counts_the_holdouts_own_uncertainty():
    worse, at_least = worsening("log_loss", 0.5, 0.03, (0.4, 0.36, 0.44))
    assert worse == pytest.approx(0.25)
    assert at_least == pytest.approx((0.1 - 0.05) / 0.4)
    worse, at_least = worsening("roc_auc", 0.6, 0.03, (0.8, 0.76, 0.99))
    assert worse == pytest.approx(0.25)
    assert at_least == pytest.approx((0.2 - 0.05) / 0.8)
    assert worsening("log_loss", 0.5, 0.03, (None, None, None)) == (None, None)
    assert worsening("log_loss", 0.5, float("nan"), (0.4, 0.3, 0.5))[1] is None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=30, max_size=80),
    st.integers(1, 9),
)
def test_no_history_breaks_the_cool_down(history, cool_down):
    """Each day: does staleness ask, and does an attempt of that day get promoted at once."""
    policy = RetrainPolicy(cool_down=timedelta(days=cool_down))
    attempts: list[date] = []
    unpromoted = 0
    for n, (stale, promoted) in enumerate(history):
        evidence = replace(
            QUIET,
            day=D + timedelta(days=n),
            data_age=timedelta(days=31 if stale else 1),
            last_attempt=attempts[-1] if attempts else None,
            unpromoted=unpromoted,
        )
        if decide(policy, evidence).decision == RETRAIN:
            if attempts:
                gap = (evidence.day - attempts[-1]).days
                assert gap >= cool_down * min(4, 2**unpromoted)
            attempts.append(evidence.day)
            unpromoted = 0 if promoted else unpromoted + 1


# --- days in order ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    """Unchanged until day 18, then three times as dear, and returned for other reasons.

    Operated in steps of a week, with training between them; the challenger of the drift's
    first attempt is refused, the second one promoted.
    """
    made = Shop(tmp_path_factory.mktemp("shop"), use_case()).land(0, 6)
    made.monitor(0, 6)
    made.train(7)
    made.land(7, 18).land(19, 34, amount=60.0, flip=True)
    made.monitor(7, 13)
    made.monitor(14, 20)
    made.train(21, promote=False)
    made.monitor(21, 27)
    made.train(27, effective=28)
    made.monitor(28, 34)
    return made


def stored(shop: Shop) -> dict[int, tuple[str, str | None]]:
    rows = shop.con.execute(
        "SELECT partition_date - ?::DATE, decision, trigger FROM monitoring.retrain_decisions "
        "ORDER BY 1",
        [day(0)],
    ).fetchall()
    return {n: (decision, trigger) for n, decision, trigger in rows}


def attempts(shop: Shop) -> list[date]:
    return [day(n) for n, (decision, _) in stored(shop).items() if decision == RETRAIN]


def test_the_loop_decides_as_a_person_would(shop):
    found = stored(shop)
    assert found[5] == (WAIT, "first_model")
    assert found[6] == (RETRAIN, "first_model")
    assert {found[n] for n in range(7, 19)} == {(KEEP, None)}
    assert attempts(shop)[1] == day(20)  # the second drifted report
    assert found[20][1] == "drift"
    # Refused: six days instead of three.
    assert attempts(shop)[2] == day(26)
    assert found[26][1] == "performance"
    assert all(found[n][0] == BLOCKED for n in range(21, 26))


def test_deciding_again_gives_the_same_bytes(shop):
    before = {
        name: shop.table(name)
        for name in (
            "monitoring.retrain_decisions",
            "monitoring.drift",
            "monitoring.performance",
            "capture.sent_back__predictions",
            "capture.sent_back__outcomes",
            "ops.partitions",
        )
    }
    shop.con.begin()
    for first, last in ((0, 34), (20, 20), (14, 27), (34, 34)):
        shop.monitor(first, last)
        for name, rows in before.items():
            assert shop.table(name) == rows, (name, first, last)
    shop.con.rollback()


def test_a_decision_knows_only_labels_that_were_known_when_its_day_ended(shop):
    evidence = retraining.gather(shop.con, shop.use_case, shop.model, day(12))
    known = shop.con.execute(
        "SELECT count(*) FROM capture.sent_back__outcomes "
        "WHERE local_time(label_known_at) < ? AND model_version = 1",
        [day(13)],
    ).fetchall()[0][0]
    assert evidence.new_labels == known
    matured = shop.con.execute(
        "SELECT count(*) FROM capture.sent_back__outcomes WHERE partition_date BETWEEN ? AND ?",
        [day(8), day(11)],
    ).fetchall()[0][0]
    assert (evidence.realised.first, evidence.realised.last) == (day(8), day(11))
    assert evidence.realised.n == matured
    assert evidence.data_age == timedelta(days=13 - 7)


def test_a_refusal_counts_and_a_promotion_ends_the_count(shop):
    def unpromoted(n: int) -> int:
        return retraining.gather(shop.con, shop.use_case, shop.model, day(n)).unpromoted

    assert [unpromoted(n) for n in (6, 7, 20, 21, 26, 27, 28)] == [0, 0, 0, 1, 1, 2, 0]


def test_training_by_hand_starts_the_cool_down(shop):
    shop.con.begin()
    shop.train(35, promote=False, decision=None)
    evidence = retraining.gather(shop.con, shop.use_case, shop.model, day(35))
    assert evidence.last_attempt == day(34)
    before = retraining.gather(shop.con, shop.use_case, shop.model, day(34))
    assert before.last_attempt == max(n for n in attempts(shop) if n < day(34))
    shop.con.rollback()


def test_a_data_problem_stops_the_day_it_is_on(shop):
    rows = retraining.decide_range(
        shop.con,
        shop.use_case,
        shop.model,
        day(20),
        day(22),
        quality=lambda d: "no orders have landed" if d == day(20) else None,
    )
    assert [row.decision for row in rows] == [BLOCKED, RETRAIN]
    assert "no orders have landed" in rows[0].reason


def test_every_day_has_one_decision_with_an_id_of_its_own(shop):
    rows = shop.con.execute(
        "SELECT decision_id, partition_date FROM monitoring.retrain_decisions"
    ).fetchall()
    assert len(rows) == len({row[0] for row in rows}) == 35
    assert {d: i for i, d in rows}[day(3)] == retraining.decision_id("shop", "sent_back", day(3))


def test_serving_agrees_with_the_registry(shop):
    from mlops_assets.core.monitoring.monitoring import serving

    days = [day(n) for n in range(36)]
    assert serving(shop.con, "sent_back", days) == {
        d: registry.champion_for(shop.con, "sent_back", d) for d in days
    }
