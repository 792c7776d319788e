"""Benchmarks beside the peers, and the generated cases that tests and benchmarks share.

Run by ``make bench``; only the ``test_*`` modules are collected by pytest.
"""
