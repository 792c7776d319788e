"""How declarations check themselves: errors that name the object, the field and the remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

DEFAULT_OWNER = "team:ml"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OWNER = re.compile(r"team:[\w-]+|[^@\s]+@[^@\s]+\.[^@\s]+")


class DeclarationError(ValueError):
    """A declaration is wrong. The message names the object, the field and the remedy."""


def require(condition: bool, what: object, field_name: str, remedy: str) -> None:
    if not condition:
        name = getattr(what, "name", None)
        label = f"{type(what).__name__} {name!r}" if name else type(what).__name__
        raise DeclarationError(f"{label}: {field_name}: {remedy}")


def check_name(what: Any) -> None:
    require(
        isinstance(what.name, str) and _NAME.fullmatch(what.name) is not None,
        what,
        "name",
        "must be lower-case letters, digits and underscores, start with a letter and have at "
        "most 63 characters, because it becomes a table and an asset key",
    )


def check_columns(what: Any, field_name: str, columns: Sequence[str]) -> None:
    require(
        not isinstance(columns, str) and all(_NAME.fullmatch(c) is not None for c in columns),
        what,
        field_name,
        f"must be a list of lower-case column names, not {columns!r}",
    )
    require(len(set(columns)) == len(columns), what, field_name, "names a column twice")


def check_owner(what: Any) -> None:
    require(
        _OWNER.fullmatch(what.owner) is not None,
        what,
        "owner",
        f"must be 'team:NAME' or an e-mail address, not {what.owner!r}",
    )


def freeze(what: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(what, name, value)
