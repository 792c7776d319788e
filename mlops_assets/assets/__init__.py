"""The graph: one module for each part of it, each asset thin.

An asset reads through the warehouse, calls ``mlops_assets.core``, writes in one
transaction and returns what the UI should show. Anything worth testing without Dagster
belongs in ``core``; what a failed check means belongs in ``mlops_assets.checks``.
"""
