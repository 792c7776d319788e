"""Rows that a version is compared with whole, not column by column: kept beside its snapshot.

Its holdout, which it did not see in training, with what it said of each row: what performance
without labels is estimated from. And a few thousand of its training rows: what several columns
together are compared with. Written once, when the version is evaluated; a report never reads the
training data again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops_assets.core.scoring import scoring

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.core.models.scored import Scored
    from mlops_assets.core.registry import ModelVersion
    from mlops_assets.vocabulary import Model

#: Training rows that are kept, evenly spread.
TRAINING_ROWS = 5_000


@dataclass(frozen=True)
class ReferenceRows:
    """Rows with what a version said of them, in order of time.

    Attributes
    ----------
    features
        As the version takes them, one row each.
    day
        Of each row, as a number, shape (n,).
    scored
        With labels.
    """

    features: pd.DataFrame
    day: np.ndarray
    scored: Scored


def write(
    folder: Path,
    model: Model,
    version: ModelVersion,
    estimator: Any,
    train: pd.DataFrame,
    holdout: pd.DataFrame,
) -> Path:
    """Score and keep the reference rows of a version; return the file.

    Parameters
    ----------
    folder
        Of the snapshots.
    train, holdout
        The splits of its training set, as ``snapshots.read`` returns them.
    """
    import pandas as pd

    from mlops_assets.core.models.importance import spread

    kept = {"train": train.iloc[spread(len(train), TRAINING_ROWS)], "holdout": holdout}
    classes = version.signature["output"]["classes"]
    frames = []
    for split, rows in kept.items():
        prepared = scoring.prepare(rows, version.signature)
        said = scoring.outputs(model.problem, estimator, prepared, classes)
        # No feature has such a name: declared names begin with a letter.
        beside: dict[str, Any] = {
            "_split": split,
            "_day": rows["as_of"].to_numpy("datetime64[D]").astype(int),
            "_label": rows["label"].to_numpy(),
            "_prediction": said.prediction,
        }
        if said.score is not None:
            beside["_score"] = said.score
        if said.scores is not None:
            beside["_scores"] = list(said.scores)
        frames.append(prepared.reset_index(drop=True).assign(**beside))
    path = file_of(folder, model.name, version.version)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        pd.concat(frames, ignore_index=True).to_parquet(partial, compression="zstd", index=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read(
    folder: Path, model: Model, version: ModelVersion, split: Literal["train", "holdout"]
) -> ReferenceRows | None:
    """Return the rows of ``"train"`` or ``"holdout"``; ``None``: none were kept."""
    import pandas as pd

    from mlops_assets.core.models.scored import Scored
    from mlops_assets.core.models.training import labels

    path = file_of(folder, model.name, version.version)
    if not path.exists():
        return None
    frame = pd.read_parquet(path, filters=[("_split", "==", split)])
    scored = Scored(
        label=labels(model.problem, frame["_label"]),
        prediction=frame["_prediction"].to_numpy(),
        classes=version.signature["output"]["classes"],
    )
    if "_score" in frame:
        scored = replace(scored, score=frame["_score"].to_numpy(float))
    if "_scores" in frame:
        import numpy as np

        scored = replace(scored, scores=np.vstack(frame["_scores"].to_list()))
    names = [given["name"] for given in version.signature["inputs"]]
    return ReferenceRows(frame[names], frame["_day"].to_numpy(int), scored)


def file_of(folder: Path, model: str, version: int) -> Path:
    """Return where a version's reference rows are, in the folder of the snapshots."""
    return folder / "references" / model / f"{version}.parquet"
