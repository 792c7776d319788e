"""Feature views: sources become ``features.<view>``, shared by all models."""

from datetime import timedelta

import dagster as dg

from mlops_assets.assets.common import (
    asset_key,
    code_version,
    days_of,
    describe_day,
    graph_asset,
    table_schema,
)
from mlops_assets.checks import features as checks
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import FeatureView, UseCase


def feature_asset(use_case: UseCase, view: FeatureView) -> dg.AssetsDefinition:
    """The asset ``<use_case>/features/<view>``."""
    key = asset_key(use_case, "features", view.name)
    expiry = f"A value is used for at most {view.ttl}." if view.ttl else "Values do not expire."

    @graph_asset(
        use_case,
        "features",
        view.name,
        daily=view.partitioned,
        kinds={"duckdb", "feature"},
        description=f"""{view.description}

        Entity: `{view.entity.name}` ({", ".join(view.entity.keys)}). {expiry}
        Used by {", ".join(_users(use_case, view)) or "no model yet"}.""",
        owner=view.owner,
        tags=view.tags,
        deps=[asset_key(use_case, "raw", source) for source in view.sources],
        checks=checks.specs(key, view),
        # Not core.feature_views.view_version: that one builds the schema, and pandera costs
        # the code location a second.
        version=code_version(
            view.sql,
            view.function,
            view.schema,
            view.sources,
            view.entity.keys,
            view.event_time,
            view.known_at,
            view.ttl,
            view.lookback,
        ),
        table=f"features.{view.name}",
    )
    def features(context: dg.AssetExecutionContext, warehouse: Warehouse):
        from mlops_assets.core import contracts, feature_views

        days = days_of(context) if view.partitioned else []
        start, end = (days[0], days[-1] + timedelta(days=1)) if days else (None, None)
        with warehouse.transaction() as con:
            report = feature_views.compute(con, use_case, view, start, end, context.run.run_id)

        yield from checks.results(key, report)
        if report.problems:
            raise dg.Failure(
                f"{view.name}: the computed features break their contract; nothing was written. "
                "See the check 'contract'.",
                allow_retries=False,
            )
        for day, written in report.partitions.items():
            if day is not None:
                describe_day(
                    context,
                    day,
                    {"dagster/partition_row_count": written.rows, "digest": written.digest},
                )
        yield dg.MaterializeResult(
            metadata={
                "dagster/column_schema": table_schema(contracts.columns(contracts.schema_of(view))),
                **({} if days else {"dagster/row_count": report.partitions[None].rows}),
            }
        )

    return features


def _users(use_case: UseCase, view: FeatureView) -> list[str]:
    return [
        model.name
        for model in use_case.models
        if any(reference.partition(".")[0] == view.name for reference in model.features)
    ]
