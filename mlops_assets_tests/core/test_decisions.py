"""Promotion decisions: the record is enough to take each again, whenever it was taken."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import duckdb
import pytest

from mlops_assets.core import registry
from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.promotion import gate
from mlops_assets.core.promotion.evaluation import EvaluationReport
from mlops_assets.core.registry import Conflict, NotFound
from mlops_assets.core.storage import tables
from mlops_assets.vocabulary import PromotionGate
from mlops_assets_tests.core import leaks
from mlops_assets_tests.core.registered import training_set
from mlops_assets_tests.core.test_gate import part, report

CASES: dict[str, tuple[EvaluationReport, PromotionGate]] = {
    "promoted": (report(), PromotionGate(floors={"roc_auc": 0.6})),
    "floor": (report(), PromotionGate(floors={"roc_auc": 0.8})),
    "slices": (report(slices=[part("carrier=ZZ", challenger=0.5)]), PromotionGate()),
    "margin": (report(), PromotionGate(margin=0.02, max_calibration_error=0.001)),
    "nothing known": (report(holdout=None, size_bytes=None), PromotionGate(max_bytes=1)),
    "undefined": (
        report(versus_champion=Interval(*[math.nan] * 3, 5000, math.nan)),
        PromotionGate(max_holdout_uses=None),
    ),
    "first": (
        report(champion_version=None, champion=None, versus_champion=None, slices=[]),
        PromotionGate(max_milliseconds=1.0),
    ),
}


@pytest.fixture
def con(tmp_path):
    with duckdb.connect(str(tmp_path / "use_case.duckdb")) as con:
        tables.create_tables(con)
        yield con


def record(con, found: EvaluationReport, declared: PromotionGate) -> str:
    evaluation_id = registry.record_evaluation(con, training_set(), found, run_id="r1")
    return registry.record_promotion(
        con,
        "m",
        2,
        gate.decide(declared, found, problem="binary", metric="log_loss"),
        champion_version=found.champion_version,
        evaluation_id=evaluation_id,
        gate=declared,
        run_id="r1",
    )


@pytest.mark.parametrize("name", CASES)
def test_a_decision_taken_again_from_its_row_is_the_same_to_the_last_digit(con, name):
    promotion_id = record(con, *CASES[name])
    again = registry.replay_decision(con, promotion_id)
    assert again.same
    assert again.differences == []
    assert again.verdict.promoted == again.promotion.promoted == (name in ("promoted", "margin"))
    assert again.verdict.rules == again.promotion.rules
    assert again.verdict.reasons == again.promotion.reasons


@pytest.mark.parametrize("what", ["models scored on different rows", "a holdout used too often"])
def test_a_refusal_for_a_leak_is_taken_again_without_the_files(con, what, tmp_path):
    found = leaks.LEAKS[what][0]().report(tmp_path / "gone")
    for file in (tmp_path / "gone").iterdir():
        file.unlink()
    again = registry.replay_decision(con, record(con, found, leaks.MODEL.gate))
    assert again.same
    assert not again.verdict.promoted


def test_the_row_holds_every_number_that_was_judged(con):
    record(con, *CASES["promoted"])
    [(rules, edition, digest)] = con.execute(
        "SELECT d.rules, d.edition, e.holdout_digest FROM registry.promotion_decisions d "
        "JOIN registry.evaluations e USING (evaluation_id)"
    ).fetchall()
    assert edition == gate.EDITION
    found = report().holdout
    assert found is not None
    assert digest == found.digest
    named = {rule["name"]: rule for rule in json.loads(rules)}
    assert named["rows"]["statistic"] == 5000
    assert named["floor roc_auc"]["threshold"] == 0.6
    for test in ("baseline", "champion", "slices"):
        assert 0 <= named[test]["p"] <= 1


def test_a_verdict_that_would_be_another_is_told(con):
    """As after an error in the rules was corrected, or somebody has written in the table."""
    promotion_id = record(con, *CASES["floor"])
    con.execute("UPDATE registry.promotion_decisions SET promoted = true")
    again = registry.replay_decision(con, promotion_id)
    assert not again.same
    assert "It was promoted, and is refused now." in again.differences


def test_numbers_that_were_changed_in_the_evaluation_are_told(con):
    promotion_id = record(con, *CASES["promoted"])
    con.execute(
        "UPDATE registry.evaluations SET report = json_merge_patch(report, "
        """'{"versus_champion": {"high": -0.03}}')"""
    )
    again = registry.replay_decision(con, promotion_id)
    assert again.same  # the outcome is
    assert [told.split(":")[0] for told in again.differences] == ["champion"]


def test_a_decision_from_before_rules_were_kept_is_taken_again_by_the_rules_of_then(con):
    """Report and gate as they were written then, without what came later."""
    by_row = replace(
        report(), block="row", holdout=None, calibration=[], size_bytes=None, milliseconds=None
    )
    declared = PromotionGate(block="row", baseline_margin=0.0)
    then = gate.decide(declared, by_row, problem="binary", metric="log_loss", edition=1)
    promotion_id = record(con, by_row, declared)
    later = ("block", "holdout", "calibration", "size_bytes", "milliseconds")
    document = {k: v for k, v in by_row.to_dict().items() if k not in later}
    for name in ("versus_champion", "versus_baseline"):
        kept = ("value", "low", "high", "n", "standard_error", "method")
        document[name] = {k: document[name][k] for k in kept}
    con.execute("UPDATE registry.evaluations SET report = ?", [json.dumps(document)])
    asked = ("metric", "min_rows", "floors", "margin", "confidence", "beat_baseline")
    con.execute(
        "UPDATE registry.promotion_decisions SET edition = NULL, rules = NULL, promoted = ?, "
        "reasons = ?, gate = ?",
        [
            then.promoted,
            json.dumps(then.reasons),
            json.dumps({name: getattr(declared, name) for name in asked}),
        ],
    )
    assert registry.promotions(con, "m")[0].rules == []
    again = registry.replay_decision(con, promotion_id)
    assert again.promotion.promoted
    assert again.verdict.promoted
    assert again.same
    assert again.differences == []


def test_a_file_from_before_gets_the_columns_and_keeps_its_rows(tmp_path):
    with duckdb.connect(str(tmp_path / "old.duckdb")) as con:
        tables.create_tables(con)
        promotion_id = record(con, *CASES["promoted"])
        con.execute("ALTER TABLE registry.evaluations DROP COLUMN holdout_digest")
        for column in ("edition", "rules"):
            con.execute(f"ALTER TABLE registry.promotion_decisions DROP COLUMN {column}")
        assert len(registry.promotions(con, "m")) == 1
        assert registry.latest_evaluation(con, "m") is not None
        tables.create_tables(con)
        assert registry.promotions(con, "m")[0].promotion_id == promotion_id
        other = record(con, *CASES["floor"])
        assert registry.replay_decision(con, other).same


def test_what_cannot_be_taken_again_says_why(con):
    with pytest.raises(NotFound, match="no promotion decision"):
        registry.replay_decision(con, "?")
    promotion_id = record(con, *CASES["promoted"])
    con.execute("UPDATE registry.promotion_decisions SET edition = 99")
    with pytest.raises(Conflict, match="edition 99"):
        registry.replay_decision(con, promotion_id)
    con.execute("UPDATE registry.promotion_decisions SET edition = 2, gate = '{\"fancy\": 1}'")
    with pytest.raises(Conflict, match="fancy"):
        registry.replay_decision(con, promotion_id)
    con.execute("DELETE FROM registry.evaluations")
    with pytest.raises(NotFound, match="from a backup"):
        registry.replay_decision(con, promotion_id)
