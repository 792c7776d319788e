"""The loss to be expected of rows like these, so that other rows are no change of concept.

Harder rows raise a model's loss without anything being wrong with what it has learnt. What remains
of the loss when the loss of the reference's rows of the same kind is taken off is the *excess*:
its mean stays at 0 however the mix of rows changes, as long as the label depends on the features
as it did. The kind of a row is its prediction and its features, each as a broken line of ten
pieces or its categories, added up; for classes, what the score itself expects (``under_score``)
comes first and only the rest is learnt. An expectation that depends on two features together in
ways that neither prediction nor score know is not held fixed.

A row with a value beyond all that the reference has seen is *foreign*: nothing is known of its
loss, and it is counted and left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlops_assets.core.concept_drift.lines import Lines
from mlops_assets.core.concept_drift.units import Unit, comparable, units_of
from mlops_assets.core.models.scored import LOG_LOSS_EPSILON

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Parts of the reference's time that are left out in turn.
PARTS = 5
#: Of the ridge, in rows.
PENALTY = 5.0
#: Losses of a binary score with an expectation under the score itself.
SCORE_LOSSES = ("log_loss", "brier")


def under_score(metric: str, score: np.ndarray) -> np.ndarray:
    """Return the loss that a calibrated probability expects of itself, shape (n,).

    ``brier``: ``p (1 - p)``, so that the excess of a row is ``(y - p) (1 - 2 p)``; ``log_loss``:
    the entropy of ``p``.

    Raises
    ------
    ValueError
        If the metric is neither.
    """
    import numpy as np

    if metric not in SCORE_LOSSES:
        raise ValueError(f"what a score expects is known of {SCORE_LOSSES}, not of {metric!r}")
    p = np.asarray(score, dtype=float)
    if metric == "brier":
        return p * (1 - p)
    p = np.clip(p, LOG_LOSS_EPSILON, 1 - LOG_LOSS_EPSILON)
    return -(p * np.log(p) + (1 - p) * np.log1p(-p))


@dataclass(frozen=True)
class Losses:
    """Matured rows of a model.

    Attributes
    ----------
    when
        The day (or week) of each row, of a type that can be ordered, shape (n,).
    loss
        What each row's prediction has cost, such as the absolute error or the squared
        difference of label and score; rows without a finite loss are left out.
    prediction
        Predicted number or probability, shape (n,).
    features
        What the model was given; ``None``: the prediction alone tells rows apart.
    score_expects
        What the score itself expects (``under_score``); 0 by default.
    """

    when: np.ndarray
    loss: np.ndarray
    prediction: np.ndarray
    features: pd.DataFrame | None = None
    score_expects: np.ndarray | None = None

    def known(self) -> Losses:
        """Return the rows whose loss is known."""
        import numpy as np
        import pandas as pd

        loss = np.asarray(self.loss, dtype=float)
        good = np.isfinite(loss) & ~np.asarray(pd.isna(np.asarray(self.when)))
        expects = self.score_expects
        if expects is not None:
            good &= np.isfinite(np.asarray(expects, dtype=float))
        features = self.features
        return Losses(
            comparable(self.when)[good],
            loss[good],
            np.asarray(self.prediction, dtype=float)[good],
            None if features is None else features.loc[good],
            None if expects is None else np.asarray(expects, dtype=float)[good],
        )

    def beyond_score(self) -> np.ndarray:
        """Return the loss less what the score itself expects."""
        return self.loss if self.score_expects is None else self.loss - self.score_expects


@dataclass(frozen=True)
class ExpectedLoss:
    """What a row of the reference has cost, by its prediction and its features.

    Attributes
    ----------
    mean_loss
        Of the reference: what an excess is compared with.
    slopes
        One row fitted on all of the reference, and one without each part of its time.
    uncertain
        Standard error of the mean expectation of the reference's own rows.
    """

    lines: Lines
    slopes: np.ndarray
    mean_loss: float
    uncertain: float

    def excess(self, rows: Losses) -> list[Unit]:
        """Return the excess of each day of matured rows, in order of time."""
        import numpy as np

        known = rows.known()
        if not len(known.loss):
            return []
        x, foreign = self.lines.encoded(known.features, known.prediction)
        expected = x @ self.slopes.T
        excess = known.beyond_score() - expected[:, 0]
        found = units_of(known.when, excess, foreign)
        # How far the expectation of a day's rows depends on what was learnt from (the jackknife).
        day = np.unique(known.when, return_inverse=True)[1][~foreign]
        told = []
        for at, unit in enumerate(found):
            left_out = expected[~foreign][day == at, 1:]
            error = _jackknife(left_out.mean(axis=0)) if len(left_out) else 0.0
            told.append(replace(unit, uncertain=max(error**2 - self.uncertain**2, 0.0) ** 0.5))
        return told

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, to be stored with the model version."""
        return {
            "lines": self.lines.to_dict(),
            "slopes": self.slopes.tolist(),
            "mean_loss": self.mean_loss,
            "uncertain": self.uncertain,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> ExpectedLoss:
        """Return what ``to_dict`` has described."""
        import numpy as np

        return cls(
            Lines.from_dict(kept["lines"]),
            np.array(kept["slopes"]),
            kept["mean_loss"],
            kept["uncertain"],
        )


def fit(reference: Losses) -> tuple[ExpectedLoss, list[Unit]]:
    """Learn what rows of the reference cost, and return it with the reference's own days.

    Parameters
    ----------
    reference
        Matured rows that the model was *not* trained on: its holdout, or what it has served
        since. The losses of training rows are too small.

    Returns
    -------
    ExpectedLoss
        To take the excess of later rows with.
    list of Unit
        The excess of the reference's days, each expected from the other parts of its time: how
        much days vary where nothing has changed. Empty if no row has a finite loss, which a
        ``Watch`` then says.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    known = reference.known()
    if not len(known.loss):
        return ExpectedLoss(Lines({}, {}), np.zeros((1, 1)), 0.0, 0.0), []
    lines = Lines.of(known.features, known.prediction)
    x, foreign = lines.encoded(known.features, known.prediction)
    target = known.beyond_score()
    days, day = np.unique(known.when, return_inverse=True)
    # Parts of neighbouring days, as what days share lasts.
    part = day * min(PARTS, len(days)) // len(days)
    parts = np.unique(part)
    ridge = np.full(x.shape[1], PENALTY)
    ridge[0] = 1e-6
    products = []
    # With one thread: two of a busy host wait for each other at every product.
    with threadpool_limits(1, user_api="blas"):
        for one in parts:
            own = x[part == one]
            products.append((own.T @ own, own.T @ target[part == one]))
        both, towards = (sum(of) for of in zip(*products, strict=True))
        whole = np.linalg.solve(both + np.diag(ridge), towards)
        slopes, expected = [whole], x @ whole
        for one, (own, own_towards) in zip(parts, products, strict=True):
            if len(parts) == 1:
                break
            left = np.linalg.solve(both - own + np.diag(ridge), towards - own_towards)
            slopes.append(left)
            expected[part == one] = x[part == one] @ left
    fitted = np.array(slopes)
    uncertain = _jackknife((x @ fitted[1:].T).mean(axis=0)) if len(parts) > 1 else 0.0
    found = ExpectedLoss(lines, fitted, float(known.loss.mean()), uncertain)
    return found, units_of(known.when, target - expected, foreign)


def _jackknife(left_out: np.ndarray) -> float:
    import numpy as np

    count = len(left_out)
    if count < 2:
        return 0.0
    return float(np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2)))
