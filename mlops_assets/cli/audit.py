"""The commands of the audit: explain, card.

Thin, like ``cli``, which adds them to the command.
"""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_assets.cli.support import BUILT_IN, UseCaseOption, artifact_store, reading
from mlops_assets.cli.terminal import show_explanation

app = typer.Typer()


@app.command()
def explain(
    prediction_id: Annotated[str, typer.Argument(help="Of capture.predictions.")],
    use_case: UseCaseOption = BUILT_IN,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the whole report, with rows of sources.")
    ] = False,
) -> None:
    """Show what made a prediction, and whether it comes out the same again, bit for bit.

    Ends with 1 where it does not.
    """
    from mlops_assets.core.artifacts.artifacts import ArtifactError
    from mlops_assets.core.audit.explain import explain as explain_prediction
    from mlops_assets.core.audit.predictions import stored_files
    from mlops_assets.core.reports import explanation

    with reading(use_case, ArtifactError) as (case, settings, con):
        load = stored_files(con, case, artifact_store(case, settings))
        found = explain_prediction(con, case, prediction_id, load)
    if markdown:
        typer.echo(explanation.markdown(found))
    else:
        show_explanation(found)
    if not found.identical:
        raise typer.Exit(1)


@app.command()
def card(model: str, version: int, use_case: UseCaseOption = BUILT_IN) -> None:
    """Print the card of a model version: purpose, data, metrics, limits, lineage; Markdown."""
    from mlops_assets.core.audit.version_record import version_record
    from mlops_assets.core.reports import model_card

    with reading(use_case) as (case, _, con):
        declared = case.model(model)
        record = version_record(con, model, version)
    typer.echo(model_card.markdown(case, declared, record, pictures=False))
