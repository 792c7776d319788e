"""Training/serving consistency: captured features against the same, computed again."""

from datetime import timedelta

import dagster as dg

from mlops_assets.assets.common import (
    asset_key,
    code_version,
    days_of,
    describe_day,
    finite,
    graph_asset,
)
from mlops_assets.checks import consistency as checks
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import Model, UseCase


def consistency_asset(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    """The asset ``<use_case>/<model>/feature_consistency``."""
    key = asset_key(use_case, model.name, "feature_consistency")

    @graph_asset(
        use_case,
        model.name,
        "feature_consistency",
        daily=True,
        kinds={"duckdb", "report"},
        description=f"""Whether the features that `{model.name}` was served are those that a
        training set would have. A sample of each day's captured predictions is looked up again,
        as of the moment of each, by the definitions that its version was trained on, and in
        another way than scoring does it; what differs is counted, feature by feature.""",
        owner=model.owner,
        deps=[asset_key(use_case, model.name, "predictions")],
        checks=checks.specs(key, model),
        version=code_version(model.rows, model.features),
        table="monitoring.feature_consistency",
    )
    def feature_consistency(context: dg.AssetExecutionContext, warehouse: Warehouse):
        from mlops_assets.core.features import consistency
        from mlops_assets.core.reports import consistency as report_of

        days = days_of(context)
        start, end = days[0], days[-1] + timedelta(days=1)
        with warehouse.transaction() as con:
            report = consistency.measure_range(con, use_case, model, start, end)
            consistency.write_range(con, model, start, end, report.rows)

        for day in days:
            today = [row for row in report.rows if row.partition_date == day]
            rates = [row.rate for row in today if row.rate is not None]
            describe_day(
                context,
                day,
                {
                    "report": dg.MetadataValue.md(
                        report_of.markdown(
                            use_case, model, day, today, report.reasons, documented=day == days[-1]
                        )
                    ),
                    "compared": max((row.compared for row in today), default=0),
                    "highest_mismatch_rate": finite(max(rates, default=None)),
                },
            )
        return dg.MaterializeResult(check_results=[checks.features_match(key, report)])

    return feature_consistency
