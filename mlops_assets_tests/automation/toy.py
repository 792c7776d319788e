"""A use case whose assets only say what they are told to: for tests of what starts them.

The assets have the keys of the real graph, so that the real jobs, schedules and sensors
apply to them; what they check and decide is set in ``Script``.
"""

import warnings
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import dagster as dg

from mlops_assets import automation
from mlops_assets.assets.common import asset_key, daily_partitions
from mlops_assets.automation.jobs import DAILY_STEPS, RETRAIN_STEPS
from mlops_assets.resources.notifier import Notifier
from mlops_assets.settings import Settings
from mlops_assets.vocabulary import Label, Model, Rows, Source, UseCase

START = date(2024, 3, 1)


def _unused(*_: Any) -> Any:
    raise AssertionError("automation must not need schemas or estimators")


ORDERS = Source(name="orders", schema=_unused, key=["order_id"], event_time="ordered_at")
PARCELS = Source(name="parcels", schema=_unused, key=["order_id"], event_time="sent_at")
SHOPS = Source(name="shops", schema=_unused, key=["shop"], partitioned=False)
LATE = Model(
    name="late",
    problem="binary",
    rows=Rows(source="orders", as_of="ordered_at"),
    features=["parcels_before"],
    label=Label(
        name="is_late",
        source="parcels",
        expression="late",
        join=["order_id"],
        matures_after=timedelta(hours=30),
    ),
    estimator=_unused,
)


@dataclass
class Script:
    """What the toy assets do.

    Attributes
    ----------
    decisions
        Day to (decision, id): what ``retrain_decision`` says; other days say "keep".
    failing
        Check severity by day on which the ``contract`` check of ``raw/orders`` fails; the
        worst of a run's days counts.
    broken
        Days on which ``late/performance`` raises.
    ran
        Every run's job, days and training configuration, in order.
    """

    decisions: dict[str, tuple[str, str]] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    ran: list[tuple[str, tuple[str, ...], Any]] = field(default_factory=list)


class Request(dg.Config):
    """Configuration of the toy training set, as of the real one."""

    reason: str = "by hand"
    decision_id: str | None = None


def use_case(**changes: Any) -> UseCase:
    """The toy use case; ``changes`` replace its fields."""
    from mlops_assets.vocabulary import OnDemandFeatures

    values: dict[str, Any] = {
        "name": "toy",
        "timezone": "America/New_York",
        "start": START,
        "end": date(2024, 5, 1),
        "sources": [ORDERS, PARCELS, SHOPS],
        "views": [OnDemandFeatures(name="parcels_before", features={"one": "1"})],
        "models": [LATE],
    }
    return UseCase(**{**values, **changes})


def definitions(case: UseCase, settings: Settings, script: Script, **options: Any):
    """A code location with toy assets and the real jobs, schedules and sensors."""
    partitions = daily_partitions(case)

    def asset(*parts: str, daily: bool, deps: list[dg.AssetKey]):
        key = asset_key(case, *parts)
        checked = parts == ("raw", "orders")
        spec = dg.AssetCheckSpec(
            "contract", asset=key, blocking=True, description="Ask the shop for a better file."
        )

        def body(context: dg.AssetExecutionContext):
            days = tuple(context.partition_keys) if daily else ()
            script.ran.append((context.run.job_name, days, context.op_execution_context.op_config))
            if parts[-1] == "performance" and script.broken & set(days):
                raise ValueError("performance cannot be told")
            for day in days:
                if parts[-1] == "retrain_decision":
                    decision, identity = script.decisions.get(day, ("keep", f"keep-{day}"))
                    context.add_asset_metadata(
                        {"decision": decision, "decision_id": identity, "reason": f"since {day}"},
                        partition_key=day,
                    )
            if checked:
                found = [script.failing[day] for day in days if day in script.failing]
                severity = "ERROR" if "ERROR" in found else "WARN"
                yield dg.AssetCheckResult(
                    check_name="contract",
                    passed=not found,
                    severity=dg.AssetCheckSeverity[severity],
                    metadata={"bad_rows": len(found)},
                )
                if "ERROR" in found:
                    raise dg.Failure("refused", allow_retries=False)
            yield dg.MaterializeResult()

        if parts[-1] == "training_set":

            def configured(context: dg.AssetExecutionContext, config: Request):
                yield from body(context)

            function = configured
        else:
            function = body
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Parameter `backfill_policy`")
            return dg.asset(
                key=key,
                deps=deps,
                partitions_def=partitions if daily else None,
                backfill_policy=dg.BackfillPolicy.single_run() if daily else None,
                check_specs=[spec] if checked else None,
            )(function)

    raw = [asset_key(case, "raw", s.name) for s in case.sources if s.partitioned]
    assets = [asset("raw", s.name, daily=s.partitioned, deps=[]) for s in case.sources]
    for model in case.models:
        before = raw
        for step in DAILY_STEPS:
            assets.append(asset(model.name, step, daily=True, deps=before))
            before = [asset_key(case, model.name, step)]
        before = []
        for step in RETRAIN_STEPS:
            assets.append(asset(model.name, step, daily=False, deps=before))
            before = [asset_key(case, model.name, step)]
    return dg.Definitions(
        assets=assets,
        jobs=automation.jobs(case),
        schedules=automation.schedules(case),
        sensors=automation.sensors(case, settings),
        resources={"notifier": Notifier.from_settings(case, settings)},
        executor=dg.in_process_executor,
        **options,
    )
