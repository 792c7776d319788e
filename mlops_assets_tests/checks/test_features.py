"""Checks of feature statistics: jumps and stale values, in words and with numbers."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from mlops_assets.checks import features as checks
from mlops_assets.core.features.feature_jumps import jumps
from mlops_assets_tests.core import kiosk
from mlops_assets_tests.core.kiosk import HOUR
from mlops_assets_tests.core.test_feature_jumps import FIRST, quiet, row

KEY = dg.AssetKey(["kiosks", "features", "temperature"])
DAY = FIRST + timedelta(days=14)


def results(view, rows, days) -> dict[str, dg.AssetCheckResult]:
    found = jumps(rows, days)
    made = checks.statistics_results(KEY, view, days, rows, found)
    return {result.check_name or "": result for result in made}


def test_a_quiet_day_passes():
    found = results(kiosk.view(), [*quiet(), row(14, 10.0, 0.02)], [DAY])
    assert set(found) == {"no_jumps", "fresh"}
    assert all(result.passed for result in found.values())
    assert found["fresh"].description == "the newest value is at most 0:30:00 old when a day ends"


def test_a_jump_is_a_warning_with_its_day_and_numbers():
    result = results(kiosk.view(), [*quiet(), row(14, 30.0, 0.6)], [DAY])["no_jumps"]
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.description == (
        "2024-03-15: degrees is missing in 60.0% of the rows, usually in at most 2.0%; "
        "2024-03-15: the mean of degrees is 30, in the 14 days before 9.5 to 10.5"
    )
    assert result.metadata["jumps"].value == 2


def test_values_older_than_declared_or_none_at_all_are_a_warning():
    rows = [*quiet(), row(14, 10.0, age_seconds=3 * 3600 + 1)]
    result = results(kiosk.view(), rows, [DAY])["fresh"]
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert "2024-03-15: the newest value is 3:00:01 old; at most 3:00:00" in str(result.description)
    # A declared freshness goes before the ttl, and the bound itself is fresh.
    assert results(kiosk.view(freshness=4 * HOUR), rows, [DAY])["fresh"].passed
    exactly = [*quiet(), row(14, 10.0, age_seconds=3 * 3600)]
    assert results(kiosk.view(), exactly, [DAY])["fresh"].passed
    never = [row(14, None, None, rows=0, age_seconds=None, deviation=None)]
    assert "none at all" in str(results(kiosk.view(), never, [DAY])["fresh"].description)


def test_many_days_are_counted_not_listed():
    rows = [row(n, 10.0, age_seconds=9 * 3600.0) for n in range(20)]
    days = [r.partition_date for r in rows]
    text = str(results(kiosk.view(), rows, days)["fresh"].description)
    assert text.count("old") == 5
    assert "; and 15 more" in text


def test_there_is_no_check_where_there_is_nothing_to_judge():
    def declared(view) -> set[str]:
        return {spec.name for spec in checks.specs(KEY, view)}

    assert declared(kiosk.view()) == {"contract", "coverage", "no_jumps", "fresh"}
    assert declared(kiosk.view(ttl=None)) == {"contract", "coverage", "no_jumps"}
    assert declared(kiosk.size) == {"contract", "coverage"}
    assert results(kiosk.size, [], []) == {}
    rows = [*quiet(), row(14, 10.0, age_seconds=9e9)]
    assert set(results(kiosk.view(ttl=None), rows, [DAY])) == {"no_jumps"}
