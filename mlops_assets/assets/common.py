"""What all assets share: keys, groups, pool, retries, backfill, days and table metadata.

Groups, owners, kinds and policies are set here, once, so that an asset's module says only
what the asset does.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.vocabulary import Model, UseCase

if TYPE_CHECKING:
    from mlops_assets.core.storage.contracts import ColumnSpec

#: Steps that open the DuckDB file; ``dagster.yaml`` lets one of them run at a time.
POOL = "duckdb"

#: For what may pass by itself, such as another process holding the file. A broken
#: contract or a refused challenger raises ``dg.Failure(allow_retries=False)`` instead.
RETRIES = dg.RetryPolicy(
    max_retries=2, delay=1, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


def asset_key(use_case: UseCase, *parts: str) -> dg.AssetKey:
    """``<use_case>/<part>/...``."""
    return dg.AssetKey([use_case.name, *parts])


def daily_partitions(use_case: UseCase) -> dg.DailyPartitionsDefinition:
    """The use case's calendar days, in its time zone."""
    return dg.DailyPartitionsDefinition(
        start_date=use_case.start.isoformat(),
        end_date=None if use_case.end is None else use_case.end.isoformat(),
        timezone=use_case.timezone,
    )


def code_version(*parts: Any) -> str:
    """Hash of what decides an asset's values: text, numbers and the source of functions."""
    return hashlib.sha256("\x1f".join(map(_identity, parts)).encode()).hexdigest()[:12]


def _identity(part: Any) -> str:
    if not callable(part):
        return repr(part)
    try:
        return inspect.getsource(part)
    except (OSError, TypeError):  # defined at a prompt, or a callable object
        return getattr(part, "__qualname__", type(part).__qualname__)


def graph_asset(
    use_case: UseCase,
    layer: str,
    name: str,
    *,
    daily: bool,
    kinds: set[str],
    description: str,
    owner: str,
    deps: Iterable[dg.AssetKey] = (),
    checks: Sequence[dg.AssetCheckSpec] = (),
    version: str | None = None,
    tags: Mapping[str, str] | None = None,
    table: str | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate a function as the asset ``<use_case>/<layer>/<name>`` of group ``layer``.

    A daily asset is materialised over a whole range of days in one step.
    """
    # Storage is named only where the asset's own product is a table.
    metadata = {"dagster/table_name": table} if table else {}

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            # Single-run backfills have been stable since 1.5, the parameter is still marked.
            warnings.filterwarnings("ignore", message="Parameter `backfill_policy`")
            return dg.asset(
                key=asset_key(use_case, layer, name),
                group_name=layer,
                partitions_def=daily_partitions(use_case) if daily else None,
                backfill_policy=dg.BackfillPolicy.single_run() if daily else None,
                kinds=kinds,
                description=inspect.cleandoc(description),
                owners=[owner],
                tags=tags,
                deps=list(deps),
                check_specs=list(checks),
                code_version=version,
                metadata=metadata,
                pool=POOL,
                retry_policy=RETRIES,
            )(function)

    return decorate


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The days that this step materialises, in order."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def table_schema(columns: Iterable[ColumnSpec]) -> dg.TableSchema:
    """The columns as the UI shows them: type, description, unit, nullability."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=c.name,
                type=c.type,
                description=f"{c.description} [{c.unit}]" if c.unit else c.description,
                constraints=dg.TableColumnConstraints(nullable=c.nullable),
            )
            for c in columns
        ]
    )


def finite(value: float | None) -> dg.MetadataValue:
    """A number for the UI to plot; NaN, infinity and absence are said in words."""
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return dg.MetadataValue.text("undefined" if value is not None else "none")
    return dg.MetadataValue.float(float(value))


def describe_day(context: dg.AssetExecutionContext, day: date, metadata: Mapping[str, Any]) -> None:
    """Attach metadata to one day of a range."""
    context.add_asset_metadata(metadata, partition_key=day.isoformat())


def missing(model: Model, step: str) -> dg.Failure:
    """The failure of a step of ``model`` whose predecessor has not run."""
    return dg.Failure(
        f"{model.name} has no {step} yet: materialise {model.name}/{step} first.",
        allow_retries=False,
    )
