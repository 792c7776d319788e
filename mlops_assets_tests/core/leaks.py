"""Holdouts with something wrong, one thing each: the ways in which a gate is deceived.

Training sets are real files, contenders real models, the evidence and the verdict are those of
the package. ``healthy`` has nothing wrong and its challenger wins; every other is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from mlops_assets.core.models import snapshots, training
from mlops_assets.core.promotion import gate, holdout
from mlops_assets.core.promotion.evaluation import Contender, EvaluationReport, evaluate
from mlops_assets.vocabulary import Label, Model, PromotionGate, Rows

START = date(2024, 1, 1)
TRAIN_DAYS, HOLDOUT_DAYS, PER_DAY = 20, 14, 40
#: The holdout's first day, and the day after its last.
BEGINS = START + timedelta(days=TRAIN_DAYS)
ENDS = BEGINS + timedelta(days=HOLDOUT_DAYS)


def estimator() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


MODEL = Model(
    name="m",
    problem="binary",
    rows=Rows(source="orders", as_of="ordered_at"),
    features=["view"],
    label=Label(name="late", source="orders", expression="late", join=["order_id"]),
    estimator=estimator,
    gate=PromotionGate(min_rows=100, max_holdout_uses=3),
)


def rows(first: int, days: int, seed: int, noise: float = 0.0) -> pd.DataFrame:
    """Rows of some days from the ``first``; ``noise`` spoils the first feature."""
    rng = np.random.default_rng(seed)
    n = days * PER_DAY
    day = first + np.arange(n) // PER_DAY
    opened = pd.Timestamp(START) + pd.to_timedelta(day, unit="D")
    as_of = opened + pd.to_timedelta(6 * 60 + np.arange(n) % PER_DAY, unit="m")
    a = rng.normal(size=n)
    return pd.DataFrame(
        {
            "row_key": [f"order-{seed}-{i}" for i in range(n)],
            "as_of": as_of,
            "partition_date": opened.date,
            "a": a + rng.normal(0, noise, n) if noise else a,
            "label": 2 * a + rng.logistic(size=n) > 0.5,
            "label_known_at": as_of + timedelta(hours=5),
        }
    )


@dataclass
class Case:
    """Training sets and a holdout that a leak can be put into, before they are written."""

    challenger_train: pd.DataFrame = field(default_factory=lambda: rows(0, TRAIN_DAYS, 1))
    champion_train: pd.DataFrame = field(default_factory=lambda: rows(0, 10, 2, noise=3.0))
    held_out: pd.DataFrame = field(default_factory=lambda: rows(TRAIN_DAYS, HOLDOUT_DAYS, 3))
    champion_until: date = START + timedelta(days=10)
    champion_features: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    lose_champion_file: bool = False
    uses: int = 0

    def report(self, folder: Path) -> EvaluationReport:
        """Write the files, train, look at the holdout and evaluate on it."""
        ours = _write(folder / "challenger.parquet", self.challenger_train, self.held_out)
        theirs = _write(folder / "champion.parquet", self.champion_train, self.held_out[:0])
        evidence = holdout.inspect_files(
            ours,
            [
                (_version(2, BEGINS), ours),
                (_version(1, self.champion_until), None if self.lose_champion_file else theirs),
            ],
            start=BEGINS,
            end=ENDS,
            known_before=datetime.combine(ENDS, datetime.min.time()),
            uses=self.uses,
        )
        held_out = snapshots.read(ours, "holdout")
        champion = _contender(1, theirs)
        if self.champion_features is not None:
            champion = replace(champion, features=self.champion_features(held_out))
        return evaluate(MODEL, held_out, _contender(2, ours), champion, evidence=evidence)

    def verdict(self, folder: Path) -> gate.Verdict:
        """What the gate says."""
        return gate.decide(MODEL.gate, self.report(folder), problem="binary", metric="log_loss")


def _write(path: Path, train: pd.DataFrame, held_out: pd.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    both = pd.concat([train.assign(split="train"), held_out.assign(split="holdout")])
    with duckdb.connect() as con:
        con.from_df(both).write_parquet(str(path))
    return path


def _version(number: int, train_end: date) -> Any:
    return SimpleNamespace(version=number, training_digest=f"{number}" * 32, train_end=train_end)


def _contender(version: int, path: Path) -> Contender:
    frame = snapshots.read(path, "train")[["a", "label"]]
    fitted = training.fit_frame(MODEL, frame)
    return Contender(version, fitted.estimator, fitted.signature, size_bytes=1000)


def healthy() -> Case:
    """Nothing is wrong."""
    return Case()


def _earlier(some: pd.DataFrame) -> pd.DataFrame:
    """The same rows, as if they had been of the first day: only their keys give them away."""
    first = datetime.combine(START, datetime.min.time())
    return some.assign(partition_date=START, as_of=first, label_known_at=first + timedelta(hours=5))


def seen_by_the_challenger() -> Case:
    case = Case()
    case.challenger_train = pd.concat([case.challenger_train, _earlier(case.held_out[:5])])
    return case


def seen_by_the_champion() -> Case:
    case = Case()
    case.champion_train = pd.concat([case.champion_train, _earlier(case.held_out[:5])])
    return case


def challenger_from_the_holdouts_days() -> Case:
    case = Case()
    case.challenger_train = pd.concat([case.challenger_train, rows(TRAIN_DAYS, 2, 4)])
    return case


def champion_from_the_holdouts_days() -> Case:
    """As after a roll-back, to a version that was trained later."""
    return Case(champion_until=BEGINS + timedelta(days=3))


def rows_of_the_future() -> Case:
    case = Case()
    later = rows(TRAIN_DAYS + HOLDOUT_DAYS, 1, 5)
    case.held_out = pd.concat([case.held_out, later.assign(label_known_at=pd.Timestamp(BEGINS))])
    return case


def labels_known_too_late() -> Case:
    case = Case()
    known = case.held_out["label_known_at"].to_numpy(copy=True)
    known[-7:] += np.timedelta64(3, "D")
    case.held_out = case.held_out.assign(label_known_at=known)
    return case


def labels_known_nobody_knows_when() -> Case:
    case = Case()
    case.held_out.loc[case.held_out.index[:3], "label_known_at"] = pd.NaT
    return case


def rows_twice() -> Case:
    case = Case()
    case.held_out = pd.concat([case.held_out, case.held_out[:9]])
    return case


def champion_on_other_rows() -> Case:
    """The champion gets features of its own, and they are of other rows."""

    def others(held_out: pd.DataFrame) -> pd.DataFrame:
        return held_out.assign(row_key=held_out["row_key"].shift(-4))

    return Case(champion_features=others)


def used_too_often() -> Case:
    return Case(uses=4)


def training_set_gone() -> Case:
    return Case(lose_champion_file=True)


#: What is wrong, the case, the rule that refuses it.
LEAKS: dict[str, tuple[Callable[[], Case], str]] = {
    "rows that the challenger was trained on": (
        seen_by_the_challenger,
        "holdout unseen by the challenger",
    ),
    "rows that the champion was trained on": (
        seen_by_the_champion,
        "holdout unseen by champion 1",
    ),
    "challenger trained on days of the holdout": (
        challenger_from_the_holdouts_days,
        "holdout later than the challenger",
    ),
    "champion trained on days of the holdout": (
        champion_from_the_holdouts_days,
        "holdout later than champion 1",
    ),
    "rows after the cutoff": (rows_of_the_future, "holdout in its days"),
    "labels known only after the cutoff": (labels_known_too_late, "holdout known"),
    "labels known nobody knows when": (labels_known_nobody_knows_when, "holdout known"),
    "the same rows twice": (rows_twice, "holdout rows once"),
    "models scored on different rows": (champion_on_other_rows, "holdout the same"),
    "a holdout used too often": (used_too_often, "holdout uses"),
    "a training set that is gone": (training_set_gone, "holdout unseen by champion 1"),
}
