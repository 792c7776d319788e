"""A second, different use case: which team will resolve a support ticket?

Other entities than the flights (a composite key, a static profile), a Python feature
function, labels that come days later under a day of their own, three classes, CSV and
JSON-lines files, another time zone. It exists to prove that the package knows no flight.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from mlops_assets import (
    DriftPolicy,
    Entity,
    FeatureView,
    Label,
    Model,
    OnDemandFeatures,
    PromotionGate,
    RetrainPolicy,
    Rows,
    Source,
    UseCase,
)

START = date(2024, 3, 1)
DAYS = 45  # across the change to summer time on 31 March
PER_DAY = 60
TEAMS = ["billing", "sales", "technical"]


def tickets_schema():
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "ticket_id": pa.Column("int64"),
            "opened_at": pa.Column("datetime64[us]"),
            "customer_id": pa.Column("int64"),
            "region": pa.Column(str, pa.Check.isin(["north", "south"])),
            "product": pa.Column(str),
            "words": pa.Column("float64", pa.Check.ge(0), nullable=True),
        }
    )


def resolutions_schema():
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "ticket_id": pa.Column("int64"),
            "resolved_at": pa.Column("datetime64[us]"),
            "region": pa.Column(str),
            "product": pa.Column(str),
            "team": pa.Column(str, pa.Check.isin(TEAMS)),
        }
    )


def customers_schema():
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "customer_id": pa.Column("int64"),
            "plan": pa.Column(str, pa.Check.isin(["free", "pro"])),
        }
    )


def recent_schema():
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "resolved": pa.Column("int64", pa.Check.ge(0)),
            "billing_share": pa.Column("float64", pa.Check.in_range(0, 1), nullable=True),
        }
    )


def profile_schema():
    import pandera.pandas as pa

    return pa.DataFrameSchema({"plan": pa.Column(str)})


def recent_resolutions(frames, start: datetime, end: datetime) -> pd.DataFrame:
    """Resolutions of the last three days, for each region and product, every six hours."""
    resolved = frames["resolutions"]
    made = []
    # On the clock, not from where the range begins, so that a day computed alone is the same.
    for at in pd.date_range(pd.Timestamp(start).ceil("6h"), end, freq="6h", inclusive="left"):
        window = resolved[(resolved.resolved_at <= at) & (resolved.resolved_at > at - timedelta(3))]
        for (region, product), group in window.groupby(["region", "product"]):
            made.append(
                (region, product, at, len(group), float((group["team"] == "billing").mean()))
            )
    return pd.DataFrame(
        made, columns=["region", "product", "event_time", "resolved", "billing_share"]
    ).astype({"event_time": "datetime64[us]", "resolved": "int64", "billing_share": "float64"})


def estimator():
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    return make_pipeline(
        make_column_transformer(
            (
                make_pipeline(SimpleImputer(), StandardScaler()),
                make_column_selector(dtype_include="number"),
            ),
            (
                OneHotEncoder(handle_unknown="ignore"),
                make_column_selector(dtype_exclude="number"),
            ),
        ),
        LogisticRegression(max_iter=500),
    )


REGION_PRODUCT = Entity(name="region_product", keys=["region", "product"])
CUSTOMER = Entity(name="customer", keys=["customer_id"])

USE_CASE = UseCase(
    name="support",
    timezone="Europe/Berlin",
    start=START,
    sources=[
        Source(
            name="tickets",
            schema=tickets_schema,
            key=["ticket_id"],
            event_time="opened_at",
            expected_rows=(10, 1000),
            owner="team:support",
        ),
        Source(
            name="resolutions",
            schema=resolutions_schema,
            key=["ticket_id"],
            event_time="resolved_at",
        ),
        Source(name="customers", schema=customers_schema, key=["customer_id"], partitioned=False),
    ],
    views=[
        FeatureView(
            name="recent_resolutions",
            entity=REGION_PRODUCT,
            sources=["resolutions"],
            function=recent_resolutions,
            schema=recent_schema,
            ttl=timedelta(days=1),
            lookback=timedelta(days=4),
        ),
        FeatureView(
            name="customer_profile",
            entity=CUSTOMER,
            sources=["customers"],
            sql="SELECT customer_id, plan FROM customers",
            schema=profile_schema,
            event_time=None,
        ),
        OnDemandFeatures(
            name="request",
            features={
                "hour_of_day": "hour(local_time(as_of))",
                "words": "words",
                "product": "product",
            },
        ),
    ],
    models=[
        Model(
            name="team",
            problem="multiclass",
            rows=Rows(source="tickets", as_of="opened_at"),
            features=["request", "customer_profile", "recent_resolutions.billing_share"],
            label=Label(
                name="team",
                source="resolutions",
                expression="team",
                join=["ticket_id"],
                matures_after=timedelta(days=3),
            ),
            estimator=estimator,
            training_window=timedelta(days=60),
            min_training=timedelta(days=10),
            holdout=timedelta(days=5),
            slices=["product"],
            gate=PromotionGate(min_rows=100, min_slice_rows=50),
            drift=DriftPolicy(window=3),
            retrain=RetrainPolicy(
                window=7,
                max_age=timedelta(days=10),
                cool_down=timedelta(days=5),
                min_new_labels=100,
            ),
            owner="team:support",
        )
    ],
)


def generate(days: int = DAYS, seed: int = 7) -> dict[str, pd.DataFrame]:
    """Make the archive: tickets, their resolutions some days later, customers."""
    random = np.random.default_rng(seed)
    midnight = pd.Timestamp(START, tz="Europe/Berlin").tz_convert("UTC").tz_localize(None)
    n = days * PER_DAY
    tickets = pd.DataFrame(
        {
            "ticket_id": np.arange(1, n + 1, dtype="int64"),
            "opened_at": midnight
            + pd.to_timedelta(np.sort(random.integers(0, days * 86_400, n)), unit="s"),
            "customer_id": random.integers(1, 301, n),
            "region": random.choice(["north", "south"], n),
            "product": random.choice(["app", "api", "billing"], n),
            "words": random.gamma(2.0, 40.0, n).round(),
        }
    )
    tickets["opened_at"] = tickets["opened_at"].astype("datetime64[us]")
    tickets.loc[random.random(n) < 0.05, "words"] = np.nan
    customers = pd.DataFrame(
        {
            "customer_id": np.arange(1, 281, dtype="int64"),  # some customers have no profile
            "plan": random.choice(["free", "pro"], 280),
        }
    )
    plan = tickets["customer_id"].map(customers.set_index("customer_id")["plan"])
    # After three weeks, technical teams take over the app's tickets: a change to retrain on.
    late = tickets["opened_at"] > midnight + pd.Timedelta(days=21)
    logits = np.stack(
        [
            2.0 * (tickets["product"] == "billing"),
            1.5 * (plan == "free") - 0.5,
            1.5 * (tickets["product"] == "api") + 2.5 * (late & (tickets["product"] == "app")),
        ],
        axis=1,
    ).astype(float)
    team = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    delay = pd.to_timedelta(random.exponential(20, n).clip(0.5, 60), unit="h")
    resolutions = pd.DataFrame(
        {
            "ticket_id": tickets["ticket_id"],
            "resolved_at": (tickets["opened_at"] + delay).dt.floor("s").astype("datetime64[us]"),
            "region": tickets["region"],
            "product": tickets["product"],
            "team": np.array(TEAMS, dtype=object)[team],
        }
    )
    return {"tickets": tickets, "resolutions": resolutions, "customers": customers}


def land(landing: Path, frames: dict[str, pd.DataFrame], last: date) -> None:
    """Land the files of the days up to ``last``, resolutions as CSV, tickets as JSON lines."""
    folder = landing / "customers"
    folder.mkdir(parents=True, exist_ok=True)
    frames["customers"].to_parquet(folder / "customers.parquet")
    for source, column in (("tickets", "opened_at"), ("resolutions", "resolved_at")):
        frame = frames[source]
        local = frame[column].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").dt.date
        for day, rows in frame.groupby(local):
            if day > last:
                continue
            folder = landing / source / f"date={day}"
            folder.mkdir(parents=True, exist_ok=True)
            if source == "tickets":
                rows.to_json(
                    folder / "part-0.jsonl",
                    orient="records",
                    lines=True,
                    date_format="iso",
                    date_unit="us",
                )
            else:
                rows.to_csv(folder / "part-0.csv", index=False)
