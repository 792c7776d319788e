"""What a replay prints."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from mlops_assets.replay import Display

TOTAL = {
    "metric": "log_loss",
    "mean_champion": 0.45,
    "mean_frozen": 0.5,
    "retrains": 8,
    "promotions": 7,
    "predictions": 287_668,
    "outcomes_joined": 280_090,
}


def printed(total: dict) -> list[str]:
    out = StringIO()
    summary = {"use_case": "shop", "seconds": 1.2, "totals": {"a_model": total}}
    Display(Console(file=out, width=80)).end(summary, [])
    return out.getvalue().splitlines()


def test_a_narrow_terminal_cuts_no_total_off() -> None:
    _, line = printed(TOTAL)
    for part in ("0.4500", "0.5000", "-10.0 %", "8 retrains", "287,668", "280,090"):
        assert part in line


def test_a_model_that_never_served_is_told_in_words() -> None:
    _, line = printed({**TOTAL, "mean_champion": None, "mean_frozen": None})
    assert "no week" in line
