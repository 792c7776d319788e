"""From data to challenger: training set and model version.

Each step reads what the one before recorded in the registry, never a value passed in
memory, so that any of them can be run again by itself. What becomes of the challenger is in
``promotion``.
"""

import time
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from mlops_assets.assets import lineage
from mlops_assets.assets.common import asset_key, code_version, graph_asset, missing
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
    """The assets ``training_set`` and ``model_version`` of ``model``."""
    return [_training_set(use_case, model), _model_version(use_case, model)]


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
        from mlops_assets.core.lineage import lineage_records
        from mlops_assets.core.models import snapshots
        from mlops_assets.core.storage import store

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
        from mlops_assets.core import registry
        from mlops_assets.core.artifacts import golden
        from mlops_assets.core.artifacts.artifacts import ArtifactStore
        from mlops_assets.core.audit.version_record import version_record
        from mlops_assets.core.models import identity, snapshots, training
        from mlops_assets.core.reports import model_card
        from mlops_assets.core.scoring import scoring

        with warehouse.read() as con:
            training_set = snapshots.latest(con, model.name)
        if training_set is None:
            raise missing(model, "training_set")
        artifacts = ArtifactStore(files.artifact_folder)
        began = time.perf_counter()
        fitted = training.fit(model, training_set, files.snapshot_folder)
        sample = snapshots.read(files.snapshot_folder / training_set.path, "holdout").head(100)
        rows = scoring.prepare(sample, fitted.signature)
        artifact = artifacts.save(fitted.estimator, model.problem, rows, model.trusted_types)
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
                total_seconds=time.perf_counter() - began,
            )
            if artifacts.keys:
                registry.sign_version(
                    con, model.name, version, artifacts.keys, actor=f"run {context.run.run_id}"
                )
            record = version_record(con, model.name, version)
        again = artifacts.load(record.version, model.trusted_types)
        said = golden.outputs(model.problem, again, golden.frame(artifact.golden))
        agrees = said == artifact.golden["outputs"]
        return dg.MaterializeResult(
            metadata={
                "version": version,
                "card": dg.MetadataValue.md(model_card.markdown(use_case, model, record)),
                **{f"train_{name}": value for name, value in fitted.metrics.items()},
                "train_rows": training_set.train_rows,
                "fit_seconds": round(fitted.seconds, 3),
                "size_bytes": artifact.size_bytes,
                "artifact_sha256": artifact.sha256,
                "model_digest": artifact.model_digest,
                "importance": _importance_table(fitted.importance),
                "signature": dg.MetadataValue.json(fitted.signature),
            },
            data_version=dg.DataVersion(artifact.sha256),
            check_results=[checks.artifact_loads(key, len(said), agrees)],
        )

    return model_version


def _importance_table(importance: dict[str, float]) -> dg.MetadataValue:
    ranked = sorted(importance.items(), key=lambda item: -item[1])
    return dg.MetadataValue.md(
        "| feature | importance |\n|---|---|\n"
        + "\n".join(f"| {name} | {share:.3f} |" for name, share in ranked)
    )
