"""Other rows are no change of concept; a change of concept is found; no data raise."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.concept_drift import (
    ExpectedLoss,
    Losses,
    Status,
    Unit,
    Watch,
    days,
    fit,
    under_score,
    units_of,
)
from mlops_assets_tests.benchmarks import concept_cases as cases
from mlops_assets_tests.benchmarks.concept_cases import Stream
from mlops_assets_tests.benchmarks.concept_false_alarms import (
    AT,
    REFERENCE,
    watched,
    year_alarms,
)

DAYS, AFTER = REFERENCE + 75, REFERENCE + AT


@pytest.mark.parametrize("detector", ["page_hinkley", "adwin"])
def test_unchanged_years_are_quiet(detector):
    """The whole is ``make bench-multivariate``: here so few that chance allows for more."""
    count = 12 if detector == "page_hinkley" else 5
    alarms = sum(year_alarms(seed, 500, 0.3, 0.5, 60, detector=detector) for seed in range(count))
    # At a rate of 0.05, more have a probability of 0.02.
    assert alarms <= 2


@pytest.mark.parametrize("problem", ["binary", "regression"])
def test_other_rows_are_no_change_of_concept(problem):
    for seed in (1, 2):
        said = watched(Stream(problem=problem, days=DAYS, moved_at=AFTER), seed)
        assert any(verdict.drifted for verdict in said["loss"])
        assert not any(verdict.drifted for verdict in said["excess"])


@pytest.mark.parametrize("problem", ["binary", "regression"])
@pytest.mark.parametrize(("over", "within"), [(1, 20), (40, 45)])
def test_a_changed_relation_is_found(problem, over, within):
    stream = Stream(problem=problem, days=DAYS, changed_at=AFTER, over=over, size=0.6)
    verdicts = watched(stream, 1)["excess"]
    assert not any(verdict.drifted for verdict in verdicts[:AT])
    found = next(at for at, verdict in enumerate(verdicts) if verdict.drifted)
    assert AT <= found <= AT + within
    verdict = verdicts[found]
    assert verdict.worse
    assert AFTER - 6 <= int(verdict.since) <= AFTER + within
    assert verdict.evidence > 1
    assert verdicts[-1].drifted
    assert verdicts[-1].relative > 0.1


def test_a_change_that_has_ended_is_over():
    now = cases.errors(1, days=200, rows=500, effect=0.0, memory=0.0)
    bad = cases.errors(2, days=30, rows=500, effect=0.0, memory=0.0, changed_at=0, rise=0.4)
    stream = [*now[:60], *bad, *now[60:]]
    stream = [replace(unit, when=at) for at, unit in enumerate(stream)]
    for detector in ("page_hinkley", "adwin"):
        watch = Watch.begin(stream[:60], 0.2, detector=detector)
        drifted = [verdict.drifted for verdict in watch.run(stream[60:])]
        assert drifted[15]
        assert not drifted[-1]


def test_a_change_too_small_to_matter_is_no_alarm():
    stream = cases.errors(
        3, days=200, rows=20_000, effect=0.0, memory=0.0, changed_at=70, rise=0.04
    )
    verdicts = Watch.begin(stream[:60], 0.2).run(stream[60:])
    assert any(verdict.evidence > 1 for verdict in verdicts)
    assert not any(verdict.drifted for verdict in verdicts)
    assert verdicts[-1].relative == pytest.approx(0.04, abs=0.01)


def test_a_stored_watch_continues():
    stream = cases.errors(1, days=120, rows=500, effect=0.1, memory=0.3, changed_at=80, rise=0.5)
    for detector in ("page_hinkley", "adwin"):
        whole = Watch.begin(stream[:60], 0.2, detector=detector)
        stored = Watch.begin(stream[:60], 0.2, detector=detector)
        for unit in stream[60:]:
            stored = Watch.from_dict(json.loads(json.dumps(stored.to_dict())))
            verdict = whole.update(unit)
            assert stored.update(unit) == verdict
        assert verdict.drifted


def test_what_was_expected_can_be_stored():
    stream = cases.losses(Stream(days=20, rows=100), 1)
    expected, _ = fit(stream)
    again = ExpectedLoss.from_dict(json.loads(json.dumps(expected.to_dict())))
    assert again.excess(stream) == expected.excess(stream)


def test_the_excess_of_what_was_learnt_from_has_mean_zero():
    stream = cases.losses(Stream(days=30, rows=200, effect=0.0), 1)
    expected, own = fit(stream)
    excess = expected.excess(stream)
    assert sum(unit.total for unit in excess) / 6_000 == pytest.approx(0, abs=1e-3)
    # Expected by the other parts of the time, days vary by what their rows do, and no less.
    z = [unit.mean / np.sqrt(unit.aggregate.variance / unit.n) for unit in own]
    assert 0.6 < np.std(z) < 1.5


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_a_calibrated_score_expects_its_own_loss(metric):
    r = np.random.default_rng(1)
    score = r.beta(1, 3, 200_000)
    label = r.random(200_000) < score
    truth = np.where(label, score, 1 - score)
    loss = (1 - truth) ** 2 if metric == "brier" else -np.log(truth)
    assert under_score(metric, score).mean() == pytest.approx(loss.mean(), rel=0.01)
    with pytest.raises(ValueError, match="not of 'accuracy'"):
        under_score("accuracy", score)


def _losses(n: int, when: object = 0) -> Losses:
    r = np.random.default_rng(4)
    features = pd.DataFrame({"a": r.normal(size=n), "b": pd.Series(["x", "y"] * n).head(n)})
    return Losses(np.array([when] * n, dtype=object), r.random(n), np.full(n, 0.5), features)


def test_rows_like_none_of_the_reference_are_counted_and_left_out():
    expected, _ = fit(_losses(200))
    rows = _losses(100, 1)
    rows.features.loc[:9, "a"] = 99.0
    rows.features.loc[10:29, "b"] = "z"
    rows.features.loc[30:34, "b"] = None
    rows.loss[40] = np.nan
    (unit,) = expected.excess(rows)
    assert (unit.n, unit.foreign) == (69, 30)
    del rows.features["b"]
    assert expected.excess(rows)[0].foreign == 10


def test_losses_that_cannot_be_judged_have_a_status():
    empty = replace(_losses(40), loss=np.full(40, np.nan))
    expected, own = fit(empty)
    assert own == []
    assert expected.excess(empty) == []
    watch = Watch.begin(own, expected.mean_loss)
    assert watch.update(Unit(1, 10, 1.0, 1.0)).status is Status.NO_REFERENCE
    assert Watch.from_dict(watch.to_dict()).update(Unit(2, 9, 1.0, 1.0)).status is (
        Status.NO_REFERENCE
    )
    same = [Unit(day, 10, 5.0, 2.5) for day in range(30)]
    assert Watch.begin(same, 0.5).update(same[0]).status is Status.NO_REFERENCE

    good = cases.errors(1, days=40, rows=100, effect=0.1, memory=0.2)
    watch = Watch.begin(good[:30], 0.2)
    assert watch.update(good[31]).status is Status.OK
    assert watch.update(good[30]).status is Status.OUT_OF_ORDER
    assert watch.update(Unit(50, 0, 0.0, 0.0)).status is Status.NO_ROWS
    assert watch.update(Unit(51, 5, 1.0, 1.0, foreign=6)).status is Status.FOREIGN
    told = watch.update(Unit(52, 5, 1.0, 1.0, foreign=5))
    assert (told.status, told.n, told.foreign) == (Status.OK, 5, 5)


def test_days_are_told_by_their_dates():
    start = date(2013, 3, 1)
    when = np.array([start + timedelta(days=at % 3) for at in range(90)])
    for given in (when, pd.Series(pd.to_datetime(when)).to_numpy()):
        found = units_of(given, np.ones(90))
        assert [unit.n for unit in found] == [30, 30, 30]
        assert str(found[2].when).startswith("2013-03-03")


def test_the_spread_and_the_memory_of_days_are_learnt():
    rate, effect = 0.2, 0.3
    many = cases.errors(1, days=600, rows=500, effect=effect, memory=0.7)
    learnt = days.learn(many)
    assert learnt.within == pytest.approx(rate * (1 - rate), rel=0.05)
    assert learnt.between**0.5 == pytest.approx(effect * rate * (1 - rate), rel=0.25)
    assert learnt.memory == pytest.approx(0.7, abs=0.1)
    level, new = learnt.start(), []
    for unit in many:
        value, level = learnt.new(unit.mean - learnt.mean, unit.n, level)
        new.append(value)
    assert np.std(new) == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(new[1:], new[:-1])[0, 1]) < 0.12
