"""A small shop for the monitoring tests: orders, and whether they were sent back.

Facts are written as landing writes them; models are fitted, registered and promoted through
the real functions. A test says which days there are and how they differ.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from mlops_assets.core import registry
from mlops_assets.core.artifacts.artifacts import ArtifactStore
from mlops_assets.core.models import identity, snapshots, training
from mlops_assets.core.monitoring import reference_rows
from mlops_assets.core.promotion import holdout
from mlops_assets.core.promotion.evaluation import Contender, evaluate
from mlops_assets.core.scoring import scoring
from mlops_assets.core.storage import sql, store
from mlops_assets.core.storage.days import day_start
from mlops_assets.vocabulary import (
    DriftPolicy,
    Label,
    Model,
    OnDemandFeatures,
    RetrainPolicy,
    Rows,
    Source,
    UseCase,
)

ZONE = "Europe/Berlin"
START = date(2024, 3, 1)


def day(n: int) -> date:
    """The shop's n-th day, from 0."""
    return START + timedelta(days=n)


def no_schema() -> Any:
    raise AssertionError("these tests write facts without a contract")


def estimator() -> Any:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(columns, LogisticRegression())


def regressor() -> Any:
    from sklearn.linear_model import LinearRegression

    return estimator().set_params(logisticregression=LinearRegression())


_LABEL: dict[str, dict[str, Any]] = {
    "binary": {"expression": "returned", "estimator": estimator},
    "multiclass": {
        "expression": "CASE WHEN NOT returned THEN 'kept' WHEN loss > 30 THEN 'dear' "
        "WHEN returned THEN 'cheap' END",
        "estimator": estimator,
    },
    "regression": {"expression": "loss", "estimator": regressor},
}


def use_case(problem: str = "binary", **of_model: Any) -> UseCase:
    """Declare the shop with one model, ``sent_back``."""
    declared: dict[str, Any] = {
        "name": "sent_back",
        "problem": problem,
        "rows": Rows(source="orders", as_of="ordered_at"),
        "features": ["order_features"],
        "label": Label(
            name="returned",
            source="returns",
            expression=_LABEL[problem]["expression"],
            join=["order_id"],
            matures_after=timedelta(days=1),
        ),
        "estimator": _LABEL[problem]["estimator"],
        "min_training": timedelta(days=4),
        "holdout": timedelta(days=3),
        "slices": ["region"],
        "drift": DriftPolicy(window=3),
        "retrain": RetrainPolicy(
            window=4, cool_down=timedelta(days=3), min_new_labels=50, max_age=timedelta(days=20)
        ),
    }
    return UseCase(
        name="shop",
        timezone=ZONE,
        start=START,
        sources=[
            Source(name="orders", schema=no_schema, key=["order_id"], event_time="ordered_at"),
            Source(
                name="returns",
                schema=no_schema,
                key=["order_id"],
                event_time="ordered_at",
                known_at="known_at",
            ),
        ],
        views=[
            OnDemandFeatures(
                name="order_features",
                features={"amount": "amount", "region": "region", "express": "express"},
            )
        ],
        models=[Model(**{**declared, **of_model})],
    )


class Shop:
    """A database with the shop's facts."""

    def __init__(self, folder: Path, declared: UseCase, rows_per_day: int = 120) -> None:
        self.folder = folder
        self.use_case = declared
        self.model = declared.models[0]
        self.rows_per_day = rows_per_day
        self.con = duckdb.connect(str(folder / "shop.duckdb"))
        self.con.execute("SET TimeZone = 'UTC'")
        store.initialise(self.con)
        sql.define_local_time(self.con, declared.timezone)
        self.artifacts = ArtifactStore(folder / "artifacts")
        self.estimators: dict[int, tuple[Any, dict[str, Any]]] = {}

    def land(
        self,
        first: int,
        last: int,
        *,
        amount: float = 20.0,
        flip: bool = False,
        region: str | None = None,
        labels: bool = True,
    ) -> Shop:
        """Land the days from the first to the last, both inclusive."""
        dates, orders, returns = [day(n) for n in range(first, last + 1)], [], []
        for n in range(first, last + 1):
            orders.append(self.orders(n, amount, region))
            known = self.returns(orders[-1], n, flip)
            returns.append(known if labels else known[:0])
        rows = pd.concat(orders).drop(columns="chance")
        store.replace_partitions(self.con, "raw.orders", rows, dates, run_id="landing")
        store.replace_partitions(
            self.con, "raw.returns", pd.concat(returns), dates, run_id="landing"
        )
        return self

    def orders(self, n: int, amount: float, region: str | None) -> pd.DataFrame:
        made = np.random.default_rng(n)
        size = self.rows_per_day
        opened = day_start(day(n), ZONE)
        minutes = np.sort(made.integers(0, 23 * 60, size))
        amounts = np.round(made.gamma(4.0, amount / 4.0, size), 2)
        regions = np.array(["north", "south", "east"])[made.integers(0, 3, size)]
        return pd.DataFrame(
            {
                "order_id": n * 10_000 + np.arange(size),
                "ordered_at": pd.to_datetime([opened + timedelta(minutes=int(m)) for m in minutes]),
                "amount": np.where(made.random(size) < 0.05, np.nan, amounts),
                "region": region or regions,
                "express": made.random(size) < 0.3,
                "chance": 1 / (1 + np.exp(-(amounts - 20) / 6 + 1.0 * (regions == "north"))),
                "partition_date": day(n),
            }
        )

    def returns(self, orders: pd.DataFrame, n: int, flip: bool) -> pd.DataFrame:
        """Known five hours after the order, which may be on the next day."""
        made = np.random.default_rng(10_000 + n)
        returned = made.random(len(orders)) < orders["chance"]
        loss = 2 * orders["amount"].fillna(20) + made.normal(0, 3, len(orders))
        frame = pd.DataFrame(
            {
                "order_id": orders["order_id"],
                "ordered_at": orders["ordered_at"],
                "known_at": orders["ordered_at"] + timedelta(hours=5),
                "returned": ~returned if flip else returned,
                "loss": -loss if flip else loss,
                "partition_date": day(n),
            }
        )
        return frame[made.random(len(frame)) >= 0.1]  # some are never heard of again

    def train(
        self,
        cutoff: int,
        *,
        promote: bool = True,
        effective: int | None = None,
        decision: str | None = "decided",
    ) -> int:
        """Train at a day's beginning, evaluate, and promote from that day or a later one."""
        model = self.model
        built = snapshots.build_training_set(
            self.con, self.use_case, model, day(cutoff), self.folder
        )
        assert isinstance(built, snapshots.TrainingSet), built
        snapshots.record(self.con, built, reason="test", decision_id=decision, run_id="train")
        fitted = training.fit(model, built, self.folder)
        golden = snapshots.read(built.path, "holdout").head(20)
        version = registry.register(
            self.con,
            model.name,
            fitted,
            self.artifacts.save(
                fitted.estimator, model.problem, scoring.prepare(golden, fitted.signature)
            ),
            built,
            decision_id=decision,
            run_id="train",
            code={},
            environment=identity.environment_identity(Path(__file__).parent),
        )
        self.estimators[version] = (fitted.estimator, fitted.signature)
        report = evaluate(
            model,
            snapshots.read(built.path, "holdout"),
            Contender(version, fitted.estimator, fitted.signature),
            evidence=holdout.inspect(
                self.con,
                built,
                registry.get(self.con, model.name, version),
                None,
                folder=self.folder,
                timezone=ZONE,
            ),
        )
        registry.record_evaluation(self.con, built, report, run_id="train")
        reference_rows.write(
            self.folder,
            model,
            registry.get(self.con, model.name, version),
            fitted.estimator,
            snapshots.read(built.path, "train"),
            snapshots.read(built.path, "holdout"),
        )
        if promote:
            registry.move_alias(
                self.con,
                model.name,
                registry.CHAMPION,
                version,
                expected_from=registry.champion(self.con, model.name),
                effective_from=day(cutoff if effective is None else effective),
                actor="test",
                reason="test",
                override=True,
            )
        return version

    def load(self, version: int) -> tuple[Any, dict[str, Any]]:
        return self.estimators[version]

    def capture(self, first: int, last: int) -> dict[date, Any]:
        from mlops_assets.core.serving import capture

        at = datetime(2030, 1, 1)
        return capture.capture_predictions(
            self.con, self.use_case, self.model, day(first), day(last + 1), self.load, "run", at
        )

    def join(self, first: int, last: int) -> dict[date, Any]:
        from mlops_assets.core.serving import capture

        return capture.join_outcomes(
            self.con, self.use_case, self.model, day(first), day(last + 1), "run"
        )

    def monitor(self, first: int, last: int) -> None:
        """Everything that happens daily after landing, and its writing."""
        from mlops_assets.core.monitoring import drift, estimates, findings, performance
        from mlops_assets.core.retraining import retraining
        from mlops_assets.core.serving import capture

        begins, ends = day(first), day(last + 1)
        self.capture(first, last)
        late = capture.refresh_start(self.use_case, self.model, begins)
        self.join((late - START).days, last)
        parts = (self.con, self.use_case, self.model)
        drifted = drift.measure_range(*parts, late, ends)
        drift.write_range(self.con, self.model, late, ends, drifted)
        measured = performance.measure_range(*parts, late, ends)
        measured += estimates.update(*parts, late, ends, self.folder)
        performance.write_range(self.con, self.model, late, ends, measured)
        findings.update(*parts, late, ends, self.folder)
        decided = retraining.decide_range(*parts, begins, ends)
        retraining.write_range(self.con, self.model, begins, ends, decided)

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """All rows of a table, in an order of their own."""
        return self.con.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
