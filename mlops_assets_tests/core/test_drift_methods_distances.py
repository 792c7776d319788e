"""The exact distances are exact, whatever shortcut finds them, and a sketch is near them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mlops_assets.core.drift_methods import cells, distances, ecdf
from mlops_assets.core.drift_methods.columns import Categories, numbers
from mlops_assets.core.drift_methods.distances import Shares
from mlops_assets.core.drift_methods.sketches import sketch

values = st.lists(
    st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning:scipy")
@settings(max_examples=150, deadline=None)
@given(values, values)
def test_short_columns_with_ties_are_compared_exactly(reference, current):
    a, b = numbers(np.array(reference)), numbers(np.array(current))
    expected = stats.ks_2samp(reference, current, method="asymp").statistic
    assert ecdf.kolmogorov_smirnov(a, b) == pytest.approx(expected, abs=1e-12)
    expected = stats.wasserstein_distance(reference, current)
    assert ecdf.wasserstein(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "m", "by"), [(20_000, 20_000, 0.0), (30_000, 7_001, 0.02), (500, 40_000, 0.5)]
)
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_what_a_bound_rules_out_is_not_the_maximum(n, m, by, decimals):
    random = np.random.default_rng([n, m])
    reference = random.normal(size=n).round(decimals)
    current = random.normal(by, 1, m).round(decimals)
    a, b = numbers(reference), numbers(current)
    expected = stats.ks_2samp(reference, current, method="asymp").statistic
    assert ecdf.kolmogorov_smirnov(a, b) == pytest.approx(expected, abs=1e-14)
    expected = stats.wasserstein_distance(reference, current)
    assert ecdf.wasserstein(a, b) == pytest.approx(expected, rel=1e-10)


def test_pieces_of_very_unequal_sides_are_all_seen(monkeypatch):
    monkeypatch.setattr(ecdf, "PIECES", 50)
    random = np.random.default_rng(3)
    for n, m in ((7, 1_000), (1_000, 7), (997, 1_003), (1, 400)):
        reference, current = random.normal(size=n), random.normal(size=m)
        expected = stats.wasserstein_distance(reference, current)
        found = ecdf.wasserstein(numbers(reference), numbers(current))
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential", "standard_cauchy"])
@pytest.mark.parametrize("by", [0.0, 0.3])
def test_a_sketch_is_as_near_as_its_points(draw, by):
    random = np.random.default_rng(4)
    reference, current = (getattr(random, draw)(size=30_000) for _ in range(2))
    a, b = numbers(reference), numbers(current + by * reference.std())
    stored = sketch(a)
    assert len(stored.at) <= 620
    exact = ecdf.kolmogorov_smirnov(a, b)
    assert exact - 1 / 400 <= ecdf.kolmogorov_smirnov(stored, b) <= exact + 1e-12
    found, exact = ecdf.wasserstein(stored, b) / a.std, ecdf.wasserstein(a, b) / a.std
    assert found == pytest.approx(exact, abs=0.003)
    # Both sides from profiles, as between two windows.
    found = ecdf.wasserstein(stored, sketch(b)) / a.std
    assert found == pytest.approx(exact, abs=0.006)


def test_a_sketch_of_few_distinct_values_is_the_column():
    random = np.random.default_rng(5)
    a, b = numbers(random.poisson(4, 5_000)), numbers(random.poisson(5, 900))
    stored = sketch(a)
    assert stored.complete
    assert ecdf.kolmogorov_smirnov(stored, b) == ecdf.kolmogorov_smirnov(a, b)
    assert ecdf.wasserstein(stored, b) == pytest.approx(ecdf.wasserstein(a, b), rel=1e-12)
    for of in (cells.of_histogram, cells.of_quantiles):
        exact, found = of(a, b), of(stored, b)
        assert exact.reference.sum() == found.reference.sum() == 5_000
        assert exact.current.sum() == found.current.sum() == 900
    assert (cells.of_histogram(a, b).reference == cells.of_histogram(stored, b).reference).all()


def test_distances_of_counts_are_the_textbooks():
    a, b = np.array([400.0, 300.0, 300.0, 0.0]), np.array([100.0, 120.0, 0.0, 80.0])
    both = Shares.of(a, b)
    p, q = a / a.sum(), b / b.sum()
    assert distances.jensen_shannon(both) == pytest.approx(jensenshannon(p, q, base=2), rel=1e-12)
    overlap = np.sqrt(p * q).sum()
    assert distances.hellinger(both) == pytest.approx(math.sqrt(1 - overlap), rel=1e-12)
    table = stats.chi2_contingency(np.stack([a, b]), correction=False)
    assert distances.chi_square(both) == pytest.approx(table.statistic, rel=1e-12)
    assert distances.l_infinity(both) == pytest.approx(np.abs(p - q).max(), rel=1e-12)
    assert distances.total_variation(both) == pytest.approx(np.abs(p - q).sum() / 2, rel=1e-12)


def test_one_formula_serves_what_was_observed_and_what_was_drawn():
    random = np.random.default_rng(6)
    a, b = random.integers(0, 50, (2, 7, 5)).astype(float)
    for measure in distances.ON_COUNTS.values():
        together = measure(Shares.of(a, b))
        alone = [float(measure(Shares.of(x, y))) for x, y in zip(a, b, strict=True)]
        assert together == pytest.approx(alone)


def test_rare_categories_are_pooled_by_what_both_sides_have():
    many = Categories({f"c{i:03d}": 300 - i for i in range(300)})
    current = Categories({f"c{i:03d}": i + 1 for i in range(300)})
    counts = cells.of_categories(many, current)
    assert len(counts.reference) == cells.MAX_CATEGORIES
    assert counts.pooled
    assert counts.reference.sum() == many.n
    assert counts.current.sum() == current.n
    # A category with many rows on either side is not pooled.
    burst = Categories({**current.counts, "new": 500})
    assert (cells.of_categories(many, burst).reference == 0).any()
