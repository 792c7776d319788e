"""The commands about a version's model itself: reproduce, sign.

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
    artifact_store,
    explained,
    load_use_case,
    reading,
    require_database,
    warehouse,
)
from mlops_assets.settings import load_settings

app = typer.Typer()

#: Whose git commit and lock file a version's are compared with.
CHECKOUT = Path(__file__).resolve().parents[1]


@app.command()
def reproduce(
    model: str,
    version: int,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Go on though code or libraries differ.")
    ] = False,
    use_case: UseCaseOption = BUILT_IN,
) -> None:
    """Train a version again from its record, in a fresh process, and compare the models.

    Ends with 1 where they differ.
    """
    from mlops_assets.core import registry
    from mlops_assets.core.models import reproduce as reproducing

    with reading(use_case, reproducing.NotReproducible) as (case, settings, con):
        name = case.model(model).name
        trained = registry.original(con, name, version)
        snapshot = reproducing.snapshot_path(con, trained, settings.snapshots(case.name))
    with explained(reproducing.NotReproducible):
        found = reproducing.reproduce(trained, snapshot, use_case, CHECKOUT, anyway=anyway)
    if found.same:
        typer.echo(
            f"{name} version {version} came out the same: model digest {found.digest}, "
            f"in {found.seconds:.1f} s."
        )
        return
    typer.echo(
        f"{name} version {version} came out otherwise: its model digest is "
        f"{found.recorded_digest}, now it is {found.digest}."
    )
    for difference in found.differences:
        typer.echo(f"- {difference}")
    raise typer.Exit(1)


@app.command()
def sign(model: str, version: int, use_case: UseCaseOption = BUILT_IN) -> None:
    """Sign a version with the signing key, as if it had been registered with it.

    Its file goes through all checks of loading first. Do it only if you know that the version
    is yours: whoever could write the database could have changed it until now.
    """
    from mlops_assets.core import registry
    from mlops_assets.core.artifacts.artifacts import ArtifactError, ArtifactStore

    with explained(ArtifactError):
        case, settings = load_use_case(use_case), load_settings()
        require_database(case, settings)
        declared = case.model(model)
        files = artifact_store(case, settings)
        with warehouse(case, settings).transaction() as con:
            record = registry.loadable(con, declared.name, version)
            ArtifactStore(files.root, ()).check(record, declared.trusted_types)
            said = registry.sign_version(
                con, declared.name, version, files.keys, actor=getpass.getuser()
            )
    typer.echo(f"{model} version {version} is signed with the key {said.split(':')[1]}.")
