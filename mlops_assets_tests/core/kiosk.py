"""Kiosks that sell drinks: facts for the tests of features, retrieval and snapshots.

Small enough to be checked by hand, with what makes features hard: facts that become known
later than they happen, corrections, missing keys, a static source, two clock changes a year.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd

from mlops_assets.core.storage import sql, store
from mlops_assets.core.storage.days import day_start, days
from mlops_assets.vocabulary import (
    Entity,
    FeatureView,
    Label,
    Model,
    OnDemandFeatures,
    Rows,
    Source,
    UseCase,
)

ZONE = "America/New_York"
START = date(2024, 3, 1)
HOUR = timedelta(hours=1)
KIOSK = Entity(name="kiosk", keys=["city", "kiosk"])
CITY = Entity(name="city", keys=["city"])


def schema(**columns: Any):
    """A function returning a schema; a column is a nullable type, or a function making it."""

    def make():
        import pandera.pandas as pa

        return pa.DataFrameSchema(
            {
                name: pa.Column(kind, nullable=True) if isinstance(kind, str | type) else kind()
                for name, kind in columns.items()
            }
        )

    return make


def positive():
    """A number that must be there and above zero."""
    import pandera.pandas as pa

    return pa.Column(float, pa.Check.gt(0))


RECENT_SQL = """
SELECT city, kiosk, known_at AS happened, known_at, count(*) OVER recent AS spoilt_recently,
       avg(litres) OVER recent AS litres_recently
FROM spoilt
WINDOW recent AS (
    PARTITION BY city, kiosk ORDER BY known_at
    RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT ROW
)
QUALIFY row_number() OVER (PARTITION BY city, kiosk, known_at ORDER BY order_id) = 1;
"""


def view(**changes: Any) -> FeatureView:
    """The temperature at a city, from ``weather``."""
    values: dict[str, Any] = {
        "name": "temperature",
        "entity": CITY,
        "sources": ["weather"],
        "sql": "SELECT city, measured_at, published_at, degrees FROM weather",
        "schema": schema(degrees=float),
        "event_time": "measured_at",
        "known_at": "published_at",
        "ttl": 3 * HOUR,
    }
    return FeatureView(**{**values, **changes})


recent = FeatureView(
    name="recent",
    entity=KIOSK,
    sources=["spoilt"],
    sql=RECENT_SQL,
    schema=schema(spoilt_recently="int64", litres_recently=float),
    event_time="happened",
    known_at="known_at",
    lookback=timedelta(hours=54),  # known up to 30 hours later, and a window of a day
)
size = FeatureView(
    name="size",
    entity=KIOSK,
    sources=["kiosks"],
    sql="SELECT city, kiosk, metres FROM kiosks",
    schema=schema(metres=float),
    event_time=None,
)
request = OnDemandFeatures(
    name="request",
    features={"litres": "litres", "local_hour": "hour(local_time(as_of))", "city": "city"},
)


def use_case(*, views: Any = None, **of_model: Any) -> UseCase:
    """One model, ``spoils``: will an order be spoilt?"""
    declared: dict[str, Any] = {
        "name": "spoils",
        "problem": "binary",
        "rows": Rows(source="orders", as_of="ordered_at - INTERVAL 1 HOUR", where="litres > 0"),
        "features": ["request", "temperature", "recent.spoilt_recently", "size"],
        "label": Label(
            name="spoilt", source="spoilt", expression="spoilt", join=["city", "order_id"]
        ),
        "estimator": lambda: None,
        "min_training": timedelta(days=4),
        "holdout": timedelta(days=2),
        "training_window": timedelta(days=6),
    }
    return UseCase(
        name="kiosks",
        timezone=ZONE,
        start=START,
        sources=[
            source("orders", ["city", "order_id"], event_time="ordered_at", known_at="booked_at"),
            source("spoilt", ["city", "order_id"], event_time="ordered_at", known_at="known_at"),
            source(
                "weather",
                ["city", "measured_at"],
                event_time="measured_at",
                known_at="published_at",
            ),
            source("kiosks", ["city", "kiosk"], partitioned=False),
        ],
        views=views or [view(), recent, size, request],
        models=[Model(**{**declared, **of_model})],
    )


def source(name: str, key: list[str], **values: Any) -> Source:
    """A source whose contract these tests do not need."""

    def no_schema() -> Any:
        raise AssertionError(f"the contract of {name} is not to be asked for here")

    return Source(name=name, schema=no_schema, key=key, **values)


def connect(database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """A warehouse with the fixed tables and ``local_time``."""
    con = duckdb.connect(database)
    con.execute("SET threads = 2")
    store.initialise(con)
    sql.define_local_time(con, ZONE)
    return con


def put(con: duckdb.DuckDBPyConnection, name: str, rows: pd.DataFrame, moment: str | None) -> None:
    """Make ``raw.<name>`` as landing does: with day and ingest sequence."""
    con.register("given", rows)
    extra = (
        f", CAST(local_time({moment}) AS DATE) AS partition_date, "
        "row_number() OVER () AS ingest_seq"
        if moment
        else ""
    )
    con.execute(f"CREATE OR REPLACE TABLE raw.{name} AS SELECT *{extra} FROM given")
    con.unregister("given")


def fill(con: duckdb.DuckDBPyConnection, number_of_days: int = 12) -> None:
    """Orders, outcomes and weather for some days from ``START``: 8 orders a day."""
    orders, spoilt, weather = [], [], []
    for n, day in enumerate(days(START, START + timedelta(days=number_of_days))):
        begin = day_start(day, ZONE)
        for i in range(8):
            city, kiosk = ("york", "hull")[i % 2], str(i % 4)
            at = begin + (7 + 2 * i) * HOUR
            booked = at - 2 * HOUR
            orders.append((city, kiosk, f"{day}-{i}", at, booked, float(10 + (n * 8 + i) % 7)))
            # Every third is known only the day after.
            known = at + (30 if i % 3 == 0 else 5) * HOUR
            spoilt.append((city, kiosk, f"{day}-{i}", at, known, (n + i) % 3 == 0, 5.0 + i))
        for hour in range(0, 24, 2):
            at = begin + hour * HOUR
            for city in ("york", "hull"):
                degrees = float(n + hour) + (0.5 if city == "york" else 0.0)
                weather.append((city, at, at + timedelta(minutes=50), degrees))
    put(
        con,
        "orders",
        pd.DataFrame(
            orders, columns=["city", "kiosk", "order_id", "ordered_at", "booked_at", "litres"]
        ),
        "ordered_at",
    )
    put(
        con,
        "spoilt",
        pd.DataFrame(
            spoilt,
            columns=["city", "kiosk", "order_id", "ordered_at", "known_at", "spoilt", "litres"],
        ),
        "ordered_at",
    )
    put(
        con,
        "weather",
        pd.DataFrame(weather, columns=["city", "measured_at", "published_at", "degrees"]),
        "measured_at",
    )
    kiosks = [(("york", "hull")[i % 2], str(i), 4.0 + i) for i in range(3)]
    put(con, "kiosks", pd.DataFrame(kiosks, columns=["city", "kiosk", "metres"]), None)


def compute_all(con: duckdb.DuckDBPyConnection, case: UseCase, end: date) -> None:
    """Compute every view up to before ``end``."""
    from mlops_assets.core.features.feature_views import compute

    for one in case.feature_views:
        bounds = (case.start, end) if one.partitioned else (None, None)
        report = compute(con, case, one, *bounds, run_id="test")
        assert report.problems == []


def moment(day: date, hours: float) -> datetime:
    """UTC time some hours after a local day has begun."""
    return day_start(day, ZONE) + hours * HOUR
