"""The landing sensors: new files start runs for the days they touch.

What counts as a complete file is the affair of ``core.landing.landing``; reading one, of the raw
assets. The sensor looks at names, sizes and times of files only, and never opens the
DuckDB file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets.common import asset_key
from mlops_assets.automation.jobs import DAILY, REFRESH_STATIC, daily_keys
from mlops_assets.automation.schedules import asked, finished_days, range_tags
from mlops_assets.vocabulary import UseCase

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_assets.core.landing.landing import LandedFile
    from mlops_assets.settings import Settings

#: Runs that one tick asks for; the days of the others stay new for the next tick.
MAX_RUNS = 10

#: Bytes kept of a day's digest. Dagster stores the cursor with every tick, so that it must
#: stay small (4 characters a day and source); a change goes unseen once in 16 million.
DIGEST_BYTES = 3
_NOTHING = bytes(DIGEST_BYTES)


@dataclass
class Seen:
    """Digest of the files of each source and day, as far as runs were asked for them."""

    origin: date
    days: dict[str, dict[date, bytes]] = field(default_factory=dict)

    @classmethod
    def parse(cls, cursor: str | None, origin: date) -> Seen:
        """Read a cursor; days are counted from ``origin``, the use case's first day."""
        seen = cls(origin)
        stored = json.loads(cursor) if cursor else {}
        if stored.get("origin") != origin.isoformat():
            return seen
        for source, text in stored["days"].items():
            packed = base64.b64decode(text)
            chunks = [packed[i : i + DIGEST_BYTES] for i in range(0, len(packed), DIGEST_BYTES)]
            seen.days[source] = {
                origin + timedelta(days=n): chunk
                for n, chunk in enumerate(chunks)
                if chunk != _NOTHING
            }
        return seen

    def dump(self) -> str:
        """The cursor."""
        packed = {}
        for source, days in self.days.items():
            if days:
                length = (max(days) - self.origin).days + 1
                chunks = (
                    days.get(self.origin + timedelta(days=n), _NOTHING) for n in range(length)
                )
                packed[source] = base64.b64encode(b"".join(chunks)).decode()
        return json.dumps({"origin": self.origin.isoformat(), "days": packed})


def identity(files: Iterable[LandedFile]) -> str:
    """Hash of what a set of files is: path, size and modification time of each."""
    lines = []
    for file in files:
        stat = file.path.stat()
        lines.append(f"{file.path}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


@dataclass
class Found:
    """What is in the landing folder."""

    digests: dict[str, dict[date, bytes]]
    outside: list[str]
    ignored: list[str]


def look(use_case: UseCase, landing: Path) -> Found:
    """List the complete files of the sources that have days.

    Files of days before the use case's start or after its end are told in ``outside``.
    """
    from mlops_assets.core.landing import landing as core

    found = Found({}, [], [])
    for source in use_case.sources:
        if not source.partitioned:
            continue
        scan = core.scan(landing, source)
        found.ignored += [f"{path} ({why})" for path, why in scan.ignored]
        by_day: dict[date, list[LandedFile]] = {}
        for file in scan.files:
            day = file.day
            if day is None or day < use_case.start or (use_case.end and day >= use_case.end):
                found.outside.append(str(file.path))
            else:
                by_day.setdefault(day, []).append(file)
        found.digests[source.name] = {
            day: bytes.fromhex(identity(files))[:DIGEST_BYTES] for day, files in by_day.items()
        }
    return found


def contiguous(days: Iterable[date]) -> list[tuple[date, date]]:
    """Ranges, both ends inclusive, that cover exactly ``days``."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(days):
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


@dataclass(frozen=True)
class Work:
    """Days with new files: the sources that have them, and whether the daily run has passed."""

    first: date
    last: date
    sources: Sequence[str]
    passed: bool


def work(
    found: Mapping[str, Mapping[date, bytes]], seen: Seen, passed: Iterable[date]
) -> list[Work]:
    """Group new and changed files into ranges of days, oldest first.

    Days that the daily run has passed are kept apart from days it has yet to reach: the
    former need everything downstream again, the latter only their rows.
    """
    passed = set(passed)
    changed: dict[date, set[str]] = {}
    for source, days in found.items():
        known = seen.days.get(source, {})
        for day, digest in days.items():
            if known.get(day) != digest:
                changed.setdefault(day, set()).add(source)
    made = []
    for is_passed in (True, False):
        some = [day for day in changed if (day in passed) == is_passed]
        for first, last in contiguous(some):
            sources = set().union(
                *(changed[first + timedelta(days=n)] for n in range((last - first).days + 1))
            )
            made.append(Work(first, last, sorted(sources), is_passed))
    return sorted(made, key=lambda w: w.first)


def reach(use_case: UseCase, sources: Iterable[str]) -> timedelta:
    """How many days after one of these sources' days depend on it: the views' lookback."""
    changed = set(sources)
    looks = [v.lookback for v in use_case.feature_views if changed & set(v.sources)]
    return timedelta(days=math.ceil(max(looks, default=timedelta(0)) / timedelta(days=1)))


def landing_sensors(use_case: UseCase, settings: Settings) -> list[dg.SensorDefinition]:
    """The landing sensor and, where there are static sources, the one for those."""
    made = [_daily_landing(use_case, settings)]
    if any(not s.partitioned for s in use_case.sources):
        made.append(_static_landing(use_case, settings))
    return made


def _daily_landing(use_case: UseCase, settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{use_case.name}_landing",
        job_name=DAILY,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "New or replaced files: their rows are read in. For days that the daily run has "
            "already passed, everything that depends on them is brought up to date as well, also "
            "on the days after whose windows reach back to them."
        ),
    )
    def landing(context: dg.SensorEvaluationContext):
        found = look(use_case, settings.landing(use_case.name))
        seen = Seen.parse(context.cursor, use_case.start)
        new = {
            day
            for source, days in found.digests.items()
            for day, digest in days.items()
            if seen.days.get(source, {}).get(day) != digest
        }
        told = _told(found)
        if told:
            context.log.warning(told)
        if not new:
            return dg.SensorResult(skip_reason=f"No new files. {told}".strip(), cursor=seen.dump())
        reached = asked(context.instance, use_case).until
        passed = finished_days(context.instance, daily_keys(use_case), sorted(new))
        passed |= {day for day in new if reached is not None and day <= reached}
        passed |= {reached} if reached is not None else set()
        requests = []
        for item in work(found.digests, seen, passed)[:MAX_RUNS]:
            parts = []
            for source in item.sources:
                for day, digest in found.digests[source].items():
                    if item.first <= day <= item.last:
                        parts.append(f"{source}/{day}/{digest.hex()}")
                        seen.days.setdefault(source, {})[day] = digest
            key = hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]
            last = item.last
            if item.passed:
                last = min(last + reach(use_case, item.sources), max(passed))
            requests.append(
                dg.RunRequest(
                    run_key=f"landed:{item.first}/{item.last}:{key}",
                    tags=range_tags(item.first, last),
                    asset_selection=None
                    if item.passed
                    else [asset_key(use_case, "raw", source) for source in item.sources],
                )
            )
        return dg.SensorResult(run_requests=requests, cursor=seen.dump())

    return landing


def _told(found: Found) -> str:
    parts = []
    if found.outside:
        parts.append(
            f"{len(found.outside)} files are of days outside the use case and stay unread, "
            f"such as {found.outside[0]}."
        )
    if found.ignored:
        parts.append(f"{len(found.ignored)} files are ignored, such as {found.ignored[0]}.")
    return " ".join(parts)


def _static_landing(use_case: UseCase, settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{use_case.name}_static_landing",
        job_name=REFRESH_STATIC,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="New or replaced files of static sources: these are read in anew.",
    )
    def static_landing(context: dg.SensorEvaluationContext):
        from mlops_assets.core.landing import landing as core

        files = [
            file
            for source in use_case.sources
            if not source.partitioned
            for file in core.scan(settings.landing(use_case.name), source).files
        ]
        if not files:
            return dg.SkipReason("No file of a static source has landed.")
        found = identity(files)
        if found == context.cursor:
            return dg.SkipReason("No new files.")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"landed:{found[:16]}")], cursor=found
        )

    return static_landing
