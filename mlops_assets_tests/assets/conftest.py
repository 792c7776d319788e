"""The support tickets in operation: their real graph on an instance, a database and files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest

from mlops_assets.automation.schedules import range_tags
from mlops_assets.build import build_definitions, default_resources
from mlops_assets.core.storage import digests
from mlops_assets.replay.instance import replay_instance
from mlops_assets.settings import Settings
from mlops_assets_tests.support_tickets import USE_CASE as CASE

#: Which run wrote a row, and when: the only things that a re-run may change.
NOT_CONTENT = {
    "ops": ("run_id", "written_at", "ingested_at"),
    "capture": ("run_id", "predicted_at"),
    "quarantine": ("run_id", "ingested_at"),
}


class Place:
    """Files, database and history of one use case in a folder; open it by ``place``.

    The history is kept as a replay keeps it: with Dagster's own storage in memory, half of a
    run's time would go into that.
    """

    def __init__(self, folder: Path, case=CASE, lock_timeout_seconds: float = 60.0) -> None:
        self.case = case
        self.settings = Settings(data_dir=folder, lock_timeout_seconds=lock_timeout_seconds)
        self.landing = self.settings.landing(case.name)
        self.definitions = build_definitions(case, self.settings)
        self.warehouse = default_resources(case, self.settings)["warehouse"]
        self.instance: dg.DagsterInstance

    @contextmanager
    def open(self) -> Iterator[Place]:
        """Give it an instance without history."""
        with TemporaryDirectory(prefix="home") as home, pytest.MonkeyPatch.context() as patch:
            Path(home, "dagster.yaml").write_text("telemetry: {enabled: false}\n")
            patch.setenv("DAGSTER_HOME", home)
            with replay_instance() as self.instance:
                yield self

    def run(self, job: str, start: date | None = None, end: date | None = None, assets=None):
        """Run a job as Dagster does; with days, over all of them at once (both inclusive)."""
        selection = None if assets is None else [dg.AssetKey([self.case.name, *a]) for a in assets]
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags={} if start is None else range_tags(start, end or start),
            asset_selection=selection,
            raise_on_error=False,
        )

    def rows(self, query: str, *parameters) -> list[tuple]:
        with self.warehouse.read() as con:
            return con.execute(query, parameters).fetchall()

    def frame(self, query: str):
        with self.warehouse.read() as con:
            return con.execute(query).df()

    def content(self) -> dict[str, str]:
        """Digest of every table of the database, whichever run wrote it and when."""
        with self.warehouse.read() as con:
            tables = con.execute(
                "SELECT table_schema, table_name FROM information_schema.tables "
                "WHERE table_type = 'BASE TABLE' AND table_schema <> 'main'"
            ).fetchall()
            return {
                f"{schema}.{name}": digests.content_digest(
                    con, f'"{schema}"."{name}"', NOT_CONTENT.get(schema, ())
                )
                for schema, name in tables
            }


@contextmanager
def place(folder: Path, **options):
    """Open a place; its instance is closed at the end."""
    with Place(folder, **options).open() as made:
        yield made


def after(day: date, n: int) -> date:
    return day + timedelta(days=n)


def checks(result, name: str, asset: str | None = None) -> list:
    """What the checks of that name said in a run."""
    return [
        e
        for e in result.get_asset_check_evaluations()
        if e.check_name == name and (asset is None or e.asset_key.path[-1] == asset)
    ]


def materialized(result) -> set[str]:
    """``layer/name`` of all that a run has written."""
    return {"/".join(e.asset_key.path[1:]) for e in result.get_asset_materialization_events()}


def error_text(result) -> str:
    """All that the failed steps of a run said."""
    said = []
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None:
            said.append(error.message)
            error = error.cause
        if event.step_failure_data.user_failure_data:
            said.append(event.step_failure_data.user_failure_data.description or "")
    return "\n".join(said)
