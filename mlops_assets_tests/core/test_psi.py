"""The population stability index: its value, and when it stays silent."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.monitoring import profiles
from mlops_assets.core.monitoring.psi import SMOOTHING, adjust, psi


def counts(*numbers: int) -> np.ndarray:
    return np.array(numbers)


def test_the_value_is_the_formula():
    reference, current = counts(400, 300, 300), counts(100, 120, 80)
    p = [(n + SMOOTHING) / (1000 + 3 * SMOOTHING) for n in reference]
    q = [(n + SMOOTHING) / (300 + 3 * SMOOTHING) for n in current]
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi(reference, current).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("reference", "current", "status"),
    [
        (counts(0, 0), counts(10, 90), "no_reference"),
        (counts(10, 90), counts(0, 0), "no_current"),
        (counts(0, 900), counts(0, 100), "constant"),
        (counts(500, 500), counts(20, 20), "too_few"),
        (counts(999, 1), counts(99, 1), "too_few"),
    ],
)
def test_what_cannot_be_judged_has_a_status_and_no_p(reference, current, status):
    found = psi(reference, current)
    assert (found.status, found.p) == (status, None)


def test_a_new_category_is_found_although_training_never_had_it():
    found = psi(counts(1000, 0, 0), counts(500, 500, 0))
    assert found.status == "ok"
    assert found.value > 1
    assert found.p < 1e-12


def test_a_constant_that_moves_is_found():
    assert psi(counts(0, 1000, 0, 0), counts(0, 0, 200, 0)).p < 1e-12


def test_an_empty_bin_gives_a_finite_value():
    found = psi(counts(0, 500, 500), counts(500, 0, 0))
    assert math.isfinite(found.value)
    assert found.p < 1e-12


def test_unchanged_data_do_not_raise_alarms_at_any_size():
    """20 columns of four kinds; a report is false if any column passes both conditions."""
    made = np.random.default_rng(20240301)
    zipf = 1 / np.arange(1, 41) ** 1.6
    zipf /= zipf.sum()
    # The test's own bound: 0.05 nominal, and three standard errors of 100 reports.
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    for n_reference, n in [(10_000, 50), (300, 100), (1_000, 1_000), (10_000, 300)]:
        false = 0
        for _ in range(100):
            shifts = []
            for kind in range(20):
                if kind < 16:
                    # Numbers, whatever their distribution, cut into tenths of the reference:
                    # a later value's chances of falling between order statistics.
                    tenth = n_reference // 10
                    r = np.full(10, tenth)
                    chances = made.dirichlet([*[tenth] * 9, tenth + 1])
                    c = made.multinomial(n, chances)
                else:
                    r, c = made.multinomial(n_reference, zipf), made.multinomial(n, zipf)
                    order = np.argsort(-r, kind="stable")
                    r = np.append(r[order[:19]], r[order[19:]].sum())
                    c = np.append(c[order[:19]], c[order[19:]].sum())
                shifts.append(psi(r, c))
            judged = [s for s in shifts if s.p is not None]
            adjusted = adjust([s.p for s in judged])
            false += any(s.value >= 0.1 and q < 0.05 for s, q in zip(judged, adjusted, strict=True))
        assert false / 100 <= most, (n_reference, n)


def test_a_shift_that_matters_is_found_and_a_harmless_one_is_not():
    made = np.random.default_rng(1)
    reference = pd.DataFrame({"x": made.normal(size=20_000)})
    column = profiles.profile(reference, ["x"])["columns"]["x"]
    was = np.array([*column["counts"], column["nulls"]])
    harmless = psi(was, profiles.count(column, pd.Series(made.normal(0.02, 1, 50_000))))
    large = psi(was, profiles.count(column, pd.Series(made.normal(0.5, 1, 500))))
    assert harmless.value < 0.1
    assert large.value >= 0.1
    assert large.p < 0.001


def test_adjusted_p_values_are_those_of_benjamini_and_hochberg():
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(2).random(25) ** 3
    assert adjust(list(p)) == pytest.approx(false_discovery_control(p), abs=1e-15)
    assert adjust([]) == []
