"""The registry: versions are numbered without gaps, never change, and are never lost."""

from __future__ import annotations

import math
from datetime import date

import duckdb
import pytest

from mlops_assets.core import registry
from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.promotion import gate
from mlops_assets.core.promotion.evaluation import EvaluationReport
from mlops_assets.core.registry import Conflict, NotFound
from mlops_assets.core.storage import tables
from mlops_assets.vocabulary import PromotionGate
from mlops_assets_tests.core.registered import MAY, fitted, move, register, training_set
from mlops_assets_tests.core.test_gate import CLEAN


@pytest.fixture
def con(tmp_path):
    with duckdb.connect(str(tmp_path / "use_case.duckdb")) as con:
        tables.create_tables(con)
        yield con


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
        block="day",
        holdout=CLEAN,
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
    register(con, total_seconds=2.5)
    version = registry.get(con, "m", 1)
    assert version.signature == fitted().signature
    assert registry.training_profile(con, "m", 1) == {"columns": {}}
    assert version.importance == {"a": 1.0}
    assert version.view_versions == {"weather": "abc"}
    assert version.metrics["log_loss"] == 0.4
    assert math.isnan(version.metrics["roc_auc"])
    assert version.estimator.endswith("LogisticRegression")
    assert (version.train_rows, version.size_bytes) == (1000, 123)
    assert version.code == {"commit": "unknown", "dirty": None}
    assert (version.fit_seconds, version.total_seconds, version.seed) == (0.5, 2.5, 7)
    held_out = (version.holdout_digest, version.train_end, version.holdout_end)
    assert held_out == ("e" * 64, date(2013, 4, 17), MAY)
    assert version.holdout_rows == 200
    assert (version.source_model, version.source_version) == (None, None)


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
    register(con, "other")
    with pytest.raises(Conflict, match="belongs to 'other'"):
        registry.register(
            con,
            "m",
            fitted(),
            registry.get(con, "other", 1),  # type: ignore[arg-type]
            training_set("other"),
            decision_id=None,
            run_id="r",
            code={},
            environment={},
        )


def test_two_connections_that_take_the_same_number_are_not_both_believed(con):
    """Past ``Warehouse``, whose transactions come one after the other."""
    other = con.cursor()
    con.execute("BEGIN")
    other.execute("BEGIN")
    assert register(con) == register(other) == 1
    con.execute("COMMIT")
    with pytest.raises(duckdb.Error, match="UNIQUE constraint violat"):
        other.execute("COMMIT")
    other.execute("BEGIN")
    assert register(other) == 2
    other.execute("COMMIT")
    other.close()
    assert [v.version for v in registry.versions(con, "m")] == [1, 2]


def test_two_connections_that_move_an_alias_at_once_are_not_both_believed(con):
    register(con)
    register(con)
    move(con, 1, None)
    other = con.cursor()
    con.execute("BEGIN")
    other.execute("BEGIN")
    move(con, 2, 1)
    move(other, 2, 1)
    con.execute("COMMIT")
    with pytest.raises(duckdb.Error, match="UNIQUE constraint violat"):
        other.execute("COMMIT")
    with pytest.raises(Conflict, match="moved in between"):
        move(other, 2, 1)
    other.close()
    assert [e.to_version for e in registry.history(con, "m")] == [1, 2]


def test_a_file_from_before_the_newer_columns_gets_them(con):
    """Rows that are there are kept, and versions and moves can be added to them."""
    register(con)
    move(con, 1, None)
    for column in ("override", "rollback_of"):
        con.execute(f"ALTER TABLE registry.alias_events DROP COLUMN {column}")
    for column in ("holdout_digest", "holdout_end", "seed", "source_model", "total_seconds"):
        con.execute(f"ALTER TABLE registry.model_versions DROP COLUMN {column}")
    tables.create_tables(con)
    assert registry.history(con, "m")[0].override is False
    assert registry.get(con, "m", 1).seed is None
    register(con)
    move(con, 2, 1)
    assert registry.get(con, "m", 2).seed == 7


def test_a_decision_that_is_taken_again_adds_nothing(con):
    register(con)
    passed = promote(con)
    assert promote(con) == passed
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
