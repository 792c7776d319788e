"""What the commands share: the use case and its database, and errors that a user can mend.

Which commands there are belongs in ``cli`` and the modules that it names.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_assets.settings import Settings, SettingsError, load_settings
from mlops_assets.vocabulary import DeclarationError, UseCase

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.artifacts.artifacts import ArtifactStore
    from mlops_assets.resources.warehouse import Warehouse

BUILT_IN = "mlops_assets.use_cases.nyc_flights:USE_CASE"
UseCaseOption = Annotated[
    str, typer.Option("--use-case", help="Where the use case is declared, as module:NAME.")
]


class UserError(Exception):
    """What the user can mend; printed without a traceback."""


def load_use_case(reference: str) -> UseCase:
    """Import a use case from ``module:NAME``."""
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"No use case at {reference!r} ({error}). Write module:NAME, such as {BUILT_IN}."
        ) from error
    if not isinstance(found, UseCase):
        raise UserError(f"{reference!r} is a {type(found).__name__}, not a UseCase.")
    return found


@contextmanager
def explained(*also: type[Exception]) -> Iterator[None]:
    """Print what the user can mend as one line; let bugs show their traceback."""
    from mlops_assets.core.registry import RegistryError
    from mlops_assets.resources.warehouse import WarehouseError

    mendable = (UserError, SettingsError, DeclarationError, RegistryError, WarehouseError, *also)
    try:
        yield
    except KeyboardInterrupt:
        typer.secho("Interrupted; run the same command again to go on.", err=True, fg="yellow")
        raise typer.Exit(130) from None
    except mendable as error:
        typer.secho(f"Error: {error}", err=True, fg="red")
        raise typer.Exit(1) from error


@contextmanager
def reading(
    reference: str, *also: type[Exception]
) -> Iterator[tuple[UseCase, Settings, duckdb.DuckDBPyConnection]]:
    """Open a use case's database for reading; ``also`` are further errors to explain."""
    with explained(*also):
        use_case, settings = load_use_case(reference), load_settings()
        require_database(use_case, settings)
        with warehouse(use_case, settings).read() as con:
            yield use_case, settings, con


def require_database(use_case: UseCase, settings: Settings) -> None:
    """Raise a ``UserError`` where nothing has run yet."""
    if not settings.database(use_case.name).exists():
        raise UserError(
            f"{settings.database(use_case.name)} does not exist: nothing has run yet. "
            "Run `make demo`, or start the Dagster UI and materialise something."
        )


def warehouse(use_case: UseCase, settings: Settings) -> Warehouse:
    """Return the use case's database."""
    from mlops_assets.build import default_resources

    return default_resources(use_case, settings)["warehouse"]


def artifact_store(use_case: UseCase, settings: Settings) -> ArtifactStore:
    """Return the use case's model files."""
    from mlops_assets.core.artifacts.artifacts import ArtifactStore

    return ArtifactStore(settings.artifacts(use_case.name))
