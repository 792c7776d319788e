"""From data to champion: training set, model version, evaluation, promotion.

Each step reads what the one before recorded in the registry, never a value passed in
memory, so that any of them can be run again by itself.
"""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from mlops_assets.assets import lineage
from mlops_assets.assets.common import asset_key, code_version, graph_asset
from mlops_assets.checks import models as checks
from mlops_assets.resources.files import Files
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import FeatureView, Model, UseCase

#: Where a version's git commit and lock file are read from.
CHECKOUT = Path(__file__).resolve().parents[2]


class TrainingRequest(dg.Config):
    """Why a training set is asked for, and as of when.

    Attributes
    ----------
    reason
        In words; kept with the training set.
    decision_id
        The retrain decision that asked for it, if one did.
    cutoff
        Day (YYYY-MM-DD): only what was known when it began is used. By default the day
        after the last one that has landed.
    """

    reason: str = "asked for by hand"
    decision_id: str | None = None
    cutoff: str | None = None


def training_assets(use_case: UseCase, model: Model) -> list[dg.AssetsDefinition]:
    """The assets that lead from features to the champion of ``model``."""
    return [
        _training_set(use_case, model),
        _model_version(use_case, model),
        _evaluation(use_case, model),
        _champion(use_case, model),
    ]


def _training_set(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    views = dict.fromkeys(reference.partition(".")[0] for reference in model.features)
    kept = [name for name in views if isinstance(use_case.view(name), FeatureView)]

    @graph_asset(
        use_case,
        model.name,
        "training_set",
        daily=False,
        kinds={"duckdb", "parquet"},
        description=f"""Features as they were known when each prediction would have been made,
        with labels, for `{model.name}`: an immutable Parquet file named by its content.

        Trains on at most {model.training_window.days} days; the {model.holdout.days} days after
        them are held out for the evaluation. Point-in-time correct on event time, known time
        and time to live.""",
        owner=model.owner,
        deps=[
            *(asset_key(use_case, "features", name) for name in kept),
            *(
                asset_key(use_case, "raw", name)
                for name in dict.fromkeys([model.rows.source, model.label.source])
            ),
        ],
        version=code_version(model.rows, model.label, model.features, model.training_window),
        table="registry.training_sets",
    )
    def training_set(
        context: dg.AssetExecutionContext,
        config: TrainingRequest,
        warehouse: Warehouse,
        files: Files,
    ):
        from mlops_assets.core import lineage_records, snapshots, store

        with warehouse.transaction() as con:
            if config.cutoff:
                cutoff = date.fromisoformat(config.cutoff)
            else:
                latest = store.latest_day(con, f"raw.{model.rows.source}")
                if latest is None:
                    raise dg.Failure(
                        f"{model.rows.source} has no day yet: land files and materialise "
                        f"raw/{model.rows.source} before training.",
                        allow_retries=False,
                    )
                cutoff = latest + timedelta(days=1)
            built = snapshots.build_training_set(
                con, use_case, model, cutoff, files.snapshot_folder, context.run.run_id
            )
            if isinstance(built, snapshots.NotEnoughData):
                raise dg.Failure(f"{model.name}: {built.reason}", allow_retries=False)
            snapshots.record(
                con,
                built,
                reason=config.reason,
                decision_id=config.decision_id,
                run_id=context.run.run_id,
            )
            lineage_records.record_training_set(con, use_case, model, built.digest)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": built.train_rows + built.holdout_rows,
                "trained_on": f"{built.train_start} to {built.train_end} (exclusive)",
                "held_out": f"{built.train_end} to {built.holdout_end} (exclusive)",
                "train_rows": built.train_rows,
                "holdout_rows": built.holdout_rows,
                "digest": built.digest,
                "view_versions": dg.MetadataValue.json(dict(built.view_versions)),
                "reason": config.reason,
                **lineage.of_training_set(use_case, model),
            },
            data_version=dg.DataVersion(built.digest),
        )

    return training_set


def _model_version(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    key = asset_key(use_case, model.name, "model_version")

    @graph_asset(
        use_case,
        model.name,
        "model_version",
        daily=False,
        kinds={"scikitlearn", "duckdb"},
        description=f"""The challenger: `{model.name}` fitted on the newest training set and
        registered as an immutable version.

        {model.description}""",
        owner=model.owner,
        deps=[asset_key(use_case, model.name, "training_set")],
        checks=checks.version_specs(key),
        version=code_version(model.problem, model.estimator),
        table="registry.model_versions",
    )
    def model_version(context: dg.AssetExecutionContext, warehouse: Warehouse, files: Files):
        from mlops_assets.core import identity, registry, scoring, snapshots, training
        from mlops_assets.core.artifacts import ArtifactStore

        with warehouse.read() as con:
            training_set = snapshots.latest(con, model.name)
        if training_set is None:
            raise _missing(model, "training_set")
        artifacts = ArtifactStore(files.artifact_folder)
        fitted = training.fit(model, training_set, files.snapshot_folder)
        artifact = artifacts.save(fitted.estimator, model.trusted_types)
        with warehouse.transaction() as con:
            version = registry.register(
                con,
                model.name,
                fitted,
                artifact,
                training_set,
                decision_id=training_set.decision_id,
                run_id=context.run.run_id,
                code=identity.code_identity(CHECKOUT),
                environment=identity.environment_identity(CHECKOUT),
            )
        sample = snapshots.read(files.snapshot_folder / training_set.path, "holdout").head(100)
        said, said_again = (
            scoring.predict(model.problem, estimator, sample, fitted.signature)
            for estimator in (
                fitted.estimator,
                artifacts.load(artifact.sha256, model.trusted_types),
            )
        )
        return dg.MaterializeResult(
            metadata={
                "version": version,
                **{f"train_{name}": value for name, value in fitted.metrics.items()},
                "train_rows": training_set.train_rows,
                "fit_seconds": round(fitted.seconds, 3),
                "size_bytes": artifact.size_bytes,
                "artifact_sha256": artifact.sha256,
                "importance": _importance_table(fitted.importance),
                "signature": dg.MetadataValue.json(fitted.signature),
            },
            data_version=dg.DataVersion(artifact.sha256),
            check_results=[checks.artifact_loads(key, len(sample), said.equals(said_again))],
        )

    return model_version


def _evaluation(use_case: UseCase, model: Model) -> dg.AssetsDefinition:
    @graph_asset(
        use_case,
        model.name,
        "evaluation",
        daily=False,
        kinds={"duckdb"},
        description=f"""Challenger, champion and a simple baseline of `{model.name}` on the same
        holdout, which is later than what the challenger was trained on: metrics, paired
        differences and slices, with intervals.""",
        owner=model.owner,
        deps=[asset_key(use_case, model.name, "model_version")],
        version=code_version(model.gate, model.slices),
        table="registry.evaluations",
    )
    def evaluation(context: dg.AssetExecutionContext, warehouse: Warehouse, files: Files):
        from mlops_assets.core import (
            evaluation,
            pinned_views,
            registry,
            reports,
            snapshots,
            view_definitions,
        )
        from mlops_assets.core.artifacts import ArtifactStore

        with warehouse.read() as con:
            versions = registry.versions(con, model.name)
            champion = registry.champion(con, model.name)
            training_set = snapshots.latest(con, model.name)
        if not versions or training_set is None:
            raise _missing(model, "model_version")
        artifacts = ArtifactStore(files.artifact_folder)
        holdout = snapshots.read(files.snapshot_folder / training_set.path, "holdout")

        def contender(version: registry.ModelVersion) -> evaluation.Contender:
            features, problem = None, None
            try:
                with warehouse.transaction() as con:
                    features = pinned_views.holdout_features(
                        con, use_case, model, version, holdout, context.run.run_id
                    )
            except view_definitions.ViewChangedError as error:
                problem = str(error)
            return evaluation.Contender(
                version=version.version,
                estimator=artifacts.load(version.artifact_sha256, model.trusted_types),
                signature=version.signature,
                features=features,
                problem=problem,
            )

        report = evaluation.evaluate(
            model,
            holdout,
            contender(versions[-1]),
            None if champion is None else contender(versions[champion - 1]),
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
        from mlops_assets.core import gate, registry, reports, store

        with warehouse.transaction() as con:
            evaluated = registry.latest_evaluation(con, model.name)
            if evaluated is None:
                raise _missing(model, "evaluation")
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
        return dg.MaterializeResult(
            metadata={
                "decision": dg.MetadataValue.md(
                    reports.promotion_markdown(model, evaluated, verdict, history)
                ),
                "champion_version": serving if serving is not None else "none",
                "promoted": verdict.promoted,
            },
            check_results=[checks.gate(key, verdict, evaluated.version)],
        )

    return champion


def _missing(model: Model, step: str) -> dg.Failure:
    return dg.Failure(
        f"{model.name} has no {step} yet: materialise {model.name}/{step} first.",
        allow_retries=False,
    )


def _importance_table(importance: dict[str, float]) -> dg.MetadataValue:
    ranked = sorted(importance.items(), key=lambda item: -item[1])
    return dg.MetadataValue.md(
        "| feature | importance |\n|---|---|\n"
        + "\n".join(f"| {name} | {share:.3f} |" for name, share in ranked)
    )
