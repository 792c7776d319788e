"""The holdout: whatever lets a model look better than it is, is found and refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest

from mlops_assets.core import registry
from mlops_assets.core.models import snapshots
from mlops_assets.core.promotion import gate, holdout
from mlops_assets.core.promotion.holdout_rules import holdout_rules
from mlops_assets.core.storage.records import fetch
from mlops_assets.vocabulary import PromotionGate
from mlops_assets_tests.core import leaks
from mlops_assets_tests.core.shop import Shop, use_case


def refusals(verdict: gate.Verdict) -> list[gate.Rule]:
    return [rule for rule in verdict.rules if rule.passed is False]


def test_without_a_leak_the_challenger_is_promoted(tmp_path):
    verdict = leaks.healthy().verdict(tmp_path)
    assert verdict.promoted, verdict.reasons
    assert "shares no row" in verdict.reasons[0]


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> dict[str, gate.Verdict]:
    folder = tmp_path_factory.mktemp("leaks")
    return {
        what: make().verdict(folder / str(n))
        for n, (what, (make, _)) in enumerate(leaks.LEAKS.items())
    }


@pytest.mark.parametrize("what", leaks.LEAKS)
def test_a_leak_is_a_refusal_with_a_sentence_of_its_own(what, judged):
    """Each would have been promoted: nothing but the leak refuses it."""
    [refusal] = refusals(judged[what])
    assert refusal.name == leaks.LEAKS[what][1]
    assert refusal.sentence.startswith("Refused: ")
    assert not judged[what].promoted


def test_every_leak_has_another_sentence(judged):
    said = {refusals(verdict)[0].sentence for verdict in judged.values()}
    assert len(said) == len(leaks.LEAKS) >= 6


def test_a_leak_says_how_many_rows_and_names_one(tmp_path):
    [refusal] = refusals(leaks.seen_by_the_champion().verdict(tmp_path))
    assert refusal.statistic == 5
    assert "5 rows that champion 1 was trained on" in refusal.sentence
    assert "'order-3-0'" in refusal.sentence


def test_several_leaks_are_all_told(tmp_path):
    case = leaks.rows_twice()
    case.uses = 9
    assert [r.name for r in refusals(case.verdict(tmp_path))] == [
        "holdout rows once",
        "holdout uses",
    ]


def test_what_nobody_looked_at_is_refused():
    [rule] = holdout_rules(PromotionGate(), None, compared=False)
    assert rule.passed is False


def test_a_comparison_with_a_champion_of_unknown_training_is_refused(tmp_path):
    report = leaks.healthy().report(tmp_path)
    assert report.holdout is not None
    unknown = replace(report, holdout=replace(report.holdout, champion=None))
    verdict = gate.decide(leaks.MODEL.gate, unknown, problem="binary", metric="log_loss")
    assert [r.name for r in refusals(verdict)] == ["holdout"]


def test_a_key_that_names_a_new_row_each_day_is_no_leak_by_itself(tmp_path):
    """A customer a day: the same keys in training and holdout, and other moments."""
    case = leaks.healthy()
    for name in ("challenger_train", "champion_train", "held_out"):
        frame = getattr(case, name)
        keys = [f"customer-{i % leaks.PER_DAY}" for i in range(len(frame))]
        setattr(case, name, frame.assign(row_key=keys))
    verdict = case.verdict(tmp_path / "a")
    assert verdict.promoted, verdict.reasons
    # The same customer at the same moment still is.
    case.challenger_train = pd.concat(
        [case.challenger_train, case.held_out[:5].assign(partition_date=leaks.START)]
    )
    [refusal] = refusals(case.verdict(tmp_path / "b"))
    assert refusal.name == "holdout unseen by the challenger"
    assert refusal.statistic == 5


def test_one_key_that_comes_again_does_not_blind_the_search(tmp_path):
    case = leaks.seen_by_the_challenger()
    again = case.challenger_train[:1].assign(as_of=pd.Timestamp(leaks.START) + timedelta(hours=9))
    case.challenger_train = pd.concat([case.challenger_train, again])
    [refusal] = refusals(case.verdict(tmp_path))
    assert refusal.name == "holdout unseen by the challenger"


def test_the_evidence_survives_json(tmp_path):
    report = leaks.champion_on_other_rows().report(tmp_path)
    assert report.holdout is not None
    assert report.holdout.other_rows == len(leaks.Case().held_out)
    assert type(report).from_dict(report.to_dict()).holdout == report.holdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"), use_case()).land(0, 16)
    made.train(10)
    return made


def look(shop: Shop, training_set, challenger: int, champion: int | None):
    return holdout.inspect(
        shop.con,
        training_set,
        registry.get(shop.con, "sent_back", challenger),
        None if champion is None else registry.get(shop.con, "sent_back", champion),
        folder=shop.folder,
        timezone=shop.use_case.timezone,
    )


def decide_on(shop: Shop, version: int, *, times: int = 1) -> None:
    evaluated = registry.latest_evaluation(shop.con, "sent_back", version)
    assert evaluated is not None
    for n in range(times):
        registry.record_promotion(
            shop.con,
            "sent_back",
            version,
            gate.Verdict(False, [f"no {n}"]),
            champion_version=None,
            evaluation_id=evaluated.evaluation_id,
            gate=PromotionGate(),
            run_id="r",
        )


def test_a_real_training_set_is_clean_and_its_digest_the_recorded_one(shop):
    training_set = snapshots.latest(shop.con, "sent_back")
    assert training_set is not None
    found = look(shop, training_set, 1, None)
    assert (found.start, found.end) == (training_set.train_end, training_set.holdout_end)
    assert found.rows == training_set.holdout_rows
    assert found.challenger.trained_until == training_set.train_end
    assert (found.challenger.shared_rows, found.repeated_rows) == (0, 0)
    assert (found.rows_outside, found.labels_outside) == (0, 0)
    assert found.digest == training_set.holdout_digest
    assert found.digest == holdout.digest(shop.folder / training_set.path)


def test_a_champion_that_was_trained_on_these_days_is_found_in_its_file(shop):
    """Trained four days later, on what is the first version's holdout."""
    first = snapshots.latest(shop.con, "sent_back")
    assert first is not None
    later = shop.train(14, promote=False)
    found = look(shop, first, 1, later)
    assert found.champion is not None
    assert found.champion.trained_until > found.start
    assert found.champion.shared_rows
    assert found.challenger.shared_rows == 0


def test_each_earlier_version_decided_on_these_days_is_one_use(tmp_path):
    shop = Shop(tmp_path, use_case()).land(0, 20)
    for cutoff in (10, 10, 11, 13, 17):
        shop.train(cutoff, promote=False)
    for version in (1, 2, 3, 4):
        decide_on(shop, version, times=2)
    recorded = fetch(
        shop.con,
        "SELECT model, digest, path, cutoff, train_start, train_end, holdout_end, train_rows, "
        "holdout_rows FROM registry.training_sets ORDER BY created_at, rowid",
        [],
    )
    sets = [snapshots.TrainingSet(**row, view_versions={}) for row in recorded]
    uses = [look(shop, s, n, None).uses for n, s in enumerate(sets, start=1)]
    # Three days of holdout each: the fourth shares one with the third, the fifth none.
    assert uses == [0, 1, 2, 1, 0]


def test_a_training_set_whose_own_file_is_gone_is_an_error_that_says_what_to_do(shop, tmp_path):
    training_set = snapshots.latest(shop.con, "sent_back")
    assert training_set is not None
    gone = replace(training_set, path=tmp_path / "gone.parquet")
    with pytest.raises(FileNotFoundError, match="materialise training_set again"):
        look(shop, gone, 1, None)


def test_days_are_text_in_json_and_days_again():
    evidence = holdout.HoldoutEvidence.from_dict(
        {
            "digest": "d", "start": "2024-01-21", "end": "2024-02-04", "rows": 1,
            "identity": "row_key", "repeated_rows": 0, "repeated": None, "rows_outside": 0,
            "labels_outside": 0, "uses": 0, "champion": None, "other_rows": 0,
            "challenger": {"version": 1, "training_digest": "t", "trained_until": "2024-01-21",
                           "shared_rows": 0, "example": None},
        }
    )  # fmt: skip
    assert evidence.start == evidence.challenger.trained_until == date(2024, 1, 21)
