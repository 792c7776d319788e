"""What a champion says and what came true: captured predictions, joined outcomes."""

from datetime import timedelta

import dagster as dg

from mlops_assets.assets import lineage
from mlops_assets.assets.common import (
    asset_key,
    code_version,
    days_of,
    describe_day,
    graph_asset,
)
from mlops_assets.automation.explaining import how_to
from mlops_assets.checks import serving as checks
from mlops_assets.resources.files import Files
from mlops_assets.resources.model_files import model_files
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import FeatureView, Model, UseCase


def serving_assets(use_case: UseCase, model: Model) -> list[dg.AssetsDefinition]:
    """The assets ``predictions`` and ``outcomes`` of ``model``."""
    return [_predictions(use_case, model), _outcomes(use_case, model)]


def _predictions(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    key = asset_key(use_case, model.name, "predictions")
    views = dict.fromkeys(reference.partition(".")[0] for reference in model.features)
    table = f"capture.{model.name}__predictions"

    @graph_asset(
        use_case,
        model.name,
        "predictions",
        daily=True,
        kinds={"duckdb", "scikitlearn"},
        description=f"""What the champion of `{model.name}` predicts for the day's rows, captured
        with the features as used, the version and the time.

        A captured prediction is never changed: materialising a day again scores only rows that
        have none yet, by the version that serves that day. Days before the first champion have
        none.""",
        owner=model.owner,
        deps=[
            asset_key(use_case, model.name, "champion"),
            asset_key(use_case, "raw", model.rows.source),
            *(
                asset_key(use_case, "features", name)
                for name in views
                if isinstance(use_case.view(name), FeatureView)
            ),
        ],
        checks=checks.prediction_specs(key, model),
        version=code_version(model.rows, model.features),
        table=table,
    )
    def predictions(context: dg.AssetExecutionContext, warehouse: Warehouse, files: Files):
        from mlops_assets.core import registry
        from mlops_assets.core.serving import capture, shadow
        from mlops_assets.core.serving import predictions as captured
        from mlops_assets.core.serving.expected_rows import expected_rows

        days = days_of(context)
        start, end = days[0], days[-1] + timedelta(days=1)
        with (
            model_files(warehouse, files, context.run.run_id) as artifacts,
            warehouse.transaction() as con,
        ):

            def load(version: int):
                record = registry.loadable(con, model.name, version)
                return artifacts.load(record, model.trusted_types), record.signature

            reports = capture.capture_predictions(
                con, use_case, model, start, end, load, context.run.run_id
            )
            _, no_shadow = shadow.capture_shadow(
                con, use_case, model, start, end, load, context.run.run_id
            )
            expected = expected_rows(con, use_case, model, start, end)
            examples = captured.examples(con, model, start, end)

        for day, report in reports.items():
            describe_day(
                context,
                day,
                {
                    "dagster/partition_row_count": report.rows,
                    "model_version": report.version if report.version is not None else "none",
                    "status": report.status,
                    "newly_scored": report.new_rows,
                    **(how_to(context, examples[day]) if day in examples else {}),
                },
            )
        if no_shadow:
            describe_day(context, days[-1], {"not_scored_in_shadow": no_shadow})
        describe_day(context, days[-1], lineage.of_predictions(use_case, model))
        return dg.MaterializeResult(check_results=[checks.every_row_once(key, reports, expected)])

    return predictions


def _outcomes(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    key = asset_key(use_case, model.name, "outcomes")

    @graph_asset(
        use_case,
        model.name,
        "outcomes",
        daily=True,
        kinds={"duckdb"},
        description=f"""Ground truth (`{model.label.name}`) of the day's captured predictions, as
        far as it is known. {model.label.description}""",
        owner=model.owner,
        deps=[
            asset_key(use_case, model.name, "predictions"),
            asset_key(use_case, "raw", model.label.source),
        ],
        checks=checks.outcome_specs(key, model),
        version=code_version(model.label),
        table=f"capture.{model.name}__outcomes",
    )
    def outcomes(context: dg.AssetExecutionContext, warehouse: Warehouse):
        from mlops_assets.core.monitoring import performance
        from mlops_assets.core.serving import capture

        days = days_of(context)
        with warehouse.transaction() as con:
            # Labels of the days before may have arrived since they were last looked at.
            start = capture.refresh_start(use_case, model, days[0])
            reports = capture.join_outcomes(
                con, use_case, model, start, days[-1] + timedelta(days=1), context.run.run_id
            )
            mature_until = performance.mature_until(con, use_case, model)

        for day in days:
            report = reports[day]
            describe_day(
                context,
                day,
                {
                    "dagster/partition_row_count": report.outcomes,
                    "predictions": report.predictions,
                    "maturity": "mature" if mature_until and day <= mature_until else "provisional",
                },
            )
        describe_day(context, days[-1], lineage.of_outcomes(use_case, model))
        yield from checks.join_rate(key, reports, mature_until)
        yield dg.MaterializeResult()

    return outcomes
