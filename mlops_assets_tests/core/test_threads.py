"""Threads: small predictions do not wait at barriers, and nobody's own setting is overruled."""

from __future__ import annotations

import os

import pytest

from mlops_assets.core.models import threads


def openmp_threads() -> set[int]:
    import sklearn.ensemble  # noqa: F401 - loads OpenMP
    from threadpoolctl import threadpool_info

    return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "openmp"}


def test_few_rows_are_predicted_by_one_thread_and_the_limit_ends_with_them():
    before = openmp_threads()
    with threads.threads_for(900):
        assert openmp_threads() == {1}
    assert openmp_threads() == before


def test_many_rows_keep_all_threads():
    before = openmp_threads()
    with threads.threads_for(threads.SMALL_ROWS + 1):
        assert openmp_threads() == before


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_a_wait_policy_that_is_set_is_left(monkeypatch, given, found):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    threads.wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == found
    monkeypatch.delenv("OMP_WAIT_POLICY")
