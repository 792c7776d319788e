"""The card of a model version tells what is recorded, and hides no weakness."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from mlops_assets.core import registry
from mlops_assets.core.audit.version_record import VersionRecord, version_record
from mlops_assets.core.models.metrics import Interval
from mlops_assets.core.promotion.calibration import CalibrationPart
from mlops_assets.core.reports import calibration_plot, model_card
from mlops_assets_tests.core import shop
from mlops_assets_tests.core.shop import Shop, day


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    declared = shop.use_case(description="Will the order come back?", owner="team:returns")
    found = Shop(tmp_path_factory.mktemp("shop"), declared).land(0, 12)
    found.train(10)
    found.train(11, promote=False)
    return found


@pytest.fixture(scope="module")
def record(made: Shop) -> VersionRecord:
    return version_record(made.con, "sent_back", 1)


def card(made: Shop, record: VersionRecord, **options: bool) -> str:
    return model_card.markdown(made.use_case, made.model, record, **options)


def test_a_card_begins_with_what_the_version_does_and_how_well(made, record):
    first = card(made, record).splitlines()[0]
    assert re.fullmatch(
        rf"\*\*Version 1 of sent_back serves, from {day(10)}:\*\* log_loss 0\.\d+ "
        r"\(0\.\d+ to 0\.\d+\) on \d+ unseen rows\.",
        first,
    )


def test_a_card_has_every_section_that_is_asked_of_it(made, record):
    text = card(made, record)
    for told in (
        "| question | Will the order come back? |",
        "| owner | team:returns |",
        f"| trained on | {record.version.train_start} to before {record.version.train_end} |",
        record.version.training_digest,
        "| region=north |",  # by slice, with intervals
        "off the outcomes on average",
        "data:image/svg+xml;base64,",
        "| amount |",
        "### Limits",
        "at other times of the year or since then",
        "learnt nothing",
        "| sources | orders, returns |",
        record.version.artifact_sha256,
        "| environment | Python 3.",
    ):
        assert told in text, told
    importance = [float(x) for x in re.findall(r"^\| \w+ \| ([0-9.]+) % \|", text, re.MULTILINE)]
    assert importance == sorted(importance, reverse=True)
    assert len(importance) == len(record.version.importance)
    assert "data:image" not in card(made, record, pictures=False)


def test_a_card_says_what_is_not_known_yet(made, record):
    fresh = replace(record, evaluation=None, promotion=None, served=(), serves=False)
    text = card(made, fresh)
    assert text.startswith("**Version 1 of sent_back has not been judged yet.** It has not been")
    assert "which flatters it" in text
    assert "How good it is on rows that it has not seen is not known." in text


def test_a_card_of_a_version_that_does_not_serve_says_so(made, record):
    second = version_record(made.con, "sent_back", 2)
    assert second.version.version == 2
    assert (second.serves, second.served, second.promotion) == (False, (), None)
    assert "has not been judged yet" in card(made, second).splitlines()[0]
    refused = registry.Promotion(
        "id", "sent_back", 2, 1, "e", False, ["Failed: worse than the champion."], {}, "run",
        shop.datetime(2024, 3, 12),
    )  # fmt: skip
    text = card(made, replace(second, promotion=refused))
    assert text.startswith("**Version 2 of sent_back was refused by the gate:**")
    assert "The gate refused it: Failed: worse than the champion." in text


def test_a_card_names_weak_slices_and_wrong_probabilities(made, record):
    assert record.evaluation is not None
    report = record.evaluation.report
    first, second, *rest = report.slices
    weak = replace(first, rows=10_000, challenger=replace(first.challenger, value=9.0))
    off = [
        CalibrationPart("all", 300, 0.5, 0.4, Interval(0.1, 0.05, 0.15, 300)),
        CalibrationPart("1", 150, 0.2, 0.1, Interval(0.1, 0.05, 0.15, 150)),
        CalibrationPart("2", 150, 0.8, 0.9, Interval(-0.1, -0.15, -0.05, 150)),
    ]
    report = replace(report, slices=[weak, replace(second, rows=3), *rest], calibration=off)
    text = card(made, replace(record, evaluation=replace(record.evaluation, report=report)))
    assert f"No better than always saying the same on {first.slice}." in text
    assert re.search(rf"Too few rows \(below \d+\) to judge it on .*{second.slice}", text)
    assert "surely too high in 1 tenth of them (1, 1 being" in text
    assert "surely too low in 1 tenth of them (2, 1 being" in text


def test_the_picture_has_a_point_for_each_tenth(made, record):
    assert record.evaluation is not None
    measured = record.evaluation.report.calibration
    drawn = calibration_plot.figure(made.model, measured)
    assert drawn.numbers is not None
    assert len(drawn.numbers.rows) == len(measured) - 1 > 3
    root = ElementTree.fromstring(drawn.svg)
    # As many, and one that explains them.
    assert len(root.findall(".//{http://www.w3.org/2000/svg}circle")) >= len(measured) - 1
    broken = [CalibrationPart("1", 3, float("nan"), 0.1, Interval(0.1, 0.0, 0.2, 3))]
    assert calibration_plot.figure(made.model, broken).svg != drawn.svg


def test_a_card_costs_milliseconds(made):
    began = time.process_time()
    for _ in range(5):
        card(made, version_record(made.con, "sent_back", 1))
    assert (time.process_time() - began) / 5 < 0.2


def test_a_version_that_does_not_exist_is_refused(made):
    with pytest.raises(registry.NotFound, match="no version 9"):
        version_record(made.con, "sent_back", 9)
