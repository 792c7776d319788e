"""What the README says holds: its example runs, its links and commands exist."""

from __future__ import annotations

import re
import sys
import types
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

from mlops_assets.cli import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PER_DAY = 200


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    """The README's module, and the folder that its data land in."""
    data = tmp_path_factory.mktemp("shop")
    module = types.ModuleType("my_shop")
    (source,) = re.findall(r"```python\n# my_shop\.py\n(.*?)```", README, re.DOTALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_ASSETS_DATA_DIR", str(data))
        patch.setitem(sys.modules, "my_shop", module)
        exec(compile(source, "my_shop.py", "exec"), module.__dict__)
        yield module, data / "landing" / "shop"


def land(landing: Path, days: int) -> None:
    """Land orders as Parquet, and their returns a week later as CSV."""
    random = np.random.default_rng(3)
    orders, returns = [], []
    for n in range(days):
        at = pd.Timestamp("2026-01-01 06:00") + timedelta(days=n)
        amount = random.gamma(2.0, 30.0, PER_DAY).round(2) + 1
        ids = np.arange(PER_DAY) + PER_DAY * n
        orders.append(
            pd.DataFrame(
                {
                    "order_id": ids,
                    "ordered_at": at
                    + pd.to_timedelta(random.integers(0, 36_000, PER_DAY), unit="s"),
                    "customer": random.choice(list("abcdefghij"), PER_DAY),
                    "amount": amount,
                }
            ).astype({"ordered_at": "datetime64[us]"})
        )
        returns.append(
            pd.DataFrame(
                {
                    "order_id": ids,
                    "settled_at": at + timedelta(days=7),
                    "returned": random.random(PER_DAY) < np.where(amount > 60, 0.7, 0.1),
                }
            )
        )
    for n, frame in enumerate(orders):
        folder = landing / "orders" / f"date={date(2026, 1, 1) + timedelta(days=n)}"
        folder.mkdir(parents=True)
        frame.to_parquet(folder / "orders.parquet")
    for n, frame in enumerate(returns):
        folder = landing / "returns" / f"date={date(2026, 1, 8) + timedelta(days=n)}"
        folder.mkdir(parents=True)
        frame.to_csv(folder / "returns.csv", index=False)


def test_the_example_trains_a_champion_and_serves_it(shop) -> None:
    module, landing = shop
    dg.Definitions.validate_loadable(module.defs)
    land(landing, 75)
    instance = dg.DagsterInstance.ephemeral()

    def run(job: str, first: str | None = None, last: str | None = None) -> None:
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        done = module.defs.resolve_job_def(job).execute_in_process(
            instance=instance, tags={k: v for k, v in tags.items() if v}
        )
        assert done.success

    run("daily", "2026-01-01", "2026-03-10")
    run("retrain_will_return")
    run("daily", "2026-03-11", "2026-03-16")
    from mlops_assets.build import default_resources
    from mlops_assets.settings import load_settings

    with default_resources(module.USE_CASE, load_settings())["warehouse"].read() as con:
        scored = con.execute(
            "SELECT partition_date, model_version, count(*) FROM capture.will_return__predictions "
            "GROUP BY ALL ORDER BY 1"
        ).fetchall()
    assert scored == [(date(2026, 3, 11) + timedelta(days=n), 1, PER_DAY) for n in range(6)]


def test_every_link_leads_somewhere() -> None:
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", README) if not t.startswith("http")]
    assert targets
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert missing == []


def test_every_command_that_it_names_exists() -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"`(?:mlops-assets )([a-z]+)", README))
    assert named
    assert named <= commands


def test_every_setting_is_in_the_table() -> None:
    from mlops_assets.settings import PREFIX, Settings

    for name in Settings.model_fields:
        assert f"`{PREFIX}{name.upper()}`" in README
