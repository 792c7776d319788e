"""Reports for the tests of documents: a long one, an empty one, and one of hostile data."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

from mlops_assets.core.documents import (
    Column,
    Document,
    Fact,
    Figure,
    Link,
    Section,
    Status,
    Table,
    bars,
    calibration,
    curve,
    histograms,
)

DAY = date(2013, 6, 14)

#: What names, categories and values may be. Each must be shown, and do nothing.
HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></title></svg><img src=x onerror=alert(1)>",
    '"><a href="javascript:alert(1)" onclick=\'x\'>',
    "x" * 5_000,
    "مرحبا بالعالم",
    "\u202egnitset\u202c abc",
    "👩‍👩‍👧‍👦🔥",
    "a|b `c` *d* _e_ [f](http://evil.test) ![g](http://evil.test/x.png) <b>",
    "new\nline\ttab\x00nul\x1b[31m",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "]]><!--",
    "&lt;b&gt; &amp; &#60;",
    "",
    " ",
    "\\",
    "\ud800 alone",
    "日本語の長い列名がここにあります",
    "# not a heading",
    "1. not a list",
    "| not | a table |\n| --- | --- |",
]
NUMBERS = [1, 2.5, math.nan, math.inf, -math.inf, None, 1.8e308, 0, -3, 1e-320, 10**30, -0.0]


def every_kind(names: list[str] = HOSTILE) -> Table:
    """A table with a column of each kind and a row for each name."""
    numbers = (NUMBERS * len(names))[: len(names)]
    floats = [None if n is None else float(n) for n in numbers]
    columns = [
        Column(names[0], "text", description=names[1]),
        Column("number", "number", unit=names[2], bar=True),
        Column("percent", "percent"),
        Column("interval", "interval"),
        Column("day", "date"),
        Column("status", "status"),
        Column("code", "code"),
    ]
    moments = [DAY, None, datetime(2013, 6, 14, 5, 30), datetime(2013, 6, 14, 5, 30, 1, 7)]
    rows = [
        [name, n, f, None if f is None else (f, 1.0), moments[i % 4], Status("warning", name), name]
        for i, (name, n, f) in enumerate(zip(names, numbers, floats, strict=True))
    ]
    return Table(names[1], columns, rows, note=names[0], empty=names[2])


def every_plot(name: str, names: list[str]) -> list[Figure]:
    """One of each plot, of names and numbers that should not be there."""
    count = len(names)
    days = [DAY + timedelta(days=n) for n in range(len(NUMBERS))]
    return [
        histograms([1 / count] * count, [None] * count, names, name=name, missing=(math.nan, 1.0)),
        histograms(
            [math.nan, 0.5], [0.4, 0.6], [math.nextafter(5, 6)], name=name, sides=(name, name)
        ),
        bars([(n, v, 0.1) for n, v in zip(names, NUMBERS, strict=False)], name=name, what=name),
        curve(
            days,
            NUMBERS,
            NUMBERS[::-1],
            NUMBERS,
            name=name,
            marks=[(days[1], name), (days[1], "v2"), (DAY - timedelta(days=9), "v0")],
            provisional=days[3:6],
            window=NUMBERS[::-1],
            estimated=NUMBERS,
            limit=math.nan,
        ),
        calibration([(0.1, 0.2, 5), (math.nan, 0.1, 3), (0.7, math.inf, 0)], name=name, title=name),
    ]


def hostile() -> Document:
    """Everything that a report can hold, made of what should not be there."""
    return Document(
        kind="drift",
        title=HOSTILE[0],
        model="late_arrival",
        version=3,
        window_start=DAY - timedelta(days=6),
        window_end=DAY,
        severity="problem",
        conclusion=HOSTILE[:10],
        sections=[
            Section(
                HOSTILE[1],
                "\n\n".join(HOSTILE),
                points=HOSTILE,
                tables=[every_kind()],
                figures=[f for name in HOSTILE[:5] for f in every_plot(name, HOSTILE)],
            ),
            Section(HOSTILE[2]),
            Section(HOSTILE[9]),
        ],
        links=[Link(HOSTILE[0], "https://example.test/?a=1&b=2")],
        facts=[Fact(HOSTILE[1], HOSTILE[3]), Fact("run", HOSTILE[15])],
    )


def empty() -> Document:
    """A day on which no version served."""
    return Document(
        kind="performance",
        title="Performance of late_arrival",
        model="late_arrival",
        version=None,
        window_start=DAY,
        window_end=DAY,
        severity="unknown",
        conclusion=["No champion served: there is nothing to measure."],
        sections=[
            Section(
                "Metrics",
                tables=[Table("Metrics", [Column("metric")], empty="Nothing was measured.")],
                figures=[
                    histograms([], [], [], name="amount"),
                    bars([], name="distance"),
                    curve([], [], name="log_loss"),
                    calibration([], name="late"),
                ],
            )
        ],
    )


def long(columns: int = 16, rows: int = 40) -> Document:
    """A report as there is one each week: columns with their histograms, and a curve."""
    shares = [0.1] * 10
    now = [0.02 * n for n in range(1, 11)]
    names = [f"feature_number_{n}" for n in range(columns)]
    days = [DAY - timedelta(days=n) for n in range(89, -1, -1)]
    values = [0.4 + 0.05 * math.sin(n / 5) for n in range(90)]
    return Document(
        kind="drift",
        title="Drift of late_arrival",
        model="late_arrival",
        version=3,
        window_start=DAY - timedelta(days=6),
        window_end=DAY,
        severity="warning",
        conclusion=["2 of 16 features drifted.", "Look at feature_number_0 first."],
        sections=[
            Section(
                "Performance",
                "By day.\n\nPromotions are marked.",
                figures=[
                    curve(
                        days,
                        values,
                        [v - 0.03 for v in values],
                        [v + 0.03 for v in values],
                        name="log_loss",
                        marks=[(days[30], "v2"), (days[60], "v3")],
                        provisional=days[-5:],
                        estimated=[None] * 80 + values[80:],
                        limit=0.42,
                    ),
                    calibration([(n / 10, n / 11, 100) for n in range(1, 10)], name="late"),
                ],
            ),
            Section(
                "Columns",
                tables=[
                    Table(
                        "The most shifted first",
                        [
                            Column("column"),
                            Column("PSI", "number", bar=True),
                            Column("finding", "status"),
                        ],
                        [
                            [f"{names[n % columns]} in slice {n}", 1 / (n + 1), Status("ok")]
                            for n in range(rows)
                        ],
                    )
                ],
                figures=[bars([(n, 0.2, 0.1) for n in names], name="PSI")],
            ),
            Section(
                "Distributions",
                figures=[
                    histograms(
                        shares,
                        now,
                        [1.5 * n for n in range(9)],
                        name=name,
                        missing=(0.01, 0.02),
                        caption="PSI 0.31, limit 0.10",
                    )
                    for name in names
                ],
            ),
        ],
        links=[Link("Data", "2013-06-14.json")],
        facts=[Fact("run", "5b1f8c1e"), Fact("code", "b2a70a9")],
    )
