"""The domain: everything that is true without Dagster, and so never imports it.

Functions here take an open DuckDB connection and declarations, and return plain values.
Opening connections and reading settings belong to ``mlops_assets.resources``; turning the
results into Dagster materialisations belongs to ``mlops_assets.assets``.
"""
