"""The command ``mlops-assets``: replay, look, promote, roll back, diagnose.

Thin: each command reads its arguments, calls the package, and prints. It works on any use
case, given as ``--use-case module:NAME``.
"""

from __future__ import annotations

import getpass
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_assets.settings import Settings, SettingsError, load_settings
from mlops_assets.terminal import show, show_impact, table
from mlops_assets.vocabulary import DeclarationError, UseCase

if TYPE_CHECKING:
    import duckdb

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The MLOps deployment checklist as one Dagster lineage graph on one DuckDB file.",
)

BUILT_IN = "mlops_assets.use_cases.nyc_flights:USE_CASE"
UseCaseOption = Annotated[
    str, typer.Option("--use-case", help="Where the use case is declared, as module:NAME.")
]


class _UserError(Exception):
    """What the user can mend; printed without a traceback."""


def load_use_case(reference: str) -> UseCase:
    """Import a use case from ``module:NAME``."""
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise _UserError(
            f"No use case at {reference!r} ({error}). Write module:NAME, such as {BUILT_IN}."
        ) from error
    if not isinstance(found, UseCase):
        raise _UserError(f"{reference!r} is a {type(found).__name__}, not a UseCase.")
    return found


@contextmanager
def _explained(*also: type[Exception]) -> Iterator[None]:
    """Print what the user can mend as one line; let bugs show their traceback."""
    from mlops_assets.core.registry import RegistryError
    from mlops_assets.resources.warehouse import WarehouseError

    mendable = (_UserError, SettingsError, DeclarationError, RegistryError, WarehouseError, *also)
    try:
        yield
    except KeyboardInterrupt:
        typer.secho("Interrupted; run the same command again to go on.", err=True, fg="yellow")
        raise typer.Exit(130) from None
    except mendable as error:
        typer.secho(f"Error: {error}", err=True, fg="red")
        raise typer.Exit(1) from error


@contextmanager
def _reading(reference: str) -> Iterator[tuple[UseCase, Settings, duckdb.DuckDBPyConnection]]:
    with _explained():
        use_case, settings = load_use_case(reference), load_settings()
        if not settings.database(use_case.name).exists():
            raise _UserError(
                f"{settings.database(use_case.name)} does not exist: nothing has run yet. "
                "Run `make demo`, or start the Dagster UI and materialise something."
            )
        with _warehouse(use_case, settings).read() as con:
            yield use_case, settings, con


def _warehouse(use_case: UseCase, settings: Settings):
    from mlops_assets.build import default_resources

    return default_resources(use_case, settings)["warehouse"]


@app.command()
def replay(
    use_case: UseCaseOption = BUILT_IN,
    start: Annotated[
        str | None, typer.Option("--from", help="First day; default: the use case's.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Last day; default: the last one.")
    ] = None,
    step: Annotated[int, typer.Option(min=1, help="Days that pass between ticks.")] = 7,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file.")] = None,
) -> None:
    """Replay history through the real graph, sensors and gate, under a simulated clock."""
    from mlops_assets.replay import ArchiveError, Display, ReplayError, ReplayInstanceError
    from mlops_assets.replay import replay as run

    with _explained(ArchiveError, ReplayError, ReplayInstanceError):
        last = _day(end)
        report = run(
            load_use_case(use_case),
            load_settings(),
            start=_day(start),
            end=None if last is None else last + timedelta(days=1),
            step_days=step,
            json_path=json,
            progress=Display(),
        )
    raise typer.Exit(report.exit_code)


@app.command()
def status(use_case: UseCaseOption = BUILT_IN) -> None:
    """Say how far the data reach, what serves, and what was decided last."""
    from mlops_assets.core import registry
    from mlops_assets.core.storage import store

    with _reading(use_case) as (case, _, con):
        listed = table("data", "last day", "days", "rows")
        for dataset in [f"raw.{s.name}" for s in case.sources] + [
            f"capture.{m.name}__predictions" for m in case.models
        ]:
            written = store.partitions(con, dataset)
            days = [day for day in written if day is not None]
            rows = sum(p.rows for p in written.values())
            listed.add_row(dataset, str(max(days, default="-")), str(len(days)), f"{rows:,}")
        show(listed)
        listed = table("model", "champion", "since", "last decision")
        for model in case.models:
            events = registry.history(con, model.name)
            decisions = con.execute(
                "SELECT partition_date, decision, reason FROM monitoring.retrain_decisions "
                "WHERE model = $model ORDER BY partition_date DESC LIMIT 1",
                {"model": model.name},
            ).fetchall()
            listed.add_row(
                model.name,
                f"version {events[-1].to_version}" if events else "none",
                str(events[-1].effective_from) if events else "-",
                f"{decisions[0][0]} {decisions[0][1]}: {decisions[0][2]}" if decisions else "-",
            )
        show(listed)


@app.command()
def models(use_case: UseCaseOption = BUILT_IN) -> None:
    """List every registered version of every model."""
    from mlops_assets.core import registry

    with _reading(use_case) as (case, _, con):
        listed = table("model", "version", "trained on", "rows", "data", "file", "serves")
        for model in case.models:
            champion = registry.champion(con, model.name)
            for version in registry.versions(con, model.name):
                listed.add_row(
                    model.name,
                    str(version.version),
                    f"{version.train_start} to {version.train_end}",
                    f"{version.train_rows:,}",
                    version.training_digest[:12],
                    version.artifact_sha256[:12],
                    "champion" if version.version == champion else "",
                )
        show(listed)


@app.command()
def history(model: str, use_case: UseCaseOption = BUILT_IN) -> None:
    """Show who served when, and why."""
    from mlops_assets.core import registry

    with _reading(use_case) as (case, _, con):
        case.model(model)
        listed = table("from", "version", "instead of", "by", "because")
        for event in registry.history(con, model):
            listed.add_row(
                str(event.effective_from),
                str(event.to_version),
                str(event.from_version or "-"),
                event.actor,
                event.reason,
            )
        show(listed)


@app.command()
def impact(
    what: Annotated[str, typer.Argument(help="source.column, source, view.feature or feature.")],
    use_case: UseCaseOption = BUILT_IN,
    sql: Annotated[bool, typer.Option("--sql", help="Print the query that answers it.")] = False,
) -> None:
    """Show what a column or feature reaches: features, versions, predictions, reports."""
    from mlops_assets.core.lineage import impact

    with _reading(use_case) as (case, _, con):
        if sql:
            typer.echo(impact.as_script(impact.resolve(case, what)))
        else:
            show_impact(impact.impact(con, case, what))


@app.command()
def promote(
    model: str,
    version: int,
    reason: Annotated[str, typer.Option(help="Kept with the event.")],
    use_case: UseCaseOption = BUILT_IN,
) -> None:
    """Let a version serve from the next day not yet scored, past the gate, with a reason."""
    _move(use_case, model, version, f"promoted by hand, without the gate: {reason}")


@app.command()
def rollback(
    model: str,
    reason: Annotated[str, typer.Option(help="Kept with the event.")],
    use_case: UseCaseOption = BUILT_IN,
) -> None:
    """Let the previous champion serve again from the next day not yet scored."""
    _move(use_case, model, None, f"rolled back: {reason}")


def _move(reference: str, name: str, version: int | None, reason: str) -> None:
    from mlops_assets.core import registry
    from mlops_assets.core.storage import store

    with _explained():
        case, settings = load_use_case(reference), load_settings()
        model = case.model(name)
        with _warehouse(case, settings).transaction() as con:
            events = registry.history(con, model.name)
            if version is None:
                if not events or events[-1].from_version is None:
                    raise _UserError(f"{name} has no earlier champion to go back to.")
                version = events[-1].from_version
            scored = store.latest_day(con, f"capture.{model.name}__predictions")
            event = registry.move_alias(
                con,
                model.name,
                registry.CHAMPION,
                version,
                expected_from=events[-1].to_version if events else None,
                effective_from=scored + timedelta(days=1) if scored else case.start,
                actor=getpass.getuser(),
                reason=reason,
            )
    typer.echo(f"{name}: version {version} serves from {event.effective_from}.")


@app.command()
def doctor(use_case: UseCaseOption = BUILT_IN) -> None:
    """Check the declarations, settings, folders and the database, and say what to mend."""
    from mlops_assets.core.features import retrieval
    from mlops_assets.core.storage import contracts

    with _explained():
        case = load_use_case(use_case)
        for source in case.sources:
            contracts.columns(source.schema())
        for model in case.models:
            columns = retrieval.feature_columns(case, model)
            model.estimator()
            typer.echo(f"ok  {model.name}: {len(columns)} features, {model.problem}")
        settings = load_settings()
        typer.echo(f"ok  data in {settings.data_dir}")
        landing = settings.landing(case.name)
        there = landing.is_dir()
        typer.echo(
            f"{'ok ' if there else '-- '} landing folder {landing}{'' if there else ': empty'}"
        )
        database = settings.database(case.name)
        if database.exists():
            with _warehouse(case, settings).read() as con:
                ((tables,),) = con.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
            typer.echo(f"ok  {database}: {tables} tables")
        else:
            typer.echo(f"--  {database} does not exist yet; the first run makes it")


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _UserError(f"{text!r} is no day; write YYYY-MM-DD.") from error
