"""Impact: which features, model versions, predictions and reports a column or feature reaches.

One query over the registry answers it, ``QUERY``. It goes by what was recorded when views were
computed and versions trained, not by what is declared today, so that it also finds versions
trained on earlier definitions. Recording belongs in ``lineage_records``, what a name stands
for in ``impact_names``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from mlops_assets.core.lineage.column_lineage import KINDS
from mlops_assets.core.lineage.impact_names import Asked, UnknownName, resolve
from mlops_assets.core.storage.records import fetch
from mlops_assets.vocabulary import UseCase

if TYPE_CHECKING:
    import duckdb

__all__ = ["Asked", "Impact", "UnknownName", "as_script", "impact", "resolve"]

#: What a column of a source, or a feature, reaches. Its parameters, NULL for any, are a source
#: and a column, a source, a view and a feature, or a view. ``as_script`` is for running it by
#: hand in any DuckDB client on the use case's file.
QUERY = """
WITH asked AS (
    SELECT
        $source::VARCHAR AS source,
        $column::VARCHAR AS column_name,
        $view::VARCHAR AS view,
        $feature::VARCHAR AS feature
), reached AS (  -- Features and labels that derive from it.
    SELECT l.*
    FROM registry.feature_lineage AS l, asked
    WHERE l.source = coalesce(asked.source, l.source)
        AND l.column_name = coalesce(asked.column_name, l.column_name)
        AND (asked.view IS NULL OR l.view = asked.view)
        AND l.feature = coalesce(asked.feature, l.feature)
), uses AS (  -- Training sets that have them, with the definition that it holds of.
    SELECT DISTINCT u.model, u.training_digest, u.view, u.feature
    FROM registry.feature_lineage AS u
    JOIN reached AS r
        ON r.feature = u.feature
        AND r.view IS NOT DISTINCT FROM u.view
        AND r.view_version IS NOT DISTINCT FROM u.view_version
        AND coalesce(r.training_digest, u.training_digest) = u.training_digest
        AND coalesce(r.model, u.model) = u.model
    WHERE u.training_digest IS NOT NULL
), versions AS (  -- Versions trained on these.
    SELECT model, version, count(*) AS features
    FROM registry.model_versions
    JOIN uses USING (model, training_digest)
    GROUP BY ALL
), captured AS (
    SELECT c.model, c.model_version AS version, count(*) AS n,
        min(c.partition_date) AS first_day, max(c.partition_date) AS last_day
    FROM capture.predictions AS c
    SEMI JOIN versions AS v ON v.model = c.model AND v.version = c.model_version
    GROUP BY ALL
), reports AS (
    SELECT report, model, version, count(DISTINCT window_end) AS n,
        min(window_end) AS first_day, max(window_end) AS last_day
    FROM (
        SELECT 'drift' AS report, model, version, window_end FROM monitoring.drift
        UNION ALL
        SELECT 'performance', model, version, window_end FROM monitoring.performance
    )
    SEMI JOIN versions USING (model, version)
    GROUP BY ALL
)
SELECT DISTINCT 'feature' AS step, r.view, r.feature, r.source, r.column_name, r.kind, r.assumed,
    r.view IS NULL OR coalesce(f.current, false) AS holds,  -- now: of today's definition
    if(r.view IS NULL, r.model, NULL) AS model, NULL::INTEGER AS version,
    NULL::BIGINT AS n, NULL::DATE AS first_day, NULL::DATE AS last_day
FROM reached AS r
LEFT JOIN registry.feature_views AS f ON f.view = r.view AND f.version = r.view_version
UNION ALL
SELECT 'version', NULL, NULL, NULL, NULL, NULL, NULL, a.version IS NOT NULL,  -- holds: it serves
    v.model, v.version, v.features, NULL, NULL
FROM versions AS v
LEFT JOIN registry.aliases AS a
    ON a.model = v.model AND a.version = v.version AND a.alias = 'champion'
UNION ALL
SELECT 'predictions', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    model, version, n, first_day, last_day
FROM captured
UNION ALL
SELECT report, NULL, NULL, NULL, NULL, NULL, NULL, NULL, model, version, n, first_day, last_day
FROM reports
UNION ALL
-- Trained before lineage was kept: whether it is reached cannot be told.
SELECT 'unknown', NULL, NULL, NULL, NULL, NULL, NULL, NULL, v.model, v.version, NULL, NULL, NULL
FROM registry.model_versions AS v
ANTI JOIN registry.feature_lineage AS l
    ON l.model = v.model AND l.training_digest = v.training_digest
ORDER BY ALL
"""

#: Instead of the view over all models' predictions, which is made with the first of them.
_NONE_CAPTURED = (
    "(SELECT NULL::VARCHAR AS model, NULL::INTEGER AS model_version, "
    "NULL::DATE AS partition_date WHERE false)"
)


@dataclass(frozen=True)
class FeatureReached:
    """A feature that is reached, or a label (``view`` is None, ``label_of`` the model).

    Attributes
    ----------
    kind
        The strongest way in which it derives from what is asked about: ``value``, ``rows`` or
        ``lookup``; see ``column_lineage``.
    columns
        Those it derives from in this way, as ``source.column``.
    current
        Whether that holds of the definition that is in use now, not of an earlier one only.
    assumed
        Why the derivation had to be assumed; ``None``: it was read from the declaration.
    """

    view: str | None
    name: str
    kind: str
    columns: tuple[str, ...]
    current: bool
    assumed: str | None
    label_of: str | None = None

    def __str__(self) -> str:
        return f"{self.view or self.label_of}.{self.name}"


@dataclass(frozen=True)
class Rows:
    """How many there are, and of which days; for reports, how many windows."""

    n: int = 0
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True)
class VersionReached:
    """A model version that was trained on what is reached.

    Attributes
    ----------
    features
        How many of its features, its label included, are reached.
    """

    model: str
    version: int
    serves: bool
    features: int
    predictions: Rows = field(default_factory=Rows)
    drift: Rows = field(default_factory=Rows)
    performance: Rows = field(default_factory=Rows)


@dataclass(frozen=True)
class Impact:
    """All that is reached.

    Attributes
    ----------
    unknown
        Versions ``(model, version)`` trained before lineage was kept: whether they are reached
        cannot be told.
    """

    asked: Asked
    features: tuple[FeatureReached, ...]
    versions: tuple[VersionReached, ...]
    unknown: tuple[tuple[str, int], ...]


def impact(con: duckdb.DuckDBPyConnection, use_case: UseCase, what: str) -> Impact:
    """Return what ``what`` reaches.

    Parameters
    ----------
    what
        ``source``, ``source.column``, ``view``, ``view.feature`` or ``feature``; where that
        could mean two things, with its schema: ``raw.source.column``,
        ``features.view.feature``.

    Raises
    ------
    UnknownName
        If there is nothing of that name, or more than one.
    """
    asked = resolve(use_case, what)
    captured = con.execute(
        "SELECT 1 FROM duckdb_views() WHERE schema_name = 'capture' "
        "AND view_name = 'predictions' AND database_name = current_database()"
    ).fetchall()
    query = QUERY if captured else QUERY.replace("capture.predictions", _NONE_CAPTURED)
    rows = fetch(
        con,
        query,
        asdict(asked),
    )
    counted = {
        (row["step"], row["model"], row["version"]): Rows(
            row["n"], row["first_day"], row["last_day"]
        )
        for row in rows
        if row["step"] in ("predictions", "drift", "performance")
    }
    return Impact(
        asked=asked,
        features=tuple(_features([row for row in rows if row["step"] == "feature"])),
        versions=tuple(
            VersionReached(
                row["model"],
                row["version"],
                serves=row["holds"],
                features=row["n"],
                **{
                    step: counted.get((step, row["model"], row["version"]), Rows())
                    for step in ("predictions", "drift", "performance")
                },
            )
            for row in rows
            if row["step"] == "version"
        ),
        unknown=tuple((r["model"], r["version"]) for r in rows if r["step"] == "unknown"),
    )


def as_script(asked: Asked) -> str:
    """Return ``QUERY`` with what is asked about written out, to be run by hand."""
    script = QUERY
    for name, value in asdict(asked).items():
        # Names of declarations have no quotes; columns of a schema might.
        literal = "NULL" if value is None else "'" + value.replace("'", "''") + "'"
        script = script.replace(f"${name}::", f"{literal}::")
    return script.strip() + ";"


def _features(rows: Sequence[dict[str, Any]]) -> Iterable[FeatureReached]:
    by_feature: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        by_feature.setdefault((row["view"], row["model"], row["feature"]), []).append(row)
    for (view, model, name), found in by_feature.items():
        current = any(row["holds"] for row in found)
        found = [row for row in found if row["holds"] == current]
        kind = min((row["kind"] for row in found), key=KINDS.index)
        strongest = [row for row in found if row["kind"] == kind]
        yield FeatureReached(
            view,
            name,
            kind,
            tuple(sorted({f"{row['source']}.{row['column_name']}" for row in strongest})),
            current,
            next((row["assumed"] for row in strongest if row["assumed"]), None),
            model,
        )
