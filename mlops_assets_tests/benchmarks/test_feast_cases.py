"""The cases that ``make bench-feast-correctness`` puts to Feast, put to us: no Feast needed."""

from __future__ import annotations

import duckdb
import pytest

from mlops_assets_tests.benchmarks.feast_cases import WRONG_CASES, WrongCase
from mlops_assets_tests.benchmarks.feast_correctness import ours


@pytest.mark.parametrize("case", WRONG_CASES, ids=lambda case: f"{case.where}: {case.title}")
def test_what_feast_gets_wrong_is_right_here(case: WrongCase) -> None:
    with duckdb.connect() as con:
        for facts in filter(None, (case.facts, case.again)):
            assert ours(con, case, facts) == case.right
