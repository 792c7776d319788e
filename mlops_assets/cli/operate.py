"""Commands that run and look: ``replay``, ``status``, ``impact``, ``doctor``."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mlops_assets.cli.support import (
    BUILT_IN,
    UseCaseOption,
    UserError,
    explained,
    load_use_case,
    reading,
    warehouse,
)
from mlops_assets.cli.terminal import show, show_impact, table
from mlops_assets.settings import load_settings

app = typer.Typer()


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

    with explained(ArchiveError, ReplayError, ReplayInstanceError):
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

    with reading(use_case) as (case, _, con):
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
def impact(
    what: Annotated[str, typer.Argument(help="source.column, source, view.feature or feature.")],
    use_case: UseCaseOption = BUILT_IN,
    sql: Annotated[bool, typer.Option("--sql", help="Print the query that answers it.")] = False,
) -> None:
    """Show what a column or feature reaches: features, versions, predictions, reports."""
    from mlops_assets.core.lineage import impact

    with reading(use_case) as (case, _, con):
        if sql:
            typer.echo(impact.as_script(impact.resolve(case, what)))
        else:
            show_impact(impact.impact(con, case, what))


@app.command()
def doctor(use_case: UseCaseOption = BUILT_IN) -> None:
    """Check the declarations, settings, folders and the database, and say what to mend."""
    from mlops_assets.core.features import retrieval
    from mlops_assets.core.storage import contracts

    with explained():
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
            with warehouse(case, settings).read() as con:
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
        raise UserError(f"{text!r} is no day; write YYYY-MM-DD.") from error
