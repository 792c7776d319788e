"""The command ``mlops-assets``.

Thin: each command reads its arguments, calls the package, and prints. It works on any use
case, given as ``--use-case module:NAME``. What commands share is in ``support``, how results
look on a terminal in ``terminal``.
"""

from __future__ import annotations

import typer

from mlops_assets.cli import audit, models, operate, registry

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The MLOps deployment checklist as one Dagster lineage graph on one DuckDB file.",
)
for part in (operate, registry, models, audit):
    app.add_typer(part.app)
