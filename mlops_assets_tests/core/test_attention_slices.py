"""A bad slice is found and told once; chance, days and broken columns are no bad slice."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.attention import chance, worst_slices
from mlops_assets.core.attention.coding import Coded, code
from mlops_assets.core.attention.lattice import Lattice
from mlops_assets.core.attention.selection import excess_within, jackknife
from mlops_assets_tests.benchmarks import attention_cases as cases
from mlops_assets_tests.benchmarks.bench_attention import one_bad, search

ROWS = 6000


def window(seed: int = 0, rows: int = ROWS, days: int = 8):
    rng = np.random.default_rng(seed)
    return cases.columns(rng, rows, days), rng.exponential(size=rows)


SMALL = ["uniform", "few", "hour", "holes", "flag"]


@pytest.mark.parametrize("day", ["day", None])
@pytest.mark.parametrize(
    ("columns", "where", "said"),
    [
        ({"uniform"}, lambda f: f.uniform >= 0.9, "uniform ≥ 0.9"),
        ({"few"}, lambda f: f.few == "d", "few = d"),
        ({"holes"}, lambda f: f.holes.isna(), "holes is missing"),
        ({"hour"}, lambda f: f.hour == 7, "hour = 7"),
        ({"flag", "few"}, lambda f: f.flag & (f.few == "b"), "flag = True and few = b"),
    ],
)
def test_a_slice_made_bad_is_named_with_what_it_costs(day, columns, where, said):
    frame, loss = window()
    mask = where(frame).to_numpy()
    found = worst_slices(frame, loss + 0.8 * mask, SMALL, day=day)
    assert found.status == "searched"
    worst = found.slices[0]
    assert {c.column for c in worst.conditions} == columns
    if columns != {"uniform"}:
        assert set(worst.text.split(" and ")) == set(said.split(" and "))
        assert np.array_equal(worst.mask(frame), mask)
    assert cases.jaccard(worst.mask(frame), mask) > 0.85
    assert worst.rows == worst.mask(frame).sum()
    assert worst.low < worst.excess < worst.high
    inside = worst.mask(frame)
    assert worst.mean == pytest.approx((loss + 0.8 * mask)[inside].mean())
    assert worst.rest == pytest.approx((loss + 0.8 * mask)[~inside].mean())
    assert worst.excess == pytest.approx(worst.mean - worst.rest, abs=0.02 if day else 1e-9)
    assert worst.p <= 0.05
    assert worst.explained == pytest.approx(worst.rows * worst.excess / (loss + 0.8 * mask).sum())
    assert len(found.slices) == 1  # its neighbours and its pairs say nothing else


def test_two_bad_slices_are_two():
    frame, loss = window(1)
    bad = (frame.few == "d").to_numpy(), (frame.hour >= 22).to_numpy()
    found = worst_slices(frame, loss + 0.8 * bad[0] + 0.8 * bad[1], SMALL)
    assert {s.text for s in found.slices} == {"few = d", "hour ≥ 22"}


def test_at_most_k_are_told():
    frame, loss = window(1)
    for name in ("d", "e"):
        loss = loss + (frame.few == name).to_numpy()
    assert len(worst_slices(frame, loss, SMALL, k=1).slices) == 1


def test_a_slice_that_is_bad_on_one_day_only_is_not_named_where_days_are_given():
    frame, loss = window(2)
    stormy = ((frame.day == 3) & (frame.few == "b")).to_numpy()
    loss = loss + 1.5 * stormy
    assert worst_slices(frame, loss, SMALL, day="day").slices == ()
    assert worst_slices(frame, loss, SMALL).slices != ()


def test_days_widen_an_interval():
    frame, loss = window(3)
    rng = np.random.default_rng(0)
    mask = (frame.few == "b").to_numpy()
    loss = loss + mask * (1 + rng.normal(0, 0.4, 8)[frame.day])
    by_day = worst_slices(frame, loss, ["few"], day="day").slices[0]
    by_row = worst_slices(frame, loss, ["few"]).slices[0]
    assert by_day.excess == pytest.approx(by_row.excess, abs=0.05)
    assert by_day.high - by_day.low > 1.5 * (by_row.high - by_row.low)
    assert (by_day.days, by_row.days) == (8, None)


def test_of_increase_is_the_part_of_what_exceeds_the_expected_loss():
    frame, loss = window(4)
    mask = (frame.few == "d").to_numpy()
    loss = loss + mask
    worst = worst_slices(frame, loss, ["few"], expected=0.9).slices[0]
    assert worst.of_increase == pytest.approx((loss[mask] - 0.9).sum() / (loss - 0.9).sum())
    assert worst_slices(frame, loss, ["few"], expected=9.0).slices[0].of_increase is None


def test_the_order_of_rows_and_the_kind_of_source_change_nothing_by_day():
    frame, loss = window(5)
    frame["loss"] = loss + 0.8 * (frame.few == "d")
    frame["uniform"] = frame["uniform"].round(6)
    found = worst_slices(frame, "loss", SMALL, day="day")
    shuffled = frame.sample(frac=1, random_state=1)
    again = worst_slices(shuffled, "loss", SMALL, day="day")
    with duckdb.connect() as con:
        relation = con.from_df(frame)
        from_sql = worst_slices(relation, "loss", SMALL, day="day")
    texts = [s.text for s in found.slices]
    assert texts == [s.text for s in again.slices] == [s.text for s in from_sql.slices]
    assert found.slices[0].excess == pytest.approx(from_sql.slices[0].excess)


def test_rows_without_a_loss_are_left_out_and_counted():
    frame, loss = window(6)
    loss = loss + 0.9 * (frame.few == "d").to_numpy()
    loss[::7] = np.nan
    loss[1] = np.inf
    found = worst_slices(frame, loss, SMALL, day="day")
    assert (found.unusable, found.rows) == (len(loss[::7]) + 1, ROWS - len(loss[::7]) - 1)
    assert found.slices[0].text == "few = d"


@pytest.mark.parametrize(
    ("frame", "loss", "day", "status"),
    [
        (pd.DataFrame({"a": []}), [], None, "no_loss"),
        (pd.DataFrame({"a": [1.0] * 9}), [np.nan] * 9, None, "no_loss"),
        (pd.DataFrame({"a": [1.0] * 60}), range(60), None, "too_few_rows"),
        (pd.DataFrame({"a": range(400)}), [2.0] * 400, None, "constant_loss"),
        (pd.DataFrame({"a": [1] * 400}), range(400), None, "no_columns"),
        (pd.DataFrame({"a": range(400)}), range(400), [0, 1] * 200, "too_few_days"),
    ],
)
def test_what_cannot_be_searched_has_a_status_and_a_reason(frame, loss, day, status):
    found = worst_slices(frame, list(loss), day=day)
    assert found.status == status
    assert found.reason
    assert found.slices == ()


def test_columns_that_cannot_be_cut_are_skipped_by_name():
    frame, loss = window(7)
    frame = frame[["few"]].assign(
        lists=[[1]] * ROWS, empty=np.nan, gone=np.inf, span=pd.Timedelta("1h"), one=3
    )
    found = worst_slices(frame, loss + 0.9 * (frame.few == "d"))
    assert [s.text for s in found.slices] == ["few = d"]
    assert {text.partition(":")[0] for text in found.skipped} == {"lists", "empty", "gone", "span"}


def test_times_are_ranges_that_can_be_read():
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2013-01-01")
    frame = pd.DataFrame(
        {"at": start + pd.to_timedelta(np.sort(rng.integers(0, 10**6, ROWS)), "s")}
    )
    frame.loc[:500, "at"] = pd.NaT
    late = (frame["at"] > "2013-01-11").to_numpy()
    worst = worst_slices(frame, rng.exponential(size=ROWS) + late).slices[0]
    assert worst.text.startswith("at ≥ 2013-01-1")
    assert cases.jaccard(worst.mask(frame), late) > 0.8


def test_a_wrong_column_or_length_is_told_at_once():
    frame, loss = window(8, 300)
    with pytest.raises(KeyError, match="'nope'"):
        worst_slices(frame, loss, ["nope"])
    with pytest.raises(KeyError, match="loss column 'nope'"):
        worst_slices(frame, "nope")
    with pytest.raises(ValueError, match="loss has shape"):
        worst_slices(frame, loss[1:])
    with pytest.raises(ValueError, match="alpha"):
        worst_slices(frame, loss, alpha=1.0)


def test_sums_over_cells_are_the_sums_over_the_rows_of_each_slice():
    frame, loss = window(9, 800, 3)
    names = ["uniform", "few", "holes", "count"]
    coded = [c for c in (code(frame[n], n, 20) for n in names) if isinstance(c, Coded)]
    day = frame["day"].to_numpy()
    lattice = Lattice(coded, coded, loss, day, 3, 20)
    levelled = loss.copy()
    mask = np.logical_and.reduce(lattice.masks(len(lattice) // 2))
    for _ in range(2):
        for number in range(0, len(lattice), 97):
            rows = np.logical_and.reduce([c.mask(frame) for c in lattice.conditions(number)])
            assert np.array_equal(rows, np.logical_and.reduce(lattice.masks(number)))
            assert lattice.n[number] == rows.sum()
            assert 20 <= rows.sum() <= 400
            sums = np.bincount(day[rows], weights=levelled[rows], minlength=3)
            assert np.allclose(lattice.sums[number], sums)
            mine = np.bincount(day[rows], minlength=3)
            share = mine / np.bincount(day)
            assert np.allclose(lattice.within[number], share)
            assert np.allclose(lattice.compared[number], mine * (1 - share), rtol=1e-5)
        lattice.level(mask, 0.7)
        levelled[mask] -= 0.7


@pytest.mark.parametrize("dependent", [True, False])
@pytest.mark.parametrize("blocks", [6, 12])
def test_what_chance_gives_is_the_largest_of_all_slices_in_each_turn(dependent, blocks):
    rng = np.random.default_rng(blocks)
    slices = 5000  # more than are looked at together
    by_block = rng.normal(size=(slices, blocks)) / np.sqrt(blocks)
    shares = rng.dirichlet(np.full(blocks, 3.0), slices)
    variance = rng.choice([1.0, 2.5], slices)
    found = chance.Contributions(
        by_block.astype(np.float32), shares.astype(np.float32), np.full(slices, 100), dependent
    )
    expected = []
    for signs in chance._signs(blocks, 1).T:
        turned = by_block * signs
        total = turned.sum(axis=1)
        even = (shares**2).sum(axis=1)
        between = ((turned - total[:, None] * shares) ** 2).sum(axis=1) / (1 - even)
        mixed = np.maximum(variance, (variance + between) / 2) if dependent else variance
        expected.append((total / np.sqrt(mixed)).max())
    by_chance = chance.largest_by_chance(found, variance, 1)
    assert np.allclose(by_chance, np.sort(expected), atol=1e-4)
    bound = chance.critical(by_chance, 0.05)
    assert chance.adjusted_p(bound * (1 + 1e-9), by_chance) <= 0.05
    assert chance.adjusted_p(bound * (1 - 1e-9), by_chance) > 0.05


def test_a_difference_within_days_is_not_one_between_days():
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(6), 200)
    inside = rng.random(1200) < np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.0])[day]
    loss = 5.0 * day + rng.normal(size=1200) + 0.5 * inside
    excess, by_day = excess_within(loss, inside, day)
    apart = [loss[(day == d) & inside].mean() - loss[(day == d) & ~inside].mean() for d in range(5)]
    assert by_day[1][5] == 0
    assert excess == pytest.approx(np.average(apart, weights=by_day[1][:5]))
    error, units = jackknife(*by_day)
    assert units == 5
    again = [excess_within(loss[day != d], inside[day != d], day[day != d])[0] for d in range(5)]
    assert error == pytest.approx(np.sqrt(4 / 5 * ((np.array(again) - excess) ** 2).sum()))


def test_rows_of_few_days_say_nothing_of_others():
    frame, loss = window(10)
    rng = np.random.default_rng(0)
    frame["rain"] = np.array([0, 0, 5, 0, 0, 7, 0, 0])[frame["day"]] + rng.random(ROWS)
    loss = loss + (frame["rain"] > 4)
    assert worst_slices(frame, loss, ["rain", "few"], day="day").slices == ()
    assert worst_slices(frame, loss, ["rain", "few"]).slices[0].conditions[0].column == "rain"


def test_a_slice_made_bad_is_found_among_sixteen_columns():
    """6 of the 400 of ``make bench-attention``."""
    assert sum(one_bad(at, 14, at % 4 < 2).overlap >= 0.5 for at in range(6)) >= 5


def test_no_slice_is_named_where_none_is_bad():
    """6 of the 400 of ``make bench-attention``."""
    named = 0
    for at in range(6):
        rng = np.random.default_rng([at, 11])
        frame = cases.columns(rng, 4000, 8)
        loss = cases.losses(rng, cases.LOSSES[at % 5], 4000)
        named += bool(search(frame, cases.by_day(rng, frame, loss), True).slices)
    assert named <= 1
