"""A declaration that is wrong says so when it is made: which object, which field, what to do."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from mlops_assets.vocabulary import (
    METRICS,
    DeclarationError,
    DriftPolicy,
    Entity,
    FeatureView,
    Label,
    OnDemandFeatures,
    PromotionGate,
    RetrainPolicy,
    Source,
)
from mlops_assets_tests.support_tickets import USE_CASE, tickets_schema

TICKETS = USE_CASE.source("tickets")
RECENT = USE_CASE.view("recent_resolutions")
PROFILE = USE_CASE.view("customer_profile")
MODEL = USE_CASE.model("team")


def rejected(declare, *said: str) -> None:
    """Assert that ``declare`` raises an error with all that must be ``said``."""
    with pytest.raises(DeclarationError) as raised:
        declare()
    for part in said:
        assert part in str(raised.value)


@pytest.mark.parametrize("name", ["Tickets", "1st", "my-source", "a b", "", "x" * 64, 'a"; DROP'])
def test_a_name_that_is_no_table_name(name):
    rejected(lambda: replace(TICKETS, name=name), "Source", "name: must be lower-case letters")


@pytest.mark.parametrize("what", [RECENT, MODEL, USE_CASE, RECENT.entity, MODEL.label])
def test_every_declaration_checks_its_name(what):
    rejected(lambda: replace(what, name="No Name"), type(what).__name__, "name: must be")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": "ticket_id"}, ["key: must be a list", "'ticket_id'"]),
        ({"key": []}, ["key: name at least one column"]),
        ({"key": ["a", "a"]}, ["key: names a column twice"]),
        ({"key": ["Ticket"]}, ["key: must be a list of lower-case column names"]),
        ({"event_time": None}, ["event_time: name the timestamp column", "partitioned=False"]),
        ({"schema": {"ticket_id": "int64"}}, ["schema: must be a function", "when needed"]),
        ({"quarantine_tolerance": 1.0}, ["quarantine_tolerance: must be a share", "1.0"]),
        ({"quarantine_tolerance": -0.1}, ["quarantine_tolerance: must be a share"]),
        ({"quarantine_tolerance": float("nan")}, ["quarantine_tolerance: must be a share"]),
        ({"expected_rows": (10, 1)}, ["expected_rows: must be (least, most)"]),
        ({"owner": "support"}, ["owner: must be 'team:NAME' or an e-mail address", "'support'"]),
    ],
)
def test_a_source_that_cannot_land(changes, said):
    rejected(lambda: replace(TICKETS, **changes), "Source 'tickets'", *said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ttl": timedelta(0)}, ["ttl: must be positive", "None means"]),
        ({"ttl": timedelta(days=-1)}, ["ttl: must be positive"]),
        ({"lookback": timedelta(days=-1)}, ["lookback: must not be negative"]),
        ({"sources": []}, ["sources: name the sources"]),
        ({"sources": "resolutions"}, ["sources: must be a list"]),
        ({"function": None}, ["sql: give either sql or function"]),
        ({"sql": "SELECT 1"}, ["sql: give either sql or function"]),
        ({"schema": None}, ["schema: must be a function"]),
        ({"event_time": None}, ["event_time: a view without event time has neither ttl"]),
    ],
)
def test_a_view_that_cannot_be_computed(changes, said):
    rejected(lambda: replace(RECENT, **changes), "FeatureView 'recent_resolutions'", *said)


def test_an_entity_without_keys():
    rejected(lambda: Entity(name="team", keys=[]), "Entity 'team'", "keys: name at least one")


def test_on_demand_features_that_are_none_or_have_no_column_names():
    rejected(
        lambda: OnDemandFeatures(name="request", features={}),
        "OnDemandFeatures 'request'",
        "features: name at least one",
    )
    rejected(
        lambda: OnDemandFeatures(name="request", features={"Hour": "hour(as_of)"}),
        "features: must be a list of lower-case column names",
    )


def test_a_label_that_is_joined_to_nothing_or_known_before_its_row():
    rejected(
        lambda: Label(name="team", source="resolutions", expression="team", join=[]),
        "Label 'team'",
        "join: name the columns",
    )
    rejected(lambda: replace(MODEL.label, matures_after=-timedelta(1)), "matures_after: cannot be")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problem": "ranking"}, ["problem: must be one of binary, multiclass, regression"]),
        ({"features": []}, ["features: name at least one"]),
        ({"estimator": object()}, ["estimator: must be a function"]),
        ({"holdout": timedelta(hours=36)}, ["holdout: must be a whole number of days"]),
        ({"holdout": timedelta(0)}, ["holdout: must be a whole number of days, at least 1"]),
        ({"min_training": timedelta(days=61)}, ["min_training: must not exceed training_window"]),
        ({"owner": "me"}, ["owner: must be 'team:NAME'"]),
        ({"extra_columns": "drop"}, ["extra_columns: must be 'ignore' or 'refuse'"]),
        ({"on_unseen_category": True}, ["on_unseen_category: must be 'allow' or 'refuse'"]),
        ({"on_missing": "ignore"}, ["on_missing: must be 'allow' or 'refuse'"]),
    ],
)
def test_a_model_that_cannot_be_trained(changes, said):
    rejected(lambda: replace(MODEL, **changes), "Model 'team'", *said)


def test_a_gate_on_a_metric_that_the_problem_does_not_have():
    rejected(
        lambda: replace(MODEL, gate=PromotionGate(metric="roc_auc")),
        "Model 'team': gate: metric 'roc_auc' is none of",
        *METRICS["multiclass"],
    )
    rejected(
        lambda: replace(MODEL, gate=PromotionGate(floors={"mae": 1.0})),
        "Model 'team': gate: metric 'mae' is none of",
    )


@pytest.mark.parametrize(
    ("policy", "field", "value"),
    [
        (PromotionGate, "min_rows", 0),
        (PromotionGate, "margin", -0.1),
        (PromotionGate, "confidence", 1.0),
        (PromotionGate, "confidence", 0.05),
        (DriftPolicy, "thresholds", {"amount": 0.0}),
        (DriftPolicy, "alpha", 0),
        (DriftPolicy, "consecutive", 0),
        (DriftPolicy, "window", 0),
        (RetrainPolicy, "performance_drop", 0),
        (RetrainPolicy, "window", 0),
        (RetrainPolicy, "max_age", timedelta(0)),
        (RetrainPolicy, "cool_down", -timedelta(1)),
    ],
)
def test_a_policy_that_would_always_or_never_act(policy, field, value):
    rejected(lambda: policy(**{field: value}), f"{policy.__name__}: {field}: must")


def test_a_view_over_a_source_that_is_not_declared():
    rejected(
        lambda: replace(USE_CASE, views=[replace(RECENT, sources=["solutions"]), PROFILE]),
        "UseCase 'support'",
        "view 'recent_resolutions': sources: 'solutions' is not declared",
        "'resolutions'",
    )


def test_a_view_without_days_over_a_source_that_has_them():
    rejected(
        lambda: replace(USE_CASE, views=[replace(PROFILE, sources=["tickets"])]),
        "view 'customer_profile': has no event_time but reads tickets",
        "give it an event_time",
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": ["requests"]}, ["features: 'requests' is not declared", "'request'"]),
        ({"features": ["requests.words"]}, ["features: 'requests' is not declared"]),
        ({"rows": replace(MODEL.rows, source="calls")}, ["rows: 'calls' is not declared"]),
        ({"rows": replace(MODEL.rows, source="customers")}, ["rows: source 'customers' is static"]),
        ({"label": replace(MODEL.label, source="calls")}, ["label: 'calls' is not declared"]),
    ],
)
def test_a_model_of_what_is_not_declared(changes, said):
    rejected(
        lambda: replace(USE_CASE, models=[replace(MODEL, **changes)]),
        "UseCase 'support': model 'team'",
        *said,
    )


@pytest.mark.parametrize("field", ["sources", "views", "models"])
def test_two_of_the_same_name(field):
    declared = getattr(USE_CASE, field)
    rejected(
        lambda: replace(USE_CASE, **{field: [*declared, declared[0]]}),
        f"{field}: {declared[0].name} declared twice",
    )


@pytest.mark.parametrize("name", ["raw", "features", "registry", "main", "temp"])
def test_a_use_case_named_like_a_schema_of_its_own_file(name):
    rejected(lambda: replace(USE_CASE, name=name), f"UseCase '{name}': name:", "choose another")


def test_a_time_zone_that_there_is_not():
    rejected(
        lambda: replace(USE_CASE, timezone="Europe/Potsdam"),
        "UseCase 'support': timezone: 'Europe/Potsdam' is no IANA time zone",
        "Europe/Berlin",
    )


def test_a_use_case_that_ends_before_it_begins():
    rejected(lambda: replace(USE_CASE, end=date(2024, 1, 1)), "end: must be later than start")


def test_asking_for_what_is_not_there_says_what_there_is():
    rejected(lambda: USE_CASE.model("teams"), "no 'teams'", "'team'")


def test_the_time_from_which_a_row_may_be_used_is_its_event_unless_declared():
    declared = Source(
        name="a", schema=tickets_schema, key=["k"], event_time="at", known_at="heard_at"
    )
    assert declared.known_at_column == "heard_at"
    assert replace(declared, known_at=None).known_at_column == "at"
    assert USE_CASE.source("customers").known_at_column is None


def test_lists_of_a_declaration_cannot_be_changed_afterwards():
    assert isinstance(TICKETS.key, tuple)
    assert isinstance(MODEL.features, tuple)
    assert isinstance(USE_CASE.sources, tuple)
    assert isinstance(RECENT, FeatureView)
