"""What a version is served of the holdout's rows where views have been defined anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import pytest

from mlops_assets.core import registry
from mlops_assets.core.features import pinned_views, retrieval
from mlops_assets.vocabulary import OnDemandFeatures, UseCase
from mlops_assets_tests.core.shop import Shop, day, use_case

#: One more than what float64 tells from its neighbours.
LARGE = 2**53 + 1


def declared(features: dict[str, str]) -> UseCase:
    made = use_case()
    return replace(made, views=[OnDemandFeatures(name="order_features", features=features)])


THEN = declared({"amount": "amount", "region": "region", "express": "express"})
NOW = declared({"amount": "-amount", "region": "region", "express": "express"})


@pytest.fixture(scope="module")
def landed(tmp_path_factory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"), THEN).land(0, 9)
    made.train(8)
    return made


@pytest.fixture
def shop(landed) -> Iterator[Shop]:
    """Whatever a test does is rolled back."""
    landed.con.begin()
    yield landed
    landed.con.rollback()


def holdout(shop: Shop, features: UseCase) -> pd.DataFrame:
    """The rows of two days as a training set has them, the last one first."""
    rows = retrieval.feature_rows(shop.con, features, features.models[0], day(8), day(10))
    found = rows.df()
    return found.iloc[::-1].reset_index(drop=True)


def served(shop: Shop, today: UseCase, rows: pd.DataFrame) -> pd.DataFrame | None:
    version = registry.get(shop.con, "sent_back", 1)
    return pinned_views.holdout_features(
        shop.con, today, today.models[0], version, rows, "evaluation"
    )


def test_a_version_is_served_its_own_definitions_in_the_holdouts_order(shop):
    rows = holdout(shop, NOW)
    own = served(shop, NOW, rows)
    pd.testing.assert_frame_equal(own, rows.assign(amount=-rows["amount"]), check_like=True)
    assert served(shop, THEN, rows) is None


def test_a_key_that_comes_again_is_served_the_row_of_its_own_moment(shop):
    shop.con.execute("UPDATE raw.orders SET order_id = order_id % 10000")
    rows = holdout(shop, NOW)
    assert rows["row_key"].duplicated().sum() == len(rows) // 2
    own = served(shop, NOW, rows)
    pd.testing.assert_frame_equal(own, rows.assign(amount=-rows["amount"]), check_like=True)


def test_a_row_that_is_gone_is_missing_and_moves_no_other(shop):
    rows = holdout(shop, NOW)
    gone, moved = rows["row_key"].iloc[[3, 7]]
    shop.con.execute("DELETE FROM raw.orders WHERE order_id = ?", [int(gone)])
    shop.con.execute(
        "UPDATE raw.orders SET ordered_at = ordered_at + INTERVAL 1 MINUTE WHERE order_id = ?",
        [int(moved)],
    )
    own = served(shop, NOW, rows)
    assert own["row_key"].tolist() == rows["row_key"].tolist()
    assert own["as_of"].isna().to_numpy().nonzero()[0].tolist() == [3, 7]
    assert own["region"].isna().sum() == 2
    kept = own["as_of"].notna()
    assert own.loc[kept, "as_of"].tolist() == rows.loc[kept, "as_of"].tolist()


@pytest.mark.parametrize("type_", ["BIGINT", "HUGEINT", "DECIMAL(38, 10)"])
def test_no_digit_of_a_large_number_is_lost_beside_a_missing_one(tmp_path, type_):
    # Small while the version is trained: what float64 cannot hold is refused there.
    number = f"order_id + CASE WHEN order_id >= 80000 THEN {LARGE} ELSE 0 END"
    large = {"region": "region", "large": f"CASE WHEN express THEN {number} END::{type_}"}
    shop = Shop(tmp_path, declared({"amount": "amount", **large})).land(0, 9)
    shop.train(8)
    today = declared({"amount": "-amount", **large})
    rows = holdout(shop, today)
    own = served(shop, today, rows)
    express = dict(shop.con.execute("SELECT order_id, express FROM raw.orders").fetchall())
    keys = [int(key) for key in rows["row_key"]]
    assert [None if pd.isna(value) else int(value) for value in own["large"]] == [
        LARGE + key if express[key] else None for key in keys
    ]
