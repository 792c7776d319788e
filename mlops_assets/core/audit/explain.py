"""``explain``: everything that made one prediction, and whether it comes out the same again.

Puts together what the other modules of this package find. How it is shown belongs in
``reports.explanation``; many predictions at once, without the details, in ``recompute``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core import registry
from mlops_assets.core.audit import bits
from mlops_assets.core.audit.facts import Fact, facts
from mlops_assets.core.audit.predictions import LoadVersion, Prediction, find
from mlops_assets.core.audit.provenance import (
    Label,
    Placement,
    TrainingData,
    label_of,
    placement,
    training_data,
)
from mlops_assets.core.audit.recompute import (
    IDENTICAL,
    NOT_RECOMPUTABLE,
    Recomputed,
    recompute,
)
from mlops_assets.core.audit.request import Request, request_of
from mlops_assets.core.audit.source_rows import Behind, behind
from mlops_assets.core.features import consistency
from mlops_assets.core.features.view_definitions import ViewChangedError
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.registry import ModelVersion
from mlops_assets.core.storage import sql
from mlops_assets.core.storage.records import fetch
from mlops_assets.vocabulary import FeatureView

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.vocabulary import UseCase


@dataclass(frozen=True)
class UsedFeature:
    """A feature as it was used.

    Attributes
    ----------
    view
        ``None``: its definition is not known any more.
    status
        See ``Fact``; ``None`` where the view's row could not be looked up.
    identical
        Whether the value comes out the same bit for bit; ``None``: not recomputable.
    """

    name: str
    view: str | None
    value: Any
    status: str | None
    recomputed: Any
    identical: bool | None


@dataclass(frozen=True)
class Explanation:
    """All that made a prediction.

    Attributes
    ----------
    again
        The prediction made again; ``again.status`` is the verdict.
    request
        The row that it is about.
    features
        In the order of the version's signature.
    facts
        What each view knew, with the rows of sources behind it by the view's name; empty if
        the definitions of the version are not known any more.
    version, training
        The version that predicted, and what it was trained on.
    placement
        How it came to serve.
    """

    prediction: Prediction
    again: Recomputed
    request: Request
    features: tuple[UsedFeature, ...]
    facts: tuple[Fact, ...]
    behind: Mapping[str, Behind]
    version: ModelVersion
    training: TrainingData | None
    placement: Placement
    label: Label

    @property
    def identical(self) -> bool:
        """Whether features and score come out the same bit for bit."""
        return self.again.status == IDENTICAL

    def _repr_markdown_(self) -> str:
        """Return the whole report, which is how a notebook shows an explanation."""
        from mlops_assets.core.reports import explanation

        return explanation.markdown(self)


def explain(
    con: duckdb.DuckDBPyConnection, use_case: UseCase, prediction_id: str, load: LoadVersion
) -> Explanation:
    """Explain a captured prediction.

    Parameters
    ----------
    con
        Connection with ``local_time`` defined. Only temporary tables are made.
    load
        Gives the estimator of a version, see ``predictions.stored_files``.

    Raises
    ------
    NotFound
        If there is no captured prediction of that id.
    ArtifactError
        If the version's file is missing or refused.
    """
    prediction = find(con, use_case, [prediction_id])[prediction_id]
    again = recompute(con, use_case, {prediction_id: prediction}, load)[prediction_id]
    model = use_case.model(prediction.model)
    version = registry.get(con, model.name, prediction.version)
    request = request_of(con, use_case, model, prediction)
    found: list[Fact] = []
    rows: dict[str, Behind] = {}
    try:
        case, as_trained = consistency.definitions_of(con, use_case, model, version)
        if request.values:
            found = facts(con, case, as_trained, prediction, request, again.features)
        for fact in found:
            view = case.view(fact.view)
            if isinstance(view, FeatureView):
                result = behind(con, case, view, fact)
                if result is not None:
                    rows[fact.view] = result
    except (ViewChangedError, NotComputedError):
        # ``again`` says why: it met the same.
        assert again.status == NOT_RECOMPUTABLE
    return Explanation(
        prediction=prediction,
        again=again,
        request=request,
        features=_used(con, prediction, version, again, found),
        facts=tuple(found),
        behind=rows,
        version=version,
        training=training_data(con, model.name, version.training_digest),
        placement=placement(con, prediction),
        label=label_of(con, prediction),
    )


def _used(
    con: duckdb.DuckDBPyConnection,
    prediction: Prediction,
    version: ModelVersion,
    again: Recomputed,
    found: list[Fact],
) -> tuple[UsedFeature, ...]:
    names = [str(column["name"]) for column in version.signature["inputs"]]
    table = sql.table(f"capture.{prediction.model}__predictions")
    (captured,) = fetch(
        con,
        f"SELECT {sql.identifiers(names)} FROM {table} "
        "WHERE prediction_id = $id AND partition_date = $day",
        {"id": prediction.prediction_id, "day": prediction.partition_date},
    )
    views = {name: fact for fact in found for name in fact.statuses}
    return tuple(
        UsedFeature(
            name=name,
            view=views[name].view if name in views else None,
            value=captured[name],
            status=views[name].statuses[name] if name in views else None,
            recomputed=again.features.get(name),
            identical=bits.same(captured[name], again.features[name])
            if name in again.features
            else None,
        )
        for name in names
    )
