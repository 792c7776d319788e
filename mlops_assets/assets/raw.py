"""Raw sources: landed files become ``raw.<source>``, day by day."""

import dagster as dg

from mlops_assets.assets.common import (
    asset_key,
    code_version,
    days_of,
    describe_day,
    graph_asset,
    table_schema,
)
from mlops_assets.checks import sources as checks
from mlops_assets.resources.files import Files
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import Source, UseCase


def raw_asset(use_case: UseCase, source: Source) -> dg.AssetsDefinition:
    """The asset ``<use_case>/raw/<source>``."""
    key = asset_key(use_case, "raw", source.name)

    @graph_asset(
        use_case,
        "raw",
        source.name,
        daily=source.partitioned,
        kinds={"duckdb", "table"},
        description=f"""{source.description}

        Landed files that keep the contract; rows that break it are in
        `quarantine.{source.name}` with the reason.""",
        owner=source.owner,
        tags=source.tags,
        checks=checks.specs(key, source),
        version=code_version(source.name, source.schema, source.key, source.event_time),
        table=f"raw.{source.name}",
    )
    def raw(context: dg.AssetExecutionContext, warehouse: Warehouse, files: Files):
        from mlops_assets.core.landing import freshness, landing
        from mlops_assets.core.storage import contracts

        days = days_of(context) if source.partitioned else None
        scan = landing.scan(files.landing_folder, source, use_case.start, use_case.end)
        with warehouse.transaction() as con:
            report = landing.ingest(
                con,
                source,
                use_case.timezone,
                scan.files,
                days,
                files.landing_folder,
                context.run.run_id,
            )
            ages = freshness.ages_at_day_end(con, source, use_case.timezone, days or [])

        yield from checks.results(key, source, report, scan, ages)
        refused = [day for day, d in report.days.items() if d.refused]
        if refused:
            raise dg.Failure(
                f"{source.name}: {len(refused)} day(s) broke the contract and keep the rows they "
                "had. See the check 'contract' for the reasons; land a good file to go on.",
                allow_retries=False,
            )
        for day, found in report.days.items():
            if day is not None:
                describe_day(
                    context,
                    day,
                    {
                        "dagster/partition_row_count": found.rows,
                        "quarantined": found.quarantined,
                        "digest": found.digest,
                    },
                )
        yield dg.MaterializeResult(
            metadata={
                "dagster/column_schema": table_schema(
                    contracts.columns(contracts.schema_of(source))
                ),
                **({} if source.partitioned else {"dagster/row_count": report.days[None].rows}),
            }
        )

    return raw
