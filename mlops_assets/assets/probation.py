"""Probation: a new champion beside the one it replaced, and the way back if it is worse."""

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
from mlops_assets.checks import probation as checks
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import Model, UseCase


def probation_asset(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    """The asset ``<use_case>/<model>/probation``."""
    key = asset_key(use_case, model.name, "probation")
    policy = model.probation

    @graph_asset(
        use_case,
        model.name,
        "probation",
        daily=True,
        kinds={"duckdb", "report"},
        description=f"""Whether a new champion of `{model.name}` is as good in service as the one
        it replaced. For {policy.windows} windows of {policy.window} days after a promotion the
        champion before scores the same rows in shadow; where the new one's {model.metric} turns
        out surely worse, it is rolled back, with effect from the first day not yet scored.""",
        owner=model.owner,
        deps=[asset_key(use_case, model.name, "outcomes")],
        checks=checks.specs(key, model),
        version=code_version(policy),
        table="registry.probations",
    )
    def probation(context: dg.AssetExecutionContext, warehouse: Warehouse):
        from mlops_assets.core.reports import probation as report
        from mlops_assets.core.serving import probation, shadow

        days = days_of(context)
        with warehouse.transaction() as con:
            judged = probation.judge_range(
                con, model, days[0], days[-1] + timedelta(days=1), context.run.run_id
            )
            watches = shadow.watches(con, model)
            history = probation.history(con, model.name)

        for day in days:
            today = [row for row in judged if row.partition_date == day]
            watch = next((watch for watch in watches if watch.covers(day)), None)
            metadata = {
                "report": dg.MetadataValue.md(report.markdown(model, day, watch, today, history))
            }
            if today:
                metadata["difference"] = finite(today[-1].difference)
            describe_day(context, day, metadata)
        return dg.MaterializeResult(check_results=[checks.probation(key, judged)])

    return probation
