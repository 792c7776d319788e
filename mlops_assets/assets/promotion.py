"""From challenger to champion: evaluation on unseen rows, and the promotion decision."""

from datetime import timedelta

import dagster as dg

from mlops_assets.assets.common import asset_key, code_version, graph_asset, missing
from mlops_assets.checks import models as checks
from mlops_assets.resources.files import Files
from mlops_assets.resources.model_files import model_files
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import Model, UseCase


def promotion_assets(use_case: UseCase, model: Model) -> list[dg.AssetsDefinition]:
    """The assets ``evaluation`` and ``champion`` of ``model``."""
    return [_evaluation(use_case, model), _champion(use_case, model)]


def _evaluation(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    @graph_asset(
        use_case,
        model.name,
        "evaluation",
        daily=False,
        kinds={"duckdb"},
        description=f"""Challenger, champion and a simple baseline of `{model.name}` on the same
        holdout: metrics, paired differences, slices and calibration, with intervals. Beside them
        what could make the holdout worthless: when and on which rows either was trained.""",
        owner=model.owner,
        deps=[asset_key(use_case, model.name, "model_version")],
        version=code_version(model.gate, model.slices),
        table="registry.evaluations",
    )
    def evaluation(context: dg.AssetExecutionContext, warehouse: Warehouse, files: Files):
        from mlops_assets.core import registry, reports
        from mlops_assets.core.features import pinned_views, view_definitions
        from mlops_assets.core.models import snapshots
        from mlops_assets.core.monitoring import reference_rows
        from mlops_assets.core.promotion import evaluation, holdout

        with warehouse.read() as con:
            versions = registry.versions(con, model.name)
            champion = registry.champion(con, model.name)
            training_set = snapshots.latest(con, model.name)
            if not versions or training_set is None:
                raise missing(model, "model_version")
            before = None if champion is None else versions[champion - 1]
            evidence = holdout.inspect(
                con,
                training_set,
                versions[-1],
                before,
                folder=files.snapshot_folder,
                timezone=use_case.timezone,
            )
        rows = snapshots.read(files.snapshot_folder / training_set.path, "holdout")

        def contender(version: registry.ModelVersion) -> evaluation.Contender:
            features, problem = None, None
            try:
                with warehouse.transaction() as con:
                    registry.loadable(con, model.name, version.version)
                    features = pinned_views.holdout_features(
                        con, use_case, model, version, rows, context.run.run_id
                    )
            except view_definitions.ViewChangedError as error:
                problem = str(error)
            return evaluation.Contender(
                version=version.version,
                estimator=artifacts.load(version, model.trusted_types),
                signature=version.signature,
                features=features,
                problem=problem,
                size_bytes=version.size_bytes,
            )

        with model_files(warehouse, files, context.run.run_id) as artifacts:
            challenger = contender(versions[-1])
            report = evaluation.evaluate(
                model,
                rows,
                challenger,
                None if before is None else contender(before),
                evidence=evidence,
            )
        reference_rows.write(
            files.snapshot_folder,
            model,
            versions[-1],
            challenger.estimator,
            snapshots.read(files.snapshot_folder / training_set.path, "train"),
            rows,
        )
        with warehouse.transaction() as con:
            registry.record_evaluation(con, training_set, report, run_id=context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.md(reports.evaluation_markdown(model, report)),
                "holdout_rows": report.rows,
            }
        )

    return evaluation


def _champion(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    key = asset_key(use_case, model.name, "champion")

    @graph_asset(
        use_case,
        model.name,
        "champion",
        daily=False,
        kinds={"duckdb"},
        description=f"""The promotion decision, and the version that serves `{model.name}`.

        The alias `champion` moves only when the challenger passes the gate; otherwise the
        champion goes on serving. A new champion serves from the first day not yet scored.""",
        owner=model.owner,
        deps=[asset_key(use_case, model.name, "evaluation")],
        checks=checks.champion_specs(key, model),
        version=code_version(model.gate),
        table="registry.alias_events",
    )
    def champion(context: dg.AssetExecutionContext, warehouse: Warehouse):
        from mlops_assets.core import registry, reports
        from mlops_assets.core.audit.version_record import version_record
        from mlops_assets.core.promotion import gate
        from mlops_assets.core.reports import model_card
        from mlops_assets.core.storage import store

        with warehouse.transaction() as con:
            evaluated = registry.latest_evaluation(con, model.name)
            if evaluated is None:
                raise missing(model, "evaluation")
            verdict = gate.decide(
                model.gate, evaluated.report, problem=model.problem, metric=model.metric
            )
            promotion_id = registry.record_promotion(
                con,
                model.name,
                evaluated.version,
                verdict,
                champion_version=evaluated.champion_version,
                evaluation_id=evaluated.evaluation_id,
                gate=model.gate,
                run_id=context.run.run_id,
            )
            if verdict.promoted:
                scored = store.latest_day(con, f"capture.{model.name}__predictions")
                registry.move_alias(
                    con,
                    model.name,
                    "champion",
                    evaluated.version,
                    expected_from=evaluated.champion_version,
                    effective_from=max(
                        evaluated.holdout_end,
                        evaluated.holdout_end if scored is None else scored + timedelta(days=1),
                    ),
                    actor=f"run {context.run.run_id}",
                    reason="; ".join(verdict.reasons),
                    promotion_id=promotion_id,
                )
            serving = registry.champion(con, model.name)
            history = registry.history(con, model.name)
            record = version_record(con, model.name, evaluated.version)
        return dg.MaterializeResult(
            metadata={
                "decision": dg.MetadataValue.md(
                    reports.promotion_markdown(model, evaluated, verdict, history)
                ),
                "card": dg.MetadataValue.md(model_card.markdown(use_case, model, record)),
                "champion_version": serving if serving is not None else "none",
                "promoted": verdict.promoted,
            },
            check_results=[checks.gate(key, verdict, evaluated.version)],
        )

    return champion
