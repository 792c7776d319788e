"""SQL text from declared names: validated, quoted identifiers and the time-zone macro.

Values never become SQL text; they are bound as parameters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_TIMEZONE = re.compile(r"[A-Za-z0-9_+\-/]{1,64}")


def identifier(name: str) -> str:
    """Return ``name`` quoted for SQL.

    Raises
    ------
    ValueError
        If it is not a plain identifier (letters, digits, underscores).
    """
    if not isinstance(name, str) or _IDENTIFIER.fullmatch(name) is None:
        raise ValueError(
            f"{name!r} cannot be a table or column name: "
            "use letters, digits and underscores, starting with a letter"
        )
    return f'"{name}"'


def identifiers(names: Iterable[str], prefix: str = "") -> str:
    """Return the quoted names, comma-separated, each after ``prefix`` (such as ``"t."``)."""
    return ", ".join(prefix + identifier(name) for name in names)


def table(dataset: str) -> str:
    """Return ``'<schema>.<table>'`` quoted for SQL."""
    schema, _, name = dataset.partition(".")
    return f"{identifier(schema)}.{identifier(name)}"


def define_local_time(con: duckdb.DuckDBPyConnection, timezone: str) -> None:
    """Define ``local_time(ts)``: the wall-clock time in ``timezone`` of a UTC timestamp."""
    if _TIMEZONE.fullmatch(timezone) is None:
        raise ValueError(f"{timezone!r} is no IANA time zone name")
    con.execute(
        "CREATE OR REPLACE TEMP MACRO local_time(ts) AS "
        f"timezone('{timezone}', timezone('UTC', ts))"
    )
