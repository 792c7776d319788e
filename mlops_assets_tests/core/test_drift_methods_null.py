"""No alarm without a change beyond chance; none for a change that does not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlops_assets.core.drift_methods import compare, draws, null_laws
from mlops_assets.core.drift_methods.cells import Counts, of_quantiles
from mlops_assets.core.drift_methods.columns import numbers
from mlops_assets.core.drift_methods.methods import OWN
from mlops_assets_tests.benchmarks import drift_null
from mlops_assets_tests.benchmarks.drift_false_alarms import share_with_alarm


@pytest.mark.parametrize(
    ("sizes", "reports", "stored"),
    [((50, 50), 40, False), ((300, 300), 40, False), ((900, 100), 20, True)],
)
def test_reports_on_unchanged_data_are_quiet(sizes, reports, stored):
    """The whole is ``make bench-drift-false-alarms``: here so few that chance allows for more."""
    # At a rate of 0.05, more than these have a probability of 0.014 and 0.016.
    most = {40: 5, 20: 3}[reports]
    assert share_with_alarm(sizes, reports, stored=stored) <= most / reports


def test_a_harmless_move_of_many_rows_is_no_alarm_and_is_told():
    moved = dict.fromkeys(drift_null.NUMERIC, 0.02)
    pair = drift_null.pair(1, 100_000, 100_000, moved)
    report = compare(*pair, columns=["normal_0", "uniform_0", "counts_many"], methods=[])
    assert report.drifted == []
    assert report.of("normal_0").adjusted_p < 0.01


def test_a_move_that_matters_is_found_in_a_thousand_rows():
    found = 0
    for seed in range(60):
        pair = drift_null.pair(seed, 1_000, 1_000, {"normal_0": 0.2})
        found += compare(*pair, columns=["normal_0"], methods=[], threads=1).drifted != []
    assert found / 60 >= 0.95


@pytest.mark.parametrize("column", ["normal_0", "counts_few", "thirty_skewed", "rare_flag"])
def test_p_is_uniform_or_larger_by_every_method(column):
    """Were it smaller, a rule that decides by that method would cry wolf."""
    small: dict[str, list[bool]] = {}
    for seed in range(80):
        pair = drift_null.pair(seed, 200, 60)
        shift = compare(*pair, columns=[column], threads=1).of(column)
        for measured in shift.methods:
            if measured.p is not None:
                small.setdefault(measured.method, []).append(measured.p < 0.1)
    assert set(small) <= set(OWN)
    for method, below in small.items():
        # 8 expected, 18 or more with probability 0.001.
        assert sum(below) <= 17, method


@pytest.mark.parametrize(
    ("joint", "m"),
    [
        ([4.0, 30.0, 200.0, 3_000.0, 1_800.0], 500.0),  # exact where few are expected
        ([4.0, 30.0, 200.0, 3_000.0, 1_800.0], 4_700.0),  # the smaller side is the reference
        ([900.0, 950.0, 1_000.0, 450.0, 4_600.0], 30.0),  # picked
        ([4_900.0, 350.0, 300.0, 450.0, 400.0], 6_370.0),  # picked for the reference
        ([400.0, 350.0, 300.0, 450.0, 400.0], 700.0),  # shuffled
    ],
)
def test_draws_are_the_multivariate_hypergeometric_law(joint, m):
    cells = np.array(joint)
    drawn = draws.in_cells(cells, m)
    assert drawn.sum(axis=1) == pytest.approx(np.full(draws.DRAWS, m), abs=1e-3)
    law = stats.multivariate_hypergeom(cells.astype(int), int(m))
    error = 4 * np.sqrt(np.diag(law.cov()) / draws.DRAWS)
    assert (np.abs(drawn.mean(axis=0) - law.mean()) <= error + 0.1).all()
    assert np.cov(drawn.T) == pytest.approx(law.cov(), rel=0.15, abs=4)
    assert (drawn >= 0).all()
    assert (drawn <= cells).all()


@pytest.mark.parametrize("m", [300.0, 5_000.0])
def test_draws_at_ends_of_cells_are_those_of_the_cells(m):
    cells = np.array([3.0, 60.0, 2_000.0, 5_000.0, 900.0, 12_000.0, 30.0, 1.0])
    exact = np.random.default_rng(1).multivariate_hypergeometric(
        cells.astype(int), int(m), draws.DRAWS
    )
    upto, before = np.cumsum(cells)[:-1], cells.sum()
    deviation = np.cumsum(exact, axis=1)[:, :-1] - m * upto / before
    expected = np.abs(deviation).T * (1 / m + 1 / (before - m))
    drawn = draws.apart_at_ends(cells, m)
    assert drawn.mean(axis=1) == pytest.approx(expected.mean(axis=1), rel=0.1, abs=2e-5)
    assert np.cov(drawn) == pytest.approx(np.cov(expected), rel=0.2, abs=2e-6)


@pytest.mark.parametrize("sizes", [(3_000, 3_000), (30_000, 800)])
def test_where_the_law_is_taken_from_the_books_draws_say_the_same(sizes, monkeypatch):
    random = np.random.default_rng(2)
    shares = np.full(10, 0.1)
    sides = [random.multinomial(size, shares).astype(float) for size in sizes]
    methods = ["psi", "jensen_shannon", "hellinger", "chi_square"]
    by_law = null_laws.on_counts(Counts(*sides), methods, 0.05)
    monkeypatch.setattr(null_laws, "BY_LAW", math.inf)
    drawn = null_laws.on_counts(Counts(*sides), methods, 0.05)
    for name in methods:
        assert by_law[name].p == pytest.approx(drawn[name].p, rel=0.1)
        assert by_law[name].null_quantile == pytest.approx(drawn[name].null_quantile, rel=0.03)


def test_two_cells_have_the_p_of_fishers_exact_test():
    counts = Counts(np.array([40.0, 20.0]), np.array([25.0, 35.0]))
    exact = stats.fisher_exact([[40, 20], [25, 35]]).pvalue
    for method, by_chance in null_laws.on_counts(counts, ["chi_square", "psi"], 0.05).items():
        # Where few outcomes are possible the tail is on the safe side.
        assert 0.8 * exact <= by_chance.p <= 1.6 * exact, method


def test_far_in_the_tail_p_goes_on_falling_at_the_laws_rate():
    """More columns are adjusted for than there are draws: 1 in 4,000 is not the least p."""
    n = 5_000.0
    tails = []
    for by in (80.0, 130.0, 180.0):
        half = np.array([n / 2 + by, n / 2 - by])
        counts = Counts(half, half[::-1].copy())
        by_chance = null_laws.on_counts(counts, ["chi_square"], 0.05)["chi_square"]
        statistic = (2 * by) ** 2 / n / (0.25 * 2) / n * n
        exact = float(stats.chi2.sf(statistic, 1))
        assert math.log(by_chance.p) == pytest.approx(math.log(exact), rel=0.25)
        tails.append(by_chance.p)
    assert tails == sorted(tails, reverse=True)


def test_columns_of_one_size_share_their_draws():
    r = np.random.default_rng(1)
    draws._apart_at_ends.cache_clear()
    for draw in (r.normal, r.exponential, r.lognormal):
        pair = [numbers(draw(size=size)) for size in (900, 400)]
        null_laws.on_ranks(of_quantiles(*pair), 0.05)
    assert draws._apart_at_ends.cache_info().misses == 1


def test_billions_of_rows_can_be_judged():
    counts = Counts(np.array([3e9, 5e9, 40.0]), np.array([3e6, 5e6, 2.0]))
    found = null_laws.on_counts(counts, ["psi", "total_variation"], 0.05)
    assert all(0 < by_chance.p <= 1 for by_chance in found.values())


def test_a_column_of_one_cell_picks_no_rows():
    before = draws._picks.cache_info()
    assert (draws.in_cells(np.array([16_556.0]), 6_556.0) == 6_556.0).all()
    assert draws._picks.cache_info() == before
