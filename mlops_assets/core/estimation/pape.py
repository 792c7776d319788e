"""Probabilistic adaptive performance estimation: calibrated for the window's mix of rows.

Where the mix of features has changed, equal scores need not mean the same any more. PAPE (Białek
and others, arXiv 2401.08348) calibrates on the reference *weighted* by how much more often its rows
occur in the window (``density``), then goes on as ``cbpe`` does. Where rows are independent that is
all. Where they share blocks (days), which are far fewer than rows, two things are added that a
year of real data taught (``docs/estimation.md`` has the figures):

* the ratio is made from few columns, see ``density``;
* the weighted fit is *shrunk towards the score*. How far is measured on blocks left out: the share
  of what the fit says against the score that comes true there, between none and all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mlops_assets.core.estimation import calibration, density
from mlops_assets.core.estimation.cbpe import Calibration

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.estimation.density import Column, Design, Ratio
    from mlops_assets.core.estimation.samples import Coded, Sample

#: Parts that blocks are left out in.
FOLDS = 7
#: Effective rows that weighting must leave: of few rows a calibration is noise.
LEAST_EFFECTIVE = 500
#: If the ratios must be flattened below this power for that, or more than this share of the window
#: is hardly in the reference, the two have too little in common.
LEAST_EXPONENT, MOST_FOREIGN = 0.5, 0.5


class Adapted(NamedTuple):
    """A calibration for one window, and the weights that it was made with."""

    calibration: Calibration
    ratio: Ratio

    @property
    def too_far(self) -> bool:
        """Whether the reference says too little about such a window."""
        return self.ratio.exponent < LEAST_EXPONENT or self.ratio.foreign > MOST_FOREIGN


@dataclass(frozen=True)
class Prepared:
    """What does not depend on the window: the columns to weight by, the scores last."""

    design: Design
    columns: tuple[Column, ...]


def prepare(reference: Sample, past: Coded, blocks: np.ndarray | None) -> Prepared:
    """Choose the columns of a reference with features to weight by; arguments as of ``adapt``."""
    import numpy as np

    plain = [calibration.fit(score, truth) for score, truth in _by_class(past)]
    residuals = past.truth - np.stack([fit.level[fit.block] for fit in plain], axis=1)
    design = density.INDEPENDENT if blocks is None else density.SHARED
    found = density.columns(reference.features, design)
    chosen = density.relevant(found, residuals, blocks, design.columns)
    return Prepared(design, (*chosen, *density.of_scores(past.scores, design)))


def adapt(
    prepared: Prepared, window: Sample, past: Coded, now: Coded, blocks: np.ndarray | None
) -> Adapted:
    """Calibrate the reference for the window.

    Parameters
    ----------
    window
        With the features of the reference.
    past, now
        The rows of the reference and of the window as numbers.
    blocks
        The block of each reference row as a number from 0, or ``None``.
    """
    features = {str(name): values for name, values in density.frame(window.features).items()}
    named = [features[column.name] for column in prepared.columns if column.name]
    ratio = density.ratio(
        prepared.columns, [*named, *now.scores.T], prepared.design, LEAST_EFFECTIVE
    )
    fits = tuple(calibration.fit(s, t, ratio.weights) for s, t in _by_class(past))
    shares = tuple(
        1.0 if blocks is None else _share(s, t, ratio.weights, blocks % FOLDS)
        for s, t in _by_class(past)
    )
    return Adapted(Calibration(fits, shares), ratio)


def _by_class(past: Coded) -> list[tuple[np.ndarray, np.ndarray]]:
    """The scores and labels of each class."""
    return [(past.scores[:, c], past.truth[:, c].astype(float)) for c in range(past.classes)]


def _share(score: np.ndarray, truth: np.ndarray, weights: np.ndarray, fold: np.ndarray) -> float:
    """How much of the weighted fit's difference to the score comes true where it was not fitted.

    The least-squares coefficient of label minus score on fit minus score, weighted, over the rows
    of the parts left out; within 0 and 1.
    """
    import numpy as np

    agree = size = 0.0
    for part in np.unique(fold):
        out = fold == part
        if out.all():
            return 1.0
        fit = calibration.fit(score[~out], truth[~out], weights[~out])
        moved = fit.probabilities(score[out]) - score[out]
        agree += float(np.sum(weights[out] * moved * (truth[out] - score[out])))
        size += float(np.sum(weights[out] * moved**2))
    return min(max(agree / size, 0.0), 1.0) if size > 0 else 1.0
