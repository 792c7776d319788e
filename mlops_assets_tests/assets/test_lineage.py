"""What Dagster shows of the columns, and what the database says of them, is the same.

The support tickets are trained and served once; then the column lineage is walked from the
instance's materialisations, and the one query is asked, for every column of every source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from mlops_assets.cli import app
from mlops_assets.core.features import retrieval
from mlops_assets.core.features.feature_views import feature_names
from mlops_assets.core.lineage.column_lineage import source_columns
from mlops_assets.core.lineage.impact import as_script, impact, resolve
from mlops_assets.settings import PREFIX
from mlops_assets_tests.assets.conftest import CASE, Place, after, error_text, place
from mlops_assets_tests.support_tickets import START, generate, land

TRAINED = after(START, 15)  # min_training and holdout
SERVED = [after(TRAINED, 1), after(TRAINED, 2)]
MODEL = CASE.model("team")
COLUMNS = [f"{s.name}.{column}" for s in CASE.sources for column in source_columns(s)]

Column = tuple[str, str]  # 'layer/name' of an asset, and a column of it


class Served:
    """The use case after two days of service."""

    def __init__(self, world: Place) -> None:
        self.world = world
        land(world.landing, generate(), SERVED[-1])
        self.run("refresh_static")
        self.run("daily", START, TRAINED)
        self.run("retrain_team")
        self.run("daily", SERVED[0], SERVED[-1])
        self.edges = dict(self._edges())

    def run(self, *arguments) -> None:
        done = self.world.run(*arguments)
        assert done.success, error_text(done)

    def _edges(self) -> Iterator[tuple[Column, set[Column]]]:
        """Each column of an asset with those it derives from, by its last materialisation."""
        for key in self.world.definitions.resolve_asset_graph().get_all_asset_keys():
            event = self.world.instance.get_latest_materialization_event(key)
            assert event is not None
            assert event.asset_materialization is not None
            lineage = event.asset_materialization.metadata.get("dagster/column_lineage")
            if lineage is not None:
                assert isinstance(lineage, dg.TableColumnLineageMetadataValue)
                for column, deps in lineage.value.deps_by_column.items():
                    yield (
                        (name(key), column),
                        {(name(dep.asset_key), dep.column_name) for dep in deps},
                    )

    def downstream(self, column: Column) -> set[Column]:
        """All columns of assets that derive from one, however many steps away."""
        found, new = set(), {column}
        while new:
            found |= new
            new = {c for c, above in self.edges.items() if above & new} - found
        return found - {column}

    def impact(self, what: str):
        with self.world.warehouse.read() as con:
            return impact(con, CASE, what)


def name(key: dg.AssetKey) -> str:
    assert key.path[0] == CASE.name
    return "/".join(key.path[1:])


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    with place(tmp_path_factory.mktemp("support")) as world:
        yield Served(world)


def by_dagster(served: Served, column: Column) -> dict[str, set]:
    """What a column reaches in Dagster's graph, in the terms of the query."""
    reached = served.downstream(column)
    features: set[tuple[str | None, str]] = {
        (view.name, feature)
        for view in CASE.feature_views
        for feature in feature_names(view)
        if (f"features/{view.name}", feature) in reached
    }
    owner: dict[str, str | None] = {c.name: c.view.name for c in retrieval.features(CASE, MODEL)}
    owner["label"] = None
    features |= {
        (owner[name], name if owner[name] else MODEL.label.name)
        for asset, name in reached
        if asset == "team/training_set"
    }
    return {
        "features": features,
        "versions": {"team"} if "team/training_set" in {asset for asset, _ in reached} else set(),
        "predictions": {"team"} if ("team/predictions", "prediction") in reached else set(),
        "drift": {"team"} if ("team/drift_report", "value") in reached else set(),
        "performance": {"team"} if ("team/performance", "value") in reached else set(),
    }


def by_query(served: Served, what: str) -> dict[str, set]:
    """The same from the registry."""
    found = served.impact(what)
    return {
        "features": {(f.view, f.name) for f in found.features},
        "versions": {v.model for v in found.versions},
        "predictions": {v.model for v in found.versions if v.predictions.n},
        "drift": {v.model for v in found.versions if v.drift.n},
        "performance": {v.model for v in found.versions if v.performance.n},
    }


@pytest.mark.parametrize("what", COLUMNS)
def test_dagster_and_the_query_agree_on_what_a_column_reaches(served, what: str) -> None:
    source, _, column = what.partition(".")
    assert by_query(served, what) == by_dagster(served, (f"raw/{source}", column))


def test_a_column_reaches_what_is_declared_and_nothing_else(served) -> None:
    said = {what: {str(f) for f in served.impact(what).features} for what in COLUMNS}
    recent = {"recent_resolutions.resolved", "recent_resolutions.billing_share"}
    used = {
        "customer_profile.plan",
        "recent_resolutions.billing_share",
        "request.hour_of_day",
        "request.words",
        "request.product",
        "team.team",
    }
    assert said == {
        "tickets.ticket_id": {"team.team"},
        "tickets.opened_at": used,  # when a prediction is made decides on everything
        "tickets.customer_id": {"customer_profile.plan"},
        "tickets.region": {"recent_resolutions.billing_share"},
        "tickets.product": {"recent_resolutions.billing_share", "request.product"},
        "tickets.words": {"request.words"},
        "resolutions.ticket_id": {*recent, "team.team"},
        "resolutions.resolved_at": {*recent, "team.team"},
        "resolutions.region": recent,
        "resolutions.product": recent,
        "resolutions.team": {*recent, "team.team"},
        "customers.customer_id": {"customer_profile.plan"},
        "customers.plan": {"customer_profile.plan"},
    }
    assumed = {f.assumed for f in served.impact("resolutions").features if f.view}
    assert assumed == {"computed in Python"}


def test_features_say_in_words_what_they_derive_from(served) -> None:
    def said(view: str) -> str:
        event = served.world.instance.get_latest_materialization_event(
            dg.AssetKey([CASE.name, "features", view])
        )
        return event.asset_materialization.metadata["derived_from"].value

    assert re.search(
        r"\| plan +\| customers\.plan \| – \| customers\.customer_id \|", said("customer_profile")
    )
    assert said("recent_resolutions").startswith(
        "Every column of the sources is assumed: computed in Python."
    )


def test_predictions_and_reports_of_the_reached_versions_are_counted(served) -> None:
    [version] = served.impact("customers.plan").versions
    [(rows, first, last)] = served.world.rows(
        "SELECT count(*), min(partition_date), max(partition_date) FROM capture.predictions"
    )
    assert (version.model, version.version, version.serves) == ("team", 1, True)
    predictions = version.predictions
    assert (predictions.n, predictions.first_day, predictions.last_day) == (rows, first, last)
    assert (first, last) == (SERVED[0], SERVED[-1])
    assert version.drift.n == version.performance.n == len(SERVED)


def test_a_feature_that_no_model_uses_reaches_none(served) -> None:
    found = served.impact("recent_resolutions.resolved")
    assert [str(f) for f in found.features] == ["recent_resolutions.resolved"]
    assert found.versions == ()


def test_recording_again_adds_nothing(served) -> None:
    [before] = served.world.rows("SELECT count(*) FROM registry.feature_lineage")
    served.run("daily", SERVED[-1], SERVED[-1])
    assert served.world.rows("SELECT count(*) FROM registry.feature_lineage") == [before]


def test_the_query_that_is_printed_runs_by_itself(served) -> None:
    script = as_script(resolve(CASE, "tickets.product"))
    database = str(served.world.settings.database(CASE.name))
    with duckdb.connect(database, read_only=True) as con:
        rows = con.execute(script).fetchall()
    assert {row[0] for row in rows} == {
        "feature",
        "version",
        "predictions",
        "drift",
        "performance",
    }


def test_the_command_begins_with_its_conclusion(served, monkeypatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DATA_DIR", str(served.world.settings.data_dir))
    monkeypatch.setenv("COLUMNS", "200")
    reference = "mlops_assets_tests.support_tickets:USE_CASE"

    def said(*arguments: str):
        return CliRunner().invoke(app, ["impact", *arguments, "--use-case", reference])

    done = said("tickets.product")
    assert done.exit_code == 0
    [(rows,)] = served.world.rows("SELECT count(*) FROM capture.predictions")
    assert done.output.startswith(
        "tickets.product reaches 2 features (1 by its values), 1 model version (team v1 serves), "
        f"{rows} predictions of {SERVED[0]} to {SERVED[-1]} and 2 drift and 2 performance reports."
    )
    assert re.search(r"request\.product +its values +tickets\.product", done.output)
    assert "WITH asked AS" in said("plan", "--sql").output
    wrong = said("tickets.prodcut")
    assert wrong.exit_code == 1
    assert "Close to it: tickets.product" in wrong.output
