"""Feature views: sources become ``features.<view>``, shared by all models."""

import time
from datetime import timedelta

import dagster as dg

from mlops_assets.assets import lineage
from mlops_assets.assets.common import (
    asset_key,
    code_version,
    days_of,
    describe_day,
    finite,
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
        Used by {", ".join(_users(use_case, view)) or "no model yet"}.
        Statistics of each day are in `monitoring.feature_statistics`.""",
        owner=view.owner,
        tags=view.tags,
        deps=[asset_key(use_case, "raw", source) for source in view.sources],
        checks=checks.specs(key, view),
        # Not feature_views.view_version: that one builds the schema, and pandera costs the
        # code location a second.
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
        from mlops_assets.core.features import feature_jumps, feature_views, statistics_records
        from mlops_assets.core.lineage import lineage_records
        from mlops_assets.core.reports import features as report_of
        from mlops_assets.core.storage import contracts

        days = days_of(context) if view.partitioned else []
        start, end = (days[0], days[-1] + timedelta(days=1)) if days else (None, None)
        statistics = []
        with warehouse.transaction() as con:
            began = time.perf_counter()
            report = feature_views.compute(con, use_case, view, start, end, context.run.run_id)
            seconds = time.perf_counter() - began
            if not report.problems:
                lineage_records.record_view(con, use_case, view)
                statistics = statistics_records.record(con, use_case, view, days, seconds)

        yield from checks.results(key, report)
        if report.problems:
            raise dg.Failure(
                f"{view.name}: the computed features break their contract; nothing was written. "
                "See the check 'contract'.",
                allow_retries=False,
            )
        jumps = feature_jumps.jumps(statistics, days)
        yield from checks.statistics_results(key, view, days, statistics, jumps)
        measured = {row.partition_date: row for row in statistics}
        for day, written in report.partitions.items():
            if day is not None:
                describe_day(
                    context,
                    day,
                    {
                        "dagster/partition_row_count": written.rows,
                        "digest": written.digest,
                        "data_age_hours": finite(report_of.hours(measured[day].age_seconds)),
                        "compute_seconds": finite(measured[day].compute_seconds),
                    },
                )
        newest = days[-1] if days else None
        derived = {
            "statistics": dg.MetadataValue.md(
                report_of.markdown(use_case, view, newest, statistics, jumps)
            ),
            **lineage.of_view(use_case, view),
        }
        if days:
            describe_day(context, days[-1], derived)
        yield dg.MaterializeResult(
            metadata={
                "dagster/column_schema": table_schema(contracts.columns(contracts.schema_of(view))),
                **({} if days else {"dagster/row_count": report.partitions[None].rows, **derived}),
            }
        )

    return features


def _users(use_case: UseCase, view: FeatureView) -> list[str]:
    return [
        model.name
        for model in use_case.models
        if any(reference.partition(".")[0] == view.name for reference in model.features)
    ]
