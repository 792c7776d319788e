"""Column lineage for the UI: from the sources' columns to features, models and reports.

Dagster's open-source UI shows ``dagster/column_lineage`` as JSON and draws it in Dagster+ only
(by its documentation), so features also have a table of what they derive from.

Attached to materialisations, because working it out reads schemas and SQL, which loading the
code location must not; worked out once in a process. Of a range of days only the last one
carries it: the UI reads an asset's latest. It shows today's declarations; what each version
was trained on is in ``registry.feature_lineage``, see ``core.lineage.impact``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg

from mlops_assets.assets.common import asset_key
from mlops_assets.vocabulary import FeatureView, Model, UseCase

Columns = Mapping[str, Iterable[dg.TableColumnDep]]

_known: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}


def of_view(use_case: UseCase, view: FeatureView) -> dict[str, Any]:
    """Metadata of ``features/<view>``: keys, times and features from the sources' columns."""

    from mlops_assets.core.lineage.column_lineage import view_lineage
    from mlops_assets.core.reports.lineage import markdown

    derived = view_lineage(use_case, view)
    return {
        **_once(
            lambda: {
                column: [_raw(use_case, d.source, d.column) for d in derivations]
                for column, derivations in derived.items()
            },
            *("view", use_case, view),
        ),
        "derived_from": dg.MetadataValue.md(markdown(derived)),
    }


def of_training_set(use_case: UseCase, model: Model) -> dict[str, Any]:
    """Metadata of ``<model>/training_set``: its features and its label."""
    return _once(
        lambda: {**_features(use_case, model), "label": _label(use_case, model)},
        *("training_set", use_case, model),
    )


def of_predictions(use_case: UseCase, model: Model) -> dict[str, Any]:
    """Metadata of ``<model>/predictions``: features as used, and what is said of them.

    A prediction derives from its features, and through training from the labels.
    """

    def columns() -> Columns:
        features = _features(use_case, model)
        label = dg.TableColumnDep(asset_key(use_case, model.name, "training_set"), "label")
        said = [*(dep for deps in features.values() for dep in deps), label]
        scores = ["scores"] if model.problem == "multiclass" else []
        return {**features, **dict.fromkeys(["prediction", "score", *scores], said)}

    return _once(columns, "predictions", use_case, model)


def of_outcomes(use_case: UseCase, model: Model) -> dict[str, Any]:
    """Metadata of ``<model>/outcomes``: the label."""
    return _once(lambda: {"label": _label(use_case, model)}, "outcomes", use_case, model)


def of_performance(use_case: UseCase, model: Model) -> dict[str, Any]:
    """Metadata of ``<model>/performance``: values from predictions and labels, by slice."""
    predictions = asset_key(use_case, model.name, "predictions")
    return _once(
        lambda: {
            "value": [
                *(dg.TableColumnDep(predictions, name) for name in ("prediction", "score")),
                dg.TableColumnDep(asset_key(use_case, model.name, "outcomes"), "label"),
            ],
            **(
                {"slice": [dg.TableColumnDep(predictions, name) for name in model.slices]}
                if model.slices
                else {}
            ),
        },
        *("performance", use_case, model),
    )


def of_drift_report(use_case: UseCase, model: Model) -> dict[str, Any]:
    """Metadata of ``<model>/drift_report``: values from features, predictions and labels."""

    def columns() -> Columns:
        from mlops_assets.core.features.retrieval import feature_columns

        predictions = asset_key(use_case, model.name, "predictions")
        said = [*feature_columns(use_case, model), "prediction", "score"]
        return {
            "value": [
                *(dg.TableColumnDep(predictions, name) for name in said),
                dg.TableColumnDep(asset_key(use_case, model.name, "outcomes"), "label"),
            ]
        }

    return _once(columns, "drift_report", use_case, model)


def _features(use_case: UseCase, model: Model) -> dict[str, list[dg.TableColumnDep]]:
    """Each feature of a model: from its view, and from the rows that it is looked up for."""
    from mlops_assets.core.lineage.column_lineage import model_lineage

    found = {}
    for (view, feature), derivations in model_lineage(use_case, model).features.items():
        stored = isinstance(use_case.view(view), FeatureView)
        found[feature] = [
            *(
                [dg.TableColumnDep(asset_key(use_case, "features", view), feature)]
                if stored
                else []
            ),
            *(_raw(use_case, d.source, d.column) for d in derivations),
        ]
    return found


def _label(use_case: UseCase, model: Model) -> list[dg.TableColumnDep]:
    from mlops_assets.core.lineage.column_lineage import model_lineage

    return [_raw(use_case, d.source, d.column) for d in model_lineage(use_case, model).label]


def _raw(use_case: UseCase, source: str, column: str) -> dg.TableColumnDep:
    return dg.TableColumnDep(asset_key(use_case, "raw", source), column)


def _once(columns: Callable[[], Columns], what: str, use_case: UseCase, of: Any) -> dict[str, Any]:
    # By identity, as declarations cannot be hashed; they are kept, so that ids stay theirs.
    key = what, id(use_case), id(of)
    if key not in _known:
        lineage = dg.TableColumnLineage(
            {name: list(dict.fromkeys(deps)) for name, deps in columns().items()}
        )
        _known[key] = (use_case, of), {"dagster/column_lineage": lineage}
    return _known[key][1]
