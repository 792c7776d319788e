"""A number named after another library is that library's number, kept beside these tests."""

from __future__ import annotations

import json
import math

import pytest

from mlops_assets.core.drift_methods import Profile, Status, compare, profile
from mlops_assets.core.drift_methods.peers import ON_CATEGORIES, ON_NUMBERS
from mlops_assets_tests.benchmarks import drift_cases
from mlops_assets_tests.benchmarks.drift_peers import GOLDEN

KEPT = json.loads(GOLDEN.read_text())["values"]
CASES = drift_cases.numeric() | drift_cases.categorical()
TOLERANCE = 1e-9


def test_enough_values_are_compared():
    numbers = [v for of_case in KEPT.values() for v in of_case.values() if isinstance(v, float)]
    assert len(numbers) >= 300
    assert set(KEPT) == set(CASES)
    assert {name for of_case in KEPT.values() for name in of_case} == {*ON_NUMBERS, *ON_CATEGORIES}


@pytest.mark.parametrize("case", CASES)
def test_each_value_is_the_peers(case):
    reference, current = CASES[case]
    methods = list(KEPT[case])
    report = compare(reference.to_frame("x"), current.to_frame("x"), methods=methods, threads=1)
    for method, kept in KEPT[case].items():
        found = report.of("x").of(method)
        if isinstance(kept, str):  # the peer has no number, and so have we
            assert not math.isfinite(float(kept))
            assert (found.status, found.value) == (Status.UNDEFINED, None)
        else:
            assert found.value == pytest.approx(kept, rel=0, abs=TOLERANCE), method


def test_without_the_rows_of_the_reference_a_peers_definition_says_what_it_lacks():
    reference, current = CASES["normal_shifted"]
    stored = Profile.from_json(profile(reference.to_frame("x")).to_json())
    report = compare(stored, current.to_frame("x"), methods=["evidently.psi"], threads=1)
    assert report.of("x").of("evidently.psi").status is Status.NEEDS_ROWS
    # Categories are all in a profile, by name.
    reference, current = CASES["new_and_lost"]
    report = compare(
        profile(reference.to_frame("x")), current.to_frame("x"), methods=["evidently.psi"]
    )
    kept = KEPT["new_and_lost"]["evidently.psi"]
    assert report.of("x").of("evidently.psi").value == pytest.approx(kept, abs=TOLERANCE)
