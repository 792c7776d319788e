"""Classifiers' rows with generated labels, on which CBPE is compared with NannyML's.

Imports nothing of ours: it is also run in NannyML's environment. NumPy's generators give the same
numbers in every version for the distributions used here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: What each outcome is worth: truth in rows, prediction in columns.
COSTS = [[0.0, -1.0], [-5.0, 3.0]]
COSTS_3 = [[1.0, -1.0, -2.0], [-3.0, 2.0, 0.0], [0.0, -4.0, 5.0]]
CLASSES = ("cat", "dog", "owl")
RARE = {"a": 0.5, "cut": 0.05}
TENTHS = {"power": 1.7, "digits": 1}


@dataclass(frozen=True)
class Rows:
    """Scores ``(n,)`` or ``(n, k)``, predictions, labels; classes by position."""

    scores: np.ndarray
    predicted: np.ndarray
    label: np.ndarray


def binary() -> dict[str, tuple[Rows, Rows]]:
    """Return reference and window of each case."""
    return {
        "calibrated": (_binary(1, 4000), _binary(2, 1500)),
        "overconfident": (_binary(3, 4000, power=2.5), _binary(4, 1500, power=2.5, a=3.0)),
        "underconfident": (_binary(5, 12_000, power=0.6), _binary(6, 6500, power=0.6, b=4.0)),
        "few_rows": (_binary(7, 300, power=2.0), _binary(8, 40, power=2.0)),
        "rare": (_binary(9, 6000, **RARE, b=40.0), _binary(10, 2000, **RARE, b=30.0)),
        "never_predicted": (_binary(11, 3000, cut=2.0), _binary(12, 800, cut=2.0)),
        "always_predicted": (_binary(13, 3000, cut=-1.0), _binary(14, 800, cut=-1.0)),
        "nearly_perfect": (_binary(15, 2000, a=0.02, b=0.02), _binary(16, 700, a=0.02, b=0.02)),
        "equal_scores": (_binary(17, 3000, **TENTHS), _binary(18, 900, **TENTHS)),
        "upside_down": (_binary(19, 3000, power=-1.0), _binary(20, 900, power=-1.0)),
    }


def multiclass() -> dict[str, tuple[Rows, Rows]]:
    """Return reference and window of each case."""
    return {
        "calibrated": (_multiclass(31, 4000), _multiclass(32, 1500)),
        "overconfident": (_multiclass(33, 5000, power=2.5), _multiclass(34, 2000, power=2.5)),
        "rare_class": (
            _multiclass(35, 6000, alpha=(5.0, 3.0, 0.3), power=0.6),
            _multiclass(36, 2000, alpha=(3.0, 4.0, 0.4), power=0.6),
        ),
        "few_rows": (_multiclass(37, 400, power=2.0), _multiclass(38, 60, power=2.0)),
    }


def _binary(
    seed: int,
    n: int,
    *,
    power: float = 1.0,
    a: float = 2.0,
    b: float = 3.0,
    cut: float = 0.5,
    digits: int | None = None,
) -> Rows:
    """Scores of a beta law; the label's odds are the score's to the power ``1 / power``."""
    rng = np.random.default_rng(seed)
    score = np.clip(rng.beta(a, b, n), 1e-6, 1 - 1e-6)
    odds = (score / (1 - score)) ** (1 / power)
    label = rng.random(n) < odds / (1 + odds)
    if digits is not None:
        score = np.round(score, digits)
    return Rows(score, (score >= cut).astype(int), label.astype(int))


def _multiclass(
    seed: int, n: int, *, alpha: tuple[float, ...] = (1.0, 1.5, 2.0), power: float = 1.0
) -> Rows:
    rng = np.random.default_rng(seed)
    scores = np.clip(rng.dirichlet(alpha, n), 1e-6, None)
    scores /= scores.sum(axis=1, keepdims=True)
    chance = scores ** (1 / power)
    chance /= chance.sum(axis=1, keepdims=True)
    label = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return Rows(scores, scores.argmax(axis=1), np.minimum(label, len(alpha) - 1))
