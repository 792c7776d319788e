"""What a replay tells while it runs: a line for each week, and a bar below them.

On a terminal the bar moves; elsewhere, in a log file, there are only the lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from mlops_assets.vocabulary import UseCase

#: Drifted columns named in a line; the others are counted.
NAMED = 3


class Progress(Protocol):
    """What a replay calls as it goes."""

    def begin(self, use_case: UseCase, start: date, end: date, next_day: date) -> None:
        """Before anything else; ``next_day`` is later than ``start`` when it goes on."""

    def doing(self, what: str) -> None:
        """Something has begun."""

    def week(self, week: dict[str, Any], seconds: float) -> None:
        """A week is over; see ``summary.week``. The last days' labels may still be missing."""

    def failed(self, what: str) -> None:
        """Something failed; the replay goes on."""

    def end(self, summary: dict[str, Any], failures: Sequence[str]) -> None:
        """All is done."""

    def close(self) -> None:
        """At the very end, also after an error."""


class Silent:
    """Tells nothing."""

    def begin(self, use_case: UseCase, start: date, end: date, next_day: date) -> None:
        """Nothing."""

    def doing(self, what: str) -> None:
        """Nothing."""

    def week(self, week: dict[str, Any], seconds: float) -> None:
        """Nothing."""

    def failed(self, what: str) -> None:
        """Nothing."""

    def end(self, summary: dict[str, Any], failures: Sequence[str]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Display:
    """Tells on a console."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = console or Console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} days"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task: Any = None

    def begin(self, use_case: UseCase, start: date, end: date, next_day: date) -> None:
        """Say what is replayed and start the bar."""
        verb = "Replaying" if next_day == start else f"Going on at {next_day} with"
        last = end - timedelta(days=1)
        self.console.print(
            f"{verb} {use_case.name}, {start} to {last}: {len(use_case.sources)} sources, "
            f"{len(use_case.feature_views)} feature views, {len(use_case.models)} models.",
            soft_wrap=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(
            "starting", total=(end - start).days, completed=(next_day - start).days
        )

    def doing(self, what: str) -> None:
        """Show it beside the bar."""
        self._bar.update(self._task, description=what)

    def week(self, week: dict[str, Any], seconds: float) -> None:
        """Print a line for each model."""
        self._bar.update(self._task, advance=7)
        head = f"{week['week_start']} {seconds:5.0f}s"
        for name, model in week["models"].items():
            self.console.print(f"{head}  {_line(name, model)}", highlight=False, soft_wrap=True)
            head = " " * len(head)

    def failed(self, what: str) -> None:
        """Print it."""
        self.console.print(f"FAILED {what}", style="red", highlight=False, markup=False)

    def end(self, summary: dict[str, Any], failures: Sequence[str]) -> None:
        """Print the totals by model."""
        self._bar.stop()
        self.console.print(f"{summary['use_case']} took {summary['seconds']:.0f} s.")
        for name, total in summary["totals"].items():
            self.console.print(_total(name, total), highlight=False, soft_wrap=True)
        if failures:
            self.console.print(f"{len(failures)} failed; look at the runs in the UI.", style="red")

    def close(self) -> None:
        """Stop the bar."""
        self._bar.stop()


def _line(name: str, model: dict[str, Any]) -> str:
    version = model["champion_version"]
    parts = [f"{name:<16} {f'v{version}' if version else 'no champion':<12}"]
    value, frozen = model["champion_value"], model["frozen_value"]
    if value is not None:
        text = f"{model['metric']} {value:.4f}"
        if frozen:
            text += f" (frozen {frozen:.4f}, {100 * (value - frozen) / abs(frozen):+.1f}%)"
        parts.append(text)
    drifted = model["drifted"]
    if drifted:
        more = f" +{len(drifted) - NAMED}" if len(drifted) > NAMED else ""
        parts.append(f"drifted: {', '.join(drifted[:NAMED])}{more}")
    if model["decision"]:
        parts.append(model["decision"])
    if model["promoted"]:
        parts.append("PROMOTED")
    return "  ".join(parts)


def _total(name: str, total: dict[str, Any]) -> str:
    champion, frozen = total["mean_champion"], total["mean_frozen"]
    counts = (
        f"{total['retrains']} retrains, {total['promotions']} promotions, "
        f"{total['predictions']:,} predictions, {total['outcomes_joined']:,} outcomes"
    )
    if champion is None or not frozen:
        return f"{name}: no week with labels and a champion; {counts}."
    return (
        f"{name}: mean weekly {total['metric']} {champion:.4f}, the first champion left frozen "
        f"{frozen:.4f} ({100 * (champion - frozen) / abs(frozen):+.1f} %); {counts}."
    )
