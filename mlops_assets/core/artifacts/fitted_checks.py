"""Would a loaded estimator crash the process that asks it? Looked at without asking it.

scikit-learn's compiled code follows the indices of trees and random states without looking
whether they lead out of memory. skops checks the types of a file, not such contents. This
runs in the guarded process, before the golden rows are asked for: those cannot reach every
node of a tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_assets.core.artifacts.refusal import ArtifactError
from mlops_assets.core.artifacts.walk import parts_of

if TYPE_CHECKING:
    import numpy as np


def refuse_what_would_crash(estimator: Any) -> None:
    """Raise if a part of a loaded estimator points outside of itself.

    Raises
    ------
    ArtifactError
        If the children or features of a tree, the samples of a ball or k-d tree, or the
        position of a random state are out of bounds.
    """
    import numpy as np
    from sklearn.ensemble._bagging import BaseBagging
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.neighbors import BallTree, KDTree
    from sklearn.tree._tree import Tree

    for part in parts_of(estimator):
        if isinstance(part, np.random.RandomState):
            _check_random_state(part)
        elif isinstance(part, BallTree | KDTree):
            _check_neighbours(part)
        attributes = getattr(part, "__dict__", {})
        if isinstance(attributes.get("tree_"), Tree):
            _check_tree(attributes["tree_"], attributes.get("n_features_in_"))
        if isinstance(part, BaseForest | BaseGradientBoosting | BaseBagging):
            _check_ensemble(attributes)
        features = attributes.get("n_features_in_")
        for predictor in parts_of(attributes.get("_predictors")):
            if isinstance(predictor, TreePredictor):
                _check_predictor(predictor, features)


def _check_random_state(state: np.random.RandomState) -> None:
    kept = state.get_state(legacy=False)
    position = kept["state"].get("pos", 0)
    if kept["bit_generator"] == "MT19937" and not 0 <= int(position) <= 624:
        raise ArtifactError(f"a random state is at position {position}, of 624")


def _check_tree(tree: Any, features: Any) -> None:
    """Children come after their parents, as builders write them, so nothing runs in circles."""
    import numpy as np

    left, right = tree.children_left, tree.children_right
    inner = left != -1
    own = np.flatnonzero(inner)
    for child in (left[inner], right[inner]):
        if (child <= own).any() or (child >= tree.node_count).any():
            raise ArtifactError("a tree has a node whose child is not behind it in the tree")
    if tree.node_count < 1:
        raise ArtifactError("a tree has no node")
    _check_features(tree.feature[inner], features if features is not None else tree.n_features)
    if features is not None and tree.n_features != features:
        raise ArtifactError(f"a tree is for {tree.n_features} features, its owner for {features}")


def _check_ensemble(attributes: dict[str, Any]) -> None:
    """The parts of an ensemble are asked with its columns, without asking whether they fit."""
    subsets = attributes.get("estimators_features_")
    features = attributes.get("n_features_in_")
    trees = [
        part
        for part in _members(attributes.get("estimators_"))
        if hasattr(part, "tree_") and hasattr(part, "n_features_in_")
    ]
    for i, part in enumerate(trees):
        wanted = features if subsets is None else len(subsets[i])
        if features is not None and part.n_features_in_ != wanted:
            raise ArtifactError(
                f"a tree of an ensemble is for {part.n_features_in_} features, not {wanted}"
            )


def _members(estimators: Any) -> list[Any]:
    import numpy as np

    if isinstance(estimators, np.ndarray):
        return estimators.ravel().tolist()
    return list(estimators) if isinstance(estimators, list | tuple) else []


def _check_predictor(predictor: Any, features: Any) -> None:
    import numpy as np

    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    own = np.flatnonzero(inner)
    if not len(nodes):
        raise ArtifactError("a boosted tree has no node")
    for side in ("left", "right"):
        child = nodes[side][inner].astype(np.int64)
        if (child <= own).any() or (child >= len(nodes)).any():
            raise ArtifactError("a boosted tree has a node whose child is not behind it")
    if features is not None:
        _check_features(nodes["feature_idx"][inner], features)
    categorical = inner & (nodes["is_categorical"] != 0)
    if categorical.any():
        used = nodes["bitset_idx"][categorical]
        kept = min(len(predictor.binned_left_cat_bitsets), len(predictor.raw_left_cat_bitsets))
        if int(used.max()) >= kept:
            raise ArtifactError("a boosted tree names categories that it does not have")


def _check_features(used: Any, features: Any) -> None:
    if len(used) and (int(used.min()) < 0 or int(used.max()) >= int(features)):
        raise ArtifactError(
            f"a tree asks for feature {int(used.max())}, and there are {int(features)}"
        )


def _check_neighbours(tree: Any) -> None:
    import numpy as np

    data, index, nodes, _ = (np.asarray(part) for part in tree.get_arrays())
    if len(index) != len(data) or sorted(index.tolist()) != list(range(len(data))):
        raise ArtifactError("a tree of neighbours names samples that it does not have")
    starts, ends = nodes["idx_start"], nodes["idx_end"]
    if (starts < 0).any() or (ends > len(data)).any() or (starts > ends).any():
        raise ArtifactError("a tree of neighbours has a node outside of its samples")
