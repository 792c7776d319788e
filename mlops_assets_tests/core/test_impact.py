"""The impact query over versions trained on different definitions, and the names it takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import duckdb
import pytest

from mlops_assets.cli.terminal import conclusion
from mlops_assets.core.features import view_definitions
from mlops_assets.core.lineage import lineage_records
from mlops_assets.core.lineage.impact import UnknownName, impact, resolve
from mlops_assets.core.storage import records, store
from mlops_assets.vocabulary import FeatureView, Label, Model, OnDemandFeatures, UseCase
from mlops_assets_tests.support_tickets import USE_CASE

MODEL = USE_CASE.model("team")
PROFILE = USE_CASE.view("customer_profile")
assert isinstance(PROFILE, FeatureView)


@pytest.fixture
def con():
    with duckdb.connect() as connection:
        store.initialise(connection)
        yield connection


def changed(*, views=(), models=()) -> UseCase:
    """The use case with some views and models declared anew."""
    anew = {declared.name: declared for declared in (*views, *models)}
    return replace(
        USE_CASE,
        views=[anew.get(v.name, v) for v in USE_CASE.views]
        + [v for v in views if v.name not in {w.name for w in USE_CASE.views}],
        models=[anew.get(m.name, m) for m in USE_CASE.models],
    )


def train(con, case: UseCase, version: int, *, model: Model | None = None, kept=True) -> None:
    """Compute the views of a use case and register a version trained on them."""
    model = model or case.model("team")
    for view in case.views:
        view_definitions.make_current(con, view, "run")
        if isinstance(view, FeatureView) and kept:
            lineage_records.record_view(con, case, view)
    digest = f"digest {version}"
    if kept:
        lineage_records.record_training_set(con, case, model, digest)
    [*columns] = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'model_versions' "
        "AND NOT is_nullable"
    ).fetchall()
    blank = {"VARCHAR": "", "JSON": "{}", "DATE": date(2024, 1, 1), "TIMESTAMP": datetime.min}
    row = {name: blank.get(kind, 0) for name, kind in columns}
    given = {"model": model.name, "version": version, "training_digest": digest}
    records.insert(con, "registry.model_versions", row | given)


def reached(con, what: str, case: UseCase = USE_CASE) -> list[int]:
    return [version.version for version in impact(con, case, what).versions]


def test_a_version_is_reached_through_the_definition_it_was_trained_on(con) -> None:
    train(con, USE_CASE, 1)
    anew = replace(PROFILE, sql="SELECT customer_id, 'any' AS plan FROM customers")
    case = changed(views=[anew])
    train(con, case, 2)
    assert reached(con, "customers.plan", case) == [1]
    assert reached(con, "customers.customer_id", case) == [1, 2]
    [feature] = impact(con, case, "customers.plan").features
    assert not feature.current
    [feature] = impact(con, case, "customers.customer_id").features
    assert (feature.current, feature.kind) == (True, "lookup")


def test_a_label_and_a_request_derive_from_what_each_version_was_trained_on(con) -> None:
    train(con, USE_CASE, 1)
    label = Label(
        name="team", source="resolutions", expression="region || product", join=["ticket_id"]
    )
    request = OnDemandFeatures(
        name="request", features={"words": "1.0", "hour_of_day": "1", "product": "''"}
    )
    case = changed(views=[request], models=[replace(MODEL, label=label)])
    train(con, case, 2)
    assert reached(con, "tickets.words", case) == [1]
    found = impact(con, case, "resolutions.region")
    [of_label] = [f for f in found.features if f.view is None]
    assert (of_label.label_of, of_label.kind) == ("team", "value")
    # Version 1 by its feature billing_share, which Python computes of every column.
    assert [(v.version, v.features) for v in found.versions] == [(1, 1), (2, 2)]


def test_of_two_features_of_one_name_only_the_used_one_is_reached(con) -> None:
    twin = replace(
        PROFILE, name="twin", sql="SELECT customer_id, reverse(plan) AS plan FROM customers"
    )
    case = changed(views=[twin])
    train(con, case, 1)
    assert reached(con, "customer_profile.plan", case) == [1]
    assert reached(con, "twin.plan", case) == []
    assert [str(f) for f in impact(con, case, "twin").features] == ["twin.plan"]
    with pytest.raises(
        UnknownName, match=r"features\.customer_profile\.plan, features\.twin\.plan"
    ):
        resolve(case, "plan")


def test_rows_that_are_not_predicted_and_when_decide_on_everything(con) -> None:
    rows = replace(MODEL.rows, where="region <> 'south'", as_of="opened_at + INTERVAL 1 HOUR")
    case = changed(models=[replace(MODEL, rows=rows)])
    train(con, case, 1)
    kinds = {str(f): f.kind for f in impact(con, case, "tickets.region").features}
    assert kinds == {
        "customer_profile.plan": "rows",
        "recent_resolutions.billing_share": "rows",
        "request.hour_of_day": "rows",
        "request.product": "rows",
        "request.words": "rows",
        "team.team": "rows",
    }
    kinds = {str(f): f.kind for f in impact(con, case, "tickets.opened_at").features}
    assert kinds["request.hour_of_day"] == "value"


def test_sql_that_is_not_understood_derives_from_every_column_and_says_so(con) -> None:
    odd = replace(
        PROFILE, sql="SELECT customer_id, x AS plan FROM (SELECT COLUMNS('.*') FROM customers)"
    )
    case = changed(views=[odd])
    train(con, case, 1)
    [feature] = impact(con, case, "customers.plan").features
    assert (feature.kind, feature.assumed) == ("value", "uses COLUMNS")
    assert reached(con, "customers.plan", case) == [1]
    assert "assumed" in conclusion(impact(con, case, "customers.plan"))


def test_versions_trained_before_lineage_was_kept_are_not_passed_over(con) -> None:
    train(con, USE_CASE, 1, kept=False)
    train(con, USE_CASE, 2)
    found = impact(con, USE_CASE, "customers.plan")
    assert found.unknown == (("team", 1),)
    assert [v.version for v in found.versions] == [2]
    assert "Of 1 model version it cannot be told" in conclusion(found)


def test_what_reaches_nothing_is_said_to(con) -> None:
    found = impact(con, USE_CASE, "tickets.words")
    assert (found.features, found.versions) == ((), ())
    assert conclusion(found).startswith("tickets.words reaches nothing")


@pytest.mark.parametrize(
    ("what", "means"),
    [
        ("tickets", "tickets"),
        ("tickets.words", "tickets.words"),
        ("raw.tickets.words", "tickets.words"),
        ("request.words", "request.words"),
        ("words", "request.words"),
        ("features.customer_profile", "customer_profile"),
    ],
)
def test_a_name_may_be_written_in_short(what: str, means: str) -> None:
    assert str(resolve(USE_CASE, what)) == means


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("tickets.wrods", "Close to it: tickets.words"),
        ("tickets.zzz", "tickets has: customer_id, opened_at"),
        ("zzz", "Sources: tickets, resolutions, customers. Views: recent_resolutions"),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(what: str, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        resolve(USE_CASE, what)
