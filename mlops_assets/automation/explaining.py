"""The job ``explain``: the audit of one prediction, from the UI.

What an explanation is belongs in ``core.audit``. It changes nothing; its report is the
metadata of its one step.
"""

from typing import Any

import dagster as dg

from mlops_assets.resources.files import Files
from mlops_assets.resources.model_files import model_files
from mlops_assets.resources.warehouse import Warehouse
from mlops_assets.vocabulary import UseCase

EXPLAIN = "explain"


class ExplainConfig(dg.Config):
    """Which prediction.

    Attributes
    ----------
    prediction_id
        Of ``capture.predictions``; each day of ``<model>/predictions`` names one.
    """

    prediction_id: str


def explain_job(use_case: UseCase) -> dg.JobDefinition:
    """Return the job that explains a prediction: what made it, and whether it is made again."""

    @dg.op(
        name="explain_prediction",
        description="Features with the rows of sources behind them, version, decision, training "
        "set and code; computed again, and compared bit for bit.",
        out=dg.Out(dg.Nothing),
    )
    def explain_prediction(
        context: dg.OpExecutionContext, config: ExplainConfig, warehouse: Warehouse, files: Files
    ):
        from mlops_assets.core.audit.explain import explain
        from mlops_assets.core.audit.predictions import stored_files
        from mlops_assets.core.reports import explanation

        with (
            model_files(warehouse, files, context.run_id) as artifacts,
            warehouse.read() as con,
        ):
            load = stored_files(con, use_case, artifacts)
            found = explain(con, use_case, config.prediction_id, load)
        context.log.info(explanation.conclusion(found))
        context.add_output_metadata(
            {
                "explanation": dg.MetadataValue.md(explanation.markdown(found)),
                "bit_identical": found.identical,
            }
        )

    @dg.job(
        name=EXPLAIN,
        description="What made a prediction, and whether it comes out the same again, bit for "
        "bit. Give its id in the launchpad.",
        config={"ops": {"explain_prediction": {"config": {"prediction_id": ""}}}},
    )
    def job():
        explain_prediction()

    return job


def how_to(context: dg.AssetExecutionContext, example: str) -> dict[str, Any]:
    """Return metadata that say how a prediction is explained, with a link where it is known."""
    metadata: dict[str, Any] = {
        "explain": dg.MetadataValue.md(
            f"`mlops-assets explain {example}`, or the job `{EXPLAIN}` with any "
            "`prediction_id` of `capture.predictions`"
        )
    }
    origin = context.run.remote_job_origin
    if origin is not None:
        place = origin.repository_origin
        metadata["explain_job"] = dg.MetadataValue.job(
            EXPLAIN, place.code_location_origin.location_name, repository_name=place.repository_name
        )
    return metadata
