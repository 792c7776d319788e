"""Data on which Feast 0.67.0 gives a wrong answer, and the right one.

Only the cases: ``feast_correctness`` puts them to Feast, ``test_feast_cases`` to us alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mlops_assets.core.features.join_spec import JoinSpec
from mlops_assets_tests.benchmarks.feast_peer import View

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class WrongCase:
    """One question to both.

    Parameters
    ----------
    title
        What Feast does wrong.
    where
        In which of its parts.
    do, store
        What the peer is asked to do, see ``feast_worker``.
    rows
        SQL; ``row_id``, ``event_timestamp`` and the keys.
    facts
        SQL; the keys, ``event_timestamp``, ``created``, ``seq`` and ``x``.
    right
        ``(row_id, x)`` of every row that must come out, in order.
    created
        Whether Feast is told the created column.
    again
        The same facts in another order, where the fault is that this matters.
    """

    title: str
    where: str
    do: str
    rows: str
    facts: str
    right: list[tuple[int, float | None]]
    keys: tuple[str, ...] = ("k1", "k2")
    ttl: timedelta | None = None
    store: str = "duckdb"
    created: bool = False
    again: str | None = None

    def view(self, facts: str) -> View:
        """The declaration for Feast."""
        created = "created" if self.created else None
        return View("facts", facts, self.keys, ("x",), "event_timestamp", created, self.ttl)

    def spec(self, facts: str) -> JoinSpec:
        """The declaration for us."""
        known = "created" if self.created else None
        return JoinSpec(
            "facts", facts, self.keys, ("x",), "event_timestamp", known, self.ttl, "seq"
        )


def rows(*values: tuple[int, str | None, str | None, str]) -> str:
    """SQL of rows: id, two keys, time of 1 January 2024 (or a whole timestamp)."""
    listed = ", ".join(
        f"({n}, {_text(k1)}, {_text(k2)}, {_time(time)})" for n, k1, k2, time in values
    )
    return f"SELECT * FROM (VALUES {listed}) t(row_id, k1, k2, event_timestamp)"


def facts(*values: tuple[str | None, str | None, str, str, int, float]) -> str:
    """SQL of facts: two keys, event and created time, sequence, value."""
    listed = ", ".join(
        f"({_text(k1)}, {_text(k2)}, {_time(event)}, {_time(created)}, {seq}, {x}::DOUBLE)"
        for k1, k2, event, created, seq, x in values
    )
    return f"SELECT * FROM (VALUES {listed}) t(k1, k2, event_timestamp, created, seq, x)"


def _text(value: str | None) -> str:
    return "NULL::VARCHAR" if value is None else f"'{value}'"


def _time(value: str) -> str:
    return f"TIMESTAMP '{value if ' ' in value else f'2024-01-01 {value}'}'"


TIED = [("a", "b", "11:00", "11:00", n, float(n)) for n in range(1, 4)]

WRONG_CASES = [
    WrongCase(
        "keys ('1','11') and ('11','1') are put together to one: rows multiply, values swap",
        "SQL template (Postgres), run by DuckDB",
        "template",
        rows((1, "1", "11", "12:00"), (2, "11", "1", "12:00")),
        facts(("1", "11", "11:00", "11:00", 1, 1.0), ("11", "1", "11:00", "11:00", 2, 2.0)),
        [(1, 1.0), (2, 2.0)],
    ),
    WrongCase(
        "a tie of event time multiplies the row",
        "SQL template (Postgres), run by DuckDB",
        "template",
        rows((1, "a", "b", "12:00")),
        facts(*TIED),
        [(1, 3.0)],
    ),
    WrongCase(
        "a tie of event and created time multiplies the row",
        "SQL template (Postgres), run by DuckDB",
        "template",
        rows((1, "a", "b", "12:00")),
        facts(*TIED),
        [(1, 3.0)],
        created=True,
    ),
    WrongCase(
        "a ttl below a second counts as none: an expired value is used",
        "SQL template (Postgres), run by DuckDB",
        "template",
        rows((1, "a", "b", "12:00")),
        facts(("a", "b", "11:00", "11:00", 1, 1.0)),
        [(1, None)],
        ttl=timedelta(milliseconds=500),
    ),
    WrongCase(
        "of rows with equal key and time all but one are dropped",
        "Dask offline store",
        "historical",
        rows((1, "a", "b", "12:00"), (2, "a", "b", "12:00"), (3, "c", "d", "12:00")),
        facts(("a", "b", "11:00", "11:00", 1, 1.0), ("c", "d", "11:00", "11:00", 2, 2.0)),
        [(1, 1.0), (2, 1.0), (3, 2.0)],
        store="dask",
    ),
    WrongCase(
        "an unknown (NULL) key matches the facts of other unknown keys",
        "Dask offline store",
        "historical",
        rows((1, None, "b", "12:00"), (2, "a", "b", "12:00")),
        facts((None, "b", "11:00", "11:00", 1, 1.0), ("a", "b", "11:00", "11:00", 2, 2.0)),
        [(1, None), (2, 2.0)],
        store="dask",
    ),
    WrongCase(
        "an expired value is served",
        "online store (SQLite)",
        "online",
        rows((1, "a", "b", "2024-01-02 12:00")),
        facts(("a", "b", "11:00", "11:00", 1, 1.0)),
        [(1, None)],
        ttl=HOUR,
    ),
    WrongCase(
        "unless asked, a value is used that was not known yet",
        "DuckDB offline store",
        "historical",
        rows((1, "a", "b", "12:00")),
        facts(("a", "b", "10:00", "10:00", 1, 1.0), ("a", "b", "11:00", "13:00", 2, 2.0)),
        [(1, 1.0)],
        created=True,
    ),
    WrongCase(
        "of tied facts, the one used depends on their order in the file",
        "DuckDB offline store",
        "historical",
        rows((1, "a", "b", "12:00")),
        facts(*TIED),
        [(1, 3.0)],
        again=facts(*TIED[::-1]),
        created=True,
    ),
]
