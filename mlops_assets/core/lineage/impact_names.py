"""What the name of a column or feature, as somebody has typed it, stands for.

What it reaches belongs in ``impact``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from mlops_assets.core.features.feature_views import feature_names
from mlops_assets.core.lineage.column_lineage import source_columns
from mlops_assets.core.storage.records import RegistryError
from mlops_assets.vocabulary import UseCase


class UnknownName(RegistryError):
    """There is no such source, column, view or feature; the message says what there is."""


@dataclass(frozen=True)
class Asked:
    """What is asked about: a source, a column of it, a view, or a feature of it."""

    source: str | None = None
    column: str | None = None
    view: str | None = None
    feature: str | None = None

    def __str__(self) -> str:
        return ".".join(p for p in (self.source, self.column, self.view, self.feature) if p)


def resolve(use_case: UseCase, what: str) -> Asked:
    """Return what a name that somebody has typed stands for; see ``impact.impact``.

    Raises
    ------
    UnknownName
        If there is nothing of that name, or more than one.
    """
    known = dict(_names(use_case))
    meant = {asked for name, asked in known.items() if what in _spellings(name)}
    if len(meant) == 1:
        return meant.pop()
    if meant:
        said = sorted(name for name, asked in known.items() if asked in meant)
        raise UnknownName(f"{what!r} is one of {', '.join(said)}: write which one.")
    spelled = {spelling for name in known for spelling in _spellings(name)}
    close = get_close_matches(what, sorted(spelled), n=3)
    owner = what.rpartition(".")[0]
    inside = sorted(
        name.rpartition(".")[2]
        for name in known
        if owner and owner in _spellings(name.rpartition(".")[0])
    )
    raise UnknownName(
        f"{what!r} is no source, column, view or feature of {use_case.name!r}. "
        + (f"Close to it: {', '.join(close)}. " if close else "")
        + (f"{owner} has: {', '.join(inside)}. " if inside else "")
        + f"Sources: {', '.join(s.name for s in use_case.sources)}. "
        + f"Views: {', '.join(v.name for v in use_case.views)}."
    )


def _names(use_case: UseCase) -> Iterator[tuple[str, Asked]]:
    for source in use_case.sources:
        yield f"raw.{source.name}", Asked(source=source.name)
        for column in source_columns(source):
            yield f"raw.{source.name}.{column}", Asked(source=source.name, column=column)
    for view in use_case.views:
        yield f"features.{view.name}", Asked(view=view.name)
        for feature in feature_names(view):
            yield f"features.{view.name}.{feature}", Asked(view=view.name, feature=feature)


def _spellings(name: str) -> set[str]:
    """How a full name may be written: without its schema, a feature by itself."""
    schema, _, rest = name.partition(".")
    alone = {rest.partition(".")[2]} if schema == "features" and "." in rest else set()
    return {name, rest, *alone} - {""}
