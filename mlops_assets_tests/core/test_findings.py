"""What a window's rows show together, and the report made of it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from mlops_assets.core import documents
from mlops_assets.core.monitoring import excess_loss, findings, window_rows
from mlops_assets.core.reports import window as report
from mlops_assets.vocabulary import DriftPolicy
from mlops_assets_tests.core.shop import Shop, day, use_case

#: Windows of a week close on days 6, 13, ...; the version serves from day 28 on.
QUIET, FLIPPED = day(41), day(55)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    """Unchanged until day 41; from day 42 on what came back is what did not."""
    declared = use_case(
        drift=DriftPolicy(window=7), min_training=timedelta(days=14), holdout=timedelta(days=14)
    )
    made = Shop(tmp_path_factory.mktemp("shop"), declared, rows_per_day=150).land(0, 27)
    made.train(28)
    made.land(28, 41).land(42, 55, flip=True)
    made.monitor(0, 55)
    return made


def found(shop: Shop, closes, question: str) -> list[findings.FindingRow]:
    rows = findings.read(shop.con, shop.model, closes, closes)
    return [row for row in rows if row.question == question]


def test_the_same_rows_that_come_to_mean_something_else_are_an_alarm_and_others_are_not(shop):
    for closes, alarm in ((QUIET, False), (FLIPPED, True)):
        assert [row.alarm for row in found(shop, closes, "concept_changed")] == [alarm]
        assert not any(row.alarm for row in found(shop, closes, "rows_moved"))
    [changed] = found(shop, FLIPPED, "concept_changed")
    assert changed.known["worse"]
    assert changed.known["since"] >= str(day(40))


def test_the_largest_errors_can_be_explained_by_their_id(shop):
    rows = found(shop, QUIET, "largest_error")
    losses = [row.value for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == findings.LARGEST
    assert all(0 < row.known["score"] < 1 for row in rows)
    captured = shop.con.execute(
        "SELECT count(*) FROM capture.sent_back__predictions "
        "WHERE list_contains($ids, prediction_id) AND partition_date BETWEEN $first AND $last",
        {"ids": [row.subject for row in rows], "first": day(35), "last": day(41)},
    ).fetchall()
    assert captured == [(findings.LARGEST,)]


def test_each_day_is_kept_once_with_what_it_cost_beyond_what_was_expected(shop):
    rows = excess_loss.read(shop.con, shop.model, 1, day(60))
    assert [row.day for row in rows] == [day(n) for n in range(28, 56)]
    quiet = [row.total / row.n for row in rows if row.day <= QUIET]
    flipped = [row.total / row.n for row in rows if row.day > QUIET]
    assert max(map(abs, quiet)) < min(flipped)


def test_looking_again_finds_the_same(shop):
    before = shop.table("monitoring.findings"), shop.table("monitoring.excess_loss")
    shop.con.begin()
    findings.update(shop.con, shop.use_case, shop.model, day(0), day(56), shop.folder)
    assert (shop.table("monitoring.findings"), shop.table("monitoring.excess_loss")) == before
    shop.con.rollback()
    # And the same if nothing had been stored.
    shop.con.begin()
    shop.con.execute("DELETE FROM monitoring.findings")
    shop.con.execute("DELETE FROM monitoring.excess_loss")
    findings.update(shop.con, shop.use_case, shop.model, day(0), day(56), shop.folder)
    assert (shop.table("monitoring.findings"), shop.table("monitoring.excess_loss")) == before
    shop.con.rollback()


def test_without_reference_rows_nothing_is_said(shop, tmp_path):
    shop.con.begin()
    assert findings.update(shop.con, shop.use_case, shop.model, day(0), day(56), tmp_path) == []
    shop.con.rollback()


def test_the_report_begins_with_the_conclusion_and_has_all_forms(shop, tmp_path):
    [quiet] = window_rows.closed(shop.con, shop.use_case, shop.model, QUIET, day(42))
    [flipped] = window_rows.closed(shop.con, shop.use_case, shop.model, FLIPPED, day(56))
    good = report.document(shop.con, shop.use_case, shop.model, quiet, "run")
    bad = report.document(shop.con, shop.use_case, shop.model, flipped, "run")
    assert bad.severity == "problem"
    assert good.severity != "problem"
    assert "worse" in bad.conclusion[0]
    assert any(f"mlops-assets explain {row.subject}" in documents.html(bad)
               for row in found(shop, FLIPPED, "largest_error"))  # fmt: skip
    written = documents.write(bad, tmp_path)
    assert written.html_bytes < 1_000_000
    assert json.loads(written.json.read_text())["schema"] == documents.SCHEMA
    text = documents.markdown(bad, figures=3)
    assert bad.conclusion[0].split(":")[0] in text.splitlines()[0]
    assert {section.title for section in bad.sections} == {
        "What to look at",
        "Performance",
        "Columns that have moved",
        "Columns together, and what they mean",
    }
