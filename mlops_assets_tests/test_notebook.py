"""Notebooks see what training sees, change nothing, and wait their turn."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from mlops_assets import FeatureStore
from mlops_assets.core.features.feature_views import compute
from mlops_assets.core.features.retrieval import feature_columns, feature_rows
from mlops_assets.core.features.view_tables import NotComputedError
from mlops_assets.core.models import snapshots
from mlops_assets.core.storage import sql, store
from mlops_assets.core.storage.row_frames import RowsError
from mlops_assets.resources.warehouse import LockTimeout, Warehouse, WarehouseError
from mlops_assets.use_cases import nyc_flights
from mlops_assets.vocabulary import DeclarationError
from mlops_assets_tests.core import kiosk
from mlops_assets_tests.use_cases import flights

ROOT = Path(__file__).resolve().parents[1]
END = kiosk.START + timedelta(days=12)
CASE = kiosk.use_case()
#: Weather measured at 13:00 UTC is 8.0 degrees in hull, published at 13:50; at 15:00, 10.0.
NOON = datetime(2024, 3, 1, 14, 30)
ORDERS = "SELECT *, ordered_at - INTERVAL 1 HOUR AS as_of FROM raw.orders"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve days of kiosks, computed, with a training set; nobody has the file open."""
    folder = tmp_path_factory.mktemp("data")
    con = kiosk.connect(str(folder / "kiosks.duckdb"))
    kiosk.fill(con)
    kiosk.compute_all(con, CASE, END)
    kept = folder / "snapshots" / "kiosks"
    made = snapshots.build_training_set(con, CASE, CASE.models[0], END, kept, "r1")
    assert isinstance(made, snapshots.TrainingSet)
    snapshots.record(con, made, reason="test", decision_id=None, run_id="r1")
    con.close()
    return folder


@pytest.fixture
def features(folder: Path) -> FeatureStore:
    return FeatureStore(CASE, data_dir=folder)


def rows(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"city": ["hull"], "as_of": [NOON], **columns})


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_features_differ_from_those_that_models_are_trained_on(features) -> None:
    model = CASE.models[0]
    found = features.historical_features(
        f"SELECT CAST(to_json([city, order_id]) AS VARCHAR) AS row_key, * FROM ({ORDERS})",
        ["spoils"],
    )
    with duckdb.connect(str(features.database), read_only=True) as con:
        sql.define_local_time(con, kiosk.ZONE)
        trained = feature_rows(con, CASE, model, kiosk.START, END).df()
    names = ["row_key", "as_of", *feature_columns(CASE, model)]
    assert len(trained) == 96
    assert_frame_equal(
        found[names].sort_values("row_key", ignore_index=True),
        trained[names].sort_values("row_key", ignore_index=True),
    )


def test_rows_lose_their_order_index_columns_or_duplicates(features) -> None:
    given = pd.DataFrame(
        {
            "note": [{"any": "thing"}, 2, None, {"any": "thing"}],
            "as_of": [NOON + timedelta(days=3), NOON, pd.NaT, NOON + timedelta(days=3)],
            "city": pd.Categorical(["york", "hull", "hull", "york"]),
            7: [1, 2, 3, 4],
        },
        index=pd.MultiIndex.from_tuples([("b", 1), ("a", 1), ("a", 1), ("b", 1)]),
    )
    before = given.copy(deep=True)
    found = features.historical_features(given, ["temperature"], status=True)
    assert_frame_equal(given, before)
    assert_frame_equal(found[given.columns], before)
    assert list(found.columns) == [*given.columns, "degrees", "degrees__status"]
    assert found["degrees"].tolist()[:2] == [11.5, 8.0]
    assert found["degrees"].tolist()[3] == 11.5
    assert found["degrees__status"].tolist() == ["present", "present", "not_found", "present"]


def test_no_rows_are_an_error_or_lose_the_columns(features) -> None:
    found = features.historical_features(rows().iloc[:0], ["temperature", "request.local_hour"])
    assert list(found.columns) == ["city", "as_of", "degrees", "local_hour"]
    assert found.empty
    nothing = pd.DataFrame({"city": [], "as_of": []})
    assert features.historical_features(nothing, ["temperature"]).empty


@pytest.mark.parametrize("hours", [-30, 0, 26.25, 500])
def test_features_at_a_moment_differ_from_the_history_of_that_moment(features, hours) -> None:
    time = NOON + timedelta(hours=hours)
    keys = pd.DataFrame({"city": ["york", "hull", "nowhere"], "kiosk": ["0", "1", "0"]})
    at = features.features_at(keys, time, status=True)
    expected = features.historical_features(
        keys.assign(as_of=pd.Timestamp(time).as_unit("us")),
        ["temperature", "recent", "size"],
        status=True,
    )
    assert_frame_equal(at, expected)
    listed = features.features_at(keys.to_dict("records"), f"{time}+00:00", status=True)
    assert_frame_equal(listed, expected)


def test_without_names_a_view_is_taken_whose_keys_are_not_there(features) -> None:
    assert "spoilt_recently" not in features.features_at([{"city": "hull"}], NOON)
    with pytest.raises(RowsError, match="no view has its keys among town; there is temperature"):
        features.features_at([{"town": "hull"}], NOON)
    with pytest.raises(RowsError, match="have a column 'as_of'"):
        features.features_at(rows(), NOON)
    with pytest.raises(RowsError, match="time is 'at noon', which is no moment"):
        features.features_at([{"city": "hull"}], "at noon")


def test_why_a_value_is_missing_is_not_told(features) -> None:
    found = features.historical_features(
        pd.DataFrame(
            {
                "city": ["hull", "hull", "hull"],
                "as_of": [NOON, NOON - timedelta(days=9), NOON + timedelta(days=90)],
                "litres": [1.0, None, 3.0],
            }
        ),
        ["temperature", "request"],
        status=True,
    )
    assert found["degrees__status"].tolist() == ["present", "not_found", "expired"]
    assert found["litres__status"].tolist() == ["present", "null", "present"]
    assert found["local_hour"].tolist() == [9, 9, 10]  # with summer time for the last


def test_what_became_known_later_is_used(features) -> None:
    late = rows(as_of=[NOON + timedelta(minutes=85)])
    published = datetime(2024, 3, 1, 15, 50)

    def degrees(known_before: Any) -> float:
        found = features.historical_features(late, ["temperature"], known_before=known_before)
        return found["degrees"].iloc[0]

    assert degrees(None) == 10.0
    assert degrees(published + timedelta(microseconds=1)) == 10.0
    assert degrees(published) == 8.0
    assert degrees(published.replace(tzinfo=UTC)) == 8.0


def test_features_of_a_former_definition_are_served(folder) -> None:
    anew = kiosk.view(
        sql="SELECT city, measured_at, published_at, degrees + 1 AS degrees FROM weather"
    )
    views = [anew, kiosk.recent, kiosk.size, kiosk.request]
    changed = FeatureStore(kiosk.use_case(views=views), data_dir=folder)
    with pytest.raises(NotComputedError, match="'temperature', needed for these rows, has been de"):
        changed.historical_features(rows(), ["temperature"])
    assert changed.features_at([{"city": "hull", "kiosk": "1"}], NOON, ["size"])["metres"][0] == 5.0
    unknown = kiosk.view(name="new")
    more = FeatureStore(kiosk.use_case(views=[*CASE.views, unknown]), data_dir=folder)
    with pytest.raises(NotComputedError, match="materialise kiosks/features/new first"):
        more.historical_features(rows(), ["new.degrees"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["temprature"], "'temprature' is no view and no model; there are the views temperature"),
        (["temperature.celsius"], "no feature 'celsius'; it has degrees"),
        ("temperature", r"give a list such as \['view'"),
        ([], "give a list such as"),
    ],
)
def test_a_wrong_name_is_not_explained(features, asked, message) -> None:
    with pytest.raises(DeclarationError, match=message):
        features.historical_features(rows(), asked)


@pytest.mark.parametrize(
    ("given", "asked", "message"),
    [
        (rows().drop(columns="as_of"), "temperature", "lack 'as_of', the moment"),
        (rows().drop(columns="city"), "temperature", "lack 'city', a key of view 'temperature'"),
        (rows(city=[3]), "temperature", "'city' of the rows is BIGINT, but the key .* is VARCHAR"),
        (rows(degrees=[3]), "temperature", "have a column 'degrees' already"),
        (rows(as_of=["noon"]), "temperature", "'as_of' of the rows holds string, not moments"),
        (rows(), "request", "'litres' of view 'request' cannot be computed .* have city, as_of"),
        ([{"city": "hull"}], "temperature", "are a list: give a DataFrame"),
    ],
)
def test_rows_that_do_not_fit_are_not_explained(features, given, asked, message) -> None:
    with pytest.raises(RowsError, match=message):
        features.historical_features(given, [asked])


def test_an_on_demand_feature_hides_the_rows_own_column(folder) -> None:
    halved = kiosk.OnDemandFeatures(
        name="request", features={"litres": "litres / 2", "city": "city", "whole": "litres::INT"}
    )
    views = [kiosk.view(), kiosk.recent, kiosk.size, halved]
    case = kiosk.use_case(views=views, features=["request"])
    features = FeatureStore(case, data_dir=folder)
    with pytest.raises(RowsError, match="column 'litres' has other values than feature 'litres'"):
        features.historical_features(rows(litres=[4.0]), ["request"])
    found = features.historical_features(rows(litres=[4.0]), ["request.city", "request.whole"])
    assert found.iloc[0].tolist() == ["hull", NOON, 4.0, 4]


def test_the_same_feature_twice_is_an_error(features) -> None:
    found = features.historical_features(rows(), ["temperature", "temperature.degrees"])
    assert list(found.columns) == ["city", "as_of", "degrees"]


def test_a_training_set_is_not_the_one_that_was_written(features, folder) -> None:
    frame = features.training_set("spoils")
    (path,) = (folder / "snapshots" / "kiosks").glob("*.parquet")
    assert frame["split"].value_counts().to_dict() == {
        split: len(snapshots.read(path, split)) for split in ("train", "holdout")
    }
    ((digest,),) = features.sql("SELECT digest FROM registry.training_sets").to_numpy()
    assert_frame_equal(features.training_set("spoils", digest[:12]), frame)
    with pytest.raises(LookupError, match="digest begins with 'none'"):
        features.training_set("spoils", "none")
    with pytest.raises(DeclarationError, match="no 'other'"):
        features.training_set("other")


def test_the_list_of_features_lacks_one(features) -> None:
    listed = features.features()
    names = [f"{row.view}.{row.feature}" for row in listed.itertuples()]
    assert names == [
        "temperature.degrees",
        "recent.spoilt_recently",
        "recent.litres_recently",
        "size.metres",
        "request.litres",
        "request.local_hour",
        "request.city",
    ]
    assert listed["models"].tolist() == [
        "spoils",
        "spoils",
        "",
        "spoils",
        "spoils",
        "spoils",
        "spoils",
    ]


def test_looking_changes_the_database_or_leaves_files(features, folder) -> None:
    before = digests(folder)
    features.historical_features(ORDERS, ["spoils"], status=True, known_before=NOON)
    features.features_at([{"city": "hull"}], NOON)
    features.training_set("spoils")
    with pytest.raises(duckdb.Error, match="read-only"):
        features.sql("DELETE FROM raw.orders")
    assert digests(folder) == before


def test_a_database_that_is_missing_or_empty_is_made(tmp_path) -> None:
    with pytest.raises(WarehouseError, match=r"no database .*kiosks\.duckdb"):
        FeatureStore(CASE, data_dir=tmp_path).features_at([{"city": "hull"}], NOON)
    assert digests(tmp_path) == {}
    duckdb.connect(str(tmp_path / "kiosks.duckdb")).close()
    before = digests(tmp_path)
    with pytest.raises(WarehouseError, match="none of the pipeline's tables"):
        FeatureStore(CASE, data_dir=tmp_path).features_at([{"city": "hull"}], NOON)
    assert digests(tmp_path) == before


def test_what_a_killed_step_left_in_the_log_is_lost_or_written(tmp_path) -> None:
    con = kiosk.connect(str(tmp_path / "kiosks.duckdb"))
    kiosk.fill(con)
    kiosk.compute_all(con, CASE, END)
    con.close()
    script = (
        "import duckdb, os, signal, sys\n"
        "con = duckdb.connect(sys.argv[1])\n"
        "con.execute('UPDATE features.temperature SET degrees = 99')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "kiosks.duckdb"], check=False)
    before = digests(tmp_path)
    assert "kiosks.duckdb.wal" in before
    found = FeatureStore(CASE, data_dir=tmp_path).features_at([{"city": "hull"}], NOON)
    assert found["degrees"].tolist() == [99.0]
    assert digests(tmp_path) == before


HOLD = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reads") as con:
    print("holding", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(folder: Path, request: pytest.FixtureRequest):
    """Another process that has the database open until it gets a line, or the test ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder / "kiosks.duckdb"), request.param],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("holder", ["writes"], indirect=True)
def test_a_step_that_holds_the_database_is_not_waited_for(folder, holder, monkeypatch) -> None:
    waits: list[float] = []
    really = time.sleep

    def sleep(seconds: float) -> None:
        if not waits:
            holder.stdin.write("\n")
            holder.stdin.flush()
        waits.append(seconds)
        really(seconds)

    monkeypatch.setattr("mlops_assets.resources.warehouse.time.sleep", sleep)
    patient = FeatureStore(CASE, data_dir=folder, wait_seconds=60)
    assert patient.features_at([{"city": "hull"}], NOON)["degrees"].tolist() == [8.0]
    assert waits
    assert holder.wait(timeout=60) == 0


@pytest.mark.parametrize("holder", ["writes"], indirect=True)
def test_who_holds_the_database_for_too_long_is_not_named(folder, holder) -> None:
    hasty = FeatureStore(CASE, data_dir=folder, wait_seconds=0.1)
    with pytest.raises(LockTimeout, match=rf"\(PID {holder.pid}\); gave up after 0.1 s"):
        hasty.features_at([{"city": "hull"}], NOON)


@pytest.mark.parametrize("holder", ["reads"], indirect=True)
def test_notebooks_keep_each_other_waiting(folder, holder) -> None:
    hasty = FeatureStore(CASE, data_dir=folder, wait_seconds=0.1)
    assert hasty.features_at([{"city": "hull"}], NOON)["degrees"].tolist() == [8.0]
    assert holder.poll() is None


@pytest.mark.parametrize("holder", ["reads"], indirect=True)
def test_a_step_breaks_into_what_a_notebook_reads(folder, holder) -> None:
    step = Warehouse(database=str(folder / "kiosks.duckdb"), lock_timeout_seconds=0.1)
    with pytest.raises(LockTimeout, match=rf"\(PID {holder.pid}\)"), step.transaction():
        pass


def test_importing_the_package_loads_what_only_notebooks_need() -> None:
    script = (
        "import sys, mlops_assets\n"
        "heavy = {'duckdb', 'pandas', 'dagster', 'mlops_assets.notebook'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "mlops_assets.FeatureStore\n"
        "heavy = {'duckdb', 'pandas', 'dagster'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


@pytest.fixture(scope="module")
def february(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in use case as it is after the days that the page looks at."""
    folder, case = tmp_path_factory.mktemp("february"), nyc_flights.USE_CASE
    con = duckdb.connect(str(folder / "nyc_flights.duckdb"))
    con.execute("SET threads = 2")
    store.initialise(con)
    sql.define_local_time(con, case.timezone)
    for source in case.sources:
        path = flights.ARCHIVE / f"{source.name}.parquet"
        # A day more on both sides than the local days that are wanted.
        near = f"{source.event_time} BETWEEN '2013-02-04' AND '2013-02-10'"
        con.execute(
            f"CREATE TEMP TABLE {source.name} AS FROM read_parquet('{path}') "
            f"WHERE {near if source.partitioned else 'true'}"
        )
    flights.fill(con, "2013-02-05", "2013-02-09")
    for view in case.feature_views:
        days = (date(2013, 2, 8), date(2013, 2, 9)) if view.partitioned else (None, None)
        assert compute(con, case, view, *days, run_id="test").problems == []
    con.close()
    return folder


def test_the_page_shows_what_its_cells_do_not_give(february, monkeypatch) -> None:
    monkeypatch.setenv("MLOPS_ASSETS_DATA_DIR", str(february))
    page = (ROOT / "docs" / "notebook.md").read_text()
    cells = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)\n```)?", page, re.DOTALL)
    assert len(cells) == 8
    notebook: dict[str, Any] = {}
    for code, shown in cells:
        body = ast.parse(code).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), "cell", "exec"), notebook)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), notebook)
            assert "\n".join(line.rstrip() for line in repr(value).splitlines()) == shown
    assert np.all([shown for _, shown in cells[1:]])
