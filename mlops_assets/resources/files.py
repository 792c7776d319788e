"""Folders beside the DuckDB file: landed files, model artifacts, training sets, reports."""

from __future__ import annotations

from pathlib import Path

import dagster as dg


class Files(dg.ConfigurableResource):
    """Where a use case's files are.

    Attributes
    ----------
    landing
        Sources land in ``<landing>/<source>/date=YYYY-MM-DD/``.
    artifacts
        Model files, named by their SHA-256.
    snapshots
        Training sets as Parquet, named by their content digest.
    reports
        A page and its JSON for each model and window.
    """

    landing: str
    artifacts: str
    snapshots: str
    reports: str

    @property
    def landing_folder(self) -> Path:
        """The landing folder."""
        return Path(self.landing)

    @property
    def snapshot_folder(self) -> Path:
        """The folder of training sets."""
        return Path(self.snapshots)

    @property
    def artifact_folder(self) -> Path:
        """The folder of model files."""
        return Path(self.artifacts)

    @property
    def report_folder(self) -> Path:
        """The folder of reports."""
        return Path(self.reports)
