"""A use case: sources, views and models that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mlops_assets.vocabulary.data import Source
from mlops_assets.vocabulary.features import FeatureView, OnDemandFeatures
from mlops_assets.vocabulary.models import Model
from mlops_assets.vocabulary.validation import DeclarationError, check_name, freeze, require

#: Names that DuckDB or this package use for catalogs and schemas; the use case's file would
#: take its name as a catalog and make every "schema.table" ambiguous.
_SCHEMAS = ("raw", "quarantine", "history", "features", "capture", "monitoring", "registry")
_RESERVED = frozenset([*_SCHEMAS, "ops", "main", "temp", "system", "memory"])


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """Everything about one use case; ``build_definitions`` turns it into a Dagster graph.

    Parameters
    ----------
    timezone
        IANA name of the time zone whose calendar days partition the data.
    start, end
        First day, and the day after the last one (``None``: open, a day is complete once
        it has passed).
    archive
        Folder with one ``<source>.parquet`` for each source: history from which
        ``mlops-assets replay`` lands files day by day.
    """

    name: str
    timezone: str
    start: date
    sources: Sequence[Source]
    views: Sequence[FeatureView | OnDemandFeatures]
    models: Sequence[Model]
    end: date | None = None
    archive: Path | None = None
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self)
        require(
            self.name not in _RESERVED,
            self,
            "name",
            f"is a schema of the DuckDB file; choose another than {', '.join(sorted(_RESERVED))}",
        )
        for name in ("sources", "views", "models"):
            freeze(self, **{name: tuple(getattr(self, name))})
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise DeclarationError(
                f"UseCase {self.name!r}: timezone: {self.timezone!r} is no IANA time zone; "
                "write one such as 'Europe/Berlin' or 'UTC'"
            ) from error
        require(self.end is None or self.start < self.end, self, "end", "must be later than start")
        self._check_unique("sources", [s.name for s in self.sources])
        self._check_unique("views", [v.name for v in self.views])
        self._check_unique("models", [m.name for m in self.models])
        for view in self.feature_views:
            for name in view.sources:
                self._check_known(f"view {view.name!r}: sources", name, self.sources)
            if not view.partitioned:
                moving = [n for n in view.sources if self.source(n).partitioned]
                require(
                    not moving,
                    self,
                    f"view {view.name!r}",
                    f"has no event_time but reads {', '.join(moving)}, which has days; "
                    "give it an event_time",
                )
        for model in self.models:
            self._check_known(f"model {model.name!r}: rows", model.rows.source, self.sources)
            require(
                self.source(model.rows.source).partitioned,
                self,
                f"model {model.name!r}: rows",
                f"source {model.rows.source!r} is static; predictions are made by day",
            )
            self._check_known(f"model {model.name!r}: label", model.label.source, self.sources)
            for reference in model.features:
                self._check_known(
                    f"model {model.name!r}: features", reference.partition(".")[0], self.views
                )

    def _check_unique(self, field_name: str, names: Sequence[str]) -> None:
        twice = sorted({n for n in names if names.count(n) > 1})
        require(not twice, self, field_name, f"{', '.join(twice)} declared twice")

    def _check_known(self, field_name: str, name: str, declared: Iterable[Any]) -> None:
        names = [d.name for d in declared]
        require(name in names, self, field_name, f"{name!r} is not declared; there is {names}")

    @property
    def feature_views(self) -> tuple[FeatureView, ...]:
        """The views that are kept as tables."""
        return tuple(v for v in self.views if isinstance(v, FeatureView))

    def source(self, name: str) -> Source:
        """The source of that name."""
        return self._find(self.sources, name)

    def view(self, name: str) -> FeatureView | OnDemandFeatures:
        """The feature view or on-demand features of that name."""
        return self._find(self.views, name)

    def model(self, name: str) -> Model:
        """The model of that name."""
        return self._find(self.models, name)

    def _find(self, declared: Sequence[Any], name: str) -> Any:
        for item in declared:
            if item.name == name:
                return item
        raise DeclarationError(
            f"UseCase {self.name!r}: no {name!r}; there is {[d.name for d in declared]}"
        )
