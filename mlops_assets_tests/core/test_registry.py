"""The registry: versions never change, aliases have a history, nothing moves unseen."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from mlops_assets.core import registry
from mlops_assets.core.models import gate
from mlops_assets.core.models.artifacts import Artifact
from mlops_assets.core.models.evaluation import EvaluationReport
from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.models.snapshots import TrainingSet
from mlops_assets.core.models.training import Fitted
from mlops_assets.core.registry import Conflict, NotFound
from mlops_assets.core.storage import tables
from mlops_assets.vocabulary import PromotionGate

MAY = date(2013, 5, 1)


@pytest.fixture
def con(tmp_path):
    with duckdb.connect(str(tmp_path / "use_case.duckdb")) as con:
        tables.create_tables(con)
        yield con


def training_set(model="m") -> TrainingSet:
    return TrainingSet(
        model=model,
        digest="d" * 64,
        path=Path("d.parquet"),
        cutoff=MAY,
        train_start=date(2013, 1, 1),
        train_end=date(2013, 4, 17),
        holdout_end=MAY,
        train_rows=1000,
        holdout_rows=200,
        view_versions={"weather": "abc"},
    )


def fitted() -> Fitted:
    return Fitted(
        estimator=LogisticRegression(),
        metrics={"log_loss": 0.4, "roc_auc": math.nan},
        signature={"inputs": [], "output": {"classes": [False, True]}},
        reference={"columns": {}},
        importance={"a": 1.0},
        seconds=0.5,
        parameters={"C": 1.0},
    )


def register(con, model="m", **more) -> int:
    return registry.register(
        con,
        model,
        fitted(),
        Artifact("a" * 64, 123),
        training_set(model),
        decision_id=None,
        run_id="r1",
        code={"commit": "unknown", "dirty": None},
        environment={"python": "3.11"},
        **more,
    )


def move(con, to, expected, day=MAY, model="m", alias="champion", **more):
    return registry.move_alias(
        con,
        model,
        alias,
        to,
        expected_from=expected,
        effective_from=day,
        actor="test",
        reason="because",
        **more,
    )


def report(version=1, champion=None, value=0.4) -> EvaluationReport:
    found = Interval(value, value - 0.01, value + 0.01, 5000, 0.005)
    better = Interval(-0.1, -0.11, -0.09, 5000, 0.005)
    undefined = Interval(math.nan, math.nan, math.nan, 5000)
    return EvaluationReport(
        model="m",
        problem="binary",
        metric="log_loss",
        rows=5000,
        confidence=0.95,
        challenger_version=version,
        champion_version=champion,
        challenger={"log_loss": found, "roc_auc": undefined},
        baseline={"log_loss": found},
        versus_baseline=better,
        champion=None if champion is None else {"log_loss": found},
        versus_champion=None if champion is None else better,
    )


def promote(con, version=1, **gate_fields) -> str:
    declared = PromotionGate(**gate_fields)
    evaluated = report(version)
    evaluation_id = registry.record_evaluation(con, training_set(), evaluated, run_id="r1")
    verdict = gate.decide(declared, evaluated, problem="binary", metric="log_loss")
    return registry.record_promotion(
        con,
        "m",
        version,
        verdict,
        champion_version=None,
        evaluation_id=evaluation_id,
        gate=declared,
        run_id="r1",
    )


def test_versions_count_up_for_each_model_by_itself(con):
    assert [register(con), register(con), register(con, "other"), register(con)] == [1, 2, 1, 3]
    assert [v.version for v in registry.versions(con, "m")] == [1, 2, 3]


def test_a_version_reads_as_it_was_registered(con):
    register(con)
    version = registry.get(con, "m", 1)
    assert version.signature == fitted().signature
    assert version.reference == {"columns": {}}
    assert version.importance == {"a": 1.0}
    assert version.view_versions == {"weather": "abc"}
    assert version.metrics["log_loss"] == 0.4
    assert math.isnan(version.metrics["roc_auc"])
    assert version.estimator.endswith("LogisticRegression")
    assert (version.train_rows, version.size_bytes) == (1000, 123)
    assert version.code == {"commit": "unknown", "dirty": None}


def test_a_version_remembers_the_champion_it_was_trained_under(con):
    register(con)
    move(con, 1, None)
    register(con)
    assert registry.get(con, "m", 1).parent_version is None
    assert registry.get(con, "m", 2).parent_version == 1


def test_a_missing_version_is_an_error_that_says_which_there_are(con):
    with pytest.raises(NotFound, match="no version yet"):
        registry.get(con, "m", 1)
    register(con)
    with pytest.raises(NotFound, match="1 to 1"):
        registry.get(con, "m", 2)


def test_a_version_is_not_registered_on_another_models_data(con):
    with pytest.raises(Conflict, match="belongs to 'other'"):
        registry.register(
            con,
            "m",
            fitted(),
            Artifact("a" * 64, 1),
            training_set("other"),
            decision_id=None,
            run_id="r",
            code={},
            environment={},
        )


def test_nothing_serves_before_the_first_champion(con):
    register(con)
    assert registry.champion(con, "m") is None
    assert registry.champion_for(con, "m", MAY) is None
    move(con, 1, None)
    assert registry.champion_for(con, "m", MAY - timedelta(days=1)) is None
    assert registry.champion_for(con, "m", MAY) == 1


def test_a_past_day_is_served_by_the_version_it_was_served_by(con):
    for _ in range(3):
        register(con)
    move(con, 1, None, MAY)
    move(con, 2, 1, MAY + timedelta(days=10))
    move(con, 1, 2, MAY + timedelta(days=20))  # rollback
    move(con, 3, 1, MAY + timedelta(days=20))  # and at once another
    served = [registry.champion_for(con, "m", MAY + timedelta(days=n)) for n in (0, 9, 10, 19, 20)]
    assert served == [1, 1, 2, 2, 3]
    assert registry.champion(con, "m") == 3
    assert [e.to_version for e in registry.history(con, "m")] == [1, 2, 1, 3]
    assert con.execute("SELECT version FROM registry.aliases WHERE model = 'm'").fetchall() == [
        (3,)
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), max_size=12))
def test_champion_for_every_day_is_that_of_a_plain_list(moves):
    with duckdb.connect() as con:
        tables.create_tables(con)
        for _ in range(4):
            register(con)
        offset, expected, events = 0, None, []
        for version, days_later in moves:
            offset += days_later
            move(con, version, expected, MAY + timedelta(days=offset))
            expected = version
            events.append((offset, version))
        for n in range(-1, offset + 2):
            oracle = [v for start, v in events if start <= n]
            found = registry.champion_for(con, "m", MAY + timedelta(days=n))
            assert found == (oracle[-1] if oracle else None)


def test_a_mover_who_believes_something_else_moves_nothing(con):
    register(con)
    register(con)
    move(con, 1, None)
    for expected in (None, 2):
        with pytest.raises(Conflict, match="moved in between"):
            move(con, 2, expected)
    assert registry.champion(con, "m") == 1
    assert len(registry.history(con, "m")) == 1


def test_two_connections_cannot_both_move_from_the_same_version(con, tmp_path):
    """As two threads of one process would."""
    register(con)
    register(con)
    register(con)
    move(con, 1, None)
    other = con.cursor()
    con.execute("BEGIN")
    move(con, 2, 1)
    con.execute("COMMIT")
    with pytest.raises(Conflict):
        move(other, 3, 1)
    other.close()


def test_days_already_served_do_not_change_their_version(con):
    register(con)
    register(con)
    move(con, 1, None, MAY)
    with pytest.raises(Conflict, match="would change days"):
        move(con, 2, 1, MAY - timedelta(days=1))


def test_an_alias_never_points_to_nothing(con):
    with pytest.raises(NotFound):
        move(con, 1, None)


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


def test_a_move_without_a_reason_is_refused(con):
    register(con)
    with pytest.raises(ValueError, match="reason"):
        registry.move_alias(
            con, "m", "champion", 1, expected_from=None, effective_from=MAY, actor="x", reason=" "
        )


def test_a_decision_moves_only_the_version_it_promotes(con):
    register(con)
    register(con)
    passed, refused = promote(con, 1), promote(con, 2, min_rows=10_000)
    with pytest.raises(Conflict, match="refuses"):
        move(con, 2, None, promotion_id=refused)
    with pytest.raises(Conflict, match="promotes m version 1"):
        move(con, 2, None, promotion_id=passed)
    with pytest.raises(NotFound):
        move(con, 1, None, promotion_id="?")
    assert move(con, 1, None, promotion_id=passed).promotion_id == passed


def test_a_promotion_that_is_run_again_adds_nothing(con):
    register(con)
    passed = promote(con)
    first = move(con, 1, None, promotion_id=passed)
    assert promote(con) == passed
    assert move(con, 1, None, promotion_id=passed) == first
    assert len(registry.history(con, "m")) == 1
    assert len(registry.promotions(con, "m")) == 1
    assert con.execute("SELECT count(*) FROM registry.evaluations").fetchall() == [(1,)]


def test_a_verdict_can_be_taken_again_from_what_was_recorded(con):
    register(con)
    promote(con, min_rows=10_000)
    (promotion,) = registry.promotions(con, "m")
    evaluated = registry.latest_evaluation(con, "m")
    assert evaluated is not None
    again = gate.decide(
        PromotionGate(**promotion.gate), evaluated.report, problem="binary", metric="log_loss"
    )
    assert (again.promoted, again.reasons) == (promotion.promoted, promotion.reasons)
    assert (evaluated.holdout_start, evaluated.holdout_end) == (date(2013, 4, 17), MAY)


def test_the_latest_evaluation_is_the_one_recorded_last(con):
    register(con)
    register(con)
    assert registry.latest_evaluation(con, "m") is None
    registry.record_evaluation(con, training_set(), report(1), run_id="r1")
    registry.record_evaluation(con, training_set(), report(2, champion=1), run_id="r2")
    latest = registry.latest_evaluation(con, "m")
    assert latest is not None
    assert (latest.version, latest.champion_version, latest.run_id) == (2, 1, "r2")
    first = registry.latest_evaluation(con, "m", 1)
    assert first is not None
    assert math.isnan(first.report.challenger["roc_auc"].value)


def test_a_decision_needs_its_evaluation(con):
    register(con)
    with pytest.raises(NotFound, match="record the evaluation first"):
        registry.record_promotion(
            con,
            "m",
            1,
            gate.Verdict(True, []),
            champion_version=None,
            evaluation_id="?",
            gate=PromotionGate(),
            run_id="r",
        )
