"""Model files for a step: loads and refusals are recorded, whatever becomes of the step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.resources.files import Files
from mlops_assets.resources.warehouse import Warehouse

if TYPE_CHECKING:
    from mlops_assets.core.artifacts.artifacts import ArtifactStore


@contextmanager
def model_files(warehouse: Warehouse, files: Files, run_id: str) -> Iterator[ArtifactStore]:
    """Yield the store of model files, and then enter what it loaded in ``registry.load_events``.

    The events get a transaction of their own, so a refusal is kept though the step's own work
    is rolled back. Open the step's transaction inside.

    Raises
    ------
    dagster.Failure
        In place of an ``ArtifactError``: trying a refused file again changes nothing.
    """
    from mlops_assets.core import registry
    from mlops_assets.core.artifacts.artifacts import ArtifactError, ArtifactStore

    store = ArtifactStore(files.artifact_folder)
    try:
        yield store
    except ArtifactError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    finally:
        if store.events:
            with warehouse.transaction() as con:
                registry.record_loads(con, store.events, run_id)
