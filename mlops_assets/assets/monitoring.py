"""What is watched, day by day: performance, drift, and the decision whether to retrain.

A day's tables and conclusion are in its materialisation's metadata. A run over a range of
days draws plots for the last one only; materialise a day by itself to draw its own.
"""

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
)
from mlops_assets.checks import monitoring as checks
from mlops_assets.resources.files import Files
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import Model, UseCase


def monitoring_assets(use_case: UseCase, model: Model) -> list[dg.AssetsDefinition]:
    """What watches ``model``, from ``performance`` to ``retrain_decision``."""
    return [
        _performance(use_case, model),
        _drift_report(use_case, model),
        _monitoring_report(use_case, model),
        _retrain_decision(use_case, model),
    ]


def _performance(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    key = asset_key(use_case, model.name, "performance")

    @graph_asset(
        use_case,
        model.name,
        "performance",
        daily=True,
        kinds={"duckdb", "report"},
        description=f"""How good the served predictions of `{model.name}` turned out to be: every
        metric with its interval, overall and by slice
        ({", ".join(model.slices) or "none declared"}), and {model.metric} over the last
        {model.retrain.window} days. A day is provisional until its labels are mature.""",
        owner=model.owner,
        deps=[asset_key(use_case, model.name, "outcomes")],
        checks=checks.performance_specs(key, model),
        version=code_version(model.problem, model.slices, model.retrain.window),
        table="monitoring.performance",
    )
    def performance(context: dg.AssetExecutionContext, warehouse: Warehouse, files: Files):
        from mlops_assets.core import registry
        from mlops_assets.core.monitoring import estimates, performance
        from mlops_assets.core.reports import performance as report
        from mlops_assets.core.serving.outcomes import refresh_start

        days = days_of(context)
        with warehouse.transaction() as con:
            # Days whose labels have arrived since are measured again.
            start, end = refresh_start(use_case, model, days[0]), days[-1] + timedelta(days=1)
            rows = performance.measure_range(con, use_case, model, start, end)
            rows += estimates.update(con, use_case, model, start, end, files.snapshot_folder)
            performance.write_range(con, model, start, end, rows)
            rolling = performance.rolling(rows, days[-1])
            evaluated = (
                registry.latest_evaluation(con, model.name, rolling.version) if rolling else None
            )
            plot = report.plot(con, model, days[-1])

        reference = evaluated.report.challenger[model.metric].value if evaluated else None
        for day in days:
            today = [row for row in rows if row.window_end == day]
            describe_day(
                context,
                day,
                {
                    "report": dg.MetadataValue.md(report.markdown(model, day, today, reference)),
                    model.metric: finite(performance.value(today, day, model.metric)),
                },
            )
        describe_day(context, days[-1], lineage.of_performance(use_case, model))
        if plot:
            describe_day(context, days[-1], {"plot": dg.MetadataValue.md(plot)})
        return dg.MaterializeResult(
            check_results=[checks.performance(key, model, rolling, reference)]
        )

    return performance


def _drift_report(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    key = asset_key(use_case, model.name, "drift_report")
    policy = model.drift

    @graph_asset(
        use_case,
        model.name,
        "drift_report",
        daily=True,
        kinds={"duckdb", "report"},
        description=f"""Whether what `{model.name}` sees and says still looks like what it was
        trained on: features, predictions and labels of the last {policy.window} days against
        the serving version's training data. A column has drifted if it has moved far enough to
        matter, further than chance over all columns allows, and further than any window of the
        training data itself.""",
        owner=model.owner,
        deps=[
            asset_key(use_case, model.name, "predictions"),
            asset_key(use_case, model.name, "outcomes"),
            asset_key(use_case, model.name, "model_version"),
        ],
        checks=checks.drift_specs(key, model),
        version=code_version(policy),
        table="monitoring.drift",
    )
    def drift_report(context: dg.AssetExecutionContext, warehouse: Warehouse):
        from mlops_assets.core.monitoring import drift, drift_rows
        from mlops_assets.core.reports import drift as report
        from mlops_assets.core.serving.outcomes import refresh_start

        days = days_of(context)
        with warehouse.transaction() as con:
            # Days whose labels have arrived since are measured again.
            start, end = refresh_start(use_case, model, days[0]), days[-1] + timedelta(days=1)
            rows = drift.measure_range(con, use_case, model, start, end)
            drift.write_range(con, model, start, end, rows)
            lasting = drift_rows.lasting(con, model, days[-1])
            plot = report.plot(con, model, days[-1])

        newest = [row for row in rows if row.window_end == days[-1] and row.decides]
        for day in days:
            today = [row for row in rows if row.window_end == day]
            describe_day(
                context,
                day,
                {
                    "report": dg.MetadataValue.md(report.markdown(model, day, today)),
                    "drifted_columns": sum(row.drifted for row in today),
                },
            )
        describe_day(context, days[-1], lineage.of_drift_report(use_case, model))
        if plot:
            describe_day(context, days[-1], {"plot": dg.MetadataValue.md(plot)})
        return dg.MaterializeResult(
            check_results=[
                checks.drift(key, model, lasting, drift_rows.importance_share(lasting, newest))
            ]
        )

    return drift_report


def _monitoring_report(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    @graph_asset(
        use_case,
        model.name,
        "monitoring_report",
        daily=True,
        kinds={"duckdb", "report"},
        description=f"""What to look at in `{model.name}`, whenever {model.drift.window} days have
        closed a window: whether rows have moved as a whole, whether the same features have come
        to mean something else, the worst slices and the largest errors, with all that was
        measured, also as one page and as JSON in the folder of reports.""",
        owner=model.owner,
        deps=[
            asset_key(use_case, model.name, "performance"),
            asset_key(use_case, model.name, "drift_report"),
        ],
        version=code_version(model.drift, model.slices),
        table="monitoring.findings",
    )
    def monitoring_report(context: dg.AssetExecutionContext, warehouse: Warehouse, files: Files):
        from mlops_assets.core import documents
        from mlops_assets.core.monitoring import findings, window_rows
        from mlops_assets.core.reports import window as report
        from mlops_assets.core.serving.outcomes import refresh_start

        days = days_of(context)
        with warehouse.transaction() as con:
            # Windows whose labels have arrived since are looked at again.
            start, end = refresh_start(use_case, model, days[0]), days[-1] + timedelta(days=1)
            findings.update(con, use_case, model, start, end, files.snapshot_folder)
            made = [
                report.document(con, use_case, model, window, context.run.run_id)
                for window in window_rows.closed(con, use_case, model, start, end)
            ]
        for document in made:
            written = documents.write(document, files.report_folder)
            if document.window_end in days:
                describe_day(
                    context,
                    document.window_end,
                    {
                        "report": dg.MetadataValue.md(documents.markdown(document, figures=3)),
                        "page": dg.MetadataValue.path(str(written.html)),
                        "json": dg.MetadataValue.path(str(written.json)),
                    },
                )
        return dg.MaterializeResult()

    return monitoring_report


def _retrain_decision(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    policy = model.retrain

    @graph_asset(
        use_case,
        model.name,
        "retrain_decision",
        daily=True,
        kinds={"duckdb", "report"},
        description=f"""Whether `{model.name}` should be trained again: one decision a day, also
        when it is to keep the champion, with the trigger, the evidence and the guards.

        Triggers, in order: no champion yet; {model.metric} surely more than
        {policy.performance_drop:.0%} worse over {policy.window} days than on the holdout; drift
        of the predictions or of {policy.drift_share:.0%} of the features by importance; training
        data older than {policy.max_age.days} days. The sensor
        `{use_case.name}_{model.name}_retrain` carries a decision to retrain out, once.""",
        owner=model.owner,
        deps=[
            asset_key(use_case, model.name, step)
            for step in ("performance", "drift_report", "monitoring_report")
        ],
        version=code_version(policy),
        table="monitoring.retrain_decisions",
    )
    def retrain_decision(context: dg.AssetExecutionContext, warehouse: Warehouse):
        from mlops_assets.core.reports import decisions as report
        from mlops_assets.core.retraining import retraining

        days = days_of(context)
        with warehouse.transaction() as con:
            start, end = days[0], days[-1] + timedelta(days=1)
            rows = retraining.decide_range(con, use_case, model, start, end)
            retraining.write_range(con, model, start, end, rows)
            history = report.history(con, model, days[-1])

        for row in rows:
            describe_day(
                context,
                row.partition_date,
                {
                    "decision": row.decision,
                    "decision_id": row.decision_id,
                    "reason": row.reason,
                    "report": dg.MetadataValue.md(report.markdown(row, history)),
                },
            )
        return dg.MaterializeResult()

    return retrain_decision
