"""The registry's commands: models, history, promote, rollback, gc, export.

Thin, like ``cli``, which adds them to the command.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from mlops_assets.cli.support import (
    BUILT_IN,
    UseCaseOption,
    UserError,
    artifact_store,
    explained,
    load_use_case,
    reading,
    require_database,
    warehouse,
)
from mlops_assets.cli.terminal import show, table
from mlops_assets.settings import load_settings

app = typer.Typer()

ReasonOption = Annotated[str, typer.Option(help="Kept with the event.")]


@app.command()
def models(use_case: UseCaseOption = BUILT_IN) -> None:
    """List every registered version of every model."""
    from mlops_assets.core import registry

    with reading(use_case) as (case, _, con):
        listed = table("model", "version", "trained on", "rows", "data", "file", "is")
        deleted = {(d.model, d.version) for d in registry.deletions(con)}
        for model in case.models:
            aliases = registry.aliases(con, model.name)
            for version in registry.versions(con, model.name):
                notes = [name for name, pointed in aliases.items() if pointed == version.version]
                if version.source_model is not None:
                    notes.append(f"copy of {version.source_model} {version.source_version}")
                if (model.name, version.version) in deleted:
                    notes.append("file deleted")
                listed.add_row(
                    model.name,
                    str(version.version),
                    f"{version.train_start} to {version.train_end}",
                    f"{version.train_rows:,}",
                    version.training_digest[:12],
                    version.artifact_sha256[:12],
                    ", ".join(notes),
                )
        show(listed)


@app.command()
def history(model: str, use_case: UseCaseOption = BUILT_IN) -> None:
    """Show who served when, and why."""
    from mlops_assets.core import registry

    with reading(use_case) as (case, _, con):
        case.model(model)
        listed = table("from", "version", "instead of", "recorded (UTC)", "by", "because")
        for event in registry.history(con, model):
            kind = "override: " if event.override else "rollback: " if event.rollback_of else ""
            listed.add_row(
                str(event.effective_from),
                str(event.to_version),
                str(event.from_version or "-"),
                f"{event.recorded_at:%Y-%m-%d %H:%M:%S}",
                event.actor,
                f"{kind}{event.reason}",
            )
        show(listed)


@app.command()
def promote(
    model: str,
    version: int,
    reason: ReasonOption,
    use_case: UseCaseOption = BUILT_IN,
) -> None:
    """Let a version serve from the next day not yet scored, past the gate, with a reason."""
    from mlops_assets.core import registry

    with explained(ValueError):
        case, settings = load_use_case(use_case), load_settings()
        name = case.model(model).name
        with warehouse(case, settings).transaction() as con:
            events = registry.history(con, name)
            event = registry.move_alias(
                con,
                name,
                registry.CHAMPION,
                version,
                expected_from=events[-1].to_version if events else None,
                effective_from=registry.first_unscored_day(
                    con, name, events[-1].effective_from if events else case.start
                ),
                actor=getpass.getuser(),
                reason=reason,
                override=True,
            )
    typer.echo(
        f"{name}: version {version} serves from {event.effective_from}, past the gate; this is "
        "on record."
    )


@app.command()
def rollback(
    model: str,
    reason: ReasonOption,
    use_case: UseCaseOption = BUILT_IN,
) -> None:
    """Let the previous champion serve again from the next day not yet scored."""
    from mlops_assets.core import registry

    with explained(ValueError):
        case, settings = load_use_case(use_case), load_settings()
        name = case.model(model).name
        with warehouse(case, settings).transaction() as con:
            event = registry.rollback(con, name, actor=getpass.getuser(), reason=reason)
    typer.echo(
        f"{name}: version {event.to_version} serves again from {event.effective_from}, instead "
        f"of version {event.from_version}."
    )


@app.command()
def gc(
    use_case: UseCaseOption = BUILT_IN,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
    keep: Annotated[
        int, typer.Option(min=0, help="Newest versions of each model whose files stay.")
    ] = 3,
    reason: ReasonOption = "nothing refers to it",
) -> None:
    """Delete model files that nothing refers to; what is recorded of the versions stays."""
    from mlops_assets.core import registry

    with explained(ValueError):
        case, settings = load_use_case(use_case), load_settings()
        require_database(case, settings)
        files = artifact_store(case, settings)
        opened = warehouse(case, settings)
        if dry_run:
            with opened.read() as con:
                found = registry.find(con, files, keep=keep)
        else:
            found = registry.collect(
                opened.transaction, files, keep=keep, actor=getpass.getuser(), reason=reason
            )
    listed = table("file", "bytes", "of")
    for version in found.versions:
        listed.add_row(
            version.artifact_sha256[:12] if version.path else "stays, or is gone already",
            f"{version.size_bytes:,}",
            f"{version.model} version {version.version}",
        )
    for stray in found.strays:
        listed.add_row(stray.path.name[:12], f"{stray.size_bytes:,}", stray.why)
    freed = f"{found.freed_bytes:,} bytes"
    show(listed, f"{freed} would be freed." if dry_run else f"{freed} freed.")


@app.command()
def export(
    model: str,
    version: int,
    folder: Path,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="As an MLflow model directory.")] = False,
    use_case: UseCaseOption = BUILT_IN,
) -> None:
    """Write a version to a folder, for other tools to load."""
    from mlops_assets.core import registry
    from mlops_assets.core.artifacts.artifacts import ArtifactError
    from mlops_assets.core.artifacts.mlflow_export import ExportError
    from mlops_assets.core.artifacts.mlflow_export import export as write

    with reading(use_case) as (case, settings, con):
        if not mlflow:
            raise UserError("Say in which form: --mlflow is the only one so far.")
        declared = case.model(model)
        record = registry.loadable(con, declared.name, version)
    with explained(ArtifactError, ExportError):
        own = write(record, artifact_store(case, settings), folder, declared.trusted_types)
    typer.echo(f"{model} version {version} is in {folder}: mlflow.sklearn.load_model loads it.")
    if own:
        typer.echo(f"Where it is loaded, these must be importable: {', '.join(own)}")
