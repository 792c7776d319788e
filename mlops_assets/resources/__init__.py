"""Dagster resources: doors to what lies outside the process (database, files, messages).

They open, wait, retry and close; what goes through them is decided in ``mlops_assets.core``.
"""
