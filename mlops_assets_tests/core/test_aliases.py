"""Aliases: nothing moves unseen, nothing serves without a decision, no moment is forgotten."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import count

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core import registry
from mlops_assets.core.registry import BytesDeleted, Conflict, NotFound, Protected
from mlops_assets.core.storage import records, tables
from mlops_assets_tests.core.registered import MAY, decide, move, register, rollback
from mlops_assets_tests.proof import tries

NOON = datetime(2013, 5, 1, 12)
TICK = timedelta(microseconds=1)


@pytest.fixture
def con():
    with duckdb.connect() as con:
        tables.create_tables(con)
        yield con


@pytest.fixture(scope="module")
def four_versions():
    """Gives a connection and a model that has versions 1 to 4 and no alias, again and again."""
    with duckdb.connect() as con:
        tables.create_tables(con)
        for _ in range(4):
            register(con, "template")
        names = (f"m{n}" for n in count())

        def fresh():
            model = next(names)
            con.execute(
                "INSERT INTO registry.model_versions SELECT * REPLACE ($model AS model) "
                "FROM registry.model_versions WHERE model = 'template'",
                {"model": model},
            )
            return con, model

        yield fresh


def captured(con, *days: date, version: int = 1, model: str = "m") -> None:
    """Predictions of these days, and the ledger's word for them."""
    con.execute(
        f"CREATE TABLE IF NOT EXISTS capture.{model}__predictions AS "
        "SELECT DATE '2013-01-01' AS partition_date, 1 AS model_version LIMIT 0"
    )
    for day in days:
        con.execute(f"INSERT INTO capture.{model}__predictions VALUES (?, ?)", [day, version])
        con.execute(
            "INSERT INTO ops.partitions VALUES (?, ?, 1, 'd', 'r', TIMESTAMP '2013-05-01')",
            [f"capture.{model}__predictions", day],
        )


def test_nothing_serves_before_the_first_champion(con):
    register(con)
    assert registry.champion(con, "m") is None
    assert registry.champion_for(con, "m", MAY) is None
    assert registry.champion_at(con, "m", datetime(2100, 1, 1)) is None
    move(con, 1, None)
    assert registry.champion_for(con, "m", MAY - timedelta(days=1)) is None
    assert registry.champion_for(con, "m", MAY) == 1


def test_a_past_day_is_served_by_the_version_it_was_served_by(con):
    for _ in range(3):
        register(con)
    move(con, 1, None, MAY)
    move(con, 2, 1, MAY + timedelta(days=10))
    move(con, 1, 2, MAY + timedelta(days=20))
    move(con, 3, 1, MAY + timedelta(days=20))  # on the same day
    served = [registry.champion_for(con, "m", MAY + timedelta(days=n)) for n in (0, 9, 10, 19, 20)]
    assert served == [1, 1, 2, 2, 3]
    assert registry.champion(con, "m") == 3
    assert [e.to_version for e in registry.history(con, "m")] == [1, 2, 1, 3]
    assert con.execute("SELECT version FROM registry.aliases WHERE model = 'm'").fetchall() == [
        (3,)
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), max_size=12))
def test_champion_for_every_day_is_that_of_a_plain_list(four_versions, moves):
    con, model = four_versions()
    offset, expected, events = 0, None, []
    for version, days_later in moves:
        offset += days_later
        move(con, version, expected, MAY + timedelta(days=offset), model)
        expected = version
        events.append((offset, version))
    for n in range(-1, offset + 2):
        oracle = [v for start, v in events if start <= n]
        found = registry.champion_for(con, model, MAY + timedelta(days=n))
        assert found == (oracle[-1] if oracle else None)


def test_the_moment_and_the_day_are_two_questions(con):
    """Promoted in the evening of the 1st, for the 5th: who was champion on the 3rd?"""
    register(con)
    register(con)
    move(con, 1, None, MAY, now=NOON)
    move(con, 2, 1, MAY + timedelta(days=4), now=NOON + timedelta(hours=8))
    third = datetime(2013, 5, 3)
    assert registry.champion_at(con, "m", third) == 2
    assert registry.champion_for(con, "m", third.date()) == 1


def test_the_moment_of_a_move_belongs_to_the_new_version_in_any_time_zone(con):
    register(con)
    register(con)
    move(con, 1, None, now=NOON)
    move(con, 2, 1, now=NOON + TICK)
    asked = [NOON - TICK, NOON, NOON + TICK]
    assert registry.champions_at(con, "m", asked) == [None, 1, 2]
    assert [registry.champion_at(con, "m", t) for t in asked] == [None, 1, 2]
    elsewhere = NOON.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=-5)))
    assert registry.champion_at(con, "m", elsewhere) == 1
    assert registry.champions_at(con, "m", []) == []


def test_a_clock_that_is_set_back_does_not_rewrite_what_was(con):
    register(con)
    register(con)
    move(con, 1, None, now=NOON)
    second = move(con, 2, 1, now=NOON - timedelta(hours=1))
    assert second.recorded_at == NOON
    assert registry.champion_at(con, "m", NOON - TICK) is None
    assert registry.champion_at(con, "m", NOON) == 2


def test_champion_at_is_exact_for_every_moment_of_a_random_history(con):
    """10,000 events, the last 300 through the registry, those before as it writes them.

    Half of all events fall on the microsecond of the one before, and a quarter remove the alias.
    """
    made = random.Random(20130501)
    for _ in range(4):
        register(con)
    streams = [("m", "shadow"), ("m", "canary"), ("other", "shadow")]
    oracle: dict[tuple[str, str], list[tuple[datetime, int | None]]] = {s: [] for s in streams}
    written, at = [], NOON
    number = tries(10_000, 2_000)
    for event_id in range(1, number - 299):
        stream = made.choice(streams)
        at += TICK * made.choice([0, 0, 1, 2, 10**6])
        to = made.choice([1, 2, 3, 4]) if made.random() < 0.75 else None
        before = oracle[stream][-1][1] if oracle[stream] else None
        oracle[stream].append((at, to))
        written.append(
            [event_id, *stream, before, to, MAY, "a", "r", None, False, None, at]
        )  # fmt: skip
    columns = registry.AliasEvent.__dataclass_fields__
    lists = ", ".join(f"unnest(${name}) AS {name}" for name in columns)
    con.execute(
        f"INSERT INTO registry.alias_events BY NAME SELECT {lists}",
        dict(zip(columns, map(list, zip(*written, strict=True)), strict=True)),
    )
    con.execute("BEGIN")
    for _ in range(300):
        at += TICK * made.choice([0, 0, 1, 2])
        before = oracle["m", "canary"][-1][1]
        told = {"expected_from": before, "actor": "a", "reason": "r", "now": at}
        if before is not None and made.random() < 0.25:
            registry.remove_alias(con, "m", "canary", **told)
            to = None
        else:
            to = made.randint(1, 4)
            registry.move_alias(con, "m", "canary", to, effective_from=MAY, **told)
        oracle["m", "canary"].append((at, to))
    con.execute("COMMIT")
    assert con.execute("SELECT count(*) FROM registry.alias_events").fetchall() == [(number,)]

    for (model, alias), events in oracle.items():
        answers: dict[datetime, int | None] = {}
        for moment, to in events:
            answers[moment] = to  # of several at one moment the last one holds
        moments = sorted(answers)
        asked, expected = [moments[0] - TICK], [None]
        for moment, following in zip(
            moments, [*moments[1:], NOON + timedelta(days=999)], strict=True
        ):
            for between in {moment, moment + (following - moment) / 2, following - TICK}:
                if moment <= between < following:
                    asked.append(between)
                    expected.append(answers[moment])
        assert registry.champions_at(con, model, asked, alias) == expected
        for index in made.sample(range(len(asked)), 60):
            assert registry.champion_at(con, model, asked[index], alias) == expected[index]
        assert registry.champion(con, model, alias) == events[-1][1]


def test_a_mover_who_believes_something_else_moves_nothing(con):
    register(con)
    register(con)
    move(con, 1, None)
    for expected in (None, 2):
        with pytest.raises(Conflict, match="moved in between"):
            move(con, 2, expected)
    assert registry.champion(con, "m") == 1
    assert len(registry.history(con, "m")) == 1


def test_days_already_served_do_not_change_their_version(con):
    register(con)
    register(con)
    move(con, 1, None, MAY)
    with pytest.raises(Conflict, match="would change days"):
        move(con, 2, 1, MAY - timedelta(days=1))


def test_an_alias_never_points_to_nothing(con):
    with pytest.raises(NotFound):
        move(con, 1, None)


def test_an_alias_never_points_to_a_version_whose_file_is_gone(con):
    register(con)
    register(con)
    records.insert(
        con,
        "registry.artifact_events",
        {
            "model": "m",
            "version": 1,
            "artifact_sha256": "a" * 64,
            "size_bytes": 123,
            "event": "deleted",
            "actor": "carol",
            "reason": "to save space",
            "recorded_at": NOON,
        },
    )
    with pytest.raises(BytesDeleted, match="2013-05-01 12:00:00 UTC by carol: to save space"):
        move(con, 1, None)
    move(con, 2, None)


@pytest.mark.parametrize("alias", ["3", "12", "v3", "V3", "latest", "Latest", "", "a b", "é", "-a"])
def test_what_reads_as_a_version_is_no_alias(con, alias):
    register(con)
    with pytest.raises(ValueError, match="cannot be an alias"):
        move(con, 1, None, alias=alias)


def test_aliases_that_differ_in_case_are_one(con):
    register(con)
    register(con)
    move(con, 1, None, alias="Champion")
    with pytest.raises(Conflict):
        move(con, 2, None, alias="champion")
    assert registry.champion(con, "m") == 1


@pytest.mark.parametrize(("actor", "reason"), [("x", " "), ("", "because")])
def test_a_move_by_nobody_or_for_no_reason_is_refused(con, actor, reason):
    register(con)
    with pytest.raises(ValueError, match="actor and a reason"):
        move(con, 1, None, actor=actor, reason=reason)


@pytest.mark.parametrize("alias", ["champion", "CHAMPION", "Champion"])
def test_the_champion_does_not_move_without_decision_or_override(con, alias):
    register(con)
    with pytest.raises(Protected, match="promotion decision that passed"):
        move(con, 1, None, alias=alias, override=False)
    assert registry.history(con, "m") == []
    move(con, 1, None, alias="challenger", override=False)  # any other alias does


def test_an_override_is_on_record_for_ever(con):
    register(con)
    move(con, 1, None)
    assert registry.history(con, "m")[0].override is True
    assert con.execute("SELECT override FROM registry.aliases").fetchall() == [(True,)]


def test_a_decision_moves_only_the_version_it_promotes(con):
    register(con)
    register(con)
    passed, refused = decide(con, 1), decide(con, 2, promoted=False)
    with pytest.raises(Conflict, match="refuses"):
        move(con, 2, None, promotion_id=refused)
    with pytest.raises(Conflict, match="promotes m version 1"):
        move(con, 2, None, promotion_id=passed)
    with pytest.raises(NotFound):
        move(con, 1, None, promotion_id="?")
    event = move(con, 1, None, promotion_id=passed)
    assert (event.promotion_id, event.override) == (passed, False)


def test_a_refusal_that_is_overridden_is_named(con):
    register(con)
    refused = decide(con, 1, promoted=False)
    event = move(con, 1, None, promotion_id=refused, override=True)
    assert (event.promotion_id, event.override) == (refused, True)
    register(con)
    with pytest.raises(Conflict, match="it does not allow m version 2"):
        move(con, 2, 1, promotion_id=refused, override=True)


def test_a_promotion_that_is_run_again_adds_nothing(con):
    register(con)
    passed = decide(con, 1)
    first = move(con, 1, None, promotion_id=passed)
    assert move(con, 1, None, promotion_id=passed) == first
    assert len(registry.history(con, "m")) == 1


def test_the_champion_cannot_be_removed(con):
    register(con)
    move(con, 1, None)
    with pytest.raises(Protected, match="cannot be removed"):
        registry.remove_alias(con, "m", "Champion", expected_from=1, actor="a", reason="b")


def test_a_removed_alias_keeps_its_history_and_can_be_set_again(con):
    register(con)
    register(con)
    told = {"actor": "a", "reason": "b"}
    move(con, 1, None, alias="shadow", now=NOON)
    with pytest.raises(Conflict, match="points to version 1"):
        registry.remove_alias(con, "m", "shadow", expected_from=2, **told)
    registry.remove_alias(con, "m", "shadow", expected_from=1, now=NOON + TICK, **told)
    assert registry.aliases(con, "m") == {}
    assert registry.champion_at(con, "m", NOON, "shadow") == 1
    assert registry.champion_at(con, "m", NOON + TICK, "shadow") is None
    with pytest.raises(NotFound):
        registry.remove_alias(con, "m", "shadow", expected_from=1, **told)
    move(con, 2, None, alias="shadow")
    assert [e.to_version for e in registry.history(con, "m", "shadow")] == [1, None, 2]


def test_a_rollback_serves_from_the_first_day_not_yet_scored_and_says_what_it_takes_back(con):
    register(con)
    register(con)
    move(con, 1, None, MAY)
    promoted = move(con, 2, 1, MAY + timedelta(days=3))
    captured(con, *(MAY + timedelta(days=n) for n in range(6)))
    event = rollback(con)
    assert (event.from_version, event.to_version) == (2, 1)
    assert event.effective_from == MAY + timedelta(days=6)
    assert (event.rollback_of, event.override) == (promoted.event_id, False)
    days = [MAY + timedelta(days=n) for n in range(7)]
    assert [registry.champion_for(con, "m", d) for d in days] == [1, 1, 1, 2, 2, 2, 1]


def test_a_rollback_of_a_champion_that_has_not_served_yet_leaves_it_no_day(con):
    register(con)
    register(con)
    move(con, 1, None, MAY)
    move(con, 2, 1, MAY + timedelta(days=3))
    rollback(con)
    assert {registry.champion_for(con, "m", MAY + timedelta(days=n)) for n in range(9)} == {1}


def test_rolling_back_twice_goes_two_champions_back_and_not_to_the_bad_one(con):
    for _ in range(4):
        register(con)
    move(con, 1, None)
    move(con, 2, 1)
    move(con, 3, 2)
    assert [rollback(con).to_version, rollback(con).to_version] == [2, 1]
    with pytest.raises(NotFound, match="no earlier champion"):
        rollback(con)
    move(con, 4, 1)
    assert rollback(con).to_version == 1


def test_there_is_nothing_to_roll_back_to_before_the_second_champion(con):
    with pytest.raises(NotFound, match="no earlier champion"):
        rollback(con)
    register(con)
    move(con, 1, None)
    with pytest.raises(NotFound, match="version 1 is its first"):
        rollback(con)


def test_a_rollback_of_another_champion_than_was_meant_is_refused(con):
    for _ in range(3):
        register(con)
    move(con, 1, None)
    move(con, 2, 1)
    with pytest.raises(Conflict, match="moved in between"):
        rollback(con, expected_from=3)
    with pytest.raises(ValueError, match="actor and a reason"):
        rollback(con, reason="")
    assert rollback(con, expected_from=2).to_version == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 4), st.none()), max_size=12))
def test_any_mixture_of_moves_and_rollbacks_is_a_stack(four_versions, steps):
    con, model = four_versions()
    stack: list[int] = []
    for version in steps:
        if version is not None:
            move(con, version, stack[-1] if stack else None, model=model)
            stack.append(version)
        elif len(stack) > 1:
            stack.pop()
            assert rollback(con, model).to_version == stack[-1]
        else:
            with pytest.raises(NotFound):
                rollback(con, model)
        assert registry.champion(con, model) == (stack[-1] if stack else None)
